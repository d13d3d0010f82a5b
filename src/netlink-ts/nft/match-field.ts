/**
 * Fields of packets: how each is loaded into a register, and what a packet must
 * be for the field to mean something.
 *
 * @module
 */
import type { Family } from './constants.ts'
import type { MetaKey } from './expr/load.ts'
import type { Expr } from './expr/mod.ts'

/** A field of a packet, as the key of a lookup can use it. */
export type MatchField =
  | 'iifname'
  | 'oifname'
  | 'mark'
  | 'l4proto'
  | 'ipSaddr'
  | 'ipDaddr'
  | 'ip6Saddr'
  | 'ip6Daddr'
  | 'etherSaddr'
  | 'etherDaddr'
  | 'tcpSport'
  | 'tcpDport'
  | 'udpSport'
  | 'udpDport'
  | 'thSport'
  | 'thDport'

/** Of `meta protocol`. */
const ETHERTYPE = { ip: '0800', ip6: '86dd' } as const
/** Of `meta nfproto`. */
export const NFPROTO = { ip: '02', ip6: '0a' } as const
/** Of `meta l4proto`. */
export const L4PROTO = { tcp: '06', udp: '11', icmp: '01', icmpv6: '3a' } as const
/** IFNAMSIZ: names are loaded whole, filled with zeroes. */
export const IFNAME_BYTES = 16

/** What a packet must be. */
export type Guard = { readonly l3?: 'ip' | 'ip6'; readonly l4?: 'tcp' | 'udp' }

/** How a field is loaded. */
export interface FieldInfo extends Guard {
  /** Bytes in the register. */
  readonly bytes: number
  load(dreg: number): Expr
}

const metaField = (key: MetaKey, bytes: number): FieldInfo => ({
  bytes,
  load: (dreg) => ({ type: 'meta', key, ...at(dreg) }),
})

const header = (
  base: 'link' | 'network' | 'transport',
  offset: number,
  bytes: number,
  guard: Guard = {},
): FieldInfo => ({
  ...guard,
  bytes,
  load: (dreg) => ({ type: 'payload', base, offset, length: bytes, ...at(dreg) }),
})

/** Every field. */
export const FIELDS: Readonly<Record<MatchField, FieldInfo>> = {
  iifname: metaField('iifname', IFNAME_BYTES),
  oifname: metaField('oifname', IFNAME_BYTES),
  mark: metaField('mark', 4),
  l4proto: metaField('l4proto', 1),
  ipSaddr: header('network', 12, 4, { l3: 'ip' }),
  ipDaddr: header('network', 16, 4, { l3: 'ip' }),
  ip6Saddr: header('network', 8, 16, { l3: 'ip6' }),
  ip6Daddr: header('network', 24, 16, { l3: 'ip6' }),
  etherSaddr: header('link', 6, 6),
  etherDaddr: header('link', 0, 6),
  tcpSport: header('transport', 0, 2, { l4: 'tcp' }),
  tcpDport: header('transport', 2, 2, { l4: 'tcp' }),
  udpSport: header('transport', 0, 2, { l4: 'udp' }),
  udpDport: header('transport', 2, 2, { l4: 'udp' }),
  thSport: header('transport', 0, 2),
  thDport: header('transport', 2, 2),
}

const at = (dreg: number): { readonly dreg?: number } => (dreg === 0 ? {} : { dreg })

/** The expressions that make sure, in tables of a family. */
export function guards(family: Family, { l3, l4 }: Guard): readonly Expr[] {
  const out: Expr[] = []
  if (l3 !== undefined && family === 'inet') {
    out.push({ type: 'meta', key: 'nfproto' }, { type: 'cmp', op: 'eq', value: NFPROTO[l3] })
  } else if (l3 !== undefined && (family === 'bridge' || family === 'netdev')) {
    out.push({ type: 'meta', key: 'protocol' }, { type: 'cmp', op: 'eq', value: ETHERTYPE[l3] })
  }
  if (l4 !== undefined) {
    out.push({ type: 'meta', key: 'l4proto' }, { type: 'cmp', op: 'eq', value: L4PROTO[l4] })
  }
  return out
}

/** Loads the fields of a key, each into the registers behind the one before. */
export function loadKey(family: Family, fields: readonly MatchField[]): readonly Expr[] {
  const infos = fields.map((field) => FIELDS[field])
  const l4 = infos.find((info) => info.l4 !== undefined)?.l4
  const l3 = infos.find((info) => info.l3 !== undefined)?.l3
  const loads: Expr[] = []
  let register = 0
  for (const info of infos) {
    loads.push(info.load(register))
    register += Math.ceil(info.bytes / 4)
  }
  return [...(l4 ? guards(family, { l4 }) : []), ...(l3 ? guards(family, { l3 }) : []), ...loads]
}
