/**
 * From the cluster's store to a node's: what all nodes share, as it changes.
 *
 * What the node owns is its own word. A claim of its own is never taken away
 * because the cluster has lost it; one that another has got meanwhile goes if
 * nobody has an address of it, and is frozen otherwise.
 *
 * @module
 */
import { containsIp } from '../../src/net/mod.ts'
import { unused } from '../blocks.ts'
import { keys } from '../keys.ts'
import type { BlockClaim, BlockUse, NetworkRecord } from '../records.ts'
import type { Key, KeyRange, Reader, Tx } from '../store.ts'
import { membershipOf, type Standing, standingOf } from './membership.ts'

/** Kinds of records that every node has a copy of. */
const SHARED = [
  'network/',
  'node/',
  'allow/',
  'reservation/',
  'reserved-for/',
  'claim/',
] as const satisfies readonly KeyRange<unknown>[]

export const isShared = (key: string): boolean => SHARED.some((range) => key.startsWith(range))

/** Which records may be others: these keys, or any. */
export type Changed = ReadonlySet<string> | 'all'

export interface DownOptions {
  readonly node: string
  /** Of the cluster's store as it is read. */
  readonly revision: number
  /** What is missing there may come back: nothing goes. */
  readonly keep: boolean
}

/** Brings the copy up to date. Runs on the node's store. @returns what the cluster says of the node. */
export function applyShared(
  tx: Tx,
  shared: Reader,
  changed: Changed,
  { node, revision, keep }: DownOptions,
): Standing {
  const before = membershipOf(tx)
  const all = [...(changed === 'all' ? everyKey(tx, shared) : changed)].filter(isShared)
  for (const key of all.filter((each) => !isClaim(each))) {
    const theirs = shared.get(key)
    const pools = isNetwork(key) ? tx.get(key)?.pools : undefined
    if (theirs !== undefined) putIfOther(tx, key, theirs)
    else if (!keep && !isOwnNode(key, node)) tx.remove(key)
    if (isNetwork(key) && pools !== undefined) forgetHistory(tx, key, pools)
  }
  // A network is known to be gone before its blocks are looked at.
  const isNews = !(keep && before.joined)
  for (const key of all.filter(isClaim)) applyClaim(tx, shared, key, node, { keep, isNews })
  const standing = standingOf(shared.get(keys.member(node)), before.incarnation)
  const refused = standing === 'deleted' || standing === 'taken' ? standing : undefined
  const { refused: _before, ...rest } = before
  const out = before.joined && refused !== undefined ? { refused } : {}
  const after = { ...rest, revision, ...out }
  putIfOther(tx, keys.membership, after)
  return standing
}

const isNetwork = (key: string): key is Key<NetworkRecord> => key.startsWith('network/')

/** What is remembered of addresses that are in no pool any more. */
function forgetHistory(tx: Tx, key: Key<NetworkRecord>, before: NetworkRecord['pools']): void {
  const pools = tx.get(key)?.pools ?? []
  if (before.every(({ cidr }) => pools.some((pool) => pool.cidr === cidr))) return
  const name = key.slice(keys.networks.length)
  for (const [each, { ip }] of [...tx.range(keys.networkHistory(name))]) {
    if (!pools.some(({ cidr }) => containsIp(cidr, ip))) tx.remove(each)
  }
}

const isClaim = (key: string): key is Key<BlockClaim> => key.startsWith('claim/')

/** A node without its own record plans nothing; it says itself when it leaves. */
const isOwnNode = (key: string, node: string): boolean => key === keys.node(node)

function* everyKey(tx: Reader, shared: Reader): Generator<string> {
  for (const range of SHARED) {
    const theirs = new Set<string>()
    for (const [key] of shared.range(range as KeyRange<unknown>)) {
      theirs.add(key)
      yield key
    }
    for (const [key] of [...tx.range(range as KeyRange<unknown>)]) if (!theirs.has(key)) yield key
  }
}

/**
 * @param isNews Whether a claim of the node's own that its store does not have is one that it
 * made; else it may be one that it gave up, and another node's since: nobody gets an address of it yet.
 */
function applyClaim(
  tx: Tx,
  shared: Reader,
  key: Key<BlockClaim>,
  node: string,
  { keep, isNews }: { readonly keep: boolean; readonly isNews: boolean },
): void {
  const [mine, theirs] = [tx.get(key), shared.get(key)]
  if (mine?.node === node) {
    applyOwnClaim(tx, shared, key, mine, theirs)
    return
  }
  if (theirs === undefined) {
    if (!keep) tx.remove(key)
    return
  }
  putIfOther(tx, key, theirs)
  if (theirs.node !== node) return
  const useKey = keys.use(node, theirs.network, theirs.cidr)
  if (tx.get(useKey) !== undefined) return
  tx.put(useKey, { ...unused(theirs), ...(isNews ? {} : { frozen: true }) })
}

function applyOwnClaim(
  tx: Tx,
  shared: Reader,
  key: Key<BlockClaim>,
  mine: BlockClaim,
  theirs: BlockClaim | undefined,
): void {
  const useKey = keys.use(mine.node, mine.network, mine.cidr)
  const use = tx.get(useKey)
  const isFree = use === undefined || use.used === 0
  if (theirs === undefined) {
    const isNetworkGone = shared.get(keys.network(mine.network)) === undefined
    if (!isFree || !isNetworkGone || tx.get(keys.network(mine.network)) !== undefined) return
    tx.remove(key)
    tx.remove(useKey)
    return
  }
  if (theirs.node === mine.node) {
    followOwn(tx, key, mine, theirs, use)
    return
  }
  if (isFree) {
    tx.put(key, theirs)
    tx.remove(useKey)
  } else if (use.frozen !== true) {
    tx.put(useKey, { ...use, frozen: true })
  }
}

/** Which of its blocks is first, and of which pool each is, is what etcd says. */
function followOwn(
  tx: Tx,
  key: Key<BlockClaim>,
  mine: BlockClaim,
  { first, pool }: BlockClaim,
  use: BlockUse | undefined,
): void {
  const claim = { ...mine, first, pool }
  const isOther = mine.first !== first || mine.pool !== pool
  const useKey = keys.use(mine.node, mine.network, mine.cidr)
  if (isOther) tx.put(key, claim)
  if (use === undefined) tx.put(useKey, unused(claim))
  else if (use.frozen === true || isOther) {
    // An address that is kept for an endpoint to come stays so while only the pool changes.
    const now = mine.first === first ? use.first : first
    tx.put(useKey, { ...thawed(use), first: now, pool })
  }
}

function thawed<T extends { readonly frozen?: true }>({
  frozen: _was,
  ...use
}: T): Omit<T, 'frozen'> {
  return use
}

function putIfOther<T>(tx: Tx, key: Key<T>, value: T): void {
  if (JSON.stringify(tx.get(key)) !== JSON.stringify(value)) tx.put(key, value)
}

/** Networks that the node has blocks in. */
export function ownNetworks(reader: Reader, node: string): readonly NetworkRecord[] {
  const names = new Set([...reader.range(keys.nodeUses(node))].map(([key]) => key.split('/')[2]))
  return [...reader.range(keys.networks)].flatMap(([, network]) =>
    names.has(network.name) ? [network] : [],
  )
}
