/**
 * Neighbours that a node's kernel learned by asking, and their limit.
 *
 * gc_thresh3 counts the learned ones of every namespace together, a table a
 * family; permanent entries are exempt. An entry in use cannot be reclaimed,
 * so a node that talks to more peers than that loses packets to the rest:
 * "neighbour: arp_cache: neighbor table overflow!". Measured on Linux 6.18:
 * of 2 999 offered 1 024 stay, of 4 999 permanent ones all.
 * Source: Linux net/core/neighbour.c, neigh_alloc and neigh_forced_gc.
 *
 * @module
 */

import { type Ip, type IpFamily, ipFamily } from '../src/net/mod.ts'
import type { Prng } from '../src/prng.ts'
import { lookUp } from './lookup.ts'
import type { SimNode } from './node.ts'
import { shuffled } from './shuffle.ts'
import { UNDERLAY_LINK } from './underlay.ts'

/** Source: Linux net/ipv4/arp.c, arp_tbl.gc_thresh3. */
export const GC_THRESH3 = 1024

export class NeighborTable {
  readonly limit: number
  /** What the kernel could not hold, in the order of asking. */
  readonly refused: Readonly<Record<IpFamily, Set<Ip>>> = { 4: new Set(), 6: new Set() }
  private readonly learned: Readonly<Record<IpFamily, Set<Ip>>> = { 4: new Set(), 6: new Set() }

  constructor(limit = GC_THRESH3) {
    this.limit = limit
  }

  /** Whether a frame for `ip` can be sent: it is known, or there is room to learn it. */
  resolve(ip: Ip): boolean {
    const family = ipFamily(ip)
    const own = this.learned[family]
    if (own.has(ip)) return true
    if (own.size < this.limit) {
      own.add(ip)
      return true
    }
    this.refused[family].add(ip)
    return false
  }

  /** Entries of the fuller family that the kernel holds, and that it was asked for. */
  get counts(): { readonly held: number; readonly asked: number } {
    const held = Math.max(this.learned[4].size, this.learned[6].size)
    const asked = Math.max(
      this.learned[4].size + this.refused[4].size,
      this.learned[6].size + this.refused[6].size,
    )
    return { held, asked }
  }
}

/** Whom a node must ask for on the underlay before a packet to `dst` leaves; undefined: nobody. */
export function neighborFor({ kernel }: Pick<SimNode, 'kernel'>, dst: Ip): Ip | undefined {
  const hop = lookUp(kernel, dst, false)
  if (hop.kind !== 'out') return undefined
  if (hop.link === UNDERLAY_LINK) return hop.mac === undefined ? hop.nextHop : undefined
  const tunnel = kernel.link(hop.link)?.link.type
  if (tunnel === 'vxlan-gpe' && hop.encapDst !== undefined) return outer(kernel, hop.encapDst)
  const fdb = tunnel === 'vxlan' ? kernel.get(`fdb ${hop.link} ${hop.mac ?? ''}`) : undefined
  return fdb?.kind === 'fdb' ? outer(kernel, fdb.dst) : undefined
}

function outer(kernel: SimNode['kernel'], dst: Ip): Ip | undefined {
  const hop = lookUp(kernel, dst, false)
  return hop.kind === 'out' && hop.mac === undefined ? hop.nextHop : undefined
}

/**
 * Every node sends to a pod of each of `peers` other nodes that have pods.
 *
 * @param peers How many, by chance; undefined: all.
 */
export function talk(
  nodes: readonly SimNode[],
  tables: readonly NeighborTable[],
  peers: number | undefined,
  chance: Prng,
): void {
  const targets = nodes.flatMap((node) => {
    const [pod] = node.pods.values()
    return pod === undefined ? [] : [{ node, ips: pod.attachment.ips }]
  })
  for (const node of nodes) {
    const others = targets.filter((target) => target.node !== node)
    const chosen = peers === undefined ? others : shuffled(others, chance).slice(0, peers)
    for (const { ips } of chosen) {
      for (const ip of ips) {
        const neighbor = neighborFor(node, ip)
        if (neighbor !== undefined) tables[node.index]?.resolve(neighbor)
      }
    }
  }
}
