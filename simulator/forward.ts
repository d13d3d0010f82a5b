/**
 * A packet from pod to pod, hop by hop, over what kernels and switches hold now.
 *
 * The first thing that stops it is the answer, in words. Every table is asked:
 * the pod's, the node's, the tunnel's, the switches', and the same on the other
 * side. The way back is a packet of its own.
 *
 * @module
 */
import type { Link } from '../src/kernel/mod.ts'
import { type Ip, ipFamily, prefixOf } from '../src/net/mod.ts'
import { type Fabric, prefixEntry } from './fabric.ts'
import type { SimKernel } from './kernel.ts'
import { lookUp } from './lookup.ts'
import type { SimNode, SimPod } from './node.ts'
import { UNDERLAY_LINK } from './underlay.ts'

/** Everything a packet can meet. */
export interface World {
  readonly nodes: readonly SimNode[]
  readonly fabric: Fabric
  /** Pods by address. */
  readonly podsByIp: ReadonlyMap<Ip, SimPod>
  /** Nodes by underlay address. */
  readonly nodesByIp: ReadonlyMap<Ip, SimNode>
}

export type Delivery =
  | { readonly kind: 'delivered' }
  /** `overflow`: the switch had heard of it and had no room. */
  | { readonly kind: 'lost'; readonly reason: string; readonly overflow: boolean }

const DELIVERED: Delivery = { kind: 'delivered' }
/** Bytes in front of the inner packet. Source: RFC 7348 section 5. */
const VXLAN_BYTES = { 4: 50, 6: 70 } as const

const lost = (reason: string, overflow = false): Delivery => ({ kind: 'lost', reason, overflow })

/** Sends one full-sized packet from `source` to `dst`. */
export function forward(world: World, source: SimPod, dst: Ip): Delivery {
  const hop = lookUp(source.kernel, dst, false)
  if (hop.kind === 'local') return DELIVERED
  if (hop.kind === 'drop') return lost(`pod ${source.id}: ${hop.reason}`)
  const uplink = source.kernel.link(hop.link)
  const hostEnd = hostEndOf(source)
  if (hostEnd?.up !== true) return lost(`pod ${source.id}: its host end is not up`)
  const bytes = uplink?.mtuBytes ?? 0
  if (hostEnd.master !== undefined) return switched(world, source, hostEnd, dst, bytes)
  if (hop.mac !== undefined && hop.mac !== hostEnd.mac) {
    return lost(`pod ${source.id}: frames go to ${hop.mac}, its host end is ${hostEnd.mac}`)
  }
  return routed(world, source.node, dst, bytes)
}

/** From a node on, as a router. */
function routed(world: World, node: SimNode, dst: Ip, bytes: number): Delivery {
  const { kernel } = node
  const name = node.record.name
  const hop = lookUp(kernel, dst, true)
  if (hop.kind === 'local') return lost(`${name}: ${dst} is the node's own address`)
  if (hop.kind === 'drop') return lost(`${name}: ${hop.reason}`)
  const link = kernel.link(hop.link)
  if (link === undefined) return lost(`${name}: link ${hop.link} is gone`)
  if (bytes > (link.mtuBytes ?? 0)) {
    return lost(`${name}: ${bytes} bytes do not fit through ${link.name} (${link.mtuBytes})`)
  }
  if (link.link.type === 'veth') return intoPod(world, node, link, dst)
  if (link.link.type === 'vxlan') return tunneled(world, node, link, hop, dst, bytes)
  if (link.name !== UNDERLAY_LINK) return lost(`${name}: ${link.name} leads nowhere`)
  const peer = world.nodesByIp.get(hop.nextHop)
  if (peer === undefined) return lost(`${name}: nobody has ${hop.nextHop}`)
  const fault = routedAcross(world.fabric, node.rack, peer.rack, dst)
  return fault ?? arrive(world, peer, dst, bytes)
}

/** A node that received a packet for somebody else must not send it out again. */
function arrive(world: World, node: SimNode, dst: Ip, bytes: number): Delivery {
  const hop = lookUp(node.kernel, dst, true)
  if (hop.kind === 'out' && node.kernel.link(hop.link)?.link.type !== 'veth') {
    return lost(`${node.record.name}: ${dst} would leave again by ${hop.link}`)
  }
  return routed(world, node, dst, bytes)
}

function tunneled(
  world: World,
  node: SimNode,
  link: Link,
  hop: { readonly nextHop: Ip; readonly mac: string | undefined },
  dst: Ip,
  bytes: number,
): Delivery {
  const name = node.record.name
  if (link.link.type !== 'vxlan') return lost(`${name}: ${link.name} is no tunnel`)
  if (hop.mac === undefined) return lost(`${name}: no neighbour ${hop.nextHop} on ${link.name}`)
  const fdb = node.kernel.get(`fdb ${link.name} ${hop.mac}`)
  if (fdb?.kind !== 'fdb') return lost(`${name}: no forwarding entry for ${hop.mac}`)
  const underlay = node.kernel.link(link.link.underlay)
  const outerBytes = bytes + VXLAN_BYTES[ipFamily(fdb.dst)]
  if (underlay?.up !== true || outerBytes > (underlay.mtuBytes ?? 0)) {
    return lost(`${name}: ${outerBytes} bytes do not fit through ${link.link.underlay}`)
  }
  const peer = world.nodesByIp.get(fdb.dst)
  if (peer === undefined) return lost(`${name}: no node has ${fdb.dst}`)
  const fault = routedAcross(world.fabric, node.rack, peer.rack, fdb.dst)
  if (fault !== undefined) return fault
  const far = peer.kernel.link(link.name)
  const same = far?.link.type === 'vxlan' && far.link.vni === link.link.vni
  if (far?.up !== true || !same) return lost(`${peer.record.name}: no tunnel ${link.name}`)
  if (far.mac !== hop.mac) {
    return lost(`${peer.record.name}: ${link.name} is ${far.mac}, frames go to ${hop.mac}`)
  }
  return arrive(world, peer, dst, bytes)
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
function switched(world: World, source: SimPod, port: Link, dst: Ip, bytes: number): Delivery {
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
  }
  return lookUp(pod.kernel, dst, true).kind === 'local'
    ? DELIVERED
    : lost(`pod ${pod.id}: does not have ${dst}`)
}

/**
 * Through the switches. Inside a rack nodes exchange frames, and a full MAC
 * table floods but delivers. Between racks each switch needs an entry for `dst`.
 */
function routedAcross(fabric: Fabric, from: number, to: number, dst: Ip): Delivery | undefined {
  if (from === to) return undefined
  const lengths = fabric.prefixLengths[ipFamily(dst)]
  const entries = [...lengths].map((length) => prefixEntry(prefixOf(dst, length)))
  const spine = fabric.devices.find(({ role }) => role === 'spine')
  for (const device of [fabric.tor(from), spine, fabric.tor(to)]) {
    const answers = entries.map(({ table, entry }) => device?.tables[table].ask(entry))
    if (device === undefined || answers.includes('taken')) continue
    const heard = answers.includes('refused')
    const why = heard ? 'has no room for' : 'never heard of'
    return lost(`${device.name} ${why} ${dst}`, heard)
  }
  return undefined
}

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
