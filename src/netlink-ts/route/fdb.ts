/**
 * Forwarding database entries: where frames for a MAC address go, on a bridge
 * (a port) or on a VXLAN link (a remote host).
 *
 * A VXLAN entry may have several destinations, for the all-zero MAC above all:
 * `append` adds one more, where `add` and `replace` allow one.
 *
 * Source: include/uapi/linux/neighbour.h; net/core/rtnetlink.c, rtnl_fdb_add; v6.12.
 *
 * @module
 */
import { readAttrs, writeAttrs } from '../attrs.ts'
import { numberOf } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import { changeRequest, type DumpRequest, dumpRequest, type Request } from '../request.ts'
import { bodyOf, present, word, words } from './body.ts'
import { AF, RTM } from './constants.ts'
import { NDMSG_BYTES, NTF, NUD, neighAttrs, readNdMsg, writeNdMsg } from './neigh-attrs.ts'

/** bridge(8)'s names of entry states. */
export const FDB_STATES = {
  permanent: NUD.permanent,
  static: NUD.noarp,
  stale: NUD.stale,
  dynamic: NUD.reachable,
} as const

/** An entry's state; a number for a combination. */
export type FdbState = keyof typeof FDB_STATES | number

/** What decides where frames go. */
interface FdbFields {
  /** Index of the link: a VXLAN link, or a port of a bridge. */
  readonly index: number
  readonly mac: string
  /** VXLAN: the remote host. */
  readonly dst?: string | undefined
  /** Bridge with VLAN filtering: the VLAN the entry is in. */
  readonly vlan?: number | undefined
  /** VXLAN: UDP port of the remote host, when not the link's. */
  readonly port?: number | undefined
  /** VXLAN: VNI to send with, when not the link's. */
  readonly vni?: number | undefined
  /** VXLAN with `external`: the VNI the entry is in. */
  readonly srcVni?: number | undefined
  /** VXLAN: index of the underlay link, when not the link's. */
  readonly via?: number | undefined
  /** A nexthop group instead of `dst`. */
  readonly nexthopId?: number | undefined
}

/** An entry to add or remove. */
export interface FdbSpec extends FdbFields {
  /** The link's own table. @default true unless `master` is */
  readonly self?: boolean | undefined
  /** The table of the bridge that the link is a port of. */
  readonly master?: boolean | undefined
  /** @default 'permanent' */
  readonly state?: FdbState | undefined
  readonly externLearn?: boolean | undefined
  readonly sticky?: boolean | undefined
}

/** An entry as the kernel reports it. */
export interface Fdb extends FdbFields {
  readonly self: boolean
  readonly master: boolean
  readonly externLearn: boolean
  readonly sticky: boolean
  readonly state: FdbState
  /** Index of the bridge, for an entry of one. */
  readonly bridge?: number
}

/** Adds an entry; EEXIST when the MAC has one. */
const add = (spec: FdbSpec): Request => change('add', spec, NLM_F.create | NLM_F.excl)

/** Adds one more destination. */
const append = (spec: FdbSpec): Request => change('append', spec, NLM_F.create | NLM_F.append)

/** Adds an entry or replaces the one there. */
const replace = (spec: FdbSpec): Request => change('replace', spec, NLM_F.create | NLM_F.replace)

/** Removes an entry, or the one destination `dst` of it; ENOENT when there is none. */
const remove = (spec: FdbSpec): Request => change('del', spec, 0)

/** Which entries to read; the kernel does the filtering. */
export interface FdbFilter {
  /** Index of a VXLAN link or a port. */
  readonly index?: number | undefined
  /** Index of a bridge. */
  readonly bridge?: number | undefined
}

/** Reads forwarding entries. */
function list(filter: FdbFilter = {}): DumpRequest<Fdb> {
  const { index = 0, bridge } = filter
  return dumpRequest(
    RTM.getNeigh,
    (out) => {
      writeNdMsg(out, { family: AF.bridge, index, state: 0, flags: 0 })
      writeAttrs(out, neighAttrs, { master: bridge })
    },
    {
      text: words('fdb show', index > 0 && `dev if${index}`),
      missing: ['ENODEV'],
      decode: decodeFdb,
    },
  )
}

/** Requests about forwarding entries. */
export const fdb = { add, append, replace, remove, list } as const

/**
 * Reads RTM_NEWNEIGH and RTM_DELNEIGH of family AF_BRIDGE; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeFdb(message: Message): Fdb | undefined {
  if (message.type !== RTM.newNeigh && message.type !== RTM.delNeigh) return undefined
  const view = bodyOf(message, 'struct ndmsg', NDMSG_BYTES)
  const { family, index, state, flags } = readNdMsg(view)
  if (family !== AF.bridge) return undefined
  const attrs = readAttrs(neighAttrs, view, NDMSG_BYTES, view.byteLength)
  const { mac, dst, vlan, port, vni, srcVni, nexthopId } = attrs
  if (mac === undefined) return undefined
  return present({
    index,
    mac,
    dst,
    vlan,
    port,
    vni,
    srcVni,
    via: attrs.ifIndex,
    nexthopId,
    self: (flags & NTF.self) !== 0,
    // The kernel marks bridge entries by naming the bridge, not by the flag.
    master: (flags & NTF.master) !== 0 || attrs.master !== undefined,
    externLearn: (flags & NTF.externLearn) !== 0,
    sticky: (flags & NTF.sticky) !== 0,
    state: stateOf(state),
    bridge: attrs.master,
  }) as Fdb
}

/** As bridge(8) shows it: VXLAN entries say permanent and noarp, and mean permanent. */
function stateOf(state: number): FdbState {
  for (const [name, bit] of Object.entries(FDB_STATES)) {
    if ((state & bit) !== 0) return name as FdbState
  }
  return state
}

function change(verb: 'add' | 'append' | 'replace' | 'del', spec: FdbSpec, flags: number): Request {
  return changeRequest(
    verb === 'del' ? RTM.delNeigh : RTM.newNeigh,
    flags,
    () => textOf(verb, spec),
    (out) => {
      const { index, mac, dst, vlan, port, vni, srcVni, nexthopId } = spec
      const state = numberOf(FDB_STATES, spec.state ?? 'permanent', 'state')
      writeNdMsg(out, {
        family: AF.bridge,
        index,
        state: WIRE_STATES.get(state) ?? state,
        flags: flagsOf(spec),
      })
      const attrs = { dst, mac, vlan, port, vni, ifIndex: spec.via, srcVni, nexthopId }
      writeAttrs(out, neighAttrs, attrs)
    },
  )
}

/** bridge(8) sends `permanent` and `static` as two bits each, and so do we. */
const WIRE_STATES: ReadonlyMap<number, number> = new Map([
  [NUD.permanent, NUD.permanent | NUD.noarp],
  [NUD.noarp, NUD.noarp | NUD.reachable],
])

function flagsOf(spec: FdbSpec): number {
  return (
    ((spec.self ?? !spec.master) ? NTF.self : 0) |
    (spec.master ? NTF.master : 0) |
    (spec.externLearn ? NTF.externLearn : 0) |
    (spec.sticky ? NTF.sticky : 0)
  )
}

function textOf(verb: string, spec: FdbSpec): string {
  return words(
    `fdb ${verb} ${spec.mac} dev if${spec.index}`,
    word('dst', spec.dst),
    word('vlan', spec.vlan),
    word('port', spec.port),
    word('vni', spec.vni),
    word('src_vni', spec.srcVni),
    spec.via !== undefined && `via if${spec.via}`,
    spec.master && 'master',
    spec.self && 'self',
    spec.state,
  )
}
