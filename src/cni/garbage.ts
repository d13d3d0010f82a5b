/**
 * What GC takes away: attachments of a network that the runtime does not list,
 * and what stands in the kernel for a network without an attachment behind it.
 *
 * @module
 */
import type { AttachmentRecord, NetworkRecord } from '../cluster/view.ts'
import {
  isPodLinkName,
  isPodSet,
  type KernelState,
  type NftElement,
  ownsLink,
  podAliasNetwork,
  podLinkName,
} from '../kernel/mod.ts'
import { containsIp, tryParseIp } from '../net/mod.ts'
import type { ValidAttachment } from './config.ts'

export interface Garbage {
  readonly attachments: readonly AttachmentRecord[]
  /** Host ends that a crash left, by name. */
  readonly links: readonly string[]
  /** Addresses that such links may send from. */
  readonly elements: readonly NftElement[]
}

export interface GarbageQuestion {
  readonly network: string
  /** undefined where the store no longer knows the network. */
  readonly record: NetworkRecord | undefined
  /** This node's, of this network. */
  readonly attachments: readonly AttachmentRecord[]
  readonly valid: readonly ValidAttachment[]
  /** The node's kernel, observed before the attachments were read: a link has a record first. */
  readonly kernel: KernelState
}

/** Cost: one walk over attachments and kernel. */
export function garbageOf(question: GarbageQuestion): Garbage {
  const { network, attachments, valid } = question
  const isValid = new Set(valid.map(({ containerId, ifname }) => `${containerId}/${ifname}`))
  const known = new Set([
    ...attachments.flatMap(({ hostLink }) => (hostLink === undefined ? [] : [hostLink])),
    ...valid.map(({ containerId, ifname }) => podLinkName(network, containerId, ifname)),
  ])
  return {
    attachments: attachments.filter((each) => !isValid.has(`${each.containerId}/${each.ifname}`)),
    links: orphanLinks(question, known),
    elements: orphanElements(question, known),
  }
}

function orphanLinks(
  { network, kernel }: GarbageQuestion,
  known: ReadonlySet<string>,
): readonly string[] {
  const names: string[] = []
  for (const object of kernel.values()) {
    if (object.kind !== 'link' || !isPodLinkName(object.name) || !ownsLink(object)) continue
    // A link without alias could be any network's: that one the agent removes.
    if (podAliasNetwork(object.alias) !== network || known.has(object.name)) continue
    names.push(object.name)
  }
  return names
}

/** An element names link and address, and the address tells the network; a port's MAC goes with it. */
function orphanElements(
  { record, kernel }: GarbageQuestion,
  known: ReadonlySet<string>,
): readonly NftElement[] {
  const ofLinks = new Map<string, NftElement[]>()
  const orphans = new Set<string>()
  for (const object of kernel.values()) {
    if (object.kind !== 'nft-element' || !isPodSet(object.set)) continue
    const [link = '', text = ''] = object.key.split(' . ')
    if (known.has(link)) continue
    const ofLink = ofLinks.get(link) ?? []
    ofLinks.set(link, [...ofLink, object])
    const ip = tryParseIp(text)
    if (ip !== undefined && record?.pools.some(({ cidr }) => containsIp(cidr, ip))) {
      orphans.add(link)
    }
  }
  return [...orphans].flatMap((link) => ofLinks.get(link) ?? [])
}
