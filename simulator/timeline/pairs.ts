/**
 * The pairs of pods that are watched: a sample by chance, half of it with an end on
 * a node that a fault is about. A pod that is no more gives its place to another.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import type { SimPod } from '../node.ts'
import type { Cluster } from '../world.ts'

/** Drawn so often before a place stays empty: networks may be closed to each other. */
const DRAWS_MAX = 16

export interface WatchedPair {
  readonly from: SimPod
  readonly to: SimPod
}

export const isAlive = (pod: SimPod): boolean => pod.node.pods.get(pod.id) === pod

export class PairSample {
  /** By place; undefined: nobody to watch. */
  readonly pairs: (WatchedPair | undefined)[]

  private readonly cluster: Cluster
  private readonly victims: ReadonlySet<number>
  private readonly chance: Prng

  /** @param victims Indexes of nodes that faults are about. */
  constructor(cluster: Cluster, size: number, victims: ReadonlySet<number>, chance: Prng) {
    this.cluster = cluster
    this.victims = victims
    this.chance = chance
    this.pairs = Array.from({ length: size }, () => undefined)
  }

  /**
   * Fills every place whose pair is no more.
   *
   * @param gone Called with each pair that leaves.
   */
  renew(gone: (place: number) => void): void {
    const empty: number[] = []
    for (const [place, pair] of this.pairs.entries()) {
      if (pair !== undefined && isAlive(pair.from) && isAlive(pair.to)) continue
      if (pair !== undefined) gone(place)
      this.pairs[place] = undefined
      empty.push(place)
    }
    if (empty.length === 0) return
    const pods = this.cluster.pods()
    const near = pods.filter(({ node }) => this.victims.has(node.index))
    for (const place of empty) this.pairs[place] = this.draw(pods, place % 2 === 0 ? near : pods)
  }

  private draw(pods: readonly SimPod[], first: readonly SimPod[]): WatchedPair | undefined {
    const { chance } = this
    const ends = first.length === 0 ? pods : first
    for (let draw = 0; pods.length > 1 && draw < DRAWS_MAX; draw++) {
      const near = ends[chance.below(ends.length)]!
      const other = pods[chance.below(pods.length)]!
      const [from, to] = chance.below(2) === 0 ? [near, other] : [other, near]
      const { mayReach } = this.cluster
      if (from === to) continue
      if (mayReach.call(this.cluster, from.attachment.network, to.attachment.network)) {
        return { from, to }
      }
    }
    return undefined
  }
}
