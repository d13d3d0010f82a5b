/**
 * What one mode costs in a node's kernel: microseconds, operations and objects.
 *
 * Measured on Linux 6.18 as in the exact engine's kernel: sysctl 5, nftables table 50, set
 * 50, element 4, chain 200, link 600, address 20, route 6 or onlink 87, neighbour 14,
 * forwarding entry 10.
 *
 * @module
 */
import type { Plan } from './accept.ts'

export interface Price {
  readonly ticks: number
  readonly operations: number
}

export interface Prices {
  /** The node itself with its first block. */
  readonly first: Price
  /** Objects that are there before. */
  readonly objects: number
  /** Sysctls are changed, not added. */
  readonly changed: number
  /** A peer with its first block. */
  readonly peer: Price
  /** One more block of a peer, and one of the node's own. */
  readonly block: Price
  readonly own: Price
  readonly pod: Price
}

const NOTHING: Price = { ticks: 0, operations: 0 }
const ROUTE: Price = { ticks: 6, operations: 1 }
const [SYSCTL, TABLE, SET, ELEMENT, CHAIN, LINK] = [5, 50, 50, 4, 200, 600]
const [ADDRESS, ONLINK, NEIGHBOR, FORWARDING] = [20, 87, 14, 10]

const PRICES: Readonly<Record<Plan['mode'], Prices>> = {
  route: {
    // Forwarding on; table, 17 sets, 4 elements, 4 chains; the own block's blackhole.
    first: { ticks: SYSCTL + TABLE + 17 * SET + 4 * ELEMENT + 4 * CHAIN + 6, operations: 28 },
    objects: 5,
    changed: 1,
    peer: { ticks: ELEMENT + 6, operations: 2 },
    block: ROUTE,
    own: ROUTE,
    // Link, who may send from it, and the way to it.
    pod: { ticks: LINK + ELEMENT + 6, operations: 3 },
  },
  vxlan: {
    // Two elements more, the tunnel and its address.
    first: {
      ticks: SYSCTL + TABLE + 17 * SET + 6 * ELEMENT + 4 * CHAIN + LINK + ADDRESS + 6,
      operations: 32,
    },
    objects: 6,
    changed: 1,
    peer: { ticks: ELEMENT + FORWARDING + NEIGHBOR + ONLINK, operations: 4 },
    block: { ticks: ONLINK, operations: 1 },
    own: ROUTE,
    pod: { ticks: LINK + ELEMENT + 6, operations: 3 },
  },
  vlan: {
    // Table, 3 sets and a chain of the bridge; bridge and VLAN.
    first: { ticks: TABLE + 3 * SET + CHAIN + 2 * LINK, operations: 7 },
    objects: 5,
    changed: 0,
    peer: NOTHING,
    block: NOTHING,
    own: NOTHING,
    // Link, its MAC and two addresses.
    pod: { ticks: LINK + 3 * ELEMENT, operations: 4 },
  },
}

export const pricesOf = ({ mode }: Plan): Prices => PRICES[mode]
