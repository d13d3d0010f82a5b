/**
 * Blocks: who owns which, which one is next, and which of its addresses no pod may have.
 *
 * A pool is cut into aligned blocks. A node claims the lowest free one, so a
 * pool fills from its start and a peer's route covers what a node really uses. A
 * node that says which rack it is in claims one beside its rack's (placement.ts).
 *
 * Cost: looking for a free block halves the claims of the network's family until
 * the first gap is found: they are one range of the store, which remembers it
 * while it does not change (2 us a claim to read it). With racks all of them and
 * every node's record are looked at. It happens once per block, not once per pod.
 *
 * @module
 */
import { hash64 } from '../src/hash.ts'
import {
  ADDRESS_BITS,
  containsPrefix,
  type Ip,
  type IpFamily,
  ipFromInteger,
  ipToInteger,
  networkAddress,
  type Prefix,
  prefixFamily,
  prefixLength,
  prefixOf,
  prefixSize,
} from '../src/net/mod.ts'
import { coolingIn } from './cooling.ts'
import { blockStart, keys } from './keys.ts'
import { besideRack, glance } from './locality.ts'
import type { Pool } from './records.ts'
import {
  type BlockClaim,
  type BlockUse,
  isFloating,
  type NetworkRecord,
  networkFamilies,
} from './records.ts'
import type { Pairs, Reader, Tx } from './store.ts'

/**
 * Claims a free block of `pool` for `node`: the lowest, or one beside its rack's.
 *
 * @returns undefined when every block of the pool is claimed.
 */
export function claimBlock(
  tx: Tx,
  network: NetworkRecord,
  pool: Pool,
  node: string,
  nowMs: number,
): BlockClaim | undefined {
  for (const cidr of freeBlocks(tx, network, pool, node)) {
    const claim = newClaim(tx, network, pool, cidr, node, nowMs)
    putClaim(tx, claim)
    return claim
  }
  return undefined
}

/**
 * Keeps one wholly unused block for each family of the network, so that an ADD
 * rarely waits for a claim. A pool without free blocks is not an error here.
 *
 * @returns the new claims; empty when there was nothing to do or nothing left.
 */
export function ensureBlocks(
  tx: Tx,
  network: NetworkRecord,
  node: string,
  nowMs: number,
): readonly BlockClaim[] {
  const claims: BlockClaim[] = []
  for (const family of networkFamilies(network)) {
    const pools = sparePools(network, family)
    const own = blocksIn(ownBlocks(tx, network, node, family), pools)
    if (own.some((use) => isSpare(network, use, nowMs))) continue
    for (const claim of claimable(tx, network, pools, node, nowMs)) {
      putClaim(tx, claim)
      claims.push(claim)
      if (isSpare(network, unused(claim), nowMs)) break
    }
  }
  return claims
}

/** Blocks of `node` that it may give addresses of, in address order. */
export function ownBlocks(
  reader: Reader,
  network: NetworkRecord,
  node: string,
  family: IpFamily,
): readonly BlockUse[] {
  const pairs = reader.range(keys.familyUses(node, network.name, family))
  if (pairs !== lastOwn.pairs) {
    const uses: BlockUse[] = []
    for (const [, use] of pairs) if (use.frozen !== true) uses.push(use)
    lastOwn = { pairs, uses }
  }
  return lastOwn.uses
}

/** The same pairs are asked for several times: after one allocation, and before the next. */
let lastOwn: { readonly pairs: Pairs<BlockUse>; readonly uses: readonly BlockUse[] } = {
  pairs: [],
  uses: [],
}

/**
 * What `node` would claim of `pools`, which are of one family, best first:
 * pools in order, then blocks. Writes nothing.
 */
export function* claimable(
  reader: Reader,
  network: NetworkRecord,
  pools: readonly Pool[],
  node: string,
  nowMs: number,
): Generator<BlockClaim> {
  const [one] = pools
  if (one === undefined) return
  let isFirst = needsFirst(reader, network, node, prefixFamily(one.cidr))
  const place = placeOf(reader, node)
  for (const pool of pools) {
    if (!isOpen(pool, place)) continue
    for (const cidr of freeBlocks(reader, network, pool, node)) {
      // Claimed only for a pod that has an address of it reserved.
      if (network.exclusions?.some((range) => containsPrefix(range, cidr)) === true) continue
      if (pool.floating === true && isKeptSingle(reader, network, pool, cidr)) continue
      const first: boolean = isFirst && pool.floating !== true
      yield { ...newClaim(reader, network, pool, cidr, node, nowMs), first }
      if (first) isFirst = false
    }
  }
}

/** Whether an address of a floating pool is nobody's, or one pod's: no other claims it. */
function isKeptSingle(reader: Reader, network: NetworkRecord, pool: Pool, cidr: Prefix): boolean {
  if (reservedOffsets(network, { cidr, pool: pool.cidr, first: false }).size > 0) return true
  return reader.get(keys.reservation(network.name, cidr, networkAddress(cidr))) !== undefined
}

export const familyPools = (network: NetworkRecord, family: IpFamily): readonly Pool[] =>
  poolsOf(network)[family].all

/** Of one family: `spare`, see `sparePools`. */
interface FamilyPools {
  readonly all: readonly Pool[]
  readonly spare: readonly Pool[]
}

/** Every allocation asks for them several times. */
const knownPools = new WeakMap<NetworkRecord, Readonly<Record<IpFamily, FamilyPools>>>()

function poolsOf(network: NetworkRecord): Readonly<Record<IpFamily, FamilyPools>> {
  let known = knownPools.get(network)
  if (known === undefined) {
    known = { 4: findPools(network, 4), 6: findPools(network, 6) }
    knownPools.set(network, known)
  }
  return known
}

function findPools({ pools }: NetworkRecord, family: IpFamily): FamilyPools {
  const all = pools.filter(({ cidr }) => prefixFamily(cidr) === family)
  const lasting = all.filter(({ draining, floating }) => draining !== true && floating !== true)
  const common = lasting.filter(({ namespaces }) => namespaces === undefined)
  return { all, spare: common.length === 0 ? lasting : common }
}

/** Whether the node has no block of the family yet that could have its tunnel endpoint. */
const needsFirst = (
  reader: Reader,
  network: NetworkRecord,
  node: string,
  family: IpFamily,
): boolean =>
  // One that gives no address now may have it nevertheless.
  [...reader.range(keys.familyUses(node, network.name, family))].every(([, use]) =>
    isFloating(network, use),
  )

/**
 * Pools in which blocks are kept ready: those for any pod, if there are some; none
 * that drains or floats.
 */
export const sparePools = (network: NetworkRecord, family: IpFamily): readonly Pool[] =>
  poolsOf(network)[family].spare

/** The blocks that lie in one of the pools. */
export function blocksIn(blocks: readonly BlockUse[], pools: readonly Pool[]): readonly BlockUse[] {
  const isIn = ({ pool }: BlockUse): boolean => {
    for (const { cidr } of pools) if (cidr === pool) return true
    return false
  }
  return blocks.every(isIn) ? blocks : blocks.filter(isIn)
}

/** What pools choose nodes by. */
export interface NodePlace {
  readonly name: string
  readonly rack: string | undefined
}

export const placeOf = (reader: Reader, name: string): NodePlace => ({
  name,
  rack: reader.get(keys.node(name))?.rack,
})

/** Whether the node may claim blocks of the pool. */
export const isOpen = ({ rack, nodes }: Pool, node: NodePlace): boolean =>
  (rack === undefined || rack === node.rack) && nodes?.includes(node.name) !== false

/** For whom the pool is, in words. */
export const homeWords = ({ rack, nodes }: Pool): string =>
  [
    ...(nodes === undefined
      ? []
      : [`${nodes.length === 1 ? 'node' : 'nodes'} ${nodes.join(', ')}`]),
    ...(rack === undefined ? [] : [`rack ${rack}`]),
  ].join(' of ')

/** The claim of a block that is known to be free. Writes nothing. */
export function newClaim(
  reader: Reader,
  network: NetworkRecord,
  pool: Pool,
  cidr: Prefix,
  node: string,
  nowMs: number,
): BlockClaim {
  const first = pool.floating !== true && needsFirst(reader, network, node, prefixFamily(cidr))
  return { network: network.name, cidr, pool: pool.cidr, node, first, claimedMs: nowMs }
}

/** Writes a claim and the empty block that comes with it. */
export function putClaim(tx: Tx, claim: BlockClaim): void {
  tx.put(keys.claim(claim.network, claim.cidr), claim)
  tx.put(keys.use(claim.node, claim.network, claim.cidr), unused(claim))
}

/** A block nobody has an address of yet. */
export const unused = ({ cidr, pool, first }: BlockClaim): BlockUse => ({
  cidr,
  pool,
  first,
  cursor: 0,
  used: 0,
})

/** How many addresses pods may have in the block. */
export const usableAddresses = (network: NetworkRecord, use: BlockUse): number =>
  factsOf(network, use).usable

export const blockSize = ({ cidr }: Pick<BlockUse, 'cidr'>): number =>
  2 ** (ADDRESS_BITS[prefixFamily(cidr)] - prefixLength(cidr))

type Reserved = ReadonlyMap<number, string>

interface BlockFacts {
  readonly pool: Prefix
  readonly first: boolean
  readonly reserved: Reserved
  /** How many addresses pods may have. */
  readonly usable: number
}

/** By network and block: every allocation asks for all blocks of its node. */
const blockFacts = new WeakMap<NetworkRecord, Map<Prefix, BlockFacts>>()

/**
 * Offsets in the block that are never a pod's, with the reason in words.
 *
 * The pool's first address is left alone in both families: IPv4's network
 * address (RFC 1122 section 3.2.1.3), IPv6's subnet router anycast (RFC 4291
 * section 2.6.1). Its last one is IPv4's broadcast address.
 */
export function reservedOffsets(
  network: NetworkRecord,
  use: Pick<BlockUse, 'cidr' | 'pool' | 'first'>,
): Reserved {
  return factsOf(network, use).reserved
}

function factsOf(
  network: NetworkRecord,
  use: Pick<BlockUse, 'cidr' | 'pool' | 'first'>,
): BlockFacts {
  let blocks = blockFacts.get(network)
  if (blocks === undefined) {
    blocks = new Map()
    blockFacts.set(network, blocks)
  }
  const { cidr, pool, first } = use
  const known = blocks.get(cidr)
  if (known?.pool === pool && known.first === first) return known
  const reserved = findReserved(network, use)
  const facts = { pool, first, reserved, usable: blockSize(use) - reserved.size }
  blocks.set(cidr, facts)
  return facts
}

function findReserved(
  network: NetworkRecord,
  use: Pick<BlockUse, 'cidr' | 'pool' | 'first'>,
): Reserved {
  const reserved = new Map<number, string>()
  const start = ipToInteger(networkAddress(use.cidr))
  const size = prefixSize(use.cidr)
  const reserve = (integer: bigint, why: string): void => {
    const offset = integer - start
    if (offset >= 0n && offset < size) reserved.set(Number(offset), why)
  }
  if (use.first) reserve(start, 'the tunnel endpoint of its node')
  const poolStart = ipToInteger(networkAddress(use.pool))
  reserve(poolStart, `the network address of pool ${use.pool}`)
  if (prefixFamily(use.pool) === 4) {
    reserve(poolStart + prefixSize(use.pool) - 1n, `the broadcast address of pool ${use.pool}`)
  }
  const gateway = network.pools.find(({ cidr }) => cidr === use.pool)?.gateway
  if (gateway !== undefined) reserve(ipToInteger(gateway), `the gateway of pool ${use.pool}`)
  return reserved
}

/** The block of `pool` that `ip` would be in. */
export const blockOf = (pool: Pool, ip: Ip): Prefix => prefixOf(ip, pool.blockLength)

/** How many blocks the pool has. */
export const poolBlocks = (pool: Pool): number => 2 ** (pool.blockLength - prefixLength(pool.cidr))

/** Blocks of the pool nobody claimed, the node's next one first. */
function* freeBlocks(
  reader: Reader,
  network: NetworkRecord,
  pool: Pool,
  node: string,
): Generator<Prefix> {
  const rack = reader.get(keys.node(node))?.rack
  const blocks =
    rack === undefined || pool.floating === true
      ? lowestFirst(reader, network, pool)
      : besideRack(reader, network, pool, rack)
  for (const cidr of aside(blocks, node, reader.conflicts ?? 0)) {
    // They were chosen at a glance; that this one is free is what the claim depends on.
    if (reader.get(keys.claim(network.name, cidr)) === undefined) yield cidr
  }
}

/**
 * Whoever lost against others that want the same takes a later one: of the first
 * eight, then of 64. So fifty nodes at once are not fifty rounds, but four.
 */
function* aside(blocks: Iterable<Prefix>, node: string, conflicts: number): Generator<Prefix> {
  const choice = 2 ** Math.min(3 * conflicts, ASIDE_BITS_MAX)
  const place = conflicts === 0 ? 0 : hash64(`${node} ${conflicts}`)[0] % choice
  const before: Prefix[] = []
  for (const cidr of blocks) {
    if (before.length < place) before.push(cidr)
    else yield cidr
  }
  yield* before
}

const ASIDE_BITS_MAX = 6

/** Blocks of the pool nobody claimed, lowest first. */
function* lowestFirst(reader: Reader, network: NetworkRecord, pool: Pool): Generator<Prefix> {
  const family = prefixFamily(pool.cidr)
  const step = 1n << BigInt(ADDRESS_BITS[family] - pool.blockLength)
  const start = ipToInteger(networkAddress(pool.cidr))
  const end = start + prefixSize(pool.cidr)
  const claims = glance(reader, keys.familyClaims(network.name, family))
  const startAt = (index: number): bigint => blockStart(claims[index]![0])
  const from = firstWhere(0, claims.length, (index) => startAt(index) >= start)
  const to = firstWhere(from, claims.length, (index) => startAt(index) >= end)
  // As long as each block follows on the one before, they are all claimed.
  let index = firstWhere(from, to, (index) => startAt(index) > start + BigInt(index - from) * step)
  for (let next = start + BigInt(index - from) * step; next < end; next += step) {
    if (index < to && startAt(index) === next) index++
    else yield prefixOf(ipFromInteger(family, next), pool.blockLength)
  }
}

/** The first index of `[low, high)` for which it is so, where it stays so from there on; else `high`. */
function firstWhere(low: number, high: number, isSo: (index: number) => boolean): number {
  while (low < high) {
    const middle = (low + high) >> 1
    if (isSo(middle)) high = middle
    else low = middle + 1
  }
  return low
}

/** A block nobody has an address of; what cools there is room, too, unless that is strict. */
export function isSpare(network: NetworkRecord, use: BlockUse, nowMs: number): boolean {
  if (use.used > 0) return false
  const resting =
    network.options.cooldownStrict === true ? coolingIn(network, use, nowMs).length : 0
  return usableAddresses(network, use) > resting
}
