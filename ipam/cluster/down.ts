/**
 * From the cluster's store to a node's: what all nodes share, as it changes.
 *
 * What the node owns is its own word. A claim of its own is never taken away
 * because the cluster has lost it; one that another has got meanwhile goes if
 * nobody has an address of it, and is frozen otherwise: on both sides, as neither
 * knows which addresses of it the other's pods have.
 *
 * @module
 */
import { containsIp } from '../../src/net/mod.ts'
import { unused } from '../blocks.ts'
import { keys } from '../keys.ts'
import type { BlockClaim, BlockUse, NetworkRecord } from '../records.ts'
import type { Key, KeyRange, Reader, Tx } from '../store.ts'
import { membershipOf, type Standing, standingNow } from './membership.ts'

/** Kinds of records that every node has a copy of. */
const SHARED = [
  'network/',
  'node/',
  'allow/',
  'bgp/',
  'reservation/',
  'reserved-for/',
  'claim/',
] as const satisfies readonly KeyRange<unknown>[]

export const isShared = (key: string): boolean => SHARED.some((range) => key.startsWith(range))

/** A dispute is looked at with the claim that it is about. */
const claimOfDispute = (key: string): string =>
  key.startsWith(keys.disputes) ? `claim/${key.split('/').slice(1, -1).join('/')}` : key

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
  const named = changed === 'all' ? everyKey(tx, shared) : new Set([...changed].map(claimOfDispute))
  const all = [...named].filter(isShared)
  for (const key of all.filter((each) => !isClaim(each))) {
    const theirs = shared.get(key)
    const pools = isNetwork(key) ? tx.get(key)?.pools : undefined
    if (theirs !== undefined) putIfOther(tx, key, theirs)
    else if (!keep && !isOwnNode(key, node)) tx.remove(key)
    if (isNetwork(key) && pools !== undefined) forgetHistory(tx, key, pools)
  }
  // A network is known to be gone before its blocks are looked at.
  const isNews = !(keep && before.joined)
  const how = { keep, isNews }
  const lost = all.filter(isClaim).filter((key) => applyClaim(tx, shared, key, node, how))
  const standing = standingNow(shared, node, before)
  const refused = standing === 'deleted' || standing === 'taken' ? standing : undefined
  const { refused: known, mark = 0, ...rest } = before
  const out =
    before.joined && refused !== undefined
      ? { refused }
      : known === 'doubled'
        ? { refused: known }
        : {}
  const after = { ...rest, revision, ...out, mark: lost.length > 0 ? mark + 1 : mark }
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
 * @returns whether the node has a block less.
 */
function applyClaim(
  tx: Tx,
  shared: Reader,
  key: Key<BlockClaim>,
  node: string,
  { keep, isNews }: { readonly keep: boolean; readonly isNews: boolean },
): boolean {
  const [mine, theirs] = [tx.get(key), shared.get(key)]
  if (mine?.node === node) return applyOwnClaim(tx, shared, key, mine, theirs)
  if (theirs === undefined) {
    if (!keep) tx.remove(key)
    return false
  }
  putIfOther(tx, key, theirs)
  if (theirs.node !== node) return false
  const use = tx.get(keys.use(node, theirs.network, theirs.cidr))
  const isNew = use === undefined && !isNews
  putUse(tx, theirs, use ?? unused(theirs), isNew || isDisputed(shared, key))
  return false
}

function applyOwnClaim(
  tx: Tx,
  shared: Reader,
  key: Key<BlockClaim>,
  mine: BlockClaim,
  theirs: BlockClaim | undefined,
): boolean {
  const useKey = keys.use(mine.node, mine.network, mine.cidr)
  const use = tx.get(useKey)
  const isFree = use === undefined || use.used === 0
  if (theirs === undefined) {
    const isNetworkGone = shared.get(keys.network(mine.network)) === undefined
    if (!isFree || !isNetworkGone || tx.get(keys.network(mine.network)) !== undefined) return false
    tx.remove(key)
    tx.remove(useKey)
    return true
  }
  if (theirs.node === mine.node) {
    followOwn(tx, mine, theirs, use, isDisputed(shared, key))
    return false
  }
  if (!isFree) {
    putUse(tx, mine, use, true)
    return false
  }
  tx.put(key, theirs)
  tx.remove(useKey)
  return true
}

/** Which of its blocks is first, and of which pool each is, is what etcd says. */
function followOwn(
  tx: Tx,
  mine: BlockClaim,
  { first, pool }: BlockClaim,
  use: BlockUse | undefined,
  isFrozen: boolean,
): void {
  const claim = { ...mine, first, pool }
  putIfOther(tx, keys.claim(mine.network, mine.cidr), claim)
  // An address that is kept for an endpoint to come stays so while only the pool changes.
  const now = use !== undefined && mine.first === first ? use.first : first
  putUse(tx, claim, { ...(use ?? unused(claim)), first: now, pool }, isFrozen)
}

/** Whether another node has pods in the block: neither gives an address of it until one has none. */
function isDisputed(shared: Reader, key: Key<BlockClaim>): boolean {
  const range = `dispute/${key.slice('claim/'.length)}/` as KeyRange<unknown>
  return [...shared.range(range)].length > 0
}

function putUse(
  tx: Tx,
  { node, network, cidr }: BlockClaim,
  use: BlockUse,
  isFrozen: boolean,
): void {
  const { frozen: _was, ...rest } = use
  putIfOther(tx, keys.use(node, network, cidr), isFrozen ? { ...rest, frozen: true } : rest)
}

function putIfOther<T>(tx: Tx, key: Key<T>, value: T): void {
  if (JSON.stringify(tx.get(key)) !== JSON.stringify(value)) tx.put(key, value)
}

/** Networks that the node has blocks in; `all`: that any node has. */
export function claimedNetworks(
  reader: Reader,
  node: string,
  all: boolean,
): readonly NetworkRecord[] {
  const own = [...reader.range(keys.nodeUses(node))].map(([key]) => key.split('/')[2])
  const any = all ? [...reader.range(keys.allClaims)].map(([, claim]) => claim.network) : []
  const names = new Set([...own, ...any])
  return [...reader.range(keys.networks)].flatMap(([, network]) =>
    names.has(network.name) ? [network] : [],
  )
}
