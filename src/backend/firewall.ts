/**
 * What the node's nftables table holds: who may send what from where. See
 * kernel/firewall.ts for the rules that use it.
 *
 * Cost: one element a pod's address, one a peer's underlay address, and a few a
 * network.
 *
 * @module
 */
import type { AllowRecord, ClusterView, NetworkView, NodeRecord } from '../cluster/view.ts'
import { FIREWALL } from '../kernel/firewall.ts'
import { type KernelObject, type NftElement, shared, vxlanLinkName } from '../kernel/mod.ts'
import { type Ip, type IpFamily, ipFamily, type Prefix, prefixFamily } from '../net/mod.ts'
import { finish, type Steps } from '../steps.ts'

/**
 * The table but for the pods' elements, which come with their links; nothing on
 * a node that neither routes for a network nor has a macvlan of its own in one.
 */
export const firewall = (view: ClusterView): readonly KernelObject[] =>
  finish(firewallIn(view, Number.POSITIVE_INFINITY))

/**
 * The same with a pause after every `slice` nodes.
 *
 * @param roads The networks, each by all roads that are open.
 */
export function* firewallIn(
  view: ClusterView,
  slice: number,
  roads: readonly NetworkView[] = view.networks,
): Steps<readonly KernelObject[]> {
  if (!view.networks.some(isGuarded)) return []
  const routed = view.networks.filter(isRouted)
  return [
    ...FIREWALL,
    ...roads.flatMap((road) => tunnel(road, routed, view.allows)),
    ...(yield* nodes(view, slice)),
    ...pools('pools', view.networks),
    ...pools('inside', routed),
    ...pools(
      'masquerade',
      routed.filter(({ network }) => network.options.masquerade !== false),
    ),
    ...reach(view),
  ]
}

const element = (set: string, ...fields: readonly (string | number)[]): NftElement => ({
  kind: 'nft-element',
  set,
  key: fields.join(' . '),
})

/** Addresses that a pod's link may send from. */
export function podElements(hostLink: string, ips: readonly Ip[]): readonly NftElement[] {
  return ips.map((ip) => element(`pods${ipFamily(ip)}`, hostLink, ip))
}

/**
 * A packet goes through the tunnel of the network that it is for. So a tunnel
 * carries its own network, what may come to it, and replies to what it may reach.
 */
function tunnel(
  { network }: NetworkView,
  networks: readonly NetworkView[],
  allows: readonly AllowRecord[],
): readonly NftElement[] {
  if (network.mode !== 'vxlan') return []
  const { vni, vxlanPort } = network.options
  const link = vxlanLinkName(vni, network.alternate)
  const senders = partners(network.name, allows)
  const cidrs = networks.flatMap((other) =>
    senders.has(other.network.name) ? other.network.pools.map(({ cidr }) => cidr) : [],
  )
  return [
    element('tunnels', vxlanPort, vni),
    ...cidrs.map((cidr) => element(`tunnelled${prefixFamily(cidr)}`, link, cidr)),
  ]
}

/** The network itself, and those with an opening to or from it. */
function partners(name: string, allows: readonly AllowRecord[]): ReadonlySet<string> {
  const names = new Set([name])
  for (const { from, to } of allows) {
    if (from === name) names.add(to)
    if (to === name) names.add(from)
  }
  return names
}

function* nodes({ self, nodes }: ClusterView, slice: number): Steps<readonly NftElement[]> {
  const elements: NftElement[] = []
  let seen = 0
  for (const node of nodes.values()) {
    if (++seen % slice === 0) yield
    if (node.name !== self.name) elements.push(...nodeElements(node))
  }
  return elements
}

/** What lets one other node's tunnels in; nothing while there is no table. */
export function nodeGuards(
  { self, nodes, networks }: ClusterView,
  name: string,
): readonly NftElement[] {
  const node = nodes.get(name)
  if (node === undefined || name === self.name || !networks.some(isGuarded)) return []
  return nodeElements(node)
}

const isRouted = ({ network }: NetworkView): boolean =>
  network.mode === 'vxlan' || network.mode === 'route'

/** Whether the node's table has a say in it. */
const isGuarded = (view: NetworkView): boolean => {
  const { mode, options } = view.network
  return isRouted(view) || (mode === 'vlan' && options.attachment === 'macvlan')
}

/** By record, because records outlive plans: the largest part of the table is made once a peer. */
const elementsOfNodes = new WeakMap<NodeRecord, readonly NftElement[]>()

function nodeElements(node: NodeRecord): readonly NftElement[] {
  const known = elementsOfNodes.get(node)
  if (known !== undefined) return known
  const made = node.underlayIps.map((ip) => shared(element(`nodes${ipFamily(ip)}`, ip)))
  elementsOfNodes.set(node, made)
  return made
}

function pools(set: string, networks: readonly NetworkView[]): readonly NftElement[] {
  return networks.flatMap(({ network }) =>
    network.pools.map(({ cidr }) => element(`${set}${prefixFamily(cidr)}`, cidr)),
  )
}

/** Each network to itself, and what the admin opened. */
function reach({ networks, allows }: ClusterView): readonly NftElement[] {
  const cidrs = new Map(
    networks.map(({ network }) => [network.name, network.pools.map(({ cidr }) => cidr)]),
  )
  const own = [...cidrs.values()].flatMap((each) => pairs(each, each).map((pair) => open(pair)))
  const opened = allows.flatMap((allow) =>
    pairs(cidrs.get(allow.from) ?? [], cidrs.get(allow.to) ?? []).flatMap((pair) =>
      openings(pair, allow),
    ),
  )
  return [...own, ...opened]
}

type Pair = readonly [from: Prefix, to: Prefix]

function pairs(from: readonly Prefix[], to: readonly Prefix[]): readonly Pair[] {
  return from.flatMap((source) =>
    to
      .filter((target) => prefixFamily(target) === prefixFamily(source))
      .map((target): Pair => [source, target]),
  )
}

const familyOf = ([from]: Pair): IpFamily => prefixFamily(from)

const open = (pair: Pair): NftElement => element(`reach${familyOf(pair)}`, ...pair)

function openings(pair: Pair, { ports }: AllowRecord): readonly NftElement[] {
  if (ports.length === 0) return [open(pair)]
  return ports.map(({ protocol, port }) =>
    element(`reach_port${familyOf(pair)}`, ...pair, protocol, port),
  )
}
