/**
 * BGP settings made, changed and removed in a transaction.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import {
  containsPrefix,
  type Ip,
  type Prefix,
  prefixesOverlap,
  prefixLength,
} from '../src/net/mod.ts'
import type { BgpNode, BgpPeer, BgpRack, BgpScope, BgpSettings } from './bgp-records.ts'
import {
  type Given,
  parseBgpNode,
  parseBgpPeer,
  parseBgpRack,
  parseBgpSettings,
} from './bgp-spec.ts'
import { keys } from './keys.ts'
import type { Key, Reader, Tx } from './store.ts'

/** Routers of one scope. */
const PEERS_MAX = 64

/** What a change did. */
export interface BgpChange<T> {
  readonly kind: 'created' | 'changed' | 'unchanged'
  readonly record: T
}

/**
 * Changes the cluster's settings, or makes them; what is not given stays.
 *
 * @throws {TriviumError} BAD_CONFIG
 */
export function setBgp(
  tx: Tx,
  given: Given<Omit<BgpSettings, 'kind' | 'createdMs'>>,
  nowMs: number,
): BgpChange<BgpSettings> {
  const present = tx.get(keys.bgpSettings)
  const record = parseBgpSettings({ ...present, ...given }, present?.createdMs ?? nowMs)
  return put(tx, keys.bgpSettings, record)
}

/**
 * Removes settings, racks, nodes and peers: every speaker ends.
 *
 * @throws {TriviumError} NOT_FOUND; CONFLICT while a network's routes come from it.
 */
export function unsetBgp(tx: Tx): void {
  mustHaveBgp(tx)
  const users = [...tx.range(keys.networks)].flatMap(([, { name, options }]) =>
    options.peerRoutes === 'bgp' ? [name] : [],
  )
  if (users.length > 0) {
    throw new TriviumError(
      'CONFLICT',
      `Cannot remove BGP settings: network ${users.join(', ')} has its routes from BGP, wanted none`,
      `First: trivium network set ${users[0]} --peer-routes direct`,
    )
  }
  for (const [key] of [...tx.range(keys.bgp)]) tx.remove(key)
}

/**
 * What is different for a rack; an AS number or summaries that are undefined go, and
 * with the last of them the record.
 *
 * @throws {TriviumError} BAD_CONFIG; NOT_FOUND without settings; CONFLICT when a summary
 * is no part of one pool, or another rack's.
 */
export function setBgpRack(tx: Tx, given: Given<Omit<BgpRack, 'kind'>>): BgpChange<BgpRack> {
  mustHaveBgp(tx)
  const { rack } = parseBgpRack({ rack: given.rack })
  const record = parseBgpRack({ ...tx.get(keys.bgpRack(rack)), ...given })
  refuseSummaries(tx, record)
  const isEmpty = record.asn === undefined && record.summaries === undefined
  return isEmpty ? drop(tx, keys.bgpRack(rack), record) : put(tx, keys.bgpRack(rack), record)
}

/** A summary draws to the rack what is inside: other racks' blocks must not be. */
function refuseSummaries(reader: Reader, record: BgpRack): void {
  for (const summary of record.summaries ?? []) {
    const [found, wanted] = summaryFlaw(reader, record.rack, summary) ?? []
    if (found === undefined) continue
    const cannot = `Cannot use summary ${summary} of rack ${record.rack}`
    throw new TriviumError('CONFLICT', `${cannot}: ${found}, wanted ${wanted}`)
  }
}

function summaryFlaw(
  reader: Reader,
  rack: string,
  summary: Prefix,
): readonly [found: string, wanted: string] | undefined {
  const pools = [...reader.range(keys.networks)].flatMap(([, network]) => network.pools)
  const pool = pools.find(({ cidr }) => containsPrefix(cidr, summary))
  if (pool === undefined) return ['no pool holds it', 'a part of a pool']
  if (prefixLength(summary) >= pool.blockLength) {
    return [`blocks of ${pool.cidr} have length ${pool.blockLength}`, 'a shorter one']
  }
  const { rack: label = rack } = pool
  if (label !== rack) return [`pool ${pool.cidr} is rack ${label}'s`, 'another']
  for (const [, other] of reader.range(keys.bgp)) {
    if (other.kind !== 'rack' || other.rack === rack) continue
    const theirs = other.summaries?.find((each) => prefixesOverlap(each, summary))
    if (theirs !== undefined) return [`rack ${other.rack} has ${theirs}`, 'separate ones']
  }
  return undefined
}

/**
 * What is different for a node, as `setBgpRack`.
 *
 * @throws {TriviumError} BAD_CONFIG; NOT_FOUND without settings or node.
 */
export function setBgpNode(tx: Tx, given: Given<Omit<BgpNode, 'kind'>>): BgpChange<BgpNode> {
  mustHaveBgp(tx)
  const { node } = parseBgpNode({ node: given.node })
  const present = tx.get(keys.bgpNode(node))
  if (present === undefined && tx.get(keys.node(node)) === undefined) {
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot set BGP of node ${node}: the store does not know it`,
      'Show those it knows: trivium node show',
    )
  }
  const record = parseBgpNode({ ...present, ...given })
  const isEmpty = record.asn === undefined && record.reflector === undefined
  return isEmpty ? drop(tx, keys.bgpNode(node), record) : put(tx, keys.bgpNode(node), record)
}

/**
 * Adds a router of the fabric; the same address in the same scope is replaced.
 *
 * @throws {TriviumError} BAD_CONFIG; NOT_FOUND without settings; CONFLICT when the
 * address is a node's, or the scope has too many.
 */
export function addBgpPeer(tx: Tx, given: Given<Omit<BgpPeer, 'kind'>>): BgpChange<BgpPeer> {
  mustHaveBgp(tx)
  const record = parseBgpPeer(given)
  const { scope, address } = record
  const cannot = `Cannot add BGP peer ${address}`
  const node = [...tx.range(keys.nodes)].find(([, each]) => each.underlayIps.includes(address))
  if (node !== undefined) {
    throw new TriviumError(
      'CONFLICT',
      `${cannot}: it is node ${node[1].name}, wanted a router of the fabric`,
      'Nodes meet by themselves: trivium bgp set --sessions auto',
    )
  }
  const key = keys.bgpPeer(scope, address)
  const scoped = peersOf(tx).filter((each) => sameScope(each.scope, scope))
  if (scoped.length >= PEERS_MAX && tx.get(key) === undefined) {
    const found = `${scopeWords(scope)} has ${scoped.length} peers`
    throw new TriviumError('CONFLICT', `${cannot}: ${found}, wanted at most ${PEERS_MAX}`)
  }
  return put(tx, key, record)
}

/** @throws {TriviumError} NOT_FOUND */
export function removeBgpPeer(tx: Tx, scope: BgpScope, address: Ip): void {
  const key = keys.bgpPeer(scope, address)
  if (tx.get(key) === undefined) {
    const known = peersOf(tx).map((each) => `${each.address} of ${scopeWords(each.scope)}`)
    const there = known.length === 0 ? 'there are none' : `there is ${known.slice(0, 5).join(', ')}`
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot remove BGP peer ${address} of ${scopeWords(scope)}: ${there}`,
      'Show them: trivium bgp peer list',
    )
  }
  tx.remove(key)
}

/** In the order of scopes and addresses. */
export const peersOf = (reader: Reader): readonly BgpPeer[] =>
  [...reader.range(keys.bgp)].flatMap(([, record]) => (record.kind === 'peer' ? [record] : []))

export const scopeWords = (scope: BgpScope): string =>
  scope.kind === 'all' ? 'all nodes' : `${scope.kind} ${scope.name}`

const sameScope = (left: BgpScope, right: BgpScope): boolean =>
  scopeWords(left) === scopeWords(right)

/** @throws {TriviumError} NOT_FOUND */
function mustHaveBgp(reader: Reader): void {
  if (reader.get(keys.bgpSettings) !== undefined) return
  throw new TriviumError(
    'NOT_FOUND',
    'Cannot change BGP: no settings yet, wanted an AS number first',
    'For example: trivium bgp set --asn 64512',
  )
}

function put<T>(tx: Tx, key: Key<T>, record: T): BgpChange<T> {
  const present = tx.get(key)
  if (JSON.stringify(present) === JSON.stringify(record)) return { kind: 'unchanged', record }
  tx.put(key, record)
  return { kind: present === undefined ? 'created' : 'changed', record }
}

function drop<T>(tx: Tx, key: Key<T>, record: T): BgpChange<T> {
  const isThere = tx.get(key) !== undefined
  if (isThere) tx.remove(key)
  return { kind: isThere ? 'changed' : 'unchanged', record }
}
