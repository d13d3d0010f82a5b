/**
 * The tunnel endpoint of a node in a cluster: the network address of its first block
 * in a family, which leaves a pool that drains.
 *
 * It moves in three steps, and may stay at any of them: the node's store keeps the new
 * block's network address from pods; etcd says which block is first, and peers follow;
 * the node's store hears of it (`down.ts`) and lets the old address go.
 *
 * @module
 */
import type { IpFamily, Prefix } from '../../src/net/mod.ts'
import { ownBlocks } from '../blocks.ts'
import { isLeft, nextEndpoint } from '../idle.ts'
import { keys } from '../keys.ts'
import { type BlockUse, type NetworkRecord, networkFamilies } from '../records.ts'
import type { Reader, Tx } from '../store.ts'
import { isMember } from './membership.ts'
import type { Incarnation } from './records.ts'

/** Which block has a node's tunnel endpoint from now on, and which had it. */
export interface EndpointMove {
  readonly network: string
  readonly to: Prefix
  readonly from: readonly Prefix[]
}

/** What is to move. Reads the node's store. */
export const endpointMoves = (
  local: Reader,
  node: string,
  nowMs: number,
): readonly EndpointMove[] =>
  [...local.range(keys.networks)].flatMap(([, network]) =>
    networkFamilies(network).flatMap((family) => moveOf(local, network, family, node, nowMs) ?? []),
  )

function moveOf(
  local: Reader,
  network: NetworkRecord,
  family: IpFamily,
  node: string,
  nowMs: number,
): EndpointMove | undefined {
  const own = ownBlocks(local, network, node, family)
  const isFirst = ({ cidr }: BlockUse): boolean =>
    local.get(keys.claim(network.name, cidr))?.first === true
  const firsts = own.filter(isFirst)
  // Of two, which an old snapshot of etcd may leave behind, the lower one stays.
  const stays = firsts.find((use) => !isLeft(network, use, nowMs))
  const others = own.filter((use) => !isFirst(use))
  const chosen = others.find((use) => use.first)
  const next =
    firsts.length === 0
      ? undefined
      : (stays ?? chosen ?? nextEndpoint(local, network, others, family))
  if (next === undefined) return undefined
  const from = firsts.filter(({ cidr }) => cidr !== next.cidr).map(({ cidr }) => cidr)
  if (from.length === 0) return undefined
  return { network: network.name, to: next.cidr, from }
}

/** Keeps the addresses from pods. Runs on the node's store. */
export function chooseEndpoints(tx: Tx, node: string, nowMs: number): readonly EndpointMove[] {
  const moves = endpointMoves(tx, node, nowMs)
  for (const { network, to } of moves) {
    const key = keys.use(node, network, to)
    const use = tx.get(key)
    if (use !== undefined && !use.first) tx.put(key, { ...use, first: true })
  }
  return moves
}

/** Says so to all. Runs on the cluster's store. A block that is not the node's there stays as it is. */
export function moveEndpoints(
  tx: Tx,
  moves: readonly EndpointMove[],
  node: string,
  own: Incarnation,
): void {
  if (!isMember(tx, node, own)) return
  for (const { network, to, from } of moves) {
    const next = tx.get(keys.claim(network, to))
    if (next?.node !== node) continue
    tx.put(keys.claim(network, to), { ...next, first: true })
    for (const cidr of from) {
      const claim = tx.get(keys.claim(network, cidr))
      if (claim?.node === node) tx.put(keys.claim(network, cidr), { ...claim, first: false })
    }
  }
}
