/**
 * Links (network interfaces): create, change, remove, read.
 *
 * An alias is not taken at creation by the kernel: `set` it afterwards.
 *
 * @module
 */
import { type AttrsOf, attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { type Message, NLM_F } from '../message.ts'
import {
  changeRequest,
  type DumpRequest,
  dumpRequest,
  type GetRequest,
  getRequest,
  type Request,
} from '../request.ts'
import { HOST_LITTLE } from '../writer.ts'
import { bodyOf, present, word, words } from './body.ts'
import { AF, RTM } from './constants.ts'
import { IFF, IFINFO_BYTES, linkAttrs, type OperState, writeIfInfo } from './link-attrs.ts'
import type { BridgePort } from './link-bridge.ts'
import { type LinkKind, linkInfo } from './link-kind.ts'
import { addText, refText, setText } from './link-text.ts'

/** RTEXT_FILTER_SKIP_STATS: leaves out counters, half of every answer. Source: rtnetlink.h. */
const SKIP_STATS = 1 << 3

/** IFLA_*, with IFLA_LINKINFO. */
export const linkMessageAttrs = attrTable({
  ...linkAttrs.rows,
  info: attr(18, { ...linkInfo, nested: true }), // IFLA_LINKINFO
})

/** A link by index or by name. */
export type LinkRef = { readonly index: number } | { readonly name: string }

/** What can be changed on an existing link. */
export interface LinkChange {
  /** A new name; the link must be given by index. */
  readonly name?: string | undefined
  readonly up?: boolean | undefined
  /** Bytes. */
  readonly mtu?: number | undefined
  readonly mac?: string | undefined
  /** Index of the new master; 0 leaves the present one. */
  readonly master?: number | undefined
  readonly alias?: string | undefined
  readonly group?: number | undefined
  /** Packets. */
  readonly txQueueLen?: number | undefined
  /** Moves the link into the namespace of this open file descriptor. */
  readonly netnsFd?: number | undefined
  /** How the kernel makes IPv6 link-local addresses: 0 = EUI-64, 1 = none, 2 = stable, 3 = random. */
  readonly addrGenMode?: number | undefined
  /** Settings of the link as a port of its bridge. */
  readonly bridgePort?: BridgePort | undefined
  /** Settings of its kind, where the kernel allows a change; the type must be the link's. */
  readonly kind?: LinkKind | undefined
}

/** A link to create. */
export interface LinkSpec {
  readonly name: string
  readonly kind: LinkKind
  readonly mtu?: number | undefined
  readonly mac?: string | undefined
  readonly group?: number | undefined
  readonly txQueueLen?: number | undefined
  readonly up?: boolean | undefined
  /** Index of the bridge (or other master) to join. */
  readonly master?: number | undefined
  /** Index of the device below (IFLA_LINK); `vlan` and `macvlan` also take it in `kind`. */
  readonly link?: number | undefined
  /** An open file descriptor of the namespace the link is born in. */
  readonly netnsFd?: number | undefined
}

/** A link as the kernel reports it. Absent is absent: no zero stands for "none". */
export interface Link {
  readonly index: number
  readonly name: string
  /** Hardware type, ARPHRD_*: 1 = Ethernet, 772 = loopback. */
  readonly hardware: number
  /** All of IFF_*. */
  readonly flags: number
  /** IFF_UP: the administrator wants it up. */
  readonly up: boolean
  /** IFF_RUNNING: it can carry packets. */
  readonly running: boolean
  readonly operState: OperState
  readonly mtu: number
  readonly group: number
  readonly mac?: string
  readonly broadcast?: string
  readonly permanentMac?: string
  readonly txQueueLen?: number
  readonly master?: number
  /** Index of the device below or of the veth peer, in `linkNetnsId` if that is given. */
  readonly link?: number
  readonly linkNetnsId?: number
  /** Whose link it is, when it was read from another namespace. */
  readonly targetNetnsId?: number
  readonly alias?: string
  /** See `LinkChange`. Absent without IPv6. */
  readonly addrGenMode?: number
  /** An XDP program is attached. */
  readonly xdp?: boolean
  /** The kernel's name of the kind: `vxlan`, `veth`, `tun` ... */
  readonly kind?: string
  /** Settings of the kinds this package knows. */
  readonly data?: LinkKind
  readonly bridgePort?: BridgePort
}

/**
 * Creates a link (RTM_NEWLINK).
 *
 * @throws {RangeError} A value that the message cannot hold.
 */
function add(spec: LinkSpec): Request {
  const flags = NLM_F.create | NLM_F.excl
  return changeRequest(
    RTM.newLink,
    flags,
    () => addText(spec),
    (out) => {
      writeIfInfo(out, { up: spec.up })
      const { name, mtu, mac, group, txQueueLen, master, netnsFd, kind } = spec
      const link = spec.link ?? ('link' in kind && kind.type !== 'vxlan' ? kind.link : undefined)
      const info = { data: kind }
      const attrs = { name, mtu, mac, group, txQueueLen, master, netnsFd, link, info }
      writeAttrs(out, linkMessageAttrs, attrs)
    },
  )
}

/**
 * Changes a link: RTM_SETLINK, or RTM_NEWLINK for settings of its kind.
 *
 * @throws {RangeError} A value that the message cannot hold, or a new name for a
 *   link given by name.
 */
function set(ref: LinkRef, change: LinkChange): Request {
  const { up, bridgePort, kind, addrGenMode, ...plain } = change
  const families = addrGenMode === undefined ? undefined : { inet6: { addrGenMode } }
  if ('name' in ref && change.name !== undefined) {
    throw new RangeError(`Cannot rename link ${ref.name} to ${change.name}: give it by index`)
  }
  // RTM_NEWLINK with a name, a group and no such link would change the whole
  // group (rtnl_group_changelink), so it is used only where it has to be.
  const inKind = bridgePort !== undefined || kind !== undefined
  if (inKind && 'name' in ref && change.group !== undefined) {
    throw new RangeError(
      `Cannot change the group and the kind of link ${ref.name}: give it by index`,
    )
  }
  const info = inKind ? { data: kind, bridgePort } : undefined
  return changeRequest(
    inKind ? RTM.newLink : RTM.setLink,
    0,
    () => setText(ref, change),
    (out) => {
      writeIfInfo(out, { up, ...indexOf(ref) })
      writeAttrs(out, linkMessageAttrs, { ...plain, ...nameOf(ref), families, info })
    },
  )
}

/** Removes a link, or every link of a group (not of group 0) in one go: far faster than one by one. */
function remove(
  ref: LinkRef | { readonly group: number },
  { targetNetnsId }: LinkPlace = {},
): Request {
  return changeRequest(
    RTM.delLink,
    0,
    () => words('link delete', refText(ref), word('link-netnsid', targetNetnsId)),
    (out) => {
      writeIfInfo(out, indexOf(ref))
      const which = 'group' in ref ? { group: ref.group } : nameOf(ref)
      writeAttrs(out, linkAttrs, { ...which, targetNetnsId })
    },
  )
}

/** Whose links are meant. */
export interface LinkPlace {
  /**
   * The id that the socket's namespace has given to another one, such as
   * `Link.linkNetnsId` of a veth end: looks there without entering it. Indexes
   * and names are that namespace's. EINVAL when no namespace has the id.
   * Nothing but `remove` changes a link there: `set` would move one of the
   * socket's own (rtnetlink.c, do_setlink), so it has no such option.
   */
  readonly targetNetnsId?: number | undefined
}

/** Reads one link. */
function get(ref: LinkRef, { targetNetnsId }: LinkPlace = {}): GetRequest<Link> {
  return getRequest(
    RTM.getLink,
    (out) => {
      writeIfInfo(out, indexOf(ref))
      writeAttrs(out, linkAttrs, { ...nameOf(ref), extMask: SKIP_STATS, targetNetnsId })
    },
    {
      text: words('link show', refText(ref), word('link-netnsid', targetNetnsId)),
      missing: ['ENODEV'],
      decode: decodeLink,
    },
  )
}

/** Which links to read; the kernel does the filtering. */
export interface LinkFilter extends LinkPlace {
  /** Index of a master. */
  readonly master?: number | undefined
  readonly kind?: string | undefined
}

/** Reads all links, without counters. */
function list(filter: LinkFilter = {}): DumpRequest<Link> {
  const { master, kind, targetNetnsId } = filter
  const info = kind === undefined ? undefined : { kind }
  return dumpRequest(
    RTM.getLink,
    (out) => {
      writeIfInfo(out, {})
      writeAttrs(out, linkMessageAttrs, { master, info, extMask: SKIP_STATS, targetNetnsId })
    },
    {
      text: words('link show', word('link-netnsid', targetNetnsId)),
      missing: [],
      decode: decodeLink,
    },
  )
}

/** Requests about links. */
export const link = { add, set, remove, get, list } as const

/**
 * Reads RTM_NEWLINK and RTM_DELLINK; undefined for any other message. A message
 * of family AF_BRIDGE is about a port, not about the link: RTM_DELLINK of that
 * family means "left the bridge", so it is not taken for a link's end.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeLink(message: Message): Link | undefined {
  if (message.type !== RTM.newLink && message.type !== RTM.delLink) return undefined
  const view = bodyOf(message, 'struct ifinfomsg', IFINFO_BYTES)
  if (view.getUint8(0) === AF.bridge) return undefined
  const attrs = readAttrs(linkMessageAttrs, view, IFINFO_BYTES, view.byteLength)
  const flags = view.getUint32(8, HOST_LITTLE)
  const { info, netnsFd, extMask, numTxQueues, numRxQueues, families, xdp, ...plain } = attrs
  return present({
    ...plain,
    index: view.getInt32(4, HOST_LITTLE),
    name: plain.name ?? '',
    hardware: view.getUint16(2, HOST_LITTLE),
    flags,
    up: (flags & IFF.up) !== 0,
    running: (flags & IFF.running) !== 0,
    operState: plain.operState ?? 'unknown',
    mtu: plain.mtu ?? 0,
    group: plain.group ?? 0,
    master: plain.master === 0 ? undefined : plain.master,
    link: plain.link === 0 ? undefined : plain.link,
    addrGenMode: families?.inet6?.addrGenMode,
    xdp: (xdp?.attached ?? 0) === 0 ? undefined : true,
    kind: info?.kind,
    data: info?.data,
    bridgePort: info?.bridgePort,
  }) as Link
}

/** The attributes of a message, for tests of the table. */
export type LinkMessageAttrs = AttrsOf<typeof linkMessageAttrs>

const indexOf = (ref: LinkRef | { group: number }): { index?: number } =>
  'index' in ref ? { index: ref.index } : {}

const nameOf = (ref: LinkRef | { group: number }): { name?: string } =>
  'name' in ref ? { name: ref.name } : {}
