/**
 * How long messages between nodes and the store are on their way.
 *
 * The store's port carries them one after the other in each direction; on the rest of
 * a way nothing else waits. Messages to one node arrive in their order, as in a TCP
 * connection. Without latency, bandwidth and loss everything takes no time.
 *
 * @module
 */
import { type Prng, prng } from '../src/prng.ts'
import type { Engine } from './clock.ts'
import type { Fabric } from './fabric.ts'
import type { Scenario } from './scenario.ts'
import { type StorePath, storePaths } from './store-paths.ts'
import { retransmissionTicks, transmissionTicks } from './tcp.ts'

export interface StoreWireOptions {
  /** The way from a node to the store. */
  readonly path: (node: number) => StorePath
  /** Megabits a second of the store's port; undefined: nothing waits for it. */
  readonly portMbps: number | undefined
  readonly chance: Prng
}

/** A scenario's. */
export function storeWire(engine: Engine, scenario: Scenario, fabric: Fabric): StoreWire {
  const byRack = storePaths(scenario, fabric)
  return new StoreWire(engine, {
    path: (node) => byRack(fabric.rackOf(node)),
    portMbps: scenario.store.mbps,
    chance: prng(scenario.seed).fork('store links'),
  })
}

export class StoreWire {
  private readonly engine: Engine
  private readonly options: StoreWireOptions
  /** When the port has sent, and received, what it must. */
  private readonly port = { down: 0, up: 0 }
  /** When the last note of a node arrives. */
  private readonly arrival = new Map<number, number>()

  constructor(engine: Engine, options: StoreWireOptions) {
    this.engine = engine
    this.options = options
  }

  /** Ticks until a node's request is at the store, as if it were small. */
  requestTicks(node: number): number {
    return this.options.path(node).latencyTicks
  }

  /** Ticks from a commit until its node knows; the bytes of the request are paid for here. */
  answerTicks(node: number, requestBytes: number): number {
    const path = this.options.path(node)
    const lost = this.lostTicks(path, requestBytes) + this.lostTicks(path, 0)
    return this.throughPort('up', path, requestBytes) + path.latencyTicks + lost
  }

  /** Ticks until what the store tells a node is there. */
  noteTicks(node: number, bytes: number): number {
    const path = this.options.path(node)
    const { tick } = this.engine
    const ticks =
      this.throughPort('down', path, bytes) + path.latencyTicks + this.lostTicks(path, bytes)
    if (ticks === 0) return 0
    const arrival = Math.max(tick + ticks, this.arrival.get(node) ?? 0)
    this.arrival.set(node, arrival)
    return arrival - tick
  }

  private lostTicks({ lossPpm, latencyTicks }: StorePath, bytes: number): number {
    return retransmissionTicks(this.options.chance, bytes, lossPpm, 2 * latencyTicks)
  }

  private throughPort(direction: 'up' | 'down', { mbps }: StorePath, bytes: number): number {
    const { tick } = this.engine
    const portTicks = transmissionTicks(bytes, this.options.portMbps)
    const wayTicks = transmissionTicks(bytes, mbps)
    if (portTicks > 0) {
      this.port[direction] = Math.max(tick, this.port[direction]) + portTicks
    }
    // A narrower link on the way takes longer than the port did.
    const left = Math.max(0, wayTicks - portTicks)
    return portTicks === 0 ? left : this.port[direction] - tick + left
  }
}
