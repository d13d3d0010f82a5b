/**
 * A packet from pod to pod, hop by hop, over what kernels and switches hold now.
 *
 * The first thing that stops it is the answer, in words. Every table is asked:
 * the pod's, the node's, its guards, the tunnel's, the switches', and the same on
 * the other side. The way back is a packet of its own.
 *
 * @module
 */

import type { Link } from '../src/kernel/mod.ts'
import { type Ip, ipFamily } from '../src/net/mod.ts'
import { crossFabric, divided } from './cross-fabric.ts'
import { DELIVERED, type Delivery, lost, newTrail, type Trail } from './delivery.ts'
import type { Fabric } from './fabric.ts'
import { type Flow, isolateGuard, spoofGuard, translated, tunnelGuard } from './guards.ts'
import type { SimKernel } from './kernel.ts'
import { type Hop, lookUp } from './lookup.ts'
import { type NeighborTable, neighborFor } from './neighbors.ts'
import { SimNode, type SimPod } from './node.ts'
import { UNDERLAY_LINK } from './underlay.ts'

/** Everything a packet can meet. */
export interface World {
  readonly nodes: readonly SimNode[]
  readonly fabric: Fabric
  /** Pods by address. */
  readonly podsByIp: ReadonlyMap<Ip, SimPod>
  /** Nodes by underlay address. */
  readonly nodesByIp: ReadonlyMap<Ip, SimNode>
  /** Learned neighbours, by node; without them every neighbour is known. */
  readonly neighbors?: readonly NeighborTable[]
}

/** Bytes in front of the inner packet. Source: RFC 7348 section 5. */
const VXLAN_BYTES = { 4: 50, 6: 70 } as const
/** The same without inner Ethernet. Source: draft-ietf-nvo3-vxlan-gpe-13 section 3. */
const GPE_BYTES = { 4: 36, 6: 56 } as const

/** A packet between pods. */
interface Packet {
  readonly src: Ip
  readonly dst: Ip
  readonly bytes: number
  readonly flow: Flow | undefined
  readonly trail: Trail
}

/** Sends one full-sized packet from `source` to `dst`, a pod's address or a node's, the first of its connection. */
export function forward(world: World, source: SimPod, dst: Ip, flow?: Flow): Delivery {
  const hop = lookUp(source.kernel, dst, false)
  if (hop.kind === 'local') return DELIVERED
  if (hop.kind === 'drop') return lost(`pod ${source.id}: ${hop.reason}`)
  const uplink = source.kernel.link(hop.link)
  if (source.plan.link !== undefined) return besides(world, source, dst, uplink?.mtuBytes ?? 0)
  const hostEnd = hostEndOf(source)
  if (hostEnd?.up !== true) return lost(`pod ${source.id}: its host end is not up`)
  const bytes = uplink?.mtuBytes ?? 0
  const trail = newTrail()
  if (hostEnd.master !== undefined) return switched(world, source, hostEnd, dst, bytes, trail)
  if (hop.mac !== undefined && hop.mac !== hostEnd.mac) {
    return lost(`pod ${source.id}: frames go to ${hop.mac}, its host end is ${hostEnd.mac}`)
  }
  const src = source.attachment.ips.find((ip) => ipFamily(ip) === ipFamily(dst))
  if (src === undefined) return lost(`pod ${source.id}: has no address of the family of ${dst}`)
  const answer = routed(world, source.node, hostEnd.name, { src, dst, bytes, flow, trail })
  return answer.kind === 'delivered' ? { ...answer, ...trail } : answer
}

/** From a node on, as a router; the packet came in by `from`. */
function routed(world: World, node: SimNode, from: string, packet: Packet): Delivery {
  const { kernel } = node
  const { src, dst, bytes, flow, trail } = packet
  const name = node.record.name
  const spoofed = spoofGuard(kernel, from, src)
  if (spoofed !== undefined) return lost(`${name}: ${spoofed}`)
  const hop = lookUp(kernel, dst, true)
  if (hop.kind === 'local') return atNode(node, packet)
  if (hop.kind === 'drop') return lost(`${name}: ${hop.reason}`)
  const closed = isolateGuard(kernel, src, dst, flow)
  if (closed !== undefined) return lost(`${name}: ${closed}`)
  const link = kernel.link(hop.link)
  if (link === undefined) return lost(`${name}: link ${hop.link} is gone`)
  if (bytes > (link.mtuBytes ?? 0)) {
    return lost(`${name}: ${bytes} bytes do not fit through ${link.name} (${link.mtuBytes})`)
  }
  if (link.link.type === 'veth') return intoPod(world, node, link, dst)
  if (link.link.type === 'vxlan') return tunneled(world, node, link, hop, packet)
  if (link.link.type === 'vxlan-gpe') return encapsulated(world, node, link, hop, packet)
  if (link.name !== UNDERLAY_LINK) return lost(`${name}: ${link.name} leads nowhere`)
  const deaf = unresolved(world, node, dst)
  if (deaf !== undefined) return deaf
  // A router on the way is a switch; it leads to nodes.
  const peer = world.nodesByIp.get(hop.nextHop) ?? world.nodesByIp.get(dst)
  if (peer === undefined) return lost(`${name}: nobody has ${hop.nextHop}`)
  const fault = crossFabric(world.fabric, node.rack, peer.rack, dst, trail)
  const sent = { ...packet, src: translated(kernel, node.record.underlayIps, src, dst) }
  return fault ?? arrive(world, peer, UNDERLAY_LINK, sent)
}

/** For a node's own address: right where that is what was asked for. A tunnel's is nobody's to ask for. */
function atNode({ record, kernel }: SimNode, { src, dst, flow }: Packet): Delivery {
  if (!record.underlayIps.includes(dst)) {
    return lost(`${record.name}: ${dst} is the node's own address`)
  }
  const stranger =
    flow?.protocol === 'udp' && flow.vni !== undefined
      ? tunnelGuard(kernel, flow.port, flow.vni, src)
      : undefined
  return stranger === undefined ? DELIVERED : lost(`${record.name}: ${stranger}`)
}

/** A node that received a packet for somebody else must not send it out again. */
function arrive(world: World, node: SimNode, from: string, packet: Packet): Delivery {
  const hop = lookUp(node.kernel, packet.dst, true)
  if (hop.kind === 'out' && node.kernel.link(hop.link)?.link.type !== 'veth') {
    return lost(`${node.record.name}: ${packet.dst} would leave again by ${hop.link}`)
  }
  return routed(world, node, from, packet)
}

type Out = Extract<Hop, { readonly kind: 'out' }>

/** Classic: neighbour and forwarding entry say where the tunnel ends. */
function tunneled(world: World, node: SimNode, link: Link, hop: Out, packet: Packet): Delivery {
  const name = node.record.name
  if (link.link.type !== 'vxlan') return lost(`${name}: ${link.name} is no tunnel`)
  const { vni, port, local, underlay } = link.link
  if (hop.mac === undefined) return lost(`${name}: no neighbour ${hop.nextHop} on ${link.name}`)
  const fdb = node.kernel.get(`fdb ${link.name} ${hop.mac}`)
  if (fdb?.kind !== 'fdb') return lost(`${name}: no forwarding entry for ${hop.mac}`)
  const peer = across(
    world,
    node,
    underlay,
    fdb.dst,
    packet.bytes + VXLAN_BYTES[ipFamily(fdb.dst)],
    packet.trail,
  )
  if (!(peer instanceof SimNode)) return peer
  const far = peer.kernel.link(link.name)
  const same = far?.link.type === 'vxlan' && far.link.vni === vni && far.link.port === port
  if (far?.up !== true || !same) return lost(`${peer.record.name}: no tunnel ${link.name}`)
  if (far.mac !== hop.mac) {
    return lost(`${peer.record.name}: ${link.name} is ${far.mac}, frames go to ${hop.mac}`)
  }
  return opened(world, peer, far, { port, vni, src: local }, packet)
}

/** Lightweight: the route says where the tunnel ends, and the far side's filter what it takes. */
function encapsulated(world: World, node: SimNode, link: Link, hop: Out, packet: Packet): Delivery {
  const name = node.record.name
  const { encapVni: vni, encapDst: dst } = hop
  if (link.link.type !== 'vxlan-gpe') return lost(`${name}: ${link.name} is no tunnel`)
  if (vni === undefined || dst === undefined) {
    return lost(`${name}: the route to ${packet.dst} names no tunnel for ${link.name}`)
  }
  const { port } = link.link
  const src = node.record.underlayIps.find((ip) => ipFamily(ip) === ipFamily(dst))
  const outer = lookUp(node.kernel, dst, false)
  if (outer.kind !== 'out' || src === undefined) return lost(`${name}: no way to ${dst}`)
  const peer = across(
    world,
    node,
    outer.link,
    dst,
    packet.bytes + GPE_BYTES[ipFamily(dst)],
    packet.trail,
  )
  if (!(peer instanceof SimNode)) return peer
  const far = peer.kernel.link(link.name)
  const same = far?.link.type === 'vxlan-gpe' && far.link.port === port
  if (far?.up !== true || !same) return lost(`${peer.record.name}: no tunnel ${link.name}`)
  if (peer.kernel.get(`vni ${far.name} ${vni}`) === undefined) {
    return lost(`${peer.record.name}: ${far.name} does not take VNI ${vni}`)
  }
  return opened(world, peer, far, { port, vni, src }, packet)
}

/** The node at the other end of the underlay, or why an outer packet does not get there. */
function across(
  world: World,
  node: SimNode,
  underlay: string,
  dst: Ip,
  bytes: number,
  trail: Trail,
): SimNode | Delivery {
  const name = node.record.name
  const link = node.kernel.link(underlay)
  if (link?.up !== true || bytes > (link.mtuBytes ?? 0)) {
    return lost(`${name}: ${bytes} bytes do not fit through ${underlay}`)
  }
  const peer = world.nodesByIp.get(dst)
  if (peer === undefined) return lost(`${name}: no node has ${dst}`)
  const deaf = unresolved(world, node, dst)
  if (deaf !== undefined) return deaf
  return crossFabric(world.fabric, node.rack, peer.rack, dst, trail) ?? peer
}

/** Lost where the kernel has no room to learn the next hop's MAC. */
function unresolved(world: World, node: SimNode, dst: Ip): Delivery | undefined {
  const table = world.neighbors?.[node.index]
  const neighbor = table === undefined ? undefined : neighborFor(node, dst)
  if (neighbor === undefined || table?.resolve(neighbor) !== false) return undefined
  return lost(`${node.record.name}: neighbor table overflow, no room for ${neighbor}`, true)
}

/** The far end of a tunnel: the outer packet is for the node, the inner one goes on. */
function opened(
  world: World,
  peer: SimNode,
  far: Link,
  outer: { readonly port: number; readonly vni: number; readonly src: Ip },
  packet: Packet,
): Delivery {
  const stranger = tunnelGuard(peer.kernel, outer.port, outer.vni, outer.src)
  if (stranger !== undefined) return lost(`${peer.record.name}: ${stranger}`)
  return arrive(world, peer, far.name, packet)
}

function intoPod(world: World, node: SimNode, link: Link, dst: Ip): Delivery {
  const pod = world.podsByIp.get(dst)
  if (pod === undefined || pod.node !== node || pod.attachment.hostLink !== link.name) {
    return lost(`${node.record.name}: ${link.name} does not lead to ${dst}`)
  }
  return lookUp(pod.kernel, dst, true).kind === 'local'
    ? DELIVERED
    : lost(`pod ${pod.id}: does not have ${dst}`)
}

/** Frames from a bridge port to another one, here or behind the VLAN link. */
function switched(
  world: World,
  source: SimPod,
  port: Link,
  dst: Ip,
  bytes: number,
  trail: Trail,
): Delivery {
  const pod = world.podsByIp.get(dst)
  if (pod === undefined) return lost(`nobody answers for ${dst}`)
  const far = hostEndOf(pod)
  const here = bridgeOf(source.node.kernel, port)
  const there = far === undefined ? undefined : bridgeOf(pod.node.kernel, far)
  if (here === undefined) return lost(`${source.node.record.name}: ${port.name} is in no bridge`)
  if (there === undefined) return lost(`${pod.node.record.name}: pod ${pod.id} is in no bridge`)
  if (source.node !== pod.node) {
    const ours = vlanPort(source.node.kernel, here)
    const theirs = vlanPort(pod.node.kernel, there)
    if (ours?.link.type !== 'vlan') return lost(`${source.node.record.name}: no VLAN link`)
    if (theirs?.link.type !== 'vlan') return lost(`${pod.node.record.name}: no VLAN link`)
    if (ours.link.id !== theirs.link.id) return lost('the nodes use different VLAN ids')
    if (bytes > Math.min(ours.mtuBytes ?? 0, theirs.mtuBytes ?? 0)) {
      return lost(`${bytes} bytes do not fit through ${ours.name}`)
    }
    const fault = acrossSegment(world, source, pod, ours.link.id, dst, trail)
    if (fault !== undefined) return fault
  }
  return atPod(pod, dst, trail)
}

/** From a macvlan to another one, beside it or behind the wire; never to the parent. */
function besides(world: World, source: SimPod, dst: Ip, bytes: number): Delivery {
  const { node } = source
  const { name } = node.record
  const here = parentOf(source)
  if (here?.up !== true) return lost(`${name}: what carries pod ${source.id} is not up`)
  if (node.record.underlayIps.includes(dst)) {
    return lost(`${name}: ${here.name} and the macvlans on it do not reach each other`)
  }
  const pod = world.podsByIp.get(dst)
  if (pod === undefined) return lost(`nobody answers for ${dst}`)
  const there = parentOf(pod)
  if (there?.up !== true) return lost(`${pod.node.record.name}: nothing carries pod ${pod.id}`)
  if (vlanOf(here) !== vlanOf(there)) return lost('the pods are in different VLANs')
  const trail = newTrail()
  if (node !== pod.node) {
    if (bytes > Math.min(here.mtuBytes ?? 0, there.mtuBytes ?? 0)) {
      return lost(`${bytes} bytes do not fit through ${here.name}`)
    }
    const fault = acrossSegment(world, source, pod, vlanOf(here), dst, trail)
    if (fault !== undefined) return fault
  }
  return atPod(pod, dst, trail)
}

function acrossSegment(
  { fabric }: World,
  { node: { rack: from } }: SimPod,
  { node: { rack: to } }: SimPod,
  vlanId: number,
  dst: Ip,
  trail: Trail,
): Delivery | undefined {
  if (!fabric.spans(from, to)) return divided(vlanId, fabric, from, to)
  return crossFabric(fabric, from, to, dst, trail, 'frame')
}

const atPod = (pod: SimPod, dst: Ip, trail: Trail): Delivery =>
  lookUp(pod.kernel, dst, true).kind === 'local'
    ? { kind: 'delivered', ...trail }
    : lost(`pod ${pod.id}: does not have ${dst}`)

/** What a pod's macvlan is on; undefined: it has none, or that is gone. */
function parentOf({ node, plan }: SimPod): Link | undefined {
  const kind = plan.link?.link
  return kind?.type === 'macvlan' ? node.kernel.link(kind.parent ?? '') : undefined
}

/** 0: untagged. */
const vlanOf = ({ link }: Link): number => (link.type === 'vlan' ? link.id : 0)

const hostEndOf = (pod: SimPod): Link | undefined =>
  pod.node.kernel.link(pod.attachment.hostLink ?? '')

function bridgeOf(kernel: SimKernel, port: Link): Link | undefined {
  const bridge = kernel.link(port.master ?? '')
  return port.up && bridge?.up === true ? bridge : undefined
}

function vlanPort(kernel: SimKernel, bridge: Link): Link | undefined {
  for (const object of kernel.objects()) {
    if (object.kind === 'link' && object.link.type === 'vlan' && object.master === bridge.name) {
      return object.up && kernel.link(object.link.parent)?.up === true ? object : undefined
    }
  }
  return undefined
}
