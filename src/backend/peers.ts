/**
 * Questions that planners ask of a view.
 *
 * @module
 */
import {
  type BlockClaim,
  type ClusterView,
  isFloating,
  type NetworkView,
  type NodeRecord,
} from '../cluster/view.ts'
import { DEFAULT_METRIC, ROUTE_PROTOCOL, type Route, type Sysctl, shared } from '../kernel/mod.ts'
import {
  containsIp,
  type Ip,
  type IpFamily,
  ipFamily,
  networkAddress,
  type Prefix,
  prefixFamily,
} from '../net/mod.ts'

/** A peer with its blocks in one network. */
export interface Peer {
  readonly node: NodeRecord
  readonly claims: readonly BlockClaim[]
}

/** Every other node that owns blocks of the network, in the order of their names. */
export function peersOf({ claims }: NetworkView, { self, nodes }: ClusterView): readonly Peer[] {
  const owners = ownersOf(claims)
  return [...owners.keys()].sort().flatMap((name) => {
    const node = name === self.name ? undefined : nodes.get(name)
    // A claim outlives its node's record only until the node is deleted.
    return node === undefined ? [] : [{ node, claims: owners.get(name)?.claims ?? [] }]
  })
}

/** A node's blocks in a network, in address order. */
interface Owner {
  /** Place of the first one among all blocks. */
  readonly at: number
  readonly claims: readonly BlockClaim[]
}

/** By the very list: plans of one node ask again, and nodes of a simulated cluster share it. */
const ownersByClaims = new WeakMap<readonly BlockClaim[], ReadonlyMap<string, Owner>>()

/** Who owns blocks of a network, by name. */
export function ownersOf(claims: readonly BlockClaim[]): ReadonlyMap<string, Owner> {
  const known = ownersByClaims.get(claims)
  if (known !== undefined) return known
  const owners = new Map<string, { readonly at: number; readonly claims: BlockClaim[] }>()
  for (const [at, claim] of claims.entries()) {
    const owner = owners.get(claim.node)
    if (owner === undefined) owners.set(claim.node, { at, claims: [claim] })
    else owner.claims.push(claim)
  }
  ownersByClaims.set(claims, owners)
  return owners
}

export const ownClaims = ({ claims }: NetworkView, { self }: ClusterView): readonly BlockClaim[] =>
  ownersOf(claims).get(self.name)?.claims ?? []

/**
 * A node's own addresses in a network: the network address of its first block, a
 * family. The allocator never gives it to a pod.
 */
export function firstAddresses(claims: readonly BlockClaim[]): ReadonlyMap<IpFamily, Ip> {
  return new Map(
    claims
      .filter(({ first }) => first)
      .map(({ cidr }) => [prefixFamily(cidr), networkAddress(cidr)] as const),
  )
}

/** The node's underlay address of one family. */
export const underlayIp = (node: NodeRecord, family: IpFamily): Ip | undefined =>
  node.underlayIps.find((ip) => ipFamily(ip) === family)

/** Outer address of a node's tunnels: IPv4 where it has one, for its smaller header. */
export const outerIp = (node: NodeRecord): Ip | undefined =>
  underlayIp(node, 4) ?? underlayIp(node, 6)

/**
 * Whether `self` reaches `ip` without a router in between; undefined when the
 * node did not say which networks its underlay is on.
 */
export function isOnLink(self: NodeRecord, ip: Ip): boolean | undefined {
  if (self.underlayPrefixes === undefined) return undefined
  const known = onLink.get(self) ?? new Map<Ip, boolean>()
  onLink.set(self, known)
  const before = known.get(ip)
  if (before !== undefined) return before
  const found = self.underlayPrefixes.some((prefix) => containsIp(prefix, ip))
  known.set(ip, found)
  return found
}

/** By record: every block of every peer asks, in every plan. */
const onLink = new WeakMap<NodeRecord, Map<Ip, boolean>>()

/** A block by way of an address. */
export type BlockRoute = (link: string, claim: BlockClaim, via: Ip) => Route

/** Kept by record, because records outlive plans, and most nodes have the same route to a block. */
export function blockRoutes(flags: Pick<Route, 'onlink'> = {}): BlockRoute {
  const routes = new WeakMap<BlockClaim, Route>()
  return (link, claim, via) => {
    const known = routes.get(claim)
    if (known?.link === link && known.via === via) return known
    const { cidr: dst } = claim
    const metric = DEFAULT_METRIC[prefixFamily(dst)]
    const made = shared<Route>({
      kind: 'route',
      dst,
      type: 'unicast',
      link,
      via,
      ...flags,
      metric,
      protocol: ROUTE_PROTOCOL,
    })
    routes.set(claim, made)
    return made
  }
}

/** By way of the peer's own address, without tunnel. */
export const directRoute = blockRoutes()

/** Families that the network's pools serve. */
export const familiesOf = ({ network }: NetworkView): readonly IpFamily[] => [
  ...new Set(network.pools.map((pool) => prefixFamily(pool.cidr))),
]

/** 6 when any pool is IPv6: the wider header decides about room. */
export const widestFamily = (network: NetworkView): IpFamily =>
  familiesOf(network).includes(6) ? 6 : 4

/**
 * A blackhole for each own block: a packet to an address that no pod has must
 * die here, not leave by the default route and come back. For a floating pool one
 * on every node: its addresses are routes of their own, here and at peers.
 */
export function blackholes(network: NetworkView, view: ClusterView): readonly Route[] {
  const { pools } = network.network
  const blocks = ownClaims(network, view).filter((claim) => !isFloating(network.network, claim))
  const floating = pools.filter((pool) => pool.floating === true)
  return [...blocks, ...floating].map(({ cidr }) => blackhole(cidr))
}

export const blackhole = (cidr: Prefix): Route => ({
  kind: 'route',
  dst: cidr,
  type: 'blackhole',
  metric: DEFAULT_METRIC[prefixFamily(cidr)],
  protocol: ROUTE_PROTOCOL,
})

/** Forwarding, without which a node is no router. */
export function forwarding(families: readonly IpFamily[]): readonly Sysctl[] {
  return families.map((family) => ({ kind: 'sysctl', name: FORWARDING[family], value: '1' }))
}

const FORWARDING = { 4: 'net.ipv4.ip_forward', 6: 'net.ipv6.conf.all.forwarding' } as const
