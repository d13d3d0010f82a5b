/**
 * Addresses given back: an attachment's, and all of a node that is gone.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'
import type { Prefix } from '../src/net/mod.ts'
import { cooldownMs, cooled } from './cooling.ts'
import { remember } from './history.ts'
import { keys } from './keys.ts'
import {
  type AddressRecord,
  type AttachmentKey,
  type AttachmentRecord,
  type BlockUse,
  isFloating,
} from './records.ts'
import { reservationOf } from './reservations.ts'
import type { Reader, Tx } from './store.ts'

/**
 * Frees the attachment's addresses and forgets it. Doing it again is free.
 *
 * @param endedMs When; undefined: nothing is remembered, and anybody may have them at once.
 * @param cools Whether they rest before their reuse.
 * @returns what was forgotten; undefined when there was nothing.
 */
export function release(
  tx: Tx,
  node: string,
  key: AttachmentKey,
  endedMs?: number,
  cools = true,
): AttachmentRecord | undefined {
  const attachmentKey = keys.attachment(node, key)
  const attachment = tx.get(attachmentKey)
  if (attachment === undefined) return undefined
  tx.remove(attachmentKey)
  for (const ip of attachment.ips) {
    const addressKey = keys.address(key.network, ip)
    const address = tx.get(addressKey)
    // Another sequence: the address was freed before and is somebody else's by now.
    if (address === undefined || address.sequence !== attachment.sequence) continue
    if (address.containerId !== key.containerId || address.ifname !== key.ifname) continue
    tx.remove(addressKey)
    const useKey = keys.use(node, key.network, address.block)
    const use = tx.get(useKey)
    if (use === undefined) continue
    invariant(use.used > 0, `block ${use.cidr} counts the address ${ip} that it gave`)
    const freed = freedBlock(
      tx,
      { ...use, used: use.used - 1 },
      attachment,
      address,
      endedMs,
      cools,
    )
    if (freed === undefined) giveUp(tx, node, key.network, address.block)
    else tx.put(useKey, freed)
  }
  return attachment
}

/** The block after its address was freed; undefined where the node gives it up with that. */
function freedBlock(
  tx: Tx,
  use: BlockUse,
  attachment: AttachmentRecord,
  address: AddressRecord,
  endedMs: number | undefined,
  cools: boolean,
): BlockUse | undefined {
  const network = tx.get(keys.network(address.network))
  const after = endedMs === undefined ? use : remember(tx, use, attachment, address, endedMs)
  if (network === undefined) return after
  const rests = endedMs !== undefined && cools
  if (!isFloating(network, use)) return rests ? cooled(network, after, address, endedMs) : after
  // One that is kept for a pod is nobody else's: it need not rest.
  const isKept = reservationOf(tx, network, address.ip) !== undefined
  if (rests && !isKept && cooldownMs(network) > 0) return cooled(network, after, address, endedMs)
  return mayGiveUp(tx) ? undefined : after
}

/** A member of a cluster gives a claim up in its own store first, then in the cluster's (cluster/claims.ts). */
const mayGiveUp = (reader: Reader): boolean => reader.get(keys.membership) === undefined

function giveUp(tx: Tx, node: string, network: string, block: Prefix): void {
  tx.remove(keys.use(node, network, block))
  if (tx.get(keys.claim(network, block))?.node === node) tx.remove(keys.claim(network, block))
}

/** What a removed node had. */
export interface ReleasedNode {
  readonly attachments: number
  readonly blocks: number
}

/**
 * Forgets a node: attachments, addresses, blocks and the node itself. Its
 * sequence number stays, so that a late release by a node that comes back
 * under the same name still fits nothing.
 */
export function releaseNode(tx: Tx, node: string, endedMs?: number): ReleasedNode {
  let attachments = 0
  for (const [, attachment] of tx.range(keys.attachments(node))) {
    release(tx, node, attachment, endedMs)
    attachments++
  }
  let blocks = 0
  for (const [, network] of tx.range(keys.networks)) {
    for (const [key, claim] of tx.range(keys.claims(network.name))) {
      if (claim.node !== node) continue
      tx.remove(key)
      blocks++
    }
  }
  for (const [key] of tx.range(keys.nodeUses(node))) tx.remove(key)
  tx.remove(keys.node(node))
  return { attachments, blocks }
}
