/**
 * A node's own records, mirrored below its own prefix of the cluster, and taken
 * back from there when its store was lost.
 *
 * The keys are the same in both. The mirror is behind by moments, or for as long
 * as the cluster was away: what it lacks, the kernel still has.
 *
 * @module
 */
import { type Ip, prefixOf } from '../../src/net/mod.ts'
import { keys } from '../keys.ts'
import type { AttachmentRecord, BlockClaim, BlockUse } from '../records.ts'
import { release } from '../release.ts'
import type { Key, Reader, Tx } from '../store.ts'
import { ownClaims } from './claims.ts'

/** Sequence numbers that mirror and kernel may be behind: none of them is given again. */
const SEQUENCE_GAP = 1 << 20

/** Begins a stretch of sequence numbers that nobody has, once all is back. Runs on the node's store. */
export function leap(tx: Tx, node: string): void {
  const last = tx.get(keys.sequence(node))
  if (last !== undefined) tx.put(keys.sequence(node), last + SEQUENCE_GAP)
}

/** What belongs into the mirror: values as they are in the node's store. */
export function ownRecords(local: Reader, node: string): ReadonlyMap<string, unknown> {
  const own = new Map<string, unknown>()
  for (const [key, use] of local.range(keys.nodeUses(node))) {
    own.set(key, use)
    const network = key.split('/')[2] ?? ''
    for (const [each, record] of local.range(keys.blockHistory(network, use.cidr))) {
      own.set(each, record)
    }
  }
  for (const [key, attachment] of local.range(keys.attachments(node))) {
    own.set(key, attachment)
    for (const ip of attachment.ips) {
      const address = local.get(keys.address(attachment.network, ip))
      if (address?.sequence === attachment.sequence)
        own.set(keys.address(attachment.network, ip), address)
    }
  }
  // Last: a mirror that has a number has everything up to it.
  const sequence = local.get(keys.sequence(node))
  if (sequence !== undefined) own.set(keys.sequence(node), sequence)
  return own
}

/** Kinds of records in a mirror; the beat is another matter. */
export const MIRRORED = ['use/', 'attachment/', 'address/', 'history/', 'sequence/'] as const

export type Write = readonly [key: string, value: unknown]

/** What makes the mirror say what the node's store says; undefined removes. At most `most` of it. */
export function mirrorWrites(
  own: ReadonlyMap<string, unknown>,
  mirror: Reader,
  most: number,
): readonly Write[] {
  const writes: Write[] = []
  for (const range of MIRRORED) {
    for (const [key] of mirror.range(range)) if (!own.has(key)) writes.push([key, undefined])
  }
  for (const [key, value] of own) {
    if (writes.length >= most) break
    if (JSON.stringify(mirror.get(key)) !== JSON.stringify(value)) writes.push([key, value])
  }
  return writes.slice(0, most)
}

/** Whether the node's store has lost something that its mirror has. */
export function isBehind(local: Reader, mirror: Reader, node: string): boolean {
  const last = local.get(keys.sequence(node)) ?? 0
  if ((mirror.get(keys.sequence(node)) ?? 0) > last) return true
  for (const [, { sequence }] of mirror.range(keys.attachments(node))) {
    if (sequence > last) return true
  }
  return false
}

/**
 * Takes back from the mirror what the node's store lost: attachments that are
 * younger than everything it has, their addresses, how blocks stand, the sequence.
 * Runs on the node's store, in which the claims are already. A store that lost
 * nothing is left alone.
 *
 * @returns attachments that were taken back.
 */
export function rebuild(tx: Tx, mirror: Reader, node: string): readonly AttachmentRecord[] {
  if (!isBehind(tx, mirror, node)) return []
  const last = tx.get(keys.sequence(node)) ?? 0
  const claims = ownClaims(tx, node)
  const youngestFirst = [...mirror.range(keys.attachments(node))]
    .map(([, attachment]) => attachment)
    .filter(({ sequence }) => sequence > last)
    .sort((left, right) => right.sequence - left.sequence)
  const taken = youngestFirst.filter((attachment) => takeBack(tx, attachment, claims))
  for (const claim of claims) recount(tx, mirror, claim)
  for (const [key, record] of mirror.range('history/')) {
    if (tx.get(key) === undefined) tx.put(key as Key<unknown>, record)
  }
  // Beyond it the kernel may know more; `leap` goes past all.
  tx.put(keys.sequence(node), Math.max(last, mirror.get(keys.sequence(node)) ?? 0))
  return taken
}

/** Of two that the mirror has with one address, the younger has it. */
function takeBack(tx: Tx, attachment: AttachmentRecord, claims: readonly BlockClaim[]): boolean {
  const { node, network, containerId, ifname, sequence } = attachment
  const older = [keys.attachment(node, attachment)].flatMap((key) => tx.get(key) ?? [])
  const inTheWay = attachment.ips.flatMap((ip) => {
    const holder = tx.get(keys.address(network, ip))
    return holder === undefined ? [] : (tx.get(keys.attachment(node, holder)) ?? [])
  })
  if ([...older, ...inTheWay].some((each) => each.sequence > sequence)) return false
  const blocks = attachment.ips.flatMap(
    (ip) => claims.find((claim) => claim.network === network && isIn(claim, ip)) ?? [],
  )
  // Of a block that is not the node's any more: what is left of a node that was deleted.
  if (blocks.length < attachment.ips.length) return false
  // An older copy of the store has pods that were gone before this one came.
  for (const each of [...older, ...inTheWay]) release(tx, node, each)
  tx.put(keys.attachment(node, attachment), attachment)
  for (const [index, ip] of attachment.ips.entries()) {
    const block = blocks[index]?.cidr
    if (block === undefined) continue
    tx.put(keys.address(network, ip), { ip, block, network, containerId, ifname, sequence })
  }
  return true
}

const isIn = ({ cidr }: BlockClaim, ip: Ip): boolean =>
  cidr.includes(':') === ip.includes(':') && prefixOf(ip, Number(cidr.split('/')[1])) === cidr

/** How the block stands, by the addresses that are there. */
function recount(tx: Tx, mirror: Reader, claim: BlockClaim): void {
  const { network, node, cidr, pool, first } = claim
  const key = keys.use(node, network, cidr)
  const known: BlockUse = mirror.get(key) ??
    tx.get(key) ?? { cidr, pool, first, cursor: 0, used: 0 }
  let used = 0
  for (const [, attachment] of tx.range(keys.networkAttachments(node, network))) {
    for (const ip of attachment.ips) if (tx.get(keys.address(network, ip))?.block === cidr) used++
  }
  const { frozen: _was, ...rest } = known
  tx.put(key, { ...rest, pool, first, used })
}
