/**
 * Expressions for what rules usually match and do. Each returns a list; a rule's
 * expressions are these lists, one after the other (`exprs(...)`).
 *
 * A header field means something only in packets of its protocol, so a match
 * checks that first, in the way nft does: by `meta nfproto` in inet tables, by
 * `meta protocol` in bridge and netdev ones, not at all in ip and ip6 ones.
 *
 * @module
 */
import { parseIp, parsePrefix } from '../ip.ts'
import { HOST_LITTLE } from '../writer.ts'
import { toHex } from './codecs.ts'
import type { Family } from './constants.ts'
import type { CmpOp } from './expr/compare.ts'
import { FIB_TYPES } from './expr/load.ts'
import type { Expr } from './expr/mod.ts'
import type { NatFlag } from './expr/nat.ts'
import {
  FIELDS,
  type FieldInfo,
  guards,
  IFNAME_BYTES,
  L4PROTO,
  loadKey,
  type MatchField,
  NFPROTO,
} from './match-field.ts'

/** Expressions of one match or action. */
export type Exprs = readonly Expr[]

/**
 * Joins matches and actions to a rule's expressions. What a packet must be is
 * checked once, however many matches want it.
 */
export function exprs(...parts: readonly Exprs[]): Exprs {
  const all = parts.flat()
  const known = new Set<string>()
  const out: Expr[] = []
  for (let i = 0; i < all.length; i++) {
    const check = checkAt(all, i)
    if (check === undefined) {
      out.push(all[i]!)
    } else {
      if (!known.has(check)) out.push(all[i]!, all[i + 1]!)
      known.add(check)
      i++
    }
  }
  return out
}

const PROTOCOLS: ReadonlySet<unknown> = new Set(['nfproto', 'protocol', 'l4proto'])

/** The check of a protocol that begins at `i`, as text; undefined when none does. */
function checkAt(all: Exprs, i: number): string | undefined {
  const [load, cmp] = [all[i], all[i + 1]]
  if (load?.type !== 'meta' || load.dreg !== undefined || !PROTOCOLS.has(load.key)) return undefined
  if (cmp?.type !== 'cmp' || cmp.op !== 'eq' || cmp.sreg !== undefined) return undefined
  return `${load.key} ${cmp.value}`
}

/** Bits of `ct state`. Source: include/uapi/linux/netfilter/nf_conntrack_common.h. */
const CT_STATES = {
  invalid: 1,
  established: 2,
  related: 4,
  new: 8,
  untracked: 64,
} as const

/** A connection's state, by nft's name. */
export type CtState = keyof typeof CT_STATES

/** The matches of tables of one family. */
export const matchIn = (family: Family) => ({
  ...anyFamily,
  ...headersOf(family),
  ...lookupsOf(family),
})

/** Matches that need no guard. */
const anyFamily = {
  iifname: (name: string, op: CmpOp = 'eq'): Exprs => compareName('iifname', name, op),
  oifname: (name: string, op: CmpOp = 'eq'): Exprs => compareName('oifname', name, op),
  nfproto: (proto: 'ipv4' | 'ipv6', op: CmpOp = 'eq'): Exprs => [
    { type: 'meta', key: 'nfproto' },
    { type: 'cmp', op, value: proto === 'ipv4' ? NFPROTO.ip : NFPROTO.ip6 },
  ],
  l4proto: (proto: keyof typeof L4PROTO, op: CmpOp = 'eq'): Exprs => [
    { type: 'meta', key: 'l4proto' },
    { type: 'cmp', op, value: L4PROTO[proto] },
  ],
  /** `mask` keeps some bits of the mark: `meta mark & 0xff == 0x10`. */
  mark: (value: number, mask?: number, op: CmpOp = 'eq'): Exprs => [
    { type: 'meta', key: 'mark' },
    ...(mask === undefined ? [] : [{ type: 'bitwise', mask: hostHex(mask) } as const]),
    { type: 'cmp', op, value: hostHex(value) },
  ],
  ctState: (...states: readonly CtState[]): Exprs => [
    { type: 'ct', key: 'state' },
    { type: 'bitwise', mask: hostHex(states.reduce((sum, state) => sum | CT_STATES[state], 0)) },
    { type: 'cmp', op: 'neq', value: hostHex(0) },
  ],
  /** `fib daddr type local` */
  fibType: (flag: 'saddr' | 'daddr', type: keyof typeof FIB_TYPES, op: CmpOp = 'eq'): Exprs => [
    { type: 'fib', result: 'type', flags: [flag] },
    { type: 'cmp', op, value: hostHex(FIB_TYPES[type]) },
  ],
} as const

function headersOf(family: Family) {
  const address =
    (field: MatchField) =>
    (value: string, op: CmpOp = 'eq'): Exprs => [
      ...guards(family, FIELDS[field]),
      ...compareAddress(FIELDS[field], value, op),
    ]
  const port =
    (field: MatchField) =>
    (value: number | PortRange): Exprs => [
      ...guards(family, FIELDS[field]),
      FIELDS[field].load(0),
      ...comparePort(value),
    ]
  return {
    /** An address or a prefix. */
    ipSaddr: address('ipSaddr'),
    ipDaddr: address('ipDaddr'),
    ip6Saddr: address('ip6Saddr'),
    ip6Daddr: address('ip6Daddr'),
    /** A port, or a range with both ends inclusive. */
    tcpSport: port('tcpSport'),
    tcpDport: port('tcpDport'),
    udpSport: port('udpSport'),
    udpDport: port('udpDport'),
  } as const
}

function lookupsOf(family: Family) {
  return {
    /** `iifname . ip saddr @set`; the fields in the order of the set's key. */
    lookup: (
      fields: readonly MatchField[],
      set: string,
      { inverted = false, setId }: LookupOptions = {},
    ): Exprs => [
      ...loadKey(family, fields),
      {
        type: 'lookup',
        set,
        ...(inverted ? { inverted } : {}),
        ...(setId === undefined ? {} : { setId }),
      },
    ],
    /** `ip saddr vmap @map`: does what the map says. */
    vmap: (fields: readonly MatchField[], map: string): Exprs => [
      ...loadKey(family, fields),
      { type: 'lookup', set: map, verdict: true },
    ],
  } as const
}

/** Ports, both ends inclusive. */
export interface PortRange {
  readonly from: number
  readonly to: number
}

/** Options of a lookup. */
export interface LookupOptions {
  /** Match what is not in the set. */
  readonly inverted?: boolean
  /** The id of an anonymous set in the same transaction. */
  readonly setId?: number
}

/** `accept`, `drop`, `return`, `jump base`: the end of a rule. */
export const verdict = {
  accept: [{ type: 'verdict', verdict: 'accept' }],
  drop: [{ type: 'verdict', verdict: 'drop' }],
  return: [{ type: 'verdict', verdict: 'return' }],
  jump: (chain: string): Exprs => [{ type: 'verdict', verdict: 'jump', chain }],
  goto: (chain: string): Exprs => [{ type: 'verdict', verdict: 'goto', chain }],
} as const satisfies Readonly<Record<string, Exprs | ((chain: string) => Exprs)>>

/** What a rule does besides deciding. */
export const action = {
  counter: [{ type: 'counter' }],
  notrack: [{ type: 'notrack' }],
  masquerade: (...flags: readonly NatFlag[]): Exprs => [
    flags.length === 0 ? { type: 'masq' } : { type: 'masq', flags },
  ],
  log: (prefix: string): Exprs => [{ type: 'log', prefix }],
  /** `meta mark set 0x10` */
  setMark: (mark: number): Exprs => [
    { type: 'immediate', value: hostHex(mark) },
    { type: 'metaSet', key: 'mark' },
  ],
  dnat: (address: string, port?: number): Exprs => natTo('dnat', address, port),
  snat: (address: string, port?: number): Exprs => natTo('snat', address, port),
  rejectTcp: [{ type: 'reject', with: 'tcpReset' }],
  /** ICMP or ICMPv6 "port unreachable", whichever fits the packet. */
  reject: [{ type: 'reject', with: 'icmpx', code: 1 }],
} as const

function compareName(key: 'iifname' | 'oifname', name: string, op: CmpOp): Exprs {
  const wildcard = name.endsWith('*')
  const text = new TextEncoder().encode(wildcard ? name.slice(0, -1) : name)
  if (text.length < 1 || text.length >= IFNAME_BYTES || text.includes(0)) {
    throw new RangeError(`Cannot match ${key} "${name}": wanted 1..${IFNAME_BYTES - 1} bytes`)
  }
  const bytes = new Uint8Array(wildcard ? text.length : IFNAME_BYTES)
  bytes.set(text)
  return [
    { type: 'meta', key },
    { type: 'cmp', op, value: toHex(bytes) },
  ]
}

/** A prefix of whole bytes loads only those; any other one is masked. */
function compareAddress(info: FieldInfo, text: string, op: CmpOp): Exprs {
  const { bytes, bits } = text.includes('/')
    ? parsePrefix(text)
    : { bytes: parseIp(text), bits: info.bytes * 8 }
  if (bytes.length !== info.bytes) {
    throw new RangeError(`Cannot match address ${text}: wanted ${info.bytes} bytes`)
  }
  const load = info.load(0)
  if (load.type === 'payload' && bits % 8 === 0 && bits > 0) {
    const length = bits / 8
    return [
      { ...load, length },
      { type: 'cmp', op, value: toHex(bytes.subarray(0, length)) },
    ]
  }
  const mask = bytes.map((_, i) => (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))) & 0xff)
  return [load, { type: 'bitwise', mask: toHex(mask) }, { type: 'cmp', op, value: toHex(bytes) }]
}

function comparePort(value: number | PortRange): Exprs {
  if (typeof value === 'number') return [{ type: 'cmp', op: 'eq', value: portHex(value) }]
  return [
    { type: 'cmp', op: 'gte', value: portHex(value.from) },
    { type: 'cmp', op: 'lte', value: portHex(value.to) },
  ]
}

function natTo(type: 'dnat' | 'snat', address: string, port: number | undefined): Exprs {
  const bytes = parseIp(address)
  const family = bytes.length === 4 ? 'ip' : 'ip6'
  const load: Expr = { type: 'immediate', value: toHex(bytes) }
  if (port === undefined) return [load, { type, family, address: 0 }]
  const portLoad: Expr = { type: 'immediate', value: portHex(port), dreg: 4 }
  return [load, portLoad, { type, family, address: 0, port: 4 }]
}

function portHex(port: number): string {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new RangeError(`Cannot match port ${port}: wanted 0..65535`)
  }
  return port.toString(16).padStart(4, '0')
}

/** A u32 in the machine's order. */
function hostHex(value: number): string {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, HOST_LITTLE)
  return toHex(bytes)
}

/** The matches of inet tables. */
export const match = matchIn('inet')
