/**
 * Shortest paths of a fabric, as an idealised interior protocol would find them:
 * every link counts one, every equal path is used.
 *
 * One instance is what all devices believe after they converged; it does not
 * change when links do.
 *
 * @module
 */
import type { Topology } from './fabric-topology.ts'

/** What is up now. */
export interface FabricState {
  readonly links: readonly boolean[]
  readonly devices: readonly boolean[]
}

/** A link as seen from one of its ends. */
export interface NextHop {
  readonly link: number
  /** The device at the other end. */
  readonly device: number
}

const UNREACHED = -1

export class Routing {
  /** By device. */
  private readonly neighbors: readonly (readonly NextHop[])[]
  /** Links to go, by rack and device. */
  private readonly distances: readonly Int32Array[]

  constructor(topology: Topology, state: FabricState) {
    const { devices, links } = topology
    const neighbors: NextHop[][] = devices.map(() => [])
    for (const [link, { ends }] of links.entries()) {
      const [a, b] = ends
      if (!state.links[link] || !state.devices[a] || !state.devices[b]) continue
      neighbors[a]?.push({ link, device: b })
      neighbors[b]?.push({ link, device: a })
    }
    this.neighbors = neighbors
    this.distances = devices.flatMap(({ rack }, index) => (rack === -1 ? [] : [this.spread(index)]))
  }

  /** Where a packet for `rack` may go from `device`: every link that leads nearer. */
  nextHops(device: number, rack: number): readonly NextHop[] {
    const distances = this.distances[rack]
    const own = distances?.[device] ?? UNREACHED
    if (distances === undefined || own === UNREACHED) return []
    return (this.neighbors[device] ?? []).filter((next) => distances[next.device] === own - 1)
  }

  /** Sets of more than one next hop that a device forwards by; each set once. */
  groups(device: number): ReadonlyMap<string, number> {
    const groups = new Map<string, number>()
    for (let rack = 0; rack < this.distances.length; rack++) {
      const hops = this.nextHops(device, rack)
      if (hops.length < 2) continue
      groups.set(`group ${hops.map(({ link }) => link).join(' ')}`, hops.length)
    }
    return groups
  }

  private spread(from: number): Int32Array {
    const distances = new Int32Array(this.neighbors.length).fill(UNREACHED)
    distances[from] = 0
    const queue = [from]
    for (let at = 0; at < queue.length; at++) {
      const here = queue[at] ?? from
      for (const { device } of this.neighbors[here] ?? []) {
        if (distances[device] !== UNREACHED) continue
        distances[device] = (distances[here] ?? 0) + 1
        queue.push(device)
      }
    }
    return distances
  }
}
