/**
 * Who is a node of the cluster, and for how long.
 *
 * @module
 */
import { invariant, TriviumError } from '../../src/errors.ts'
import { keys } from '../keys.ts'
import { registerNode } from '../networks.ts'
import type { NodeRecord } from '../records.ts'
import type { Reader, Tx } from '../store.ts'
import type { Incarnation, MemberRecord, Membership } from './records.ts'

export const sameIncarnation = (left: Incarnation | undefined, right: Incarnation): boolean =>
  left?.machine === right.machine && left.store === right.store

/**
 * `member`: welcome. `taken`: another machine has the name. `deleted`: the store
 * belongs to a node that was deleted. `lost`: this machine, with another store.
 */
export type Standing = 'member' | 'taken' | 'deleted' | 'lost' | 'nobody'

/** As the node sees it: what was deleted once stays so, whichever snapshot etcd falls back to. */
export const standingNow = (shared: Reader, node: string, known: Membership): Standing =>
  known.refused === 'deleted'
    ? 'deleted'
    : standingOf(shared.get(keys.member(node)), known.incarnation)

export function standingOf(member: MemberRecord | undefined, own: Incarnation): Standing {
  if (member?.gone?.includes(own.store)) return 'deleted'
  const { incarnation } = member ?? {}
  if (incarnation === undefined) return 'nobody'
  if (sameIncarnation(incarnation, own)) return 'member'
  return incarnation.machine === own.machine ? 'lost' : 'taken'
}

/**
 * Makes the incarnation the node, or keeps it so, and its record true. Runs on the cluster's store.
 *
 * @param mayReplace Nobody with the store of before is alive.
 * @returns how it stands; nothing was written unless `member`.
 */
export function join(tx: Tx, node: NodeRecord, own: Incarnation, mayReplace: boolean): Standing {
  const member = tx.get(keys.member(node.name))
  const standing = standingOf(member, own)
  if (standing === 'taken' || standing === 'deleted') return standing
  if (standing === 'lost' && !mayReplace) return standing
  if (standing !== 'member') {
    const replaced = standing === 'lost' ? member?.incarnation?.store : undefined
    const gone = [...(member?.gone ?? []), ...(replaced === undefined ? [] : [replaced])]
    const list = gone.length === 0 ? {} : { gone: gone.slice(-GONE_MAX) }
    tx.put(keys.member(node.name), { incarnation: own, ...list })
  }
  registerNode(tx, node)
  return 'member'
}

/** Of one name; each is a machine that was deleted or lost its store. */
const GONE_MAX = 50

/** Whether the cluster still takes `own` for the node: looked at by every transaction of a member. */
export const isMember = (reader: Reader, node: string, own: Incarnation): boolean =>
  standingOf(reader.get(keys.member(node)), own) === 'member'

/**
 * Writes the node's record as it is: whatever was decided by it without this runs
 * again, and sees what was written with it. Runs on the cluster's store.
 */
export function touchMember(tx: Tx, node: string): void {
  const member = tx.get(keys.member(node))
  if (member !== undefined) tx.put(keys.member(node), member)
}

/** Takes everything from a node, whoever it is. Runs on the cluster's store; its mirror goes apart. */
export function expel(tx: Tx, node: string): { readonly blocks: number } {
  const member = tx.get(keys.member(node))
  const store = member?.incarnation?.store
  const gone = [...(member?.gone ?? []), ...(store === undefined ? [] : [store])]
  tx.put(keys.member(node), { gone: gone.slice(-GONE_MAX) })
  let blocks = 0
  for (const [, network] of tx.range(keys.networks)) {
    for (const [key, claim] of tx.range(keys.claims(network.name))) {
      if (claim.node !== node) continue
      tx.remove(key)
      blocks++
    }
  }
  for (const [key] of [...tx.range(keys.nodeRequests(node))]) tx.remove(key)
  tx.remove(keys.node(node))
  return { blocks }
}

/** The node's own word on where it stands. @throws when the store is no member's. */
export function membershipOf(reader: Reader): Membership {
  const found = reader.get(keys.membership)
  invariant(found !== undefined, 'a member knows where it stands')
  return found
}

/**
 * Why the node may not give an address now; undefined when it may, or is in no cluster.
 *
 * @param uptimeMs By the clock of the lease, of boot `bootId`.
 * @param newestMark Of the store, as it is noted outside of it. Absent where that was looked at before.
 */
export function apartBecause(
  reader: Reader,
  node: string,
  bootId: string,
  uptimeMs: () => number,
  newestMark: (incarnation: Incarnation) => number = () => 0,
): TriviumError | undefined {
  const membership = reader.get(keys.membership)
  if (membership === undefined) return undefined
  const { joined, refused, lease, incarnation, mark = 0 } = membership
  const cannot = `Cannot give an address on node ${node}`
  if (refused !== undefined) return new TriviumError('UNAVAILABLE', ...REFUSALS[refused](node))
  if (!joined || lease === undefined) {
    const found = 'it has not heard yet from etcd what it owns'
    return new TriviumError('TRY_LATER', `${cannot}: ${found}, wanted etcd once`, ETCD_HINT)
  }
  if (lease.bootId !== bootId) {
    const found = 'the machine was started anew, and etcd has not been heard of since'
    return new TriviumError('TRY_LATER', `${cannot}: ${found}, wanted etcd once`, ETCD_HINT)
  }
  if (newestMark(incarnation) > mark) {
    const found = 'its store is an older copy, which does not know what came since'
    const hint = 'Start the agent: it learns from etcd and the kernel what the store has lost'
    return new TriviumError('TRY_LATER', `${cannot}: ${found}, wanted the newest`, hint)
  }
  const overMs = uptimeMs() - lease.fromUptimeMs - lease.lengthMs
  if (overMs < 0) return undefined
  const seconds = Math.round((overMs + lease.lengthMs) / 1000)
  const found = `etcd was last heard of ${seconds} s ago, the lease is ${lease.lengthMs / 1000} s`
  return new TriviumError('TRY_LATER', `${cannot}: ${found}`, ETCD_HINT)
}

/** How long the node may go on without a word from etcd; negative: it may not. undefined: it has no lease of this boot. */
export function leaseLeftMs(
  { lease }: Membership,
  bootId: string,
  uptimeMs: number,
): number | undefined {
  return lease?.bootId === bootId ? lease.fromUptimeMs + lease.lengthMs - uptimeMs : undefined
}

/** Of the lease; every sign of life that etcd answers makes it whole again. */
const NEAR_END = 0.5

/** Whether signs of life have not been answered for so long that somebody should look. */
export const isLeaseFading = (leftMs: number, lengthMs: number): boolean =>
  leftMs < lengthMs * NEAR_END

const ETCD_HINT = 'Look whether most members of etcd answer this node; its agent goes on by itself'

export const REFUSALS: Readonly<
  Record<NonNullable<Membership['refused']>, (node: string) => [message: string, hint: string]>
> = {
  deleted: (node) => [
    `Cannot give an address on node ${node}: it was deleted from the cluster, wanted a member`,
    "Its blocks may be others' by now: once its pods are gone, its agent joins anew by itself",
  ],
  taken: (node) => [
    `Cannot be node ${node}: another machine is, wanted a name of its own`,
    `Start the agent with another --node, or, if the other machine is gone: trivium node delete ${node} --force`,
  ],
  doubled: (node) => [
    `Cannot be node ${node}: an agent with this machine's id and a copy of its store is at work elsewhere, wanted one`,
    'One disk was copied from the other. On the copy: remove the store, make another /etc/machine-id, choose another --node, start the agent',
  ],
}
