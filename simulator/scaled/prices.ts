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
  /** A peer with its first block; one that is reached without the tunnel. */
  readonly peer: Price
  readonly near: Price
  /** One more block of a peer, of a near one, and one of the node's own. */
  readonly block: Price
  readonly nearBlock: Price
  readonly own: Price
  /** Of each route to a peer, and again for each route that is there before it. */
  readonly scan: { readonly ticks: number; readonly ticksEach: number } | undefined
  readonly pod: Price
}

const NOTHING: Price = { ticks: 0, operations: 0 }
const ROUTE: Price = { ticks: 6, operations: 1 }
const [SYSCTL, TABLE, SET, ELEMENT, CHAIN, LINK] = [5, 50, 50, 4, 200, 600]
const [ADDRESS, ONLINK, NEIGHBOR, FORWARDING, VNI] = [20, 87, 14, 10, 5]

/** Microseconds of a route with a tunnel in it, and what each that is there adds: all share one hash chain. */
const [ENCAP, ENCAP_SCAN] = [9, 0.072]

export function pricesOf(plan: Plan): Prices {
  if (plan.mode === 'vlan') return VLAN
  return plan.mode === 'route' ? routePrices(plan) : tunnelPrices(plan)
}

const POD: Price = { ticks: LINK + ELEMENT + 6, operations: 3 }
/** A neighbour's way and what lets it in. */
const DIRECT: Price = { ticks: ELEMENT + 6, operations: 2 }
/** Table, 17 sets, 4 chains; forwarding on; the own block's blackhole. */
const GUARDS = SYSCTL + TABLE + 17 * SET + 4 * CHAIN + 6

function routePrices({ masquerades, share, scenario }: Plan): Prices {
  const pools = share === undefined ? 1 : poolsOf(scenario.racks)
  // Each pool in three sets, or two, and each with each.
  const elements = pools * (masquerades ? 3 : 2) + pools * pools
  return {
    first: { ticks: GUARDS + elements * ELEMENT, operations: 24 + elements },
    objects: 5,
    changed: 1,
    peer: DIRECT,
    near: DIRECT,
    block: ROUTE,
    nearBlock: ROUTE,
    own: ROUTE,
    scan: undefined,
    // Link, who may send from it, and the way to it.
    pod: POD,
  }
}

/** A pool a rack, and what is over in as few as can be. */
function poolsOf(racks: number): number {
  let pools = racks
  for (let size = 1, end = racks; size < racks; size *= 2) {
    // The parts behind the racks, as aligned pieces that grow.
    if (end % (2 * size) === 0) continue
    pools++
    end += size
  }
  return pools
}

function tunnelPrices({ masquerades, isLightweight }: Plan): Prices {
  // Two elements more, the tunnel and its address; its VNI, where that is not the link's.
  const elements = masquerades ? 6 : 5
  const vni = isLightweight ? VNI : 0
  const ticks = GUARDS + elements * ELEMENT + LINK + vni + ADDRESS
  return {
    first: { ticks, operations: 26 + elements + (isLightweight ? 1 : 0) },
    objects: 6,
    changed: 1,
    peer: isLightweight
      ? { ticks: ELEMENT, operations: 2 }
      : { ticks: ELEMENT + FORWARDING + NEIGHBOR + ONLINK, operations: 4 },
    near: DIRECT,
    block: isLightweight ? { ticks: 0, operations: 1 } : { ticks: ONLINK, operations: 1 },
    nearBlock: ROUTE,
    own: ROUTE,
    scan: isLightweight ? { ticks: ENCAP, ticksEach: ENCAP_SCAN } : undefined,
    pod: POD,
  }
}

const VLAN: Prices = {
  // Table, 3 sets and a chain of the bridge; bridge and VLAN.
  first: { ticks: TABLE + 3 * SET + CHAIN + 2 * LINK, operations: 7 },
  objects: 5,
  changed: 0,
  peer: NOTHING,
  near: NOTHING,
  block: NOTHING,
  nearBlock: NOTHING,
  own: NOTHING,
  scan: undefined,
  // Link, its MAC and two addresses.
  pod: { ticks: LINK + 3 * ELEMENT, operations: 4 },
}

/** What a kernel lacks of what its agent has read. */
export interface Lacking {
  /** Everything that does not come with peers. */
  readonly isFirst: boolean
  readonly owned: number
  readonly peers: number
  readonly near: number
  readonly blocks: number
  readonly nearBlocks: number
}

export const ticksOf = (prices: Prices, lacking: Lacking): number => sumOf(prices, lacking, 'ticks')

export const operationsOf = (prices: Prices, lacking: Lacking): number =>
  sumOf(prices, lacking, 'operations')

function sumOf(prices: Prices, lacking: Lacking, what: keyof Price): number {
  return (
    (lacking.isFirst ? prices.first[what] : 0) +
    lacking.owned * prices.own[what] +
    lacking.peers * prices.peer[what] +
    lacking.near * prices.near[what] +
    lacking.blocks * prices.block[what] +
    lacking.nearBlocks * prices.nearBlock[what]
  )
}
