/**
 * One packet's way from end to end, hop by hop, until something stops it.
 *
 * Every table is asked that the kernel would ask, in its order: the pod's, the
 * node's, the tunnel's, and the same on the other side. The way back is a
 * packet of its own.
 *
 * @module
 */

import { isLinkOurs } from '../cluster/view.ts'
import { BGP_ROUTE_PROTOCOL, type Route } from '../kernel/mod.ts'
import { containsIp, type Ip, ipFamily } from '../net/mod.ts'
import { switched } from './bridge.ts'
import { fromPod, fromTunnel, intoNode, leavingAs, mayMeet, others } from './firewall.ts'
import { fine, type Hop, type Steps, suspect, wordsOf } from './hop.ts'
import { linkUp } from './links.ts'
import { beside, intoMacvlan, nodeLinkOf, parentOf } from './macvlan.ts'
import type { Packet } from './packet.ts'
import { enterPod, foreignLink, hostEndIn, leavePod } from './pod.ts'
import { forwards, reversePath, routeTo, wrongRoute } from './routes.ts'
import { through } from './tunnel.ts'
import { crowded, inward, outward } from './underlay.ts'
import { hasIp, type PodPlace, type Side } from './world.ts'

/** Where a packet starts or ends. */
export type End =
  | {
      readonly kind: 'pod'
      readonly side: Side
      readonly pod: PodPlace
      readonly ips: readonly Ip[]
    }
  | { readonly kind: 'node'; readonly side: Side; readonly ips: readonly Ip[] }
  /** No address of ours: the way is followed until it leaves the node. */
  | { readonly kind: 'outside'; readonly ips: readonly Ip[] }

/** Sends a packet; the hops in order, the last of which may be broken. */
export function walk(from: End, to: End, packet: Packet): readonly Hop[] {
  const hops: Hop[] = []
  for (const hop of send(from, to, packet)) {
    hops.push(hop)
    if (hop.status === 'broken') break
  }
  return hops
}

function* send(from: End, to: End, packet: Packet): Steps<true> {
  if (from.kind === 'outside') return undefined
  const { side } = from
  if (from.kind === 'node') return yield* fromNode(side, to, packet)
  const { pod } = from
  if (!isLinkOurs(pod.attachment)) return yield* foreignLink(pod)
  const uplink = yield* leavePod(pod, packet)
  if (uplink === undefined) return undefined
  if (pod.attachment.macvlan === true) return yield* fromMacvlan(side, pod, to, packet)
  const port = yield* hostEndIn(side, pod, uplink, packet.bytes)
  if (port === undefined) return undefined
  if (port.master !== undefined || pod.network.mode === 'vlan') {
    if (to.kind === 'pod') return yield* switched(side, port, to.side, to.pod, packet)
    return yield* beyond(side, `link ${port.master ?? port.name}`, packet.dst)
  }
  if (!(yield* fromPod(side, port.name, packet))) return undefined
  return yield* routed(side, port.name, to, packet)
}

/** Straight to the wire, or to the node's own macvlan. */
function* fromMacvlan(side: Side, pod: PodPlace, to: End, packet: Packet): Steps<true> {
  if (to.kind === 'pod') return yield* beside(side, pod, to.side, to.pod, packet)
  const parent = yield* parentOf(side, pod)
  if (parent === undefined) return undefined
  const own = nodeLinkOf(pod)
  const isNear = to.kind === 'node' && to.side.node === side.node
  if (!isNear) return yield* beyond(side, `link ${parent.name}`, packet.dst)
  if ((yield* linkUp(side, own)) === undefined) return undefined
  if (!(yield* fromPod(side, own, packet))) return undefined
  return yield* here(side, to, packet)
}

/** From a node itself. */
function* fromNode(side: Side, to: End, packet: Packet): Steps<true> {
  if (side.tables.locals.has(packet.dst)) return true
  const route = yield* routeTo(side, packet.dst)
  if (route === undefined) return undefined
  if (!(yield* others(side, packet.family, ['output', 'postrouting']))) return undefined
  return yield* onward(side, route, to, packet)
}

/** A node that got a packet for somebody else, by `link`. */
function* routed(side: Side, link: string, to: End, packet: Packet): Steps<true> {
  if (!(yield* others(side, packet.family, ['prerouting']))) return undefined
  if (!(yield* reversePath(side, link, packet))) return undefined
  if (side.tables.locals.has(packet.dst)) return yield* here(side, to, packet)
  if (!(yield* forwards(side, packet.family, link))) return undefined
  const route = yield* routeTo(side, packet.dst)
  if (route === undefined) return undefined
  if (!(yield* mayMeet(side, packet))) return undefined
  if (!(yield* others(side, packet.family, ['forward', 'postrouting']))) return undefined
  return yield* onward(side, route, to, packet)
}

/** The packet ends at the node, which is right only where it was sent to the node. */
function* here(side: Side, to: End, packet: Packet): Steps<true> {
  if (!(yield* others(side, packet.family, ['input']))) return undefined
  if (!(yield* intoNode(side, packet))) return undefined
  const wanted = to.kind !== 'outside' && to.side.node === side.node && to.kind === 'node'
  const hop = fine(side, `addr ${packet.dst}: the node's own`)
  if (wanted) {
    yield hop
    return true
  }
  yield {
    ...hop,
    status: 'broken',
    found: `${packet.dst} is an address of ${side.words}`,
    wanted: to.kind === 'pod' ? `an address of ${to.pod.words} only` : 'another address',
    command: side.at(`ip addr show to ${packet.dst}`),
  }
  return undefined
}

/** Along a route: into a pod, through a tunnel, or over the underlay. */
function* onward(side: Side, route: Route, to: End, packet: Packet): Steps<true> {
  const link = side.tables.link(route.link ?? '')
  const isHere = to.kind === 'pod' && to.side.node === side.node
  if (isHere && route.link === to.pod.attachment.hostLink) {
    yield fine(side, wordsOf(route))
    yield* crowded(side, packet.family)
    return yield* enterPod(side, to.pod, packet)
  }
  if (isHere && to.pod.attachment.macvlan === true && route.link === nodeLinkOf(to.pod)) {
    yield fine(side, wordsOf(route))
    if ((yield* linkUp(side, route.link)) === undefined) return undefined
    return yield* intoMacvlan(side, to.pod, packet)
  }
  if (isHere) return yield* wrongRoute(side, route, packet.dst, `leads to ${route.link}`)
  yield fine(side, wordsOf(route))
  if (to.kind === 'outside') return yield* beyond(side, wordsOf(route), packet.dst)
  const type = link?.link.type
  if (type === 'vxlan' || type === 'vxlan-gpe') {
    const at = yield* through(side, to.side, route, packet)
    return at === undefined ? undefined : yield* arrive(to.side, at, to, packet)
  }
  if (route.link !== side.record.underlayLink) {
    return yield* wrongRoute(side, route, packet.dst, `${route.link} does not lead to a node`)
  }
  return yield* direct(side, route, to, packet)
}

function* direct(
  side: Side,
  route: Route,
  to: Exclude<End, { kind: 'outside' }>,
  packet: Packet,
): Steps<true> {
  const peer = to.side
  const nextHop = route.via ?? packet.dst
  const known = hasIp(peer, nextHop) || peer.record.underlayIps.includes(nextHop)
  // A router may lead to a node, but to a pod only where it said so: else only the pod's node knows it.
  const heard = route.protocol === BGP_ROUTE_PROTOCOL
  const viaRouter = (to.kind === 'node' || heard) && !known
  if (!known && !viaRouter) {
    const other = [...side.view.nodes.values()].find((node) => node.underlayIps.includes(nextHop))
    const who = other === undefined ? nextHop : `${nextHop} (node ${other.name})`
    return yield* wrongRoute(side, route, packet.dst, `leads to ${who}, not to ${peer.node}`)
  }
  const outer = { dst: nextHop, bytes: packet.bytes, what: 'a packet' }
  if ((yield* outward(side, outer)) === undefined) return undefined
  const aim = viaRouter
    ? { ...outer, dst: to.kind === 'node' ? packet.dst : ownOf(peer, packet) }
    : outer
  if (!(yield* inward(side, peer, aim))) return undefined
  return yield* arrive(peer, peer.record.underlayLink, to, leavingAs(side, packet))
}

/** Where a packet by way of routers comes in: whatever they send it to, by the node's underlay. */
const ownOf = ({ record }: Side, { dst, family }: Packet): Ip =>
  record.underlayIps.find((ip) => ipFamily(ip) === family) ?? dst

/** At the other node, out of the tunnel or off the wire. */
function* arrive(side: Side, link: string, to: End, packet: Packet): Steps<true> {
  if (!(yield* fromTunnel(side, link, packet))) return undefined
  return yield* routed(side, link, to, packet)
}

function* beyond(side: Side, object: string, dst: Ip): Steps<true> {
  const inPool = side.view.networks.find(({ network }) =>
    network.pools.some(({ cidr }) => containsIp(cidr, dst)),
  )
  yield suspect(side, {
    object,
    found: `${dst} is ${inPool === undefined ? 'outside the cluster' : `in network ${inPool.network.name}, and no pod's`}: what follows is not seen`,
    wanted: 'somebody there who answers, and knows the way back',
    command: `ip route get ${dst}`,
  })
  return true
}
