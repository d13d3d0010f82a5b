/**
 * What a node's BGP speaker is told to be, from the node's view of the cluster.
 *
 * It says the node's blocks of routed networks to the nodes of its circle and to the
 * routers of its rack, and takes theirs. Any view gives a whole configuration;
 * the speaker finds what is different from the one before.
 *
 * @module
 */
import type { Originated, PeerConfig, SpeakerConfig } from '../../bgp/config.ts'
import type { Family } from '../../bgp/nlri.ts'
import type { BgpPeer, BgpView, ClusterView, NodeRecord } from '../../cluster/view.ts'
import { hash64 } from '../../hash.ts'
import {
  compareIp,
  containsIp,
  containsPrefix,
  type Ip,
  type IpFamily,
  ipFamily,
  ipFromInteger,
  type Prefix,
} from '../../net/mod.ts'
import { roadsOf } from '../moving.ts'
import { isOnLink, ownClaims, underlayIp } from '../peers.ts'
import { asnOf, circleOf, type Partner, partnersOf } from './circles.ts'
import { type NodePolicies, policiesOf } from './policies.ts'

export interface SpeakerPlan {
  readonly config: SpeakerConfig
  /** Where the node has the passwords of peers, which are not in `config`. */
  readonly passwordFiles: ReadonlyMap<Ip, string>
  /** Sessions that cannot be, and why. */
  readonly problems: readonly string[]
}

const RESTART_SECONDS = 120
/** What nodes are told (`PeerConfig.connectRetrySeconds`). A router may refuse for a moment whom it has just lost; until the next try its routes are away. */
export const CONNECT_RETRY_SECONDS = 2
const MULTIPATH = 8
/** Of one node, and of all that a reflector or the fabric may know. */
const NODE_PREFIXES_MAX = 10_000
const PREFIXES_MAX = 100_000
const CIRCLE_PREFIXES_MAX = 1_000_000

/** undefined: the node does not speak BGP. */
export function speakerPlan(view: ClusterView): SpeakerPlan | undefined {
  const { self, bgp } = view
  if (bgp === undefined) return undefined
  const routed = view.networks.filter((network) =>
    roadsOf(network, view).some((road) => road.network.mode === 'route'),
  )
  const summaries = (bgp.racks.get(self.rack ?? '')?.summaries ?? []).filter((summary) =>
    routed.some(({ network }) => network.pools.some(({ cidr }) => containsPrefix(cidr, summary))),
  )
  const blocks = routed.flatMap((network) => ownClaims(network, view).map(({ cidr }) => cidr))
  const policies = policiesOf(
    routed.map(({ network }) => network),
    summaries,
  )
  const circle = circleOf(view, bgp)
  const [peers, problems]: [Map<Ip, PeerConfig>, string[]] = [new Map(), []]
  for (const partner of partnersOf(self, bgp, circle)) {
    const peer = nodePeer(self, partner, bgp, policies)
    if (peer === undefined) problems.push(noFamily(self, partner.node))
    else peers.set(peer.address, peer)
  }
  const nodes = nodesByAddress(view)
  const passwordFiles = new Map<Ip, string>()
  for (const [address, peer] of fabricPeers(self, bgp)) {
    const node = nodes.get(address)
    if (node !== undefined) {
      problems.push(`BGP peer ${address} is node ${node}, wanted a router of the fabric`)
      continue
    }
    peers.set(address, fabricPeer(self, peer, bgp, policies))
    if (peer.passwordFile !== undefined) passwordFiles.set(address, peer.passwordFile)
  }
  const { clusterId, multipath = MULTIPATH } = bgp.settings
  const config: SpeakerConfig = {
    asn: asnOf(self, bgp),
    routerId: routerIdOf(view),
    ...(clusterId !== undefined && circle.reflectors?.has(self.name) && { clusterId }),
    peers: [...peers.values()].sort((left, right) => compareIp(left.address, right.address)),
    originate: originated([...blocks, ...summaries]),
    multipath,
  }
  return { config, passwordFiles, problems }
}

const originated = (prefixes: readonly Prefix[]): readonly Originated[] =>
  [...new Set(prefixes)].map((prefix) => ({ prefix }))

/** The family that a session of two nodes runs over; both families' routes go through it. */
function sessionFamily(self: NodeRecord, other: NodeRecord): IpFamily | undefined {
  const isCommon = (family: IpFamily): boolean =>
    underlayIp(self, family) !== undefined && underlayIp(other, family) !== undefined
  return ([4, 6] as const).find(isCommon)
}

const noFamily = (self: NodeRecord, other: NodeRecord): string =>
  `Cannot have a BGP session with node ${other.name}: its underlay has [${other.underlayIps.join(', ')}], ` +
  `wanted an address of a family of [${self.underlayIps.join(', ')}]`

function nodePeer(
  self: NodeRecord,
  { node, is }: Partner,
  bgp: BgpView,
  { take, toNode, toCircle }: NodePolicies,
): PeerConfig | undefined {
  const family = sessionFamily(self, node)
  const address = family && underlayIp(node, family)
  const localAddress = family && underlayIp(self, family)
  if (address === undefined || localAddress === undefined) return undefined
  const { bfd } = bgp.settings
  const reflects = is === 'client' || is === 'both'
  return {
    address,
    asn: asnOf(node, bgp),
    description: `node ${node.name}`,
    localAddress,
    ...nextHopsOf(self, ipFamily(address)),
    ...(is === 'client' && { isClient: true }),
    ...restartOf(bgp),
    ...limits(is === 'reflector' || is === 'both' ? CIRCLE_PREFIXES_MAX : NODE_PREFIXES_MAX),
    importPolicy: take,
    exportPolicy: reflects ? toCircle : toNode,
    // RFC 5881: of a single hop; packets from beyond the link are not heard.
    ...(bfd && isOnLink(self, address) !== false && { bfd }),
  }
}

/** Both families go over one session where the node can name a next hop in both. */
function nextHopsOf(self: NodeRecord, family: IpFamily): Pick<PeerConfig, 'families' | 'nextHops'> {
  const other = family === 4 ? 6 : 4
  const ip = underlayIp(self, other)
  const name: Family = other === 4 ? 'ipv4' : 'ipv6'
  if (ip !== undefined) return { nextHops: { [name]: ip } }
  // RFC 8950 lets IPv4 have IPv6 next hops; the other way round there is none.
  return family === 6 ? {} : { families: ['ipv4'] }
}

function restartOf({
  settings,
}: BgpView): Pick<PeerConfig, 'gracefulRestart' | 'connectRetrySeconds'> {
  const { restartSeconds = RESTART_SECONDS } = settings
  return {
    connectRetrySeconds: CONNECT_RETRY_SECONDS,
    gracefulRestart: restartSeconds === 0 ? false : { restartSeconds },
  }
}

/** More are left out rather than the session ended: what is known goes on. */
function limits(count: number): Pick<PeerConfig, 'prefixesMax'> {
  const limit = { count, action: 'ignore' } as const
  return { prefixesMax: { ipv4: limit, ipv6: limit } }
}

/** By address; what is said of the node goes before what is said of its rack, and that before the rest. */
function fabricPeers(self: NodeRecord, { peers }: BgpView): ReadonlyMap<Ip, BgpPeer> {
  const found = new Map<Ip, BgpPeer>()
  for (const kind of ['all', 'rack', 'node'] as const) {
    for (const peer of peers) {
      const { scope } = peer
      if (scope.kind !== kind) continue
      const isOurs =
        scope.kind === 'all' || scope.name === (scope.kind === 'rack' ? self.rack : self.name)
      if (isOurs) found.set(peer.address, peer)
    }
  }
  return found
}

function fabricPeer(
  self: NodeRecord,
  peer: BgpPeer,
  bgp: BgpView,
  { take, toFabric }: NodePolicies,
): PeerConfig {
  const { address, asn, bfd, ttlSecurityHops, port, prefixesMax = PREFIXES_MAX } = peer
  const family = ipFamily(address)
  const own: Family = family === 4 ? 'ipv4' : 'ipv6'
  const { families = [own] } = peer
  const isNear = self.underlayPrefixes?.some((prefix) => containsIp(prefix, address)) === true
  const localAddress = isNear ? underlayIp(self, family) : undefined
  const { nextHops } = nextHopsOf(self, family)
  return {
    address,
    asn,
    description: 'fabric',
    ...(port !== undefined && { port }),
    ...(localAddress !== undefined && { localAddress }),
    families,
    ...(nextHops !== undefined && families.length > 1 && { nextHops }),
    ...(ttlSecurityHops !== undefined && { ttlSecurityHops }),
    ...restartOf(bgp),
    ...limits(prefixesMax),
    importPolicy: take,
    exportPolicy: toFabric,
    ...(bfd && { bfd }),
  }
}

/** By the very records. */
const addresses = new WeakMap<ReadonlyMap<string, NodeRecord>, ReadonlyMap<Ip, string>>()

function nodesByAddress({ nodes }: ClusterView): ReadonlyMap<Ip, string> {
  const found = addresses.get(nodes)
  if (found !== undefined) return found
  const made = new Map<Ip, string>()
  for (const { name, underlayIps } of nodes.values()) {
    for (const ip of underlayIps) made.set(ip, name)
  }
  addresses.set(nodes, made)
  return made
}

/**
 * The node's IPv4 address. Without one a number in 10.0.0.0/8 by the hash of its name,
 * the next that no other node has: identifiers differ within an AS (RFC 6286).
 */
export function routerIdOf(view: ClusterView): Ip {
  const own = underlayIp(view.self, 4)
  if (own !== undefined) return own
  const taken = new Set<Ip>(nodesByAddress(view).keys())
  const nameless = [...view.nodes.values(), view.self]
    .filter((node) => underlayIp(node, 4) === undefined)
    .map(({ name }) => name)
  for (const name of [...new Set(nameless)].sort()) {
    let [number] = hash64(name)
    let id = idOf(number)
    while (taken.has(id)) id = idOf(++number)
    if (name === view.self.name) return id
    taken.add(id)
  }
  return idOf(1)
}

const idOf = (number: number): Ip => ipFromInteger(4, 0x0a00_0000n + BigInt(number & 0xff_ffff))
