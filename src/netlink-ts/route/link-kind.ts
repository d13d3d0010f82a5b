/**
 * IFLA_LINKINFO: what kind a link is, the attributes of that kind, and those of
 * its membership in a master. A new kind is one table and one line in `tables`.
 *
 * Source: include/uapi/linux/if_link.h, enum IFLA_INFO_*.
 *
 * @module
 */
import { type AttrTable, attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { type Codec, string } from '../codecs.ts'
import type { Writer } from '../writer.ts'
import { type BridgeKind, type BridgePort, bridgeAttrs, bridgePortAttrs } from './link-bridge.ts'
import { type VethKind, writeVeth } from './link-veth.ts'
import {
  type IpvlanKind,
  ipvlanAttrs,
  type MacvlanKind,
  macvlanAttrs,
  type VlanKind,
  vlanAttrs,
} from './link-vlan.ts'
import { type VxlanKind, vxlanAttrs } from './link-vxlan.ts'

const NLA_F_NESTED = 0x8000
const INFO = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const // IFLA_INFO_*

/** A link without settings of its own. */
export interface DummyKind {
  readonly type: 'dummy'
}

/** A link that redirected packets pass through, to be queued. It has no settings. */
export interface IfbKind {
  readonly type: 'ifb'
}

/** Every kind of link this package can create, with its settings. */
export type LinkKind =
  | VethKind
  | VxlanKind
  | BridgeKind
  | VlanKind
  | MacvlanKind
  | IpvlanKind
  | DummyKind
  | IfbKind

/** What IFLA_LINKINFO says about a link. */
export interface LinkInfo {
  /** The kernel's name of the kind, also of kinds this package does not know. */
  readonly kind?: string | undefined
  /** Settings, for the kinds this package knows. */
  readonly data?: LinkKind | undefined
  readonly bridgePort?: BridgePort | undefined
}

/** Tables of the kinds that have one. */
export const kindTables = {
  vxlan: vxlanAttrs,
  bridge: bridgeAttrs,
  vlan: vlanAttrs,
  macvlan: macvlanAttrs,
  ipvlan: ipvlanAttrs,
} as const

const isTabled = (kind: string): kind is keyof typeof kindTables => Object.hasOwn(kindTables, kind)

/** The payload of IFLA_LINKINFO. */
export const linkInfo: Codec<LinkInfo> = {
  write(out, { kind, data, bridgePort }) {
    const type = data?.type ?? kind
    if (type !== undefined) writeString(out, INFO.kind, type)
    if (data !== undefined) {
      const start = out.beginAttr(INFO.data | NLA_F_NESTED)
      writeKind(out, data)
      if (out.length === start + 4) out.length = start
      else out.endAttr(start)
    }
    if (bridgePort === undefined) return
    writeString(out, INFO.slaveKind, 'bridge')
    const start = out.beginAttr(INFO.slaveData | NLA_F_NESTED)
    writeAttrs(out, bridgePortAttrs, bridgePort)
    out.endAttr(start)
  },
  read(view, offset, length) {
    const parts = readAttrs(infoAttrs, view, offset, offset + length)
    const info: { -readonly [K in keyof LinkInfo]: LinkInfo[K] } = {}
    if (parts.kind !== undefined) {
      info.kind = parts.kind
      const data = readKind(view, parts.kind, parts.data)
      if (data !== undefined) info.data = data
    }
    if (parts.slaveKind === 'bridge' && parts.slaveData !== undefined) {
      const { start, end } = parts.slaveData
      info.bridgePort = readAttrs(bridgePortAttrs, view, start, end)
    }
    return info
  },
}

interface Span {
  readonly start: number
  readonly end: number
}

/** Where a payload lies: what is in it depends on an attribute that may follow it. */
const span: Codec<Span> = {
  write: () => {},
  read: (_view, offset, length) => ({ start: offset, end: offset + length }),
}

const infoAttrs = attrTable({
  kind: attr(INFO.kind, string),
  data: attr(INFO.data, span),
  slaveKind: attr(INFO.slaveKind, string),
  slaveData: attr(INFO.slaveData, span),
})

function writeString(out: Writer, type: number, text: string): void {
  const start = out.beginAttr(type)
  string.write(out, text, 'kind')
  out.endAttr(start)
}

function writeKind(out: Writer, kind: LinkKind): void {
  if (kind.type === 'veth') writeVeth(out, kind)
  // The table is the kind's own; TypeScript cannot pair the two through the index.
  else if (isTabled(kind.type)) writeAttrs(out, kindTables[kind.type] as AttrTable, kind)
}

function readKind(view: DataView, kind: string, data: Span | undefined): LinkKind | undefined {
  if (kind === 'veth' || kind === 'dummy' || kind === 'ifb') return { type: kind }
  if (!isTabled(kind) || data === undefined) return undefined
  const table = kindTables[kind] as AttrTable
  return { type: kind, ...readAttrs(table, view, data.start, data.end) } as LinkKind
}
