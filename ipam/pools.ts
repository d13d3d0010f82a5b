/**
 * A network's pools: added, changed, drained and removed in a transaction.
 *
 * A pool is left in steps that each can be taken back: it drains, which gives no
 * more addresses of it; its pods end; their nodes hand its blocks back (idle.ts);
 * and only when nothing of it is anybody's it is removed.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { containsIp, type Prefix, parsePrefix, prefixFamily } from '../src/net/mod.ts'
import { counted } from '../src/words.ts'
import { coolingIn } from './cooling.ts'
import { keys } from './keys.ts'
import type { PoolSpec } from './network-spec.ts'
import { mustFind, networkWith } from './networks.ts'
import { type BlockClaim, isFloating, type NetworkRecord, type Pool } from './records.ts'
import { exclusionsIn, podText, reservationsIn } from './reservations.ts'
import type { Reader, Tx } from './store.ts'

/** What a change did to a pool. */
export interface PoolChange<Kind extends string> {
  readonly kind: Kind | 'unchanged'
  readonly pool: Pool
}

/**
 * Adds a pool, last of its family: nodes claim of it when the others are full, and
 * the order of the families, which is that of pods' addresses, stays. Doing it
 * again changes nothing.
 *
 * @throws {TriviumError} NOT_FOUND; BAD_CONFIG; CONFLICT with another pool or network.
 */
export function createPool(tx: Tx, name: string, spec: PoolSpec): PoolChange<'created'> {
  const present = mustFind(tx, name)
  const cidr = parsePrefix(spec.cidr, 'the pool')
  const known = present.pools.find((each) => each.cidr === cidr)
  const others = present.pools.filter((pool) => pool !== known)
  const after = networkWith(tx, present, { pools: [...others, spec] })
  const pool = mustFindPool(after, cidr)
  if (known === undefined) {
    const isKin = (each: Pool): boolean => prefixFamily(each.cidr) === prefixFamily(cidr)
    const place = others.findLastIndex(isKin) + 1
    const pools = others.toSpliced(place === 0 ? others.length : place, 0, pool)
    tx.put(keys.network(name), { ...after, pools })
    return { kind: 'created', pool }
  }
  const { draining: _state, ...settings } = known
  if (JSON.stringify(pool) === JSON.stringify(settings)) return { kind: 'unchanged', pool: known }
  throw new TriviumError(
    'CONFLICT',
    `Cannot create pool ${known.cidr}: network ${name} has it with other settings`,
    `To change it use: trivium ipam pool edit ${known.cidr}`,
  )
}

/**
 * What may change while pods live there: where new addresses come from. undefined
 * takes one back. `floating` changes only while nothing of the pool is anybody's.
 */
export type PoolChanges = {
  readonly [K in 'gateway' | 'rack' | 'nodes' | 'namespaces' | 'floating']?: PoolSpec[K] | undefined
}

/**
 * Changes a pool. Blocks and addresses that somebody has stay theirs.
 *
 * @throws {TriviumError} NOT_FOUND; BAD_CONFIG; CONFLICT for a gateway that is a pod's,
 * and for a pool that shall float, or no more, while something of it is somebody's.
 */
export function editPool(
  tx: Tx,
  name: string,
  cidr: Prefix,
  changes: PoolChanges,
): PoolChange<'changed'> {
  const present = mustFind(tx, name)
  const before = mustFindPool(present, cidr)
  const change = (pool: Pool): PoolSpec => (pool === before ? specOf(pool, changes) : pool)
  const after = networkWith(tx, present, { pools: present.pools.map(change) })
  const pool = mustFindPool(after, cidr)
  if (JSON.stringify(pool) === JSON.stringify(before)) return { kind: 'unchanged', pool }
  refuseTakenGateway(tx, after, pool, before)
  if (pool.floating !== before.floating) {
    refuseToFloat(tx, present, cidr, pool.floating === true)
    forgetHistory(tx, name, cidr)
  }
  tx.put(keys.network(name), after)
  return { kind: 'changed', pool }
}

/** Its blocks become others: nobody may have one, nothing may stand with one. */
function refuseToFloat(
  reader: Reader,
  network: NetworkRecord,
  cidr: Prefix,
  floats: boolean,
): void {
  const verb = floats ? 'make floating' : 'make ordinary'
  refuseReserved(reader, verb, network, cidr)
  const [one, ...more] = claimsIn(reader, network.name, cidr)
  if (one === undefined) return
  const others = more.length === 0 ? '' : ` and ${counted(more.length, 'more block')}`
  throw new TriviumError(
    'CONFLICT',
    `Cannot ${verb} pool ${cidr}: node ${one.node} has ${one.cidr}${others}, wanted no block of it`,
    `${DRAIN_HINT} ${cidr}, or create another one`,
  )
}

function forgetHistory(tx: Tx, name: string, cidr: Prefix): void {
  for (const [key, { ip }] of [...tx.range(keys.networkHistory(name))]) {
    if (containsIp(cidr, ip)) tx.remove(key)
  }
}

function specOf(pool: Pool, changes: PoolChanges): PoolSpec {
  const spec: Record<string, unknown> = { ...pool, ...changes }
  // The length of its blocks follows.
  if ('floating' in changes && (changes.floating ?? false) !== (pool.floating ?? false)) {
    delete spec['blockLength']
  }
  for (const [key, value] of Object.entries(spec)) if (value === undefined) delete spec[key]
  return spec as unknown as PoolSpec
}

function refuseTakenGateway(
  reader: Reader,
  { name }: NetworkRecord,
  { cidr, gateway }: Pool,
  before: Pool,
): void {
  if (gateway === undefined || gateway === before.gateway) return
  const holder = reader.get(keys.address(name, gateway))
  const reserved = reservationsIn(reader, name, cidr).find(({ ip }) => ip === gateway)
  if (holder === undefined && reserved === undefined) return
  const found =
    holder === undefined
      ? `it is reserved for ${podText(reserved!.pod)}`
      : `container ${holder.containerId} has it`
  throw new TriviumError(
    'CONFLICT',
    `Cannot make ${gateway} the gateway of pool ${cidr}: ${found}, wanted an address that is free`,
  )
}

/**
 * Nobody gets an address of the pool from now on, or anybody again.
 *
 * @throws {TriviumError} NOT_FOUND; CONFLICT when pods could get none elsewhere, or
 * some are promised one of this pool.
 */
export function drainPool(
  tx: Tx,
  name: string,
  cidr: Prefix,
  draining: boolean,
): PoolChange<'draining' | 'open'> {
  const present = mustFind(tx, name)
  const before = mustFindPool(present, cidr)
  if ((before.draining === true) === draining) return { kind: 'unchanged', pool: before }
  if (draining) {
    const others = present.pools.filter(
      (pool) => pool !== before && prefixFamily(pool.cidr) === prefixFamily(cidr),
    )
    if (before.floating !== true && others.every(isClosed)) {
      throw new TriviumError(
        'CONFLICT',
        `Cannot drain pool ${cidr}: pods of network ${name} get IPv${prefixFamily(cidr)} addresses nowhere else, wanted another pool`,
        `Create one: trivium ipam pool create CIDR --network ${name}`,
      )
    }
    refuseReserved(tx, 'drain', present, cidr)
  }
  const { draining: _before, ...rest } = before
  const pool: Pool = draining ? { ...rest, draining } : rest
  const pools = present.pools.map((each) => (each === before ? pool : each))
  tx.put(keys.network(name), { ...present, pools })
  return { kind: draining ? 'draining' : 'open', pool }
}

/** Whether no pod gets an address of the pool but by asking for it. */
const isClosed = ({ draining, floating }: Pool): boolean => draining === true || floating === true

/** What is there of a pool, and what its removal would take along. */
export interface PoolHoldings {
  readonly pool: Pool
  readonly blocks: number
  readonly addresses: number
  readonly cooling: number
  /** Nodes that own blocks, in order, with the addresses their pods have. */
  readonly nodes: readonly { readonly node: string; readonly addresses: number }[]
  readonly reservations: number
  readonly exclusions: readonly Prefix[]
}

/** @throws {TriviumError} NOT_FOUND */
export function poolHoldings(
  reader: Reader,
  name: string,
  cidr: Prefix,
  nowMs: number,
): PoolHoldings {
  const network = mustFind(reader, name)
  const pool = mustFindPool(network, cidr)
  const claims = claimsIn(reader, name, cidr)
  const nodes = new Map<string, number>()
  let cooling = 0
  for (const { node, cidr: block } of claims) {
    const use = reader.get(keys.use(node, name, block))
    nodes.set(node, (nodes.get(node) ?? 0) + (use?.used ?? 0))
    if (use !== undefined) cooling += coolingIn(network, use, nowMs).length
  }
  const sorted = [...nodes].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    pool,
    blocks: claims.length,
    addresses: [...nodes.values()].reduce((sum, count) => sum + count, 0),
    cooling,
    nodes: sorted.map(([node, addresses]) => ({ node, addresses })),
    reservations: reservationsIn(reader, name, cidr).length,
    exclusions: exclusionsIn(network, cidr),
  }
}

/**
 * Removes a pool that nobody has an address of, with its blocks, excluded ranges
 * and history.
 *
 * @param inCluster Only its nodes know what is in use of a block, so none may be left;
 * history they forget themselves.
 * @throws {TriviumError} NOT_FOUND; CONFLICT while a pod or a node needs it, for
 * the last pool, and for one with reservations.
 */
export function deletePool(tx: Tx, name: string, cidr: Prefix, inCluster = false): PoolHoldings {
  const present = mustFind(tx, name)
  const holdings = poolHoldings(tx, name, cidr, 0)
  if (present.pools.length === 1) {
    const hint = `To delete the network use: trivium network delete ${name}`
    throw inUse(cidr, `it is the only one of network ${name}`, 'another', hint)
  }
  // Refused where a floating one would be left alone of its family.
  networkWith(tx, present, { pools: present.pools.filter((pool) => pool.cidr !== cidr) })
  refuseReserved(tx, 'delete', present, cidr)
  refuseUsed(holdings, cidr)
  if (inCluster) refuseClaimed(tx, name, cidr)
  refuseEndpoints(tx, name, cidr)
  for (const { node, cidr: block } of claimsIn(tx, name, cidr)) {
    tx.remove(keys.use(node, name, block))
    tx.remove(keys.claim(name, block))
  }
  if (!inCluster) forgetHistory(tx, name, cidr)
  const { exclusions: all = [], ...rest } = present
  const left = all.filter((range) => !holdings.exclusions.includes(range))
  const pools = present.pools.filter((pool) => pool.cidr !== cidr)
  const exclusions = left.length === 0 ? {} : { exclusions: left }
  tx.put(keys.network(name), { ...rest, pools, ...exclusions })
  return holdings
}

const DRAIN_HINT = 'Empty it first: trivium ipam pool drain'

function refuseUsed({ addresses, nodes }: PoolHoldings, cidr: Prefix): void {
  if (addresses === 0) return
  const busy = nodes.filter((each) => each.addresses > 0)
  const first = busy.slice(0, 3).map(({ node, addresses: count }) => `${count} on node ${node}`)
  const more = busy.length > first.length ? `, and ${busy.length - first.length} more` : ''
  const found = `${counted(addresses, 'address')} in use (${first.join(', ')}${more})`
  throw inUse(cidr, found, 'none', DRAIN_HINT)
}

/** A node that is cut off may give addresses of a block that looks empty from here. */
function refuseClaimed(reader: Reader, name: string, cidr: Prefix): void {
  const claims = claimsIn(reader, name, cidr)
  const [one] = claims
  if (one === undefined) return
  const others = claims.length === 1 ? '' : ` and ${counted(claims.length - 1, 'more')}`
  const found = `block ${one.cidr} is node ${one.node}'s${others}, which alone knows its addresses`
  const hint = `${DRAIN_HINT} --wait; if the machine of ${one.node} is gone: trivium node delete ${one.node} --force`
  throw inUse(cidr, found, 'no block of it', hint)
}

/** A node keeps one tunnel endpoint as long as it has blocks of the family. */
function refuseEndpoints(reader: Reader, name: string, cidr: Prefix): void {
  const owned = new Map<string, number>()
  const own = [...reader.range(keys.familyClaims(name, prefixFamily(cidr)))].map(([, each]) => each)
  const network = mustFind(reader, name)
  const fixed = own.filter((claim) => !isFloating(network, claim))
  for (const { node, pool } of fixed) {
    if (pool !== cidr) owned.set(node, (owned.get(node) ?? 0) + 1)
  }
  const first = own.find(({ pool, first, node }) => pool === cidr && first && owned.has(node))
  if (first === undefined) return
  const found = `block ${first.cidr} has the tunnel endpoint of node ${first.node}`
  throw inUse(cidr, found, 'one elsewhere', DRAIN_HINT)
}

function refuseReserved(reader: Reader, verb: string, { name }: NetworkRecord, cidr: Prefix): void {
  const [one, ...more] = reservationsIn(reader, name, cidr)
  if (one === undefined) return
  const others = more.length === 0 ? '' : ` and ${counted(more.length, 'more')}`
  throw new TriviumError(
    'CONFLICT',
    `Cannot ${verb} pool ${cidr}: ${one.ip} is reserved for ${podText(one.pod)}${others}, wanted no reservation`,
    `End it: trivium ipam unreserve ${one.ip} --network ${name}`,
  )
}

const inUse = (cidr: Prefix, found: string, wanted: string, hint: string): TriviumError =>
  new TriviumError('CONFLICT', `Cannot delete pool ${cidr}: ${found}, wanted ${wanted}`, hint)

const claimsIn = (reader: Reader, name: string, cidr: Prefix): readonly BlockClaim[] =>
  [...reader.range(keys.familyClaims(name, prefixFamily(cidr)))]
    .map(([, claim]) => claim)
    .filter(({ pool }) => pool === cidr)

function mustFindPool({ name, pools }: NetworkRecord, cidr: string): Pool {
  const pool = pools.find((each) => each.cidr === cidr)
  if (pool !== undefined) return pool
  const known = pools.map((each) => each.cidr).join(' and ')
  throw new TriviumError('NOT_FOUND', `Cannot find pool ${cidr}: network ${name} has ${known}`)
}
