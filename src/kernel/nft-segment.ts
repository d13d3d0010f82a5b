/**
 * The guard of a pod's macvlan: the rules of segment-rules.ts with the pod's own values.
 * A netdev table of nftables on the pod's link, inside the pod's namespace, where all of
 * a macvlan is: void for pods that may change it (NET_ADMIN). Needs the egress hook of
 * Linux 5.16.
 *
 * @module
 */
import { nft } from 'netlink-ts'
import { type Ip, ipFamily, ipToInteger, octetsOfMac } from '../net/mod.ts'
import { compare, hexOf, linkLocalOf, rule, segmentRules } from './segment-rules.ts'
import type { SegmentGuard } from './state.ts'

/** A table a link, so that one goes without the others. */
export const guardTable = (link: string): string => `trivium-${link}`
const CHAIN = 'leaving'

/** The rules, in order; what none of them accepts is dropped. */
export function guardRules({ mac, ips }: SegmentGuard): readonly nft.Exprs[] {
  const own = { text: mac, value: hexOf(octetsOfMac(mac)) }
  const fours = ips.filter((ip) => ipFamily(ip) === 4).map(literal)
  const sixes = [...ips.filter((ip) => ipFamily(ip) === 6), linkLocalOf(mac)].map(literal)
  const rules = segmentRules({
    foreignMac: (field) => compare(field, own, 'neq'),
    own4: (field) => fours.map((ip) => compare(field, ip)),
    own6: (field) => sixes.map((ip) => compare(field, ip)),
    foreign6: (field) => rule(...sixes.map((ip) => compare(field, ip, 'neq'))),
  })
  return rules.map(({ expressions }) => expressions)
}

const literal = (ip: Ip): { readonly text: string; readonly value: string } => {
  const value = ipToInteger(ip).toString(16)
  return { text: ip, value: value.padStart(ipFamily(ip) === 4 ? 8 : 32, '0') }
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
