/**
 * Blocks of a node, claimed in the cluster's store.
 *
 * A claim is one transaction on what etcd holds now, so no two nodes get one
 * block; the node's own store has it only after it is the node's for certain.
 *
 * @module
 */
import { containsIp, containsPrefix, type Prefix } from '../../src/net/mod.ts'
import {
  blockOf,
  blocksIn,
  claimable,
  isOpen,
  isSpare,
  newClaim,
  ownBlocks,
  placeOf,
  sparePools,
  unused,
} from '../blocks.ts'
import { drainedBlocks, idleBlocks, idleFloating } from '../idle.ts'
import { keys } from '../keys.ts'
import { glance } from '../locality.ts'
import {
  type BlockClaim,
  isFloating,
  type NetworkRecord,
  type NodeRecord,
  networkFamilies,
} from '../records.ts'
import type { Reader, Tx } from '../store.ts'
import { isMember, touchMember } from './membership.ts'
import type { Demand, Incarnation } from './records.ts'

/** What the node lacks to have one spare block of each family of each network. Reads the node's store. */
export function lacking(reader: Reader, node: string, nowMs: number): readonly Demand[] {
  return [...reader.range(keys.networks)].flatMap(([, network]) =>
    networkFamilies(network).flatMap((family): Demand[] => {
      const pools = sparePools(network, family)
      const own = blocksIn(ownBlocks(reader, network, node, family), pools)
      if (own.some((use) => isSpare(network, use, nowMs))) return []
      return [{ network: network.name, family, pools: pools.map(({ cidr }) => cidr) }]
    }),
  )
}

/**
 * What the node lacks and what somebody waits for, without what has come meanwhile.
 * Reads the node's store.
 */
export function stillWanted(
  reader: Reader,
  node: string,
  demands: readonly Demand[],
  nowMs: number,
): readonly Demand[] {
  const wanted = demands.filter((demand) => !isMet(reader, node, demand, nowMs))
  const all = [...lacking(reader, node, nowMs), ...wanted]
  return [...new Map(all.map((demand) => [JSON.stringify(demand), demand])).values()]
}

function isMet(
  reader: Reader,
  node: string,
  { network: name, family, pools, ip }: Demand,
  nowMs: number,
): boolean {
  const network = reader.get(keys.network(name))
  if (network === undefined) return true
  const own = ownBlocks(reader, network, node, family)
  if (ip !== undefined) return own.some((use) => containsIp(use.cidr, ip))
  return own.some((use) => pools.includes(use.pool) && isSpare(network, use, nowMs))
}

/**
 * Blocks that the node has no use for.
 *
 * @param all false: only those of pools that drain, which are given back at once, and single
 * addresses, for which others wait.
 */
export const idleClaims = (
  local: Reader,
  node: string,
  nowMs: number,
  all: boolean,
): readonly BlockClaim[] =>
  [...local.range(keys.networks)].flatMap(([, network]) => {
    const blocks = all
      ? idleBlocks(local, network, node, nowMs)
      : [
          ...drainedBlocks(local, network, node, nowMs),
          ...idleFloating(local, network, node, nowMs),
        ]
    return [...new Set(blocks.map(({ cidr }) => cidr))].flatMap(
      (cidr) => local.get(keys.claim(network.name, cidr)) ?? [],
    )
  })

/**
 * Claims a block for each demand, as far as there are any. Runs on the cluster's store.
 *
 * @returns undefined when the incarnation is not the node any more: nothing was written.
 */
export function claimBlocks(
  tx: Tx,
  demands: readonly Demand[],
  node: string,
  own: Incarnation,
  nowMs: number,
): readonly BlockClaim[] | undefined {
  if (!isMember(tx, node, own)) return undefined
  return demands.flatMap((demand) => {
    const network = tx.get(keys.network(demand.network))
    return network === undefined ? [] : claimOne(tx, network, demand, node, nowMs)
  })
}

function claimOne(
  tx: Tx,
  network: NetworkRecord,
  demand: Demand,
  node: string,
  nowMs: number,
): readonly BlockClaim[] {
  const claims: BlockClaim[] = []
  let isFirst = !ownsAny(tx, network, demand, node)
  for (const free of candidates(tx, network, demand, node, nowMs)) {
    // Uses are the node's own and not here: the claims say whether it is the first.
    const first = isFirst && !isFloating(network, free)
    const claim = { ...free, first }
    tx.put(keys.claim(network.name, claim.cidr), claim)
    claims.push(claim)
    if (first) {
      isFirst = false
      touchMember(tx, node)
    }
    // A block of one or two addresses may have none for pods; then one more is needed.
    if (demand.ip !== undefined || isSpare(network, unused(claim), nowMs)) break
  }
  return claims
}

function candidates(
  tx: Tx,
  network: NetworkRecord,
  { pools: wanted, ip }: Demand,
  node: string,
  nowMs: number,
): Iterable<BlockClaim> {
  const pools = network.pools.filter(({ cidr }) => wanted.includes(cidr))
  if (ip === undefined) return claimable(tx, network, pools, node, nowMs)
  const pool = pools.find(({ cidr }) => containsIp(cidr, ip))
  if (pool === undefined || !isOpen(pool, placeOf(tx, node))) return []
  const cidr = blockOf(pool, ip)
  if (tx.get(keys.claim(network.name, cidr)) !== undefined) return []
  return [newClaim(tx, network, pool, cidr, node, nowMs)]
}

/**
 * Whether it has a block that could have its tunnel endpoint. Looked up at a glance, as
 * others claim all the time: that it has one, the claim of it tells; that it has none yet, its
 * member record, which whoever gives it a first one touches.
 */
function ownsAny(tx: Reader, network: NetworkRecord, { family }: Demand, node: string): boolean {
  const isOwn = (claim: BlockClaim | undefined): boolean =>
    claim?.node === node && !isFloating(network, claim)
  for (const [key, claim] of glance(tx, keys.familyClaims(network.name, family))) {
    if (isOwn(claim) && isOwn(tx.get(key))) return true
  }
  return false
}

/** What a node says of blocks, after which the cluster's store is made whole. */
export interface Assertion {
  /** Its own claims. */
  readonly claims: readonly BlockClaim[]
  /** Networks to make again where they are missing, after the cluster's store fell back. */
  readonly networks: readonly NetworkRecord[]
  /** Claims of others, who may be cut off, and their nodes, as the node knew them before. */
  readonly others: readonly (readonly [BlockClaim, NodeRecord])[]
}

/** The node's claims that the copy of the cluster's store does not agree with. */
export function unheard(local: Reader, shared: Reader, node: string): readonly BlockClaim[] {
  return ownClaims(local, node).filter(
    (claim) => shared.get(keys.claim(claim.network, claim.cidr))?.node !== node,
  )
}

/** Claims of other nodes that the cluster's store knew and does not know any more, at most `most`. */
export function missingOfOthers(
  local: Reader,
  shared: Reader,
  node: string,
  most: number,
): Assertion['others'] {
  const missing: (readonly [BlockClaim, NodeRecord])[] = []
  for (const [key, claim] of local.range(keys.allClaims)) {
    if (missing.length >= most) break
    const owner = local.get(keys.node(claim.node))
    if (claim.node === node || owner === undefined || shared.get(key) !== undefined) continue
    missing.push([claim, owner])
  }
  return missing
}

/** Claims of blocks that the node has a use of. */
export function ownClaims(local: Reader, node: string): readonly BlockClaim[] {
  const claims: BlockClaim[] = []
  for (const [key] of local.range(keys.nodeUses(node))) {
    const claim = local.get(`claim/${key.split('/').slice(2).join('/')}`) as BlockClaim | undefined
    if (claim?.node === node) claims.push(claim)
  }
  return claims
}

/**
 * Puts back what is missing, and speaks up about what another has. Runs on the cluster's store.
 *
 * @returns false when the incarnation is not the node any more: nothing was written.
 */
export function assertOwn(
  tx: Tx,
  { claims, networks, others }: Assertion,
  node: string,
  own: Incarnation,
): boolean {
  if (!isMember(tx, node, own)) return false
  for (const network of networks) {
    if (tx.get(keys.network(network.name)) === undefined)
      tx.put(keys.network(network.name), network)
  }
  for (const claim of claims) {
    const network = tx.get(keys.network(claim.network))
    if (network === undefined) continue
    const key = keys.claim(claim.network, claim.cidr)
    const found = tx.get(key)
    if (found === undefined) tx.put(key, { ...claim, pool: poolNow(network, claim) })
    if (found === undefined || found.node === node) continue
    const dispute = keys.dispute(claim.network, claim.cidr, node)
    if (tx.get(dispute) !== undefined) continue
    tx.put(dispute, { network: claim.network, cidr: claim.cidr, node, first: claim.first })
  }
  for (const [claim, owner] of others) {
    if (tx.get(keys.network(claim.network)) === undefined) continue
    const key = keys.claim(claim.network, claim.cidr)
    if (tx.get(key) !== undefined) continue
    tx.put(key, claim)
    touchMember(tx, owner.name)
    if (tx.get(keys.node(owner.name)) === undefined) tx.put(keys.node(owner.name), owner)
  }
  return true
}

/** The pool that the block lies in: meanwhile it may have been split, or merged. */
const poolNow = ({ pools }: NetworkRecord, { cidr, pool }: BlockClaim): Prefix =>
  pools.find((each) => containsPrefix(each.cidr, cidr))?.cidr ?? pool

export type BlockName = Pick<BlockClaim, 'network' | 'cidr'>

/**
 * Disputed blocks that the node has or wants in the cluster, and of which nobody
 * has an address here: to be given up.
 */
export function yieldable(local: Reader, shared: Reader, node: string): readonly BlockName[] {
  const found: BlockName[] = []
  for (const [, { network, cidr, node: other }] of shared.range(keys.disputes)) {
    const isOurs = other === node || shared.get(keys.claim(network, cidr))?.node === node
    const used = local.get(keys.use(node, network, cidr))?.used ?? 0
    if (isOurs && used === 0) found.push({ network, cidr })
  }
  return found
}

/** First here: no address of them is given from now on. Runs on the node's store. @returns those it gave up. */
export function forsake<T extends BlockName>(
  tx: Tx,
  blocks: readonly T[],
  node: string,
): readonly T[] {
  const gone = blocks.filter(({ network, cidr }) => {
    const useKey = keys.use(node, network, cidr)
    if ((tx.get(useKey)?.used ?? 0) > 0) return false
    tx.remove(useKey)
    const key = keys.claim(network, cidr)
    if (tx.get(key)?.node === node) tx.remove(key)
    return true
  })
  const membership = tx.get(keys.membership)
  if (gone.length > 0 && membership !== undefined) {
    tx.put(keys.membership, { ...membership, mark: (membership.mark ?? 0) + 1 })
  }
  return gone
}

/**
 * Then in the cluster: each goes to whoever has pods in it, or to nobody; what the
 * node disputed itself it does not any more. Runs on the cluster's store.
 */
export function handOver(tx: Tx, blocks: readonly BlockName[], node: string): void {
  for (const { network, cidr } of blocks) {
    tx.remove(keys.dispute(network, cidr, node))
    const key = keys.claim(network, cidr)
    const found = tx.get(key)
    if (found?.node !== node) continue
    const [dispute] = [...tx.range(keys.disputes)].filter(
      ([, each]) => each.network === network && each.cidr === cidr,
    )
    if (dispute === undefined) {
      tx.remove(key)
      continue
    }
    const { node: heir, first } = dispute[1]
    tx.put(key, { ...found, node: heir, first })
    touchMember(tx, heir)
    tx.remove(dispute[0])
  }
}
