/**
 * A speaker's configuration in FRR's words, for plans and goldens.
 *
 * @module
 */
import type { PeerConfig, SpeakerConfig } from '../../bgp/config.ts'
import type { Policy, PrefixRange } from '../../bgp/policy/policy.ts'
import { prefixFamily, prefixLength } from '../../net/mod.ts'

/** Lines of `router bgp`; a neighbour is one line. */
export function speakerLines(config: SpeakerConfig): readonly string[] {
  const { asn, routerId, clusterId, multipath = 1, peers, originate } = config
  return [
    `router bgp ${asn}`,
    ` bgp router-id ${routerId}`,
    ...(clusterId === undefined ? [] : [` bgp cluster-id ${clusterId}`]),
    ` maximum-paths ${multipath}`,
    ...peers.map((peer) => ` ${peerWords(peer)}`),
    ...originate.map(({ prefix }) => ` network ${prefix}`),
  ]
}

function peerWords(peer: PeerConfig): string {
  const { address, asn, description, localAddress, port, isClient, bfd, families } = peer
  const { ttlSecurityHops, nextHops = {}, gracefulRestart, importPolicy, exportPolicy } = peer
  const hops = Object.values(nextHops)
  return [
    `neighbor ${address} remote-as ${asn}`,
    ...(port === undefined ? [] : [`port ${port}`]),
    ...(localAddress === undefined ? [] : [`update-source ${localAddress}`]),
    ...(hops.length === 0 ? [] : [`next-hop ${hops.join(' ')}`]),
    ...(families === undefined ? [] : [`address-family ${families.join(' ')}`]),
    ...(isClient === true ? ['route-reflector-client'] : []),
    ...(ttlSecurityHops === undefined ? [] : [`ttl-security hops ${ttlSecurityHops}`]),
    ...(bfd === undefined ? [] : [`bfd ${bfd.intervalMs} ms x ${bfd.multiplier}`]),
    ...(gracefulRestart === false ? ['graceful-restart-disable'] : []),
    `maximum-prefix ${peer.prefixesMax?.ipv4?.count}`,
    `route-map ${importPolicy?.name} in`,
    `route-map ${exportPolicy?.name} out`,
    `description ${description}`,
  ].join(' ')
}

/** Lines of the policies that the configuration names, each once. */
export function policyLines({ peers }: SpeakerConfig): readonly string[] {
  const named = new Map(
    peers
      .flatMap(({ importPolicy, exportPolicy }) => [importPolicy, exportPolicy])
      .flatMap((policy) => (policy === undefined ? [] : [[policy.name, policy] as const])),
  )
  return [...named.values()].flatMap(linesOf)
}

function linesOf({ name, rules, otherwise }: Policy): readonly string[] {
  const lines = rules.map(({ name: rule, when = {}, action = 'accept' }) => {
    const { sources = [], prefixes } = when
    const from = sources.map((source) => ` source ${source}`).join('')
    const lists =
      prefixes === undefined ? '' : ` ip ${prefixes.map(rangeWords).join(', ') || 'none'}`
    return `route-map ${name} ${action === 'accept' ? 'permit' : 'deny'}${from}${lists} (${rule})`
  })
  return [...lines, `route-map ${name} ${otherwise === 'accept' ? 'permit' : 'deny'}`]
}

function rangeWords({ prefix, ge, le }: PrefixRange): string {
  const bits = prefixFamily(prefix) === 4 ? 32 : 128
  const length = prefixLength(prefix)
  const low = ge === undefined || ge === length ? '' : ` ge ${ge}`
  const high =
    le === undefined || (le === length && ge === undefined) || length === bits ? '' : ` le ${le}`
  return `${prefix}${low}${high}`
}
