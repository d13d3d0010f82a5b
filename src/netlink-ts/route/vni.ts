/**
 * VNI filter entries: which VNIs a VXLAN link with `external` and `vnifilter`
 * takes part in, each with a remote host of its own if need be. Frames of any
 * other VNI are dropped.
 *
 * Source: include/uapi/linux/if_link.h, struct tunnel_msg and enum
 * VXLAN_VNIFILTER_ENTRY_*; drivers/net/vxlan/vxlan_vnifilter.c, v6.12.
 *
 * @module
 */
import { attr, attrTable, eachAttr, nested, readAttrs, writeAttrs } from '../attrs.ts'
import { inRange, ipv4, ipv6, u64, vni as vniCodec } from '../codecs.ts'
import { familyOf } from '../ip.ts'
import type { Message } from '../message.ts'
import { changeRequest, type DumpRequest, groupedDumpRequest, type Request } from '../request.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'
import { bodyOf, present, word, words } from './body.ts'
import { AF, RTM } from './constants.ts'

/** Bytes of struct tunnel_msg: family u8, flags u8, reserved u16, ifindex u32. */
const TUNNEL_BYTES = 8
const TUNNEL_MSG_FLAG_STATS = 1
const VXLAN_VNIFILTER_ENTRY = 1
const NLA_F_NESTED = 0x8000

/** VNIFILTER_ENTRY_STATS_*: packets and bytes since the entry was added. */
export const vniStats = attrTable({
  rxBytes: attr(1, u64),
  rxPackets: attr(2, u64),
  rxDrops: attr(3, u64),
  rxErrors: attr(4, u64),
  txBytes: attr(5, u64),
  txPackets: attr(6, u64),
  txDrops: attr(7, u64),
  txErrors: attr(8, u64),
})

/** VXLAN_VNIFILTER_ENTRY_*, in VXLAN_VNIFILTER_ENTRY. */
export const vniAttrs = attrTable({
  vni: attr(1, vniCodec), //      VXLAN_VNIFILTER_ENTRY_START
  end: attr(2, vniCodec), //      VXLAN_VNIFILTER_ENTRY_END, inclusive
  group: attr(3, ipv4), //        VXLAN_VNIFILTER_ENTRY_GROUP
  group6: attr(4, ipv6), //       VXLAN_VNIFILTER_ENTRY_GROUP6
  stats: attr(5, nested(vniStats)), // VXLAN_VNIFILTER_ENTRY_STATS
})

/** One VNI or a range of them, to add or remove. */
export interface VniSpec {
  /** Index of a VXLAN link with `vnifilter`. */
  readonly index: number
  /** The VNI, or the first of a range. */
  readonly vni: number
  /** The last of a range. @default `vni` */
  readonly end?: number | undefined
  /** Where frames without a forwarding entry go: a host or a multicast group. */
  readonly remote?: string | undefined
}

/** Counters of one entry. */
export interface VniStats {
  readonly rxBytes: number
  readonly rxPackets: number
  readonly rxDrops: number
  readonly rxErrors: number
  readonly txBytes: number
  readonly txPackets: number
  readonly txDrops: number
  readonly txErrors: number
}

/** An entry as the kernel reports it: neighbouring VNIs with one remote are one range. */
export interface Vni {
  readonly index: number
  readonly vni: number
  /** Absent for a single VNI. */
  readonly end?: number
  readonly remote?: string
  /** With `stats` only; an entry is then one VNI. */
  readonly stats?: VniStats
}

/** Adds VNIs; one that is there gets the new remote. */
const add = (spec: VniSpec): Request => change('add', spec)

/** Removes VNIs; ENOENT when one is not there. */
const remove = (spec: VniSpec): Request => change('delete', spec)

/** Which entries to read. */
export interface VniFilter {
  /** Index of a link; EINVAL when it has no filter. @default every link */
  readonly index?: number | undefined
  /** Whether to read counters. */
  readonly stats?: boolean | undefined
}

/** Reads entries. */
function list(filter: VniFilter = {}): DumpRequest<Vni> {
  const { index = 0, stats } = filter
  return groupedDumpRequest(
    RTM.getTunnel,
    (out) => writeTunnelMsg(out, index, stats ? TUNNEL_MSG_FLAG_STATS : 0),
    {
      text: words('vni show', index > 0 && `dev if${index}`),
      missing: ['ENODEV'],
      decodeAll: decodeVnis,
    },
  )
}

/** Requests about VNI filters. */
export const vni = { add, remove, list } as const

/**
 * Reads RTM_NEWTUNNEL and RTM_DELTUNNEL; nothing from any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeVnis(message: Message): readonly Vni[] {
  if (message.type !== RTM.newTunnel && message.type !== RTM.delTunnel) return []
  const view = bodyOf(message, 'struct tunnel_msg', TUNNEL_BYTES)
  const index = view.getUint32(4, HOST_LITTLE)
  const entries: Vni[] = []
  eachAttr(view, TUNNEL_BYTES, view.byteLength, (type, offset, length) => {
    if (type !== VXLAN_VNIFILTER_ENTRY) return
    const attrs = readAttrs(vniAttrs, view, offset, offset + length)
    if (attrs.vni === undefined) return
    const { vni, end, group, group6, stats } = attrs
    const remote = group ?? group6
    entries.push(
      present({
        index,
        vni,
        end: end === vni ? undefined : end,
        remote: remote === '0.0.0.0' || remote === '::' ? undefined : remote,
        stats: stats === undefined ? undefined : { ...NO_TRAFFIC, ...stats },
      }) as Vni,
    )
  })
  return entries
}

const NO_TRAFFIC: VniStats = {
  rxBytes: 0,
  rxPackets: 0,
  rxDrops: 0,
  rxErrors: 0,
  txBytes: 0,
  txPackets: 0,
  txDrops: 0,
  txErrors: 0,
}

function change(verb: 'add' | 'delete', spec: VniSpec): Request {
  const { index, vni, end, remote } = spec
  return changeRequest(
    verb === 'add' ? RTM.newTunnel : RTM.delTunnel,
    0,
    () => words(`vni ${verb}`, vniText(spec), word('remote', remote), `dev if${index}`),
    (out) => {
      writeTunnelMsg(out, index, 0)
      const start = out.beginAttr(VXLAN_VNIFILTER_ENTRY | NLA_F_NESTED)
      const six = remote !== undefined && familyOf(remote) === 6
      if (end !== undefined) inRange(end, vni, 0xff_ffff, 'end')
      writeAttrs(out, vniAttrs, {
        vni,
        end,
        group: six ? undefined : remote,
        group6: six ? remote : undefined,
      })
      out.endAttr(start)
    },
  )
}

const vniText = ({ vni, end }: VniSpec): string =>
  `vni ${end === undefined ? vni : `${vni}-${end}`}`

function writeTunnelMsg(out: Writer, index: number, flags: number): void {
  const at = out.reserve(TUNNEL_BYTES)
  out.view.setUint8(at, AF.bridge)
  out.view.setUint8(at + 1, flags)
  out.view.setUint32(at + 4, inRange(index, 0, 0x7fff_ffff, 'index'), HOST_LITTLE)
}
