/**
 * Who speaks BGP with whom: from a scenario's fabric to speakers, sessions and the
 * configuration of each.
 *
 * | sessions   | who with whom                                                   | AS numbers             |
 * |------------|-----------------------------------------------------------------|------------------------|
 * | fabric     | a node with its top-of-rack switch, switches along their links  | as RFC 7938 section 5.2 |
 * | reflectors | every node and switch with some of the nodes (RFC 4456)         | one                    |
 * | mesh       | every node and switch with every other                          | one                    |
 *
 * In `fabric` switches know racks by what top-of-rack switches announce. Elsewhere they
 * know them by the interior protocol, which finds the nodes that are next hops, too.
 *
 * @module
 */

import type { PeerConfig, SpeakerConfig } from '../../src/bgp/config.ts'
import { ownRoutes } from '../../src/bgp/policy/own-routes.ts'
import type { Policy, PrefixRange } from '../../src/bgp/policy/policy.ts'
import type { CostOf } from '../../src/bgp/rib/mod.ts'
import type { NetworkRecord } from '../../src/cluster/view.ts'
import { invariant } from '../../src/errors.ts'
import {
  ADDRESS_BITS,
  addressAt,
  type Ip,
  type Prefix,
  parsePrefix,
  prefixFamily,
  prefixLength,
} from '../../src/net/mod.ts'
import type { Topology } from '../fabric-topology.ts'
import type { RoutingWords } from '../scenario-routing.ts'
import type { Share } from '../shares.ts'
import type { RackPlan } from '../underlay.ts'
import { asnsOf, NODE_ASN_FIRST, ONE_ASN } from './asns.ts'
import { type DaemonProfile, daemonNamed, restartBetween } from './daemons.ts'
import { nodePlans, type RackSide } from './node-plans.ts'

/** What a session runs over. */
export type Way =
  /** From a node to its top-of-rack switch. */
  | { readonly kind: 'port' }
  /** Between two switches. */
  | { readonly kind: 'link'; readonly link: number }
  /** Through the fabric, by the interior protocol's paths. */
  | { readonly kind: 'path' }

export interface SessionPlan {
  /** Speakers. The first one connects; the second, too, unless it is passive. */
  readonly ends: readonly [number, number]
  /** Of the ends. */
  readonly addresses: readonly [Ip, Ip]
  /** The same with those of IPv6, which are next hops. */
  readonly ips: readonly [readonly Ip[], readonly Ip[]]
  readonly way: Way
}

export interface SpeakerPlan {
  readonly name: string
  /** Undefined: a switch. */
  readonly node: number | undefined
  /** A switch itself; of a node its top-of-rack switch. */
  readonly device: number
  readonly daemon: DaemonProfile
  readonly config: SpeakerConfig
  /** What an interior protocol says of next hops. @default every one is as near as the others */
  readonly costOf?: CostOf
}

/** Nodes come first, by their numbers, then switches by theirs. */
export interface RoutingPlan {
  readonly speakers: readonly SpeakerPlan[]
  readonly sessions: readonly SessionPlan[]
  readonly nodes: number
  readonly words: RoutingWords
  /** Whether switches forward by what their speakers say alone. */
  readonly isFabric: boolean
  /** What nodes may announce. */
  readonly pools: readonly Prefix[]
  readonly hasHosts: boolean
  /** Pools of which each top-of-rack switch sums up its rack's part as it is. */
  readonly summed: readonly Prefix[]
  /** Static summaries. */
  readonly shares: readonly Share[]
}

export interface PlanInputs {
  readonly words: RoutingWords
  readonly racks: readonly RackPlan[]
  readonly topology: Topology
  /** What nodes may announce, from networks that are announced. */
  readonly pools: readonly Prefix[]
  readonly summed: readonly Prefix[]
  readonly shares: readonly Share[]
  /** Networks that are announced. */
  readonly networks: readonly NetworkRecord[]
  /** Whether single pods are announced, which the product does not do and does not take. */
  readonly hasHosts: boolean
}

/** Ends of links, and switches as such; none of the racks' prefixes is in there. */
const LINKS = { 4: parsePrefix('100.96.0.0/12'), 6: parsePrefix('fd64:0:ff00::/48') } as const
const SWITCHES = { 4: parsePrefix('100.127.0.0/16'), 6: parsePrefix('fd64:0:ff01::/48') } as const
/** A rack's first address is its switch's. */
const SWITCH_OFFSET = 1n

type Addresses = readonly Ip[]

const EVERYTHING: Policy = { name: 'everything', rules: [], otherwise: 'accept' }

export function planRouting(inputs: PlanInputs): RoutingPlan {
  const { words, racks, topology } = inputs
  const nodes = racks.flatMap((rack) => rack.nodes)
  const hasIp6 = racks.some(({ prefixes }) => prefixes.length > 1)
  const draft = new Draft(inputs, nodes.length, hasIp6)
  const count = words.reflectors ?? REFLECTORS
  switch (words.sessions) {
    case 'fabric':
      draft.fabric()
      break
    case 'reflectors':
      draft.reflect(count)
      break
    case 'mesh':
      draft.mesh()
      break
  }
  const plans = nodePlans({
    words,
    nodes,
    networks: inputs.networks,
    asn: ONE_ASN,
    racks: words.sessions === 'fabric' && inputs.pools.length > 0 ? draft.racks() : [],
    reflectors: words.sessions === 'reflectors' ? reflectorsOf(nodes.length, count) : [],
  })
  const daemons = [daemonNamed(words.daemon), daemonNamed(words.switchDaemon)] as const
  return {
    nodes: nodes.length,
    words,
    isFabric: words.sessions === 'fabric',
    pools: inputs.pools,
    hasHosts: inputs.hasHosts,
    summed: inputs.summed,
    shares: inputs.shares,
    sessions: draft.sessions,
    speakers: [
      ...nodes.map(({ name, index, rack }): SpeakerPlan => {
        const config = draft.nodeConfig(index, plans[index]?.config)
        return { name, node: index, device: rack, daemon: daemons[0], config }
      }),
      ...topology.devices.map(({ name }, device): SpeakerPlan => {
        const config = draft.configOf(nodes.length + device)
        return { name, node: undefined, device, daemon: daemons[1], config }
      }),
    ],
  }
}

const REFLECTORS = 2

/** Peers of each speaker, as sessions are added. */
class Draft {
  readonly sessions: SessionPlan[] = []
  private readonly inputs: PlanInputs
  private readonly nodes: number
  private readonly hasIp6: boolean
  private readonly asns: readonly number[]
  private readonly peers: PeerConfig[][]
  private readonly own: Policy
  private readonly fromNodes: Policy
  private readonly toSwitches: readonly Policy[]

  constructor(inputs: PlanInputs, nodes: number, hasIp6: boolean) {
    this.inputs = inputs
    this.nodes = nodes
    this.hasIp6 = hasIp6
    const { topology, words, racks, pools, shares } = inputs
    const places = racks.flatMap((rack) => rack.nodes)
    this.asns =
      words.sessions === 'fabric'
        ? [...places.map(({ rack }) => NODE_ASN_FIRST + rack), ...asnsOf(topology)]
        : [...places, ...topology.devices].map(() => ONE_ASN)
    this.peers = this.asns.map(() => [])
    const inside = pools.map(insideOf)
    this.own = ownRoutes('own', { blocks: inside })
    this.fromNodes = {
      name: 'from-nodes',
      rules: [{ when: { prefixes: inside } }],
      otherwise: 'reject',
    }
    this.toSwitches = racks.map(({ index }) =>
      uplinkPolicy(shares.filter(({ rack }) => rack === index).map(({ prefix }) => prefix)),
    )
  }

  fabric(): void {
    const { racks, topology, pools } = this.inputs
    for (const { index: rack, prefixes, nodes } of pools.length === 0 ? [] : racks) {
      const tor = this.nodes + rack
      const torIps = prefixes.map((prefix) => addressAt(prefix, SWITCH_OFFSET))
      for (const { index, ips } of nodes) {
        const node = { importPolicy: EVERYTHING, exportPolicy: this.own }
        const end = { importPolicy: this.fromNodes, exportPolicy: EVERYTHING, passive: true }
        this.join([index, tor], [ips, torIps], { kind: 'port' }, [node, end])
      }
    }
    for (const [link, { ends }] of topology.links.entries()) {
      const ips = [0n, 1n].map((end) => this.addressesIn(LINKS, 2n * BigInt(link) + end))
      const terms = ends.map((device) => ({
        importPolicy: EVERYTHING,
        exportPolicy: this.toSwitches[topology.devices[device]?.rack ?? -1] ?? EVERYTHING,
      }))
      const speakers = [this.nodes + ends[0], this.nodes + ends[1]] as const
      this.join(speakers, [ips[0] ?? [], ips[1] ?? []], { kind: 'link', link }, terms)
    }
  }

  reflect(count: number): void {
    const reflectors = reflectorsOf(this.nodes, count)
    for (const [place, reflector] of reflectors.entries()) {
      for (const other of reflectors.slice(place + 1)) this.joinFar(reflector, other, [{}, {}])
      for (const [client] of this.asns.entries()) {
        if (reflectors.includes(client)) continue
        this.joinFar(client, reflector, [{}, { isClient: true, passive: true }])
      }
    }
  }

  mesh(): void {
    // Switches announce nothing, so they have nothing to tell each other.
    for (let one = 0; one < this.nodes; one++) {
      for (let other = one + 1; other < this.asns.length; other++) {
        this.joinFar(one, other, [{}, { passive: true }])
      }
    }
  }

  configOf(speaker: number): SpeakerConfig {
    const { words, racks, shares } = this.inputs
    const rack = racks[speaker - this.nodes]
    const isTor = words.sessions === 'fabric' && rack !== undefined
    const own = shares.flatMap((share) => (share.rack === rack?.index ? [share.prefix] : []))
    return {
      asn: this.asns[speaker] ?? ONE_ASN,
      routerId: this.addressesOf(speaker)[0] ?? ('0.0.0.0' as Ip),
      peers: this.peers[speaker] ?? [],
      originate: isTor ? [...rack.prefixes, ...own].map((prefix) => ({ prefix })) : [],
      multipath: words.multipath,
    }
  }

  /** Nodes of each rack, and its switch, as the product's settings name them. */
  racks(): readonly RackSide[] {
    return this.inputs.racks.map(({ index, prefixes }) => ({
      asn: NODE_ASN_FIRST + index,
      switchAddress: addressAt(prefixes[0]!, SWITCH_OFFSET),
      switchAsn: this.asns[this.nodes + index] ?? ONE_ASN,
    }))
  }

  /**
   * The product's configuration of a node, with its daemon's times. Of a session that it
   * does not plan, one of a node that reflects to a switch, everything is planned here.
   */
  nodeConfig(node: number, product: SpeakerConfig | undefined): SpeakerConfig {
    const config = this.configOf(node)
    const planned = new Map((product?.peers ?? []).map((peer) => [peer.address, peer]))
    const peers = config.peers.map((peer): PeerConfig => {
      const ours = planned.get(peer.address)
      planned.delete(peer.address)
      if (ours === undefined) return peer
      const { hasHosts } = this.inputs
      const { importPolicy, exportPolicy } = hasHosts ? peer : ours
      return {
        ...without(ours),
        ...without(peer),
        ...(importPolicy && { importPolicy }),
        ...(exportPolicy && { exportPolicy }),
      }
    })
    const [lost] = planned.keys()
    invariant(lost === undefined, `a way for the session of node ${node} with ${lost}`)
    return { ...config, peers }
  }

  private joinFar(one: number, other: number, terms: readonly Partial<PeerConfig>[]): void {
    const ips = [this.addressesOf(one), this.addressesOf(other)] as const
    this.join([one, other], ips, { kind: 'path' }, terms)
  }

  private join(
    ends: readonly [number, number],
    ips: readonly [Addresses, Addresses],
    way: Way,
    terms: readonly Partial<PeerConfig>[],
  ): void {
    const addresses = [ips[0][0]!, ips[1][0]!] as const
    this.sessions.push({ ends, addresses, ips, way })
    for (const side of [0, 1] as const) {
      const own = ips[side]
      const other = ends[1 - side]!
      this.peers[ends[side]]?.push({
        address: addresses[1 - side]!,
        asn: this.asns[other] ?? ONE_ASN,
        localAddress: addresses[side],
        families: this.hasIp6 ? ['ipv4', 'ipv6'] : ['ipv4'],
        ...(own[1] === undefined ? {} : { nextHops: { ipv6: own[1] } }),
        ...this.times(ends[side], other),
        ...terms[side],
      })
    }
  }

  private times(speaker: number, other: number): Partial<PeerConfig> {
    const { words } = this.inputs
    const daemon = this.daemonOf(speaker)
    const restartSeconds = restartBetween(daemon, this.daemonOf(other))
    const { bfd, gracefulRestart } = words
    return {
      holdSeconds: words.holdSeconds ?? daemon.holdSeconds,
      connectRetrySeconds: words.connectRetrySeconds ?? daemon.connectRetrySeconds,
      idleSeconds: words.idleSeconds ?? daemon.idleSeconds,
      gracefulRestart: gracefulRestart ?? (restartSeconds === false ? false : { restartSeconds }),
      ...(bfd === false ? {} : { bfd }),
    }
  }

  private daemonOf(speaker: number): DaemonProfile {
    const { words } = this.inputs
    return daemonNamed(speaker < this.nodes ? words.daemon : words.switchDaemon)
  }

  private addressesOf(speaker: number): Addresses {
    const { racks } = this.inputs
    const place = racks.flatMap(({ nodes }) => nodes)[speaker]
    return place?.ips ?? this.addressesIn(SWITCHES, BigInt(speaker - this.nodes + 1))
  }

  private addressesIn(prefixes: typeof LINKS | typeof SWITCHES, offset: bigint): Addresses {
    const ip4 = addressAt(prefixes[4], offset)
    return this.hasIp6 ? [ip4, addressAt(prefixes[6], offset)] : [ip4]
  }
}

/** Nodes that reflect, spread over all. */
export const reflectorsOf = (nodes: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, index) => Math.floor((index * nodes) / count))

const without = ({ importPolicy: _in, exportPolicy: _out, ...rest }: PeerConfig): PeerConfig => rest

const insideOf = (prefix: Prefix): PrefixRange => ({
  prefix,
  ge: prefixLength(prefix),
  le: ADDRESS_BITS[prefixFamily(prefix)],
})

/** What a top-of-rack switch tells other switches: nothing inside of its summaries but themselves. */
export function uplinkPolicy(summaries: readonly Prefix[]): Policy {
  if (summaries.length === 0) return EVERYTHING
  const inside = summaries.map((prefix) => ({ ...insideOf(prefix), ge: prefixLength(prefix) + 1 }))
  return {
    name: 'to-switches',
    rules: [{ name: 'inside a summary', when: { prefixes: inside }, action: 'reject' }],
    otherwise: 'accept',
  }
}
