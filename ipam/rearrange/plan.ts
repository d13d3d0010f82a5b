/**
 * Other pools over the same addresses: split, merged, made larger or smaller, cut
 * into other blocks, in one transaction and under living pods.
 *
 * Every address keeps its holder and every block its owner. What cannot be (a pod
 * where there would be no pool, blocks of two nodes that would be one) is an
 * obstacle, and with one nothing is written.
 *
 * Cost: the claims of the network, its reservations and history once; with other
 * blocks its addresses, too.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import {
  containsPrefix,
  type Ip,
  ipToInteger,
  networkAddress,
  offsetIn,
  type Prefix,
  prefixesOverlap,
  prefixFamily,
  prefixLength,
  prefixOf,
  prefixSize,
  subPrefixAt,
} from '../../src/net/mod.ts'
import { counted } from '../../src/words.ts'
import { reservedOffsets } from '../blocks.ts'
import { COOLING_MAX, coolingIn, resting } from '../cooling.ts'
import { keys } from '../keys.ts'
import { networkWith } from '../networks.ts'
import type { BlockClaim, BlockUse, CooledAddress, NetworkRecord, Pool } from '../records.ts'
import type { Key, Reader, Tx } from '../store.ts'
import { type Moved, moveAddresses, moveHistory, moveReservations } from './move.ts'

/** Why it cannot be. */
export interface Obstacle {
  /** E.g. `block 10.42.0.64/26 of node n1`. */
  readonly subject: string
  readonly found: string
  readonly wanted: string
}

export interface PoolsPlan {
  /** As it would be. */
  readonly network: NetworkRecord
  readonly obstacles: readonly Obstacle[]
  /** Blocks that stay as they are, but for their pool. */
  readonly kept: number
  /** Blocks that others become. */
  readonly cut: number
  /** Empty blocks beyond the new pools. */
  readonly givenBack: number
  /** Addresses in use that are of other blocks then. */
  readonly moved: number
  readonly writes: ReadonlyMap<Key<unknown>, unknown>
}

/** Pools of one family and block length that take the place of others. */
export interface PoolsChange {
  readonly before: readonly Prefix[]
  readonly after: readonly Pool[]
  readonly nowMs: number
  /**
   * Every node has its own records of its blocks, and follows what etcd says of its claims:
   * whole blocks may become another pool's, and nothing else. @default false
   */
  readonly inCluster?: boolean
}

/**
 * What a change would be. Writes nothing.
 *
 * @throws {TriviumError} BAD_CONFIG or CONFLICT where the pools themselves are impossible.
 */
export function planPools(reader: Reader, present: NetworkRecord, change: PoolsChange): PoolsPlan {
  refuseMember(reader, 'change pools')
  const network = networkAfter(reader, present, change)
  const obstacles: Obstacle[] = []
  const writes = new Map<Key<unknown>, unknown>()
  const [one] = change.after
  const old = present.pools.filter(({ cidr }) => change.before.includes(cidr))
  const claims = [...reader.range(keys.claims(present.name))]
    .map(([, claim]) => claim)
    .filter(({ pool }) => change.before.includes(pool))
  const isCut = old.some(({ blockLength }) => blockLength !== one?.blockLength)
  if (change.inCluster === true) {
    return wholeBlocks(reader, present, network, change, { claims, isCut })
  }
  const blocks = blocksAfter(claims, change, obstacles)
  const tell: Moved = { reader, network, before: change.before, after: change.after, isCut }
  const addresses = isCut ? moveAddresses(tell, writes) : undefined
  refuseOtherPrefixes(reader, present, old, change, claims, obstacles)
  obstacles.push(...edgeHolders(reader, network, change.after))
  obstacles.push(...moveReservations(tell, writes))
  const rings = moveHistory(tell, writes)
  const sources = new Map<Prefix, BlockUse>()
  for (const { node, cidr } of claims) {
    const use = reader.get(keys.use(node, present.name, cidr))
    if (use !== undefined) sources.set(cidr, use)
    else obstacles.push(unaccounted(node, cidr))
  }
  let givenBack = 0
  for (const { node, cidr } of claims) {
    writes.set(keys.claim(network.name, cidr), undefined)
    writes.set(keys.use(node, network.name, cidr), undefined)
  }
  for (const block of blocks) {
    const uses = block.sources.flatMap((cidr) => sources.get(cidr) ?? [])
    if (block.pool === undefined) {
      const obstacle = beyond(reader, present, block, uses, change.nowMs)
      if (obstacle === undefined) givenBack++
      else obstacles.push(obstacle)
      continue
    }
    const { cidr, node, first, claimedMs } = block
    const claim: BlockClaim = {
      ...block.claim,
      network: network.name,
      cidr,
      pool: block.pool,
      node,
      first,
      claimedMs,
    }
    writes.set(keys.claim(network.name, cidr), claim)
    const use = useAfter(present, claim, uses, change.nowMs)
    const used = addresses?.get(cidr)
    const released = rings.get(cidr)
    writes.set(keys.use(node, network.name, cidr), {
      ...use,
      ...(isCut ? { used: used ?? 0 } : {}),
      ...(released === undefined ? {} : { released }),
    })
  }
  writes.set(keys.network(network.name), network)
  const staying = blocks.filter(({ pool }) => pool !== undefined).length
  const moved = [...(addresses?.values() ?? [])].reduce((sum, count) => sum + count, 0)
  const [kept, cut] = isCut ? [0, staying] : [staying, 0]
  return { network, obstacles, kept, cut, givenBack, moved, writes }
}

/** In a cluster: claims and network change at once, and each node's records with them. */
function wholeBlocks(
  reader: Reader,
  present: NetworkRecord,
  network: NetworkRecord,
  { before, after }: PoolsChange,
  { claims, isCut }: { readonly claims: readonly BlockClaim[]; readonly isCut: boolean },
): PoolsPlan {
  const obstacles: Obstacle[] = [...edgeHolders(reader, network, after)]
  const writes = new Map<Key<unknown>, unknown>([[keys.network(network.name), network]])
  const length = after[0]?.blockLength
  const isOnWire = present.mode === 'vlan' || present.mode === 'ipam'
  for (const claim of claims) {
    const { cidr, node } = claim
    const pool = after.find((each) => containsPrefix(each.cidr, cidr))
    const subject = `block ${cidr} of node ${node}`
    if (isCut) {
      const found = 'that node alone could cut it, while its pods come and go'
      const wanted = `no block: make another pool with blocks of /${length}, drain this one, delete it`
      obstacles.push({ subject, found, wanted })
    } else if (pool === undefined) {
      const found = 'it would be in no pool, and that node alone knows what is in use of it'
      obstacles.push({ subject, found, wanted: 'none: split the pool, drain that part, delete it' })
    } else if (isOnWire && pool.cidr !== claim.pool) {
      const found = 'interfaces of its pods carry the prefix length of the pool as it is'
      obstacles.push({ subject, found, wanted: `no block in mode ${present.mode}: drain the pool` })
    } else {
      writes.set(keys.claim(network.name, cidr), { ...claim, pool: pool.cidr })
    }
  }
  const move = { reader, network, before, after, isCut }
  obstacles.push(...moveReservations(move, writes))
  return { network, obstacles, kept: claims.length, cut: 0, givenBack: 0, moved: 0, writes }
}

/**
 * In the store of a member networks and claims are the cluster's, and only copies.
 *
 * @throws {TriviumError} CONFLICT
 */
export function refuseMember(reader: Reader, what: string): void {
  if (reader.get(keys.membership) === undefined) return
  throw new TriviumError(
    'CONFLICT',
    `Cannot ${what} here: the store is of a node in a cluster, wanted the cluster's`,
    'Use --store etcd://…, as the agent does',
  )
}

/** Writes a plan of this transaction that has no obstacle. */
export function applyPools(tx: Tx, { writes }: PoolsPlan): void {
  for (const [key, value] of writes) {
    if (value === undefined) tx.remove(key)
    else tx.put(key, value)
  }
}

/** New pools in the place of the first that goes. */
function networkAfter(
  reader: Reader,
  present: NetworkRecord,
  { before, after }: PoolsChange,
): NetworkRecord {
  const { pools: old, exclusions = [] } = present
  const place = old.findIndex(({ cidr }) => before.includes(cidr))
  const rest = old.slice(place).filter(({ cidr }) => !before.includes(cidr))
  const pools = [...old.slice(0, place), ...after, ...rest]
  const { exclusions: _all, ...network } = networkWith(reader, present, { pools })
  const kept = exclusionsAfter(exclusions, pools)
  return kept.length === 0 ? network : { ...network, exclusions: kept }
}

/** Ranges as far as they lie in a pool: one that was wider becomes several. */
function exclusionsAfter(ranges: readonly Prefix[], pools: readonly Pool[]): readonly Prefix[] {
  const parts = ranges.flatMap((range) =>
    pools
      .filter(({ cidr }) => prefixesOverlap(cidr, range))
      .map(({ cidr }) => (containsPrefix(cidr, range) ? range : cidr)),
  )
  return [...new Set(parts)].sort()
}

interface BlockAfter {
  readonly cidr: Prefix
  readonly node: string
  readonly first: boolean
  readonly claimedMs: number
  /** undefined: beyond the new pools. */
  readonly pool: Prefix | undefined
  readonly sources: Prefix[]
  readonly claim: BlockClaim
}

function blocksAfter(
  claims: readonly BlockClaim[],
  { after }: PoolsChange,
  obstacles: Obstacle[],
): readonly BlockAfter[] {
  const blocks = new Map<Prefix, BlockAfter>()
  for (const claim of claims) {
    const { node, first, claimedMs } = claim
    for (const piece of piecesOf(claim.cidr, after)) {
      const pool = after.find(({ cidr }) => containsPrefix(cidr, piece))
      const cidr = pool === undefined ? piece : prefixOf(networkAddress(piece), pool.blockLength)
      const known = blocks.get(cidr)
      const isStart = networkAddress(cidr) === networkAddress(claim.cidr)
      if (known !== undefined && known.node !== node) {
        const found = `it would hold ${known.sources.join(' and ')} of node ${known.node} and ${claim.cidr} of node ${node}`
        obstacles.push({ subject: `block ${cidr}`, found, wanted: 'blocks of one node' })
        continue
      }
      if (first && !isStart && networkAddress(piece) === networkAddress(claim.cidr)) {
        const found = `the tunnel endpoint of node ${node} would move from ${networkAddress(claim.cidr)}`
        const wanted = 'a block that begins with it'
        obstacles.push({ subject: `block ${cidr}`, found, wanted })
      }
      if (known !== undefined) {
        known.sources.push(claim.cidr)
        continue
      }
      const block = { cidr, node, first: first && isStart, claimedMs, pool: pool?.cidr, claim }
      blocks.set(cidr, { ...block, sources: [claim.cidr] })
    }
  }
  return [...blocks.values()]
}

/** The claim in blocks of the new length, or whole where those are longer. */
function piecesOf(cidr: Prefix, after: readonly Pool[]): readonly Prefix[] {
  const length = after[0]?.blockLength ?? prefixLength(cidr)
  const bits = length - prefixLength(cidr)
  if (bits <= 0) return [cidr]
  return Array.from({ length: 2 ** bits }, (_, index) => subPrefixAt(cidr, length, BigInt(index)))
}

/** The use of a block that is made of others, or part of one; `used` is right where it was one. */
function useAfter(
  network: NetworkRecord,
  { cidr, pool, first }: BlockClaim,
  uses: readonly BlockUse[],
  nowMs: number,
): BlockUse {
  const [one] = uses
  if (uses.length === 1 && one !== undefined && one.cidr === cidr) return { ...one, pool, first }
  const size = Number(prefixSize(cidr))
  const start = ipToInteger(networkAddress(cidr))
  const cooling: CooledAddress[] = []
  let cursor = 0
  for (const use of uses) {
    const shift = Number(ipToInteger(networkAddress(use.cidr)) - start)
    if (shift + use.cursor > 0 && shift + use.cursor < size) cursor = shift + use.cursor
    for (const { offset, sinceMs } of coolingIn(network, use, nowMs)) {
      const place = shift + offset
      if (place >= 0 && place < size) cooling.push({ offset: place, sinceMs })
    }
  }
  cooling.sort((a, b) => a.sinceMs - b.sinceMs)
  return resting({ cidr, pool, first, cursor, used: 0 }, cooling.slice(-COOLING_MAX))
}

/** Why a block beyond the new pools cannot be given back. */
function beyond(
  reader: Reader,
  network: NetworkRecord,
  { cidr, node, claim, sources }: BlockAfter,
  uses: readonly BlockUse[],
  nowMs: number,
): Obstacle | undefined {
  const subject = `block ${cidr} of node ${node}`
  const holds = (ip: Ip): boolean => {
    const offset = offsetIn(cidr, ip)
    return offset >= 0n && offset < prefixSize(cidr)
  }
  if (uses.some(({ used }) => used > 0)) {
    const held = sources.flatMap((source) => heldIn(reader, network.name, source).filter(holds))
    if (held.length > 0) {
      const found = `${counted(held.length, 'address')} in use: ${listed(held)}`
      return { subject, found, wanted: 'none: end those pods, or drain the node' }
    }
  }
  if (claim.first && networkAddress(claim.cidr) === networkAddress(cidr)) {
    const found = `${networkAddress(cidr)} is the tunnel endpoint of node ${node}`
    return { subject, found, wanted: 'no block that a node has first' }
  }
  const rests = uses.flatMap((use) =>
    coolingIn(network, use, nowMs).filter(({ offset }) => {
      const place = ipToInteger(networkAddress(use.cidr)) + BigInt(offset)
      const from = ipToInteger(networkAddress(cidr))
      return place >= from && place < from + prefixSize(cidr)
    }),
  )
  if (rests.length === 0) return undefined
  const found = `${counted(rests.length, 'address')} cooling down`
  return { subject, found, wanted: 'none: wait until they have rested' }
}

function heldIn(reader: Reader, network: string, cidr: Prefix): readonly Ip[] {
  const family = prefixFamily(cidr)
  const start = ipToInteger(networkAddress(cidr))
  const held: Ip[] = []
  for (let at = start; at < start + prefixSize(cidr); at++) {
    const address = reader.get(keys.addressAt(network, family, at))
    if (address !== undefined) held.push(address.ip)
  }
  return held
}

const LISTED_MAX = 5

function listed(ips: readonly Ip[]): string {
  const rest = ips.length - LISTED_MAX
  return `${ips.slice(0, LISTED_MAX).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

const unaccounted = (node: string, cidr: Prefix): Obstacle => ({
  subject: `block ${cidr} of node ${node}`,
  found: 'this store does not say what is in use of it',
  wanted: `no block of node ${node}, or its word: in a cluster only the node knows`,
})

/** Pods on the new edges: the first address, the broadcast address, the gateway. */
function* edgeHolders(
  reader: Reader,
  network: NetworkRecord,
  pools: readonly Pool[],
): Generator<Obstacle> {
  for (const { cidr } of pools) {
    const start = ipToInteger(networkAddress(cidr))
    for (const [offset, why] of reservedOffsets(network, { cidr, pool: cidr, first: false })) {
      const key = keys.addressAt(network.name, prefixFamily(cidr), start + BigInt(offset))
      const address = reader.get(key)
      if (address === undefined) continue
      const { ip, ifname, containerId } = address
      const found = `${ifname} of container ${containerId} has it, it would be ${why}`
      yield { subject: ip, found, wanted: 'no pod that has it: end that pod' }
    }
  }
}

/** On a common wire, a pod's interface carries the length of its pool's prefix. */
function refuseOtherPrefixes(
  reader: Reader,
  { name, mode }: NetworkRecord,
  old: readonly Pool[],
  { after }: PoolsChange,
  claims: readonly BlockClaim[],
  obstacles: Obstacle[],
): void {
  if (mode !== 'vlan' && mode !== 'ipam') return
  for (const { cidr } of old) {
    if (after.some((pool) => pool.cidr === cidr)) continue
    let used = 0
    for (const claim of claims) {
      if (claim.pool !== cidr) continue
      used += reader.get(keys.use(claim.node, name, claim.cidr))?.used ?? 0
    }
    if (used === 0) continue
    const found = `${counted(used, 'address')} in use, on interfaces with its prefix length`
    obstacles.push({ subject: `pool ${cidr}`, found, wanted: `none in mode ${mode}` })
  }
}
