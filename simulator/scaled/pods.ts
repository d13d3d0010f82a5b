/**
 * The first pods: in which order they come, when, and which address each has.
 *
 * @module
 */
import { type Prng, prng } from '../../src/prng.ts'
import type { Scenario } from '../scenario.ts'

const TICKS_PER_SECOND = 1_000_000

/** Pods are numbered from 0, so many a node, one node after the other. */
export class ScaledPods {
  readonly total: number
  /** Tick after the start of the next one's ADD. */
  nextTicks = 0
  /** Of the last one that came. */
  lastTicks = 0
  /** By pod: its address, and which pod of its node it is, from 1 on; 0: its link is not there. */
  readonly addresses: Uint32Array
  readonly sequences: Int32Array
  readonly isMade: Uint8Array

  private readonly podsPerNode: number
  private readonly order: Int32Array
  private readonly sliceTicks: number
  private readonly chance: Prng
  private index = 0

  constructor({ nodes, podsPerNode, times, seed }: Scenario) {
    this.podsPerNode = podsPerNode
    this.total = nodes * podsPerNode
    this.order = shuffledPods(this.total, prng(seed).fork('pods'))
    this.sliceTicks = Math.max(1, Math.floor(TICKS_PER_SECOND / times.podsPerSecond))
    this.chance = prng(seed).fork('arrivals')
    this.addresses = new Uint32Array(this.total)
    this.sequences = new Int32Array(this.total)
    this.isMade = new Uint8Array(this.total)
    this.draw()
  }

  get bytes(): number {
    const { addresses, sequences, isMade, order } = this
    return addresses.byteLength + sequences.byteLength + isMade.byteLength + order.byteLength
  }

  /** Whether one is still to come. */
  get isLeft(): boolean {
    return this.index < this.total
  }

  nodeOf(pod: number): number {
    return Math.floor(pod / this.podsPerNode)
  }

  firstOf(node: number): number {
    return node * this.podsPerNode
  }

  /** The next pod comes. */
  take(): number {
    const pod = this.order[this.index++]!
    this.draw()
    return pod
  }

  /** Each comes somewhere in its own slice of time. */
  private draw(): void {
    this.lastTicks = this.nextTicks
    if (!this.isLeft) return
    this.nextTicks = this.index * this.sliceTicks + this.chance.below(this.sliceTicks)
  }
}

/** All pods in a random order (Fisher and Yates). */
function shuffledPods(total: number, chance: Prng): Int32Array {
  const order = Int32Array.from({ length: total }, (_, pod) => pod)
  for (let last = total - 1; last > 0; last--) {
    const other = chance.below(last + 1)
    const kept = order[last]!
    order[last] = order[other]!
    order[other] = kept
  }
  return order
}
