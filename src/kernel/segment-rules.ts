/**
 * What a pod may send on a segment that it shares with strangers: frames from its own
 * MAC, with its own addresses in IP, ARP and neighbour discovery. The rules alone, in
 * nft's words and as expressions; who the sender is says whoever hangs them up: one pod's
 * values in nft-segment.ts, sets of all pods in nft-ports.ts.
 *
 * Everything else is dropped: frames with a VLAN tag, which the uplink would carry into
 * another VLAN; other protocols; advertisements and redirects of routers. Of
 * link-local addresses a pod has the one that its MAC gives (RFC 4291 appendix A).
 *
 * Whoever sends raw frames chooses what the kernel takes them for, so rules read the
 * frame itself.
 *
 * @module
 */
import { type Ip, ipFromInteger, type Mac, octetsOfMac } from '../net/mod.ts'

/** The few expressions of nf_tables that rules are made of, as netlink-ts spells them. */
export type Expression =
  | {
      readonly type: 'payload'
      readonly base: 'link' | 'transport'
      readonly offset: number
      readonly length: number
      /** Of four bytes each. @default 0 */
      readonly dreg?: number
    }
  | { readonly type: 'meta'; readonly key: 'iifname' | 'l4proto' | 'protocol' }
  | { readonly type: 'cmp'; readonly op: 'eq' | 'neq'; readonly value: string }
  | { readonly type: 'lookup'; readonly set: string; readonly inverted?: true }
  | { readonly type: 'verdict'; readonly verdict: 'accept' | 'drop' }

/** A match, a decision or a whole rule. */
export interface Words {
  readonly text: string
  readonly expressions: readonly Expression[]
}

/** A field of a header. */
export interface Field {
  readonly text: string
  readonly base: 'link' | 'transport'
  readonly offset: number
  readonly length: number
}

/** How rules know a sender's own. Where several matches are given, each is an alternative. */
export interface Sender {
  foreignMac(field: Field): Words
  own4(field: Field): readonly Words[]
  own6(field: Field): readonly Words[]
  foreign6(field: Field): Words
}

const link = (text: string, offset: number, length: number): Field => ({
  ...{ text, base: 'link', offset, length },
})

/** Offsets from the beginning of an Ethernet frame: RFC 894, RFC 826, RFC 791, RFC 8200. */
const FIELD = {
  source: link('ether saddr', 6, 6),
  type: link('ether type', 12, 2),
  arpMac: link('arp saddr ether', 22, 6),
  arpIp: link('arp saddr ip', 28, 4),
  ip4: link('ip saddr', 26, 4),
  ip6: link('ip6 saddr', 22, 16),
  icmpType: { text: 'icmpv6 type', base: 'transport', offset: 0, length: 1 },
  // RFC 4861 section 4.4.
  target: { text: 'icmpv6 taddr', base: 'transport', offset: 8, length: 16 },
} as const satisfies Record<string, Field>

const TYPE = {
  ip4: { text: 'ip', value: '0800' },
  arp: { text: 'arp', value: '0806' },
  ip6: { text: 'ip6', value: '86dd' },
} as const
const ICMPV6 = '3a'
/** ICMPv6 types: RFC 4861 section 4. */
const ND = {
  routerAdvert: { text: 'nd-router-advert', value: '86' },
  neighbourAdvert: { text: 'nd-neighbor-advert', value: '88' },
  redirect: { text: 'nd-redirect', value: '89' },
} as const

interface Literal {
  readonly text: string
  /** In hexadecimal. */
  readonly value: string
}

/** Loads a field. */
export const load = ({ base, offset, length }: Field, dreg?: number): readonly Expression[] => [
  { type: 'payload', base, offset, length, ...(dreg === undefined ? {} : { dreg }) },
]

/** Compares a field with a value. */
export function compare(field: Field, { text, value }: Literal, op: 'eq' | 'neq' = 'eq'): Words {
  return {
    text: `${field.text} ${op === 'eq' ? '' : '!= '}${text}`,
    expressions: [...load(field), { type: 'cmp', op, value }],
  }
}

const ofType = (type: Literal): Words => compare(FIELD.type, type)
const icmpType = (type: Literal): readonly Words[] => [
  ofType(TYPE.ip6),
  {
    text: 'meta l4proto icmpv6',
    expressions: [
      { type: 'meta', key: 'l4proto' },
      { type: 'cmp', op: 'eq', value: ICMPV6 },
    ],
  },
  compare(FIELD.icmpType, type),
]
const takenForOther = (type: Literal): readonly Words[] => [
  ofType(type),
  {
    text: `meta protocol != ${type.text}`,
    expressions: [
      { type: 'meta', key: 'protocol' },
      { type: 'cmp', op: 'neq', value: type.value },
    ],
  },
]

export const accept: Words = {
  text: 'accept',
  expressions: [{ type: 'verdict', verdict: 'accept' }],
}
export const drop: Words = { text: 'drop', expressions: [{ type: 'verdict', verdict: 'drop' }] }

/** Matches and a decision, one behind the other. */
export const rule = (...parts: readonly Words[]): Words => ({
  text: parts.map(({ text }) => text).join(' '),
  expressions: parts.flatMap(({ expressions }) => expressions),
})

const NOBODY4: Literal = { text: '0.0.0.0', value: '00000000' }
const NOBODY6: Literal = { text: '::', value: '0'.repeat(32) }

/** The rules, in order; what none of them accepts is to be dropped. */
export function segmentRules({ foreignMac, own4, own6, foreign6 }: Sender): readonly Words[] {
  const { arp, ip4, ip6 } = TYPE
  return [
    rule(foreignMac(FIELD.source), drop),
    rule(ofType(arp), foreignMac(FIELD.arpMac), drop),
    // A probe speaks for nobody: RFC 5227 section 2.1.1.
    ...[...own4(FIELD.arpIp), compare(FIELD.arpIp, NOBODY4)].map((own) =>
      rule(ofType(arp), own, accept),
    ),
    // Where the kernel was told another protocol, it has not looked for what is behind the header.
    rule(...takenForOther(ip4), drop),
    rule(...takenForOther(ip6), drop),
    ...own4(FIELD.ip4).map((own) => rule(ofType(ip4), own, accept)),
    rule(...icmpType(ND.routerAdvert), drop),
    rule(...icmpType(ND.redirect), drop),
    rule(...icmpType(ND.neighbourAdvert), foreign6(FIELD.target), drop),
    // From nobody: duplicate address detection, RFC 4862 section 5.4.2.
    ...[...own6(FIELD.ip6), compare(FIELD.ip6, NOBODY6)].map((own) =>
      rule(ofType(ip6), own, accept),
    ),
  ]
}

export const hexOf = (octets: Uint8Array): string =>
  [...octets].map((each) => each.toString(16).padStart(2, '0')).join('')

/** Modified EUI-64: the universal bit turned, ff:fe in the middle. */
export function linkLocalOf(mac: Mac): Ip {
  const [first = 0, ...rest] = octetsOfMac(mac)
  const id = Uint8Array.of(first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2))
  return ipFromInteger(6, BigInt(`0xfe80${'0'.repeat(12)}${hexOf(id)}`))
}
