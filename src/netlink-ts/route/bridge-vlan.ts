/**
 * VLANs of bridge ports, and of a bridge itself: which frames a port lets
 * through, and with which tag they leave. They count while the bridge has
 * `vlanFiltering`.
 *
 * Source: include/uapi/linux/if_bridge.h, struct bridge_vlan_info and
 * IFLA_BRIDGE_*; net/bridge/br_netlink.c, br_afspec, v6.12.
 *
 * @module
 */
import { type Attr, attr, attrTable, eachAttr, readAttrs, writeAttrs } from '../attrs.ts'
import { type Codec, flags, inRange, u16, u32, vlanId } from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import type { Message } from '../message.ts'
import { changeRequest, type DumpRequest, groupedDumpRequest, type Request } from '../request.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'
import { bodyOf, present, words } from './body.ts'
import { AF, RTM } from './constants.ts'
import { IFINFO_BYTES, writeIfInfo } from './link-attrs.ts'

const IFLA_AF_SPEC = 26
const IFLA_BRIDGE_VLAN_INFO = 2
/** RTEXT_FILTER_BRVLAN_COMPRESSED: ranges instead of one entry a VLAN. Source: rtnetlink.h. */
const VLANS_COMPRESSED = 1 << 2
const NLA_F_NESTED = 0x8000

/** Source: if_bridge.h, BRIDGE_VLAN_INFO_*. */
const VLAN_FLAGS = { pvid: 0x2, untagged: 0x4, rangeBegin: 0x8, rangeEnd: 0x10 } as const

/** struct bridge_vlan_info: flags u16, vid u16. */
interface VlanInfo {
  readonly flags: readonly (keyof typeof VLAN_FLAGS)[]
  readonly vid: number
}

const vlanFlags = flags(u16, VLAN_FLAGS)

const vlanInfo: Codec<VlanInfo> = {
  write(out, { flags, vid }, name) {
    vlanFlags.write(out, flags, `${name}.flags`)
    vlanId.write(out, vid, `${name}.vid`)
  },
  read(view, offset, length, name) {
    if (length !== 4) throw new DecodeError(name, offset, '4 bytes', length)
    return {
      flags: vlanFlags.read(view, offset, 2, name),
      vid: view.getUint16(offset + 2, HOST_LITTLE),
    }
  },
}

const infoRow: Attr<VlanInfo> = attr(IFLA_BRIDGE_VLAN_INFO, vlanInfo)

/** IFLA_BRIDGE_*, in IFLA_AF_SPEC of a message of family AF_BRIDGE; a range takes two `vlan`. */
export const bridgeSpecAttrs = attrTable({
  flags: attr(0, flags(u16, { master: 1, self: 2 })), // IFLA_BRIDGE_FLAGS
  vlan: infoRow, //                                      IFLA_BRIDGE_VLAN_INFO
})

const portAttrs = attrTable({
  master: attr(10, u32), //  IFLA_MASTER, index of the bridge
  extMask: attr(29, u32), // IFLA_EXT_MASK, requests only
})

/** VLANs of one port to add or remove. */
export interface BridgeVlanSpec {
  /** Index of a port, or of a bridge with `self`. */
  readonly index: number
  /** The VLAN, or the first of a range: 1..4094. */
  readonly vid: number
  /** The last of a range. @default `vid` */
  readonly end?: number | undefined
  /** Frames without a tag that come in belong to this VLAN: one a port. */
  readonly pvid?: boolean | undefined
  /** Frames leave without a tag. */
  readonly untagged?: boolean | undefined
  /** The link's own table: for a bridge. */
  readonly self?: boolean | undefined
  /** The table of the link's bridge. @default true unless `self` is */
  readonly master?: boolean | undefined
}

/** VLANs as the kernel reports them: neighbours with the same flags are one range. */
export interface BridgeVlan {
  /** Index of the port, or of the bridge. */
  readonly index: number
  /** Index of the bridge; its own for a bridge. */
  readonly bridge?: number
  readonly vid: number
  /** Absent for a single VLAN. */
  readonly end?: number
  readonly pvid: boolean
  readonly untagged: boolean
}

/** Adds VLANs; one that is there gets the new flags. */
const add = (spec: BridgeVlanSpec): Request => change('add', spec)

/** Removes VLANs; those that are not there are passed over. */
const remove = (spec: BridgeVlanSpec): Request => change('del', spec)

/** Which VLANs to read. */
export interface BridgeVlanFilter {
  /** Index of a port or a bridge. @default all of them */
  readonly index?: number | undefined
}

/** Reads VLANs. */
function list({ index }: BridgeVlanFilter = {}): DumpRequest<BridgeVlan> {
  return groupedDumpRequest(
    RTM.getLink,
    (out) => {
      writeIfInfo(out, { family: AF.bridge })
      writeAttrs(out, portAttrs, { extMask: VLANS_COMPRESSED })
    },
    {
      text: words('vlan show', index !== undefined && `dev if${index}`),
      missing: [],
      // The kernel has no filter for it.
      decodeAll: (message) =>
        decodeBridgeVlans(message).filter((found) => index === undefined || found.index === index),
    },
  )
}

/** Requests about VLANs of bridge ports. */
export const bridgeVlan = { add, remove, list } as const

/**
 * Reads RTM_NEWLINK of family AF_BRIDGE; nothing from any other message.
 *
 * @throws {DecodeError} The bytes break the format, or a range has no begin.
 */
export function decodeBridgeVlans(message: Message): readonly BridgeVlan[] {
  if (message.type !== RTM.newLink) return []
  const view = bodyOf(message, 'struct ifinfomsg', IFINFO_BYTES)
  if (view.getUint8(0) !== AF.bridge) return []
  const index = view.getInt32(4, HOST_LITTLE)
  const { master: bridge } = readAttrs(portAttrs, view, IFINFO_BYTES, view.byteLength)
  const found: BridgeVlan[] = []
  eachAttr(view, IFINFO_BYTES, view.byteLength, (type, offset, length) => {
    if (type !== IFLA_AF_SPEC) return
    for (const range of rangesIn(view, offset, offset + length)) {
      found.push(present({ index, bridge, ...range }) as BridgeVlan)
    }
  })
  return found
}

/** Joins the two ends of each range. */
function rangesIn(
  view: DataView,
  start: number,
  end: number,
): readonly Pick<BridgeVlan, 'vid' | 'end' | 'pvid' | 'untagged'>[] {
  const ranges: Pick<BridgeVlan, 'vid' | 'end' | 'pvid' | 'untagged'>[] = []
  let begin: number | undefined
  eachAttr(view, start, end, (type, offset, length) => {
    if (type !== infoRow.type) return
    const { flags, vid } = vlanInfo.read(view, offset, length, 'vlan')
    if (flags.includes('rangeBegin')) {
      begin = vid
      return
    }
    const ends = flags.includes('rangeEnd')
    if (ends && begin === undefined) {
      throw new DecodeError('VLAN range', offset, 'a begin before its end', vid)
    }
    const first = ends ? begin : undefined
    const pvid = flags.includes('pvid')
    const untagged = flags.includes('untagged')
    ranges.push(
      first === undefined || first === vid
        ? { vid, pvid, untagged }
        : { vid: first, end: vid, pvid, untagged },
    )
    begin = undefined
  })
  return ranges
}

function change(verb: 'add' | 'del', spec: BridgeVlanSpec): Request {
  return changeRequest(
    verb === 'add' ? RTM.setLink : RTM.delLink,
    0,
    () => textOf(verb, spec),
    (out) => {
      writeIfInfo(out, { family: AF.bridge, index: spec.index })
      const start = out.beginAttr(IFLA_AF_SPEC | NLA_F_NESTED)
      writeSpec(out, spec)
      out.endAttr(start)
    },
  )
}

function writeSpec(out: Writer, spec: BridgeVlanSpec): void {
  const { vid, end = vid, self, master } = spec
  const places = [...(master ? ['master' as const] : []), ...(self ? ['self' as const] : [])]
  writeAttrs(out, bridgeSpecAttrs, { flags: places.length === 0 ? undefined : places })
  inRange(vid, 1, 4094, 'vid')
  inRange(end, vid, 4094, 'end')
  const own = [
    ...(spec.pvid ? ['pvid' as const] : []),
    ...(spec.untagged ? ['untagged' as const] : []),
  ]
  const ends =
    end === vid
      ? [{ flags: own, vid }]
      : [
          { flags: [...own, 'rangeBegin' as const], vid },
          { flags: [...own, 'rangeEnd' as const], vid: end },
        ]
  for (const vlan of ends) writeAttrs(out, bridgeSpecAttrs, { vlan })
}

function textOf(verb: string, spec: BridgeVlanSpec): string {
  const { index, vid, end, pvid, untagged, self, master } = spec
  return words(
    `vlan ${verb} dev if${index} vid ${end === undefined ? vid : `${vid}-${end}`}`,
    pvid && 'pvid',
    untagged && 'untagged',
    self && 'self',
    master && 'master',
  )
}
