/** Speakers for tests: short configurations, and what is asked of them in one line. */
import type { Attributes } from '../../../src/bgp/attributes.ts'
import type { Originated, PeerConfig, SpeakerConfig } from '../../../src/bgp/config.ts'
import type { Family } from '../../../src/bgp/nlri.ts'
import type { Policy } from '../../../src/bgp/policy/policy.ts'
import type { SpeakerNode } from '../../../src/bgp/speaker/in-memory.ts'
import { type Ip, parseIp, parsePrefix } from '../../../src/net/mod.ts'

export const ip = (text: string): Ip => parseIp(text)

export const ALL: Policy = { name: 'all', rules: [], otherwise: 'accept' }

/** A peer that is told everything and believes everything. */
export const peer = (address: string, asn: number, more: Partial<PeerConfig> = {}): PeerConfig => ({
  address: ip(address),
  asn,
  importPolicy: ALL,
  exportPolicy: ALL,
  ...more,
})

export const own = (prefix: string, attributes?: Partial<Attributes>): Originated => ({
  prefix: parsePrefix(prefix),
  ...(attributes && { attributes }),
})

/** Speaker `number` of AS `asn`, at 192.0.2.`number` and 2001:db8::`number`. */
export const speaker = (
  number: number,
  asn: number,
  peers: readonly PeerConfig[],
  originate: readonly string[] = [],
  more: Partial<SpeakerConfig> = {},
): SpeakerConfig => ({
  asn,
  routerId: ip(`192.0.2.${number}`),
  peers,
  originate: originate.map((prefix) => own(prefix)),
  ...more,
})

export const at = (number: number): readonly string[] => [
  `192.0.2.${number}`,
  `2001:db8::${number}`,
]

/** `PREFIX via NEXTHOP path`, sorted. */
export function table({ speaker }: SpeakerNode, family: Family = 'ipv4'): readonly string[] {
  return [...speaker.routes(family)]
    .map(({ prefix, best: { attributes } }) => {
      const path = attributes.asPath.flatMap(({ asns }) => asns).join(' ')
      return `${prefix} via ${attributes.nextHop} ${path}`.trimEnd()
    })
    .sort()
}
