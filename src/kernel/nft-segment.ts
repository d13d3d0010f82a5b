/**
 * What a pod may send on a segment that it shares with strangers: frames from its own
 * MAC, with its own addresses in IP, ARP and neighbour discovery. A netdev table of
 * nftables on the pod's link, inside the pod's namespace, where all of a macvlan is:
 * void for pods that may change it (NET_ADMIN).
 *
 * Everything else is dropped: frames with a VLAN tag, which the uplink would carry into
 * another VLAN; other protocols; advertisements and redirects of routers. Of
 * link-local addresses a pod has the one that its MAC gives (RFC 4291 appendix A).
 *
 * Whoever sends raw frames chooses what the kernel takes them for, so rules read the
 * frame itself. Needs the egress hook of Linux 5.16.
 *
 * @module
 */
import { nft } from 'netlink-ts'
import { type Ip, ipFamily, ipToInteger, type Mac, octetsOfMac } from '../net/mod.ts'
import type { SegmentGuard } from './state.ts'

/** A table a link, so that one goes without the others. */
export const guardTable = (link: string): string => `trivium-${link}`
const CHAIN = 'leaving'

type Rule = nft.Exprs

/** Offsets from the beginning of an Ethernet frame: RFC 894, RFC 826, RFC 791, RFC 8200. */
const AT = { source: 6, type: 12, arpMac: 22, arpIp: 28, ip4: 26, ip6: 22 } as const
/** From the beginning of an ICMPv6 message: RFC 4861 section 4.4. */
const TARGET = 8
const TYPE = { ip4: '0800', arp: '0806', ip6: '86dd' } as const
const ICMPV6 = '3a'
/** ICMPv6 types: RFC 4861 section 4. */
const ND = { routerAdvert: '86', neighbourAdvert: '88', redirect: '89' } as const

const field = (offset: number, value: string, op: 'eq' | 'neq' = 'eq'): Rule => [
  { type: 'payload', base: 'link', offset, length: value.length / 2 },
  { type: 'cmp', op, value },
]
const ofType = (type: string): Rule => field(AT.type, type)
const icmp = (offset: number, value: string, op: 'eq' | 'neq' = 'eq'): Rule => [
  { type: 'payload', base: 'transport', offset, length: value.length / 2 },
  { type: 'cmp', op, value },
]
const icmpType = (type: string): Rule => [
  ...ofType(TYPE.ip6),
  { type: 'meta', key: 'l4proto' },
  { type: 'cmp', op: 'eq', value: ICMPV6 },
  ...icmp(0, type),
]
const takenFor = (type: string): Rule => [
  ...ofType(type),
  { type: 'meta', key: 'protocol' },
  { type: 'cmp', op: 'neq', value: type },
]

const { accept, drop } = nft.verdict

/** The rules, in order; what none of them accepts is dropped. */
export function guardRules({ mac, ips }: SegmentGuard): readonly Rule[] {
  const own = hexOf(octetsOfMac(mac))
  const fours = ips.filter((ip) => ipFamily(ip) === 4).map(hexOfIp)
  const sixes = [...ips.filter((ip) => ipFamily(ip) === 6).map(hexOfIp), linkLocal(mac)]
  return [
    [...field(AT.source, own, 'neq'), ...drop],
    [...ofType(TYPE.arp), ...field(AT.arpMac, own, 'neq'), ...drop],
    // A probe speaks for nobody: RFC 5227 section 2.1.1.
    ...[...fours, '00000000'].map((ip) => [...ofType(TYPE.arp), ...field(AT.arpIp, ip), ...accept]),
    // Where the kernel was told another protocol, it has not looked for what is behind the header.
    [...takenFor(TYPE.ip4), ...drop],
    [...takenFor(TYPE.ip6), ...drop],
    ...fours.map((ip) => [...ofType(TYPE.ip4), ...field(AT.ip4, ip), ...accept]),
    [...icmpType(ND.routerAdvert), ...drop],
    [...icmpType(ND.redirect), ...drop],
    [...icmpType(ND.neighbourAdvert), ...sixes.flatMap((ip) => icmp(TARGET, ip, 'neq')), ...drop],
    // From nobody: duplicate address detection, RFC 4862 section 5.4.2.
    ...[...sixes, '0'.repeat(32)].map((ip) => [
      ...ofType(TYPE.ip6),
      ...field(AT.ip6, ip),
      ...accept,
    ]),
  ]
}

/** One transaction: whatever stood there is replaced. */
export function guardRequests(guard: SegmentGuard): readonly nft.NftRequest[] {
  const table = { family: 'netdev', name: guardTable(guard.link) } as const
  const place = { family: 'netdev', table: table.name } as const
  return [
    nft.table.add(table),
    nft.table.remove(table),
    nft.table.add(table),
    nft.chain.add({
      ...place,
      name: CHAIN,
      type: 'filter',
      hook: 'egress',
      priority: 0,
      policy: 'drop',
      devices: [guard.link],
    }),
    ...guardRules(guard).map((expressions) =>
      nft.rule.add({ ...place, chain: CHAIN, expressions, comment: undefined }),
    ),
  ]
}

/** Takes it away, if it is there. */
export function unguardRequests(link: string): readonly nft.NftRequest[] {
  const table = { family: 'netdev', name: guardTable(link) } as const
  return [nft.table.add(table), nft.table.remove(table)]
}

/** What is wrong with a guard, as the end of a sentence; undefined: nothing. */
export function guardFlaw(guard: SegmentGuard, conn: nft.NftConn): string | undefined {
  const place = { family: 'netdev', table: guardTable(guard.link) } as const
  const chain = conn.dump(nft.chain.list(place)).find(({ name }) => name === CHAIN)
  if (chain === undefined) return 'it is missing'
  const isOnLink = chain.devices?.includes(guard.link) === true && chain.hook === 'egress'
  if (!isOnLink || chain.policy !== 'drop') return 'it does not hang on the link'
  const found = conn.dump(nft.rule.list(place)).map(({ expressions }) => expressions)
  const isSame = JSON.stringify(found) === JSON.stringify(guardRules(guard))
  return isSame ? undefined : 'its rules are others'
}

const hexOf = (octets: Uint8Array): string =>
  [...octets].map((each) => each.toString(16).padStart(2, '0')).join('')

const hexOfIp = (ip: Ip): string =>
  ipToInteger(ip)
    .toString(16)
    .padStart(ipFamily(ip) === 4 ? 8 : 32, '0')

/** Modified EUI-64: the universal bit turned, ff:fe in the middle. */
function linkLocal(mac: Mac): string {
  const [first = 0, ...rest] = octetsOfMac(mac)
  const id = Uint8Array.of(first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2))
  return `fe80${'0'.repeat(12)}${hexOf(id)}`
}
