/**
 * What is in each node's tables, written out of the shared list of claims: a node's
 * are the list up to where it has read, as peers, and its own place in it.
 *
 * @module
 */
import {
  DEFAULT_METRIC,
  type KernelObject,
  podLinkName,
  ROUTE_PROTOCOL,
} from '../../src/kernel/mod.ts'
import {
  hostPrefix,
  type Ip,
  ipFromInteger,
  type Mac,
  macFromName,
  networkAddress,
  type Prefix,
  prefixOf,
  subPrefixAt,
} from '../../src/net/mod.ts'
import type { Plan } from './accept.ts'
import type { ScaledAgents } from './agents.ts'
import type { ScaledBlocks } from './blocks.ts'
import { type Places, UNDERLAY } from './places.ts'
import type { ScaledPods } from './pods.ts'

const UPLINK = 'eth0'
const UPLINK_MTU = 1500
export const POD_LINK = 'eth0'
/** Of every pair's host end: locally administered, then "triv". */
const HOST_END_MAC = '02:74:72:69:76:01' as Mac
const VXLAN_PORT = 8472
const VXLAN_OVERHEAD = 50
const GPE_PORT = 4790
const GPE_OVERHEAD = 36
/** rtm_protocol. Source: rtnetlink.h, RTPROT_KERNEL and RTPROT_STATIC. */
const [PROTOCOL_KERNEL, PROTOCOL_STATIC] = [2, 4]

/** A block by its number in the pool. */
export const blockOf = ({ pool, blockLength }: Plan, block: number): Prefix =>
  subPrefixAt(pool, blockLength, BigInt(block))

/** A rack's part of the pool, where each has one. */
export function shareOf({ pool, blockLength, share = 1 }: Plan, rack: number): Prefix {
  let length = blockLength
  for (let blocks = 1; blocks < share; blocks *= 2) length--
  return subPrefixAt(pool, length, BigInt(rack))
}

/** What a node's tables are written out of. */
export interface Written {
  readonly plan: Plan
  readonly places: Places
  readonly blocks: Pick<ScaledBlocks, 'owners' | 'first' | 'numberOf'>
  readonly agents: Pick<ScaledAgents, 'shown'>
  readonly pods: Pick<ScaledPods, 'firstOf' | 'addresses' | 'sequences' | 'isMade'>
}

/** Everything in the four tables of a node. */
export function contentsOf(run: Written, node: number): readonly KernelObject[] {
  const { plan, places, agents } = run
  const { mode } = plan
  const shown = agents.shown[node]!
  const objects = [...bare(plan, places, node)]
  if (shown < 0) return objects
  const pods = podsOf(run, node)
  if (mode === 'vlan') {
    const macs = pods.flatMap((object) => (object.kind === 'link' ? (object.mac ?? []) : []))
    return [...objects, ...vlanLinks(plan, places, node, macs), ...pods]
  }
  if (mode === 'vxlan') objects.push(tunnel(plan, places, node))
  for (let claim = 0; claim < shown; claim++) objects.push(...wayTo(run, node, claim))
  return [...objects, ...pods]
}

/** A node's own block, or a peer's. */
function wayTo({ plan, places, blocks }: Written, node: number, claim: number): KernelObject[] {
  const block = blockOf(plan, blocks.numberOf(claim))
  const owner = blocks.owners.values[claim]!
  if (owner === node) return [route(block, { type: 'blackhole' })]
  const isNear = plan.isDirect && places.rackOf(owner) === places.rackOf(node)
  if (plan.mode === 'route' || isNear) {
    return [route(block, { type: 'unicast', link: UPLINK, via: places.ip(owner) })]
  }
  if (plan.isLightweight) {
    const way = { encapVni: 1, encapDst: places.ip(owner) } as const
    return [route(block, { type: 'unicast', link: TUNNEL, ...way })]
  }
  const first = blocks.first[owner]!
  const via = networkAddress(blockOf(plan, blocks.numberOf(first)))
  const way = route(block, { type: 'unicast', link: TUNNEL, via, onlink: true })
  if (first !== claim) return [way]
  const mac = places.vtepMac(owner)
  return [
    { kind: 'fdb', link: TUNNEL, mac, dst: places.ip(owner) },
    { kind: 'neigh', link: TUNNEL, ip: via, mac },
    way,
  ]
}

/** The host's end of each pod's pair, and the way to it. */
function podsOf({ plan, pods }: Written, node: number): readonly KernelObject[] {
  const { mode, network, vlanId, scenario } = plan
  const objects: KernelObject[] = []
  const first = pods.firstOf(node)
  for (let pod = first; pod < first + scenario.podsPerNode; pod++) {
    if (pods.isMade[pod] === 0) continue
    const id = `pod-${pod}`
    const name = podLinkName(network, id, POD_LINK)
    const mtuBytes = mtuOf(plan)
    objects.push({
      kind: 'link',
      name,
      link: { type: 'veth' },
      up: true,
      mtuBytes,
      peerMtuBytes: mtuBytes,
      alias: `trivium ${network} ${id} ${POD_LINK} ${pods.sequences[pod]}`,
      mac: mode === 'vlan' ? macFromName(name) : HOST_END_MAC,
      ...(mode === 'vlan' ? { master: `trvb.${vlanId}` } : {}),
    })
    if (mode === 'vlan') continue
    const ip = ipFromInteger(4, BigInt(pods.addresses[pod]!))
    objects.push(route(hostPrefix(ip), { type: 'unicast', link: name }))
  }
  return objects
}

function bare({ mode }: Plan, places: Places, node: number): readonly KernelObject[] {
  const link: KernelObject = {
    kind: 'link',
    name: UPLINK,
    link: { type: 'other', name: 'ether' },
    up: true,
    mac: places.mac(node),
    mtuBytes: UPLINK_MTU,
  }
  const onLink = (dst: Prefix): KernelObject =>
    route(dst, { type: 'unicast', link: UPLINK, protocol: PROTOCOL_KERNEL })
  if (mode !== 'vxlan') return [link, onLink(UNDERLAY)]
  const via = places.router(node)
  const toOthers = { type: 'unicast', link: UPLINK, via, protocol: PROTOCOL_STATIC } as const
  return [link, onLink(prefixOf(via, 24)), route(UNDERLAY, toOthers)]
}

interface Way {
  readonly type: 'unicast' | 'blackhole'
  readonly link?: string
  readonly via?: Ip
  readonly onlink?: true
  readonly protocol?: number
  readonly encapVni?: number
  readonly encapDst?: Ip
}

const route = (dst: Prefix, way: Way): KernelObject => ({
  kind: 'route',
  dst,
  metric: DEFAULT_METRIC[4],
  protocol: ROUTE_PROTOCOL,
  ...way,
})

const TUNNEL = 'trvx.1'

function tunnel(plan: Plan, places: Places, node: number): KernelObject {
  const alias = `trivium ${plan.network}`
  const about = { kind: 'link', name: TUNNEL, up: true, mtuBytes: mtuOf(plan), alias } as const
  if (plan.isLightweight) return { ...about, link: { type: 'vxlan-gpe', port: GPE_PORT } }
  const local = places.ip(node)
  const link = { type: 'vxlan', vni: 1, port: VXLAN_PORT, underlay: UPLINK, local } as const
  return { ...about, link, mac: places.vtepMac(node) }
}

const mtuOf = ({ mode, isLightweight }: Plan): number =>
  UPLINK_MTU - (mode !== 'vxlan' ? 0 : isLightweight ? GPE_OVERHEAD : VXLAN_OVERHEAD)

function vlanLinks(
  { network, vlanId }: Plan,
  places: Places,
  node: number,
  ports: readonly Mac[],
): readonly KernelObject[] {
  const about = { up: true, mtuBytes: UPLINK_MTU, alias: `trivium ${network}` } as const
  const bridge = `trvb.${vlanId}`
  const mac = places.mac(node)
  // A bridge has the lowest MAC of its ports.
  const lowest = ports.reduce((low, port) => (port < low ? port : low), mac)
  return [
    { kind: 'link', name: bridge, link: { type: 'bridge' }, ...about, mac: lowest },
    {
      kind: 'link',
      name: `trvl.${vlanId}`,
      link: { type: 'vlan', parent: UPLINK, id: vlanId },
      ...about,
      master: bridge,
      mac,
    },
  ]
}
