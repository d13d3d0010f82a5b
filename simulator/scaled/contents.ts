/**
 * What is in each node's tables, written out of the shared list of claims: a node's
 * are the list up to where it has read, as peers, and its own place in it.
 *
 * @module
 */
import { DEFAULT_METRIC, type KernelObject, ROUTE_PROTOCOL } from '../../src/kernel/mod.ts'
import { type Ip, networkAddress, type Prefix, prefixOf, subPrefixAt } from '../../src/net/mod.ts'
import type { Plan } from './accept.ts'
import type { ScaledAgents } from './agents.ts'
import { type Places, UNDERLAY } from './places.ts'

export type ScaledNodeTable = 'links' | 'routes' | 'neighbors' | 'fdb'

const UPLINK = 'eth0'
const UPLINK_MTU = 1500
const VXLAN_PORT = 8472
const VXLAN_OVERHEAD = 50
/** rtm_protocol. Source: rtnetlink.h, RTPROT_KERNEL and RTPROT_STATIC. */
const [PROTOCOL_KERNEL, PROTOCOL_STATIC] = [2, 4]

/** The k-th claim's block: every node takes the lowest that is free. */
export const blockOf = ({ pool, blockLength }: Plan, claim: number): Prefix =>
  subPrefixAt(pool, blockLength, BigInt(claim))

/** Entries of a table, by how many claims the node's kernel shows; -1: none. */
export function countOf({ mode }: Plan, table: ScaledNodeTable, shown: number): number {
  const isOn = shown >= 0
  const peers = Math.max(0, shown - 1)
  switch (table) {
    case 'links':
      return 1 + (isOn ? { route: 0, vxlan: 1, vlan: 2 }[mode] : 0)
    case 'routes':
      return (mode === 'vxlan' ? 2 : 1) + (isOn && mode !== 'vlan' ? 1 + peers : 0)
    case 'neighbors':
    case 'fdb':
      return mode === 'vxlan' ? peers : 0
  }
}

/** Everything in the four tables of a node. */
export function contentsOf(
  plan: Plan,
  places: Places,
  agents: Pick<ScaledAgents, 'owners' | 'claims' | 'shown'>,
  node: number,
): readonly KernelObject[] {
  const { mode } = plan
  const shown = agents.shown[node]!
  const objects = [...bare(plan, places, node)]
  if (shown < 0) return objects
  if (mode === 'vlan') return [...objects, ...vlanLinks(plan, places, node)]
  if (mode === 'vxlan') objects.push(tunnel(plan, places, node))
  for (let claim = 0; claim < shown; claim++) {
    const block = blockOf(plan, claim)
    const owner = agents.owners[claim]!
    if (owner === node) objects.push(route(block, { type: 'blackhole' }))
    else if (mode === 'route') {
      objects.push(route(block, { type: 'unicast', link: UPLINK, via: places.ip(owner) }))
    } else objects.push(...peerByTunnel(block, places, owner))
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
}

const route = (dst: Prefix, way: Way): KernelObject => ({
  kind: 'route',
  dst,
  metric: DEFAULT_METRIC[4],
  protocol: ROUTE_PROTOCOL,
  ...way,
})

const TUNNEL = 'trvx.1'

const tunnel = ({ network }: Plan, places: Places, node: number): KernelObject => ({
  kind: 'link',
  name: TUNNEL,
  link: { type: 'vxlan', vni: 1, port: VXLAN_PORT, underlay: UPLINK, local: places.ip(node) },
  up: true,
  mtuBytes: UPLINK_MTU - VXLAN_OVERHEAD,
  alias: `trivium ${network}`,
  mac: places.vtepMac(node),
})

function peerByTunnel(block: Prefix, places: Places, owner: number): readonly KernelObject[] {
  const ip = networkAddress(block)
  const mac = places.vtepMac(owner)
  return [
    { kind: 'fdb', link: TUNNEL, mac, dst: places.ip(owner) },
    { kind: 'neigh', link: TUNNEL, ip, mac },
    route(block, { type: 'unicast', link: TUNNEL, via: ip, onlink: true }),
  ]
}

function vlanLinks(
  { network, vlanId }: Plan,
  places: Places,
  node: number,
): readonly KernelObject[] {
  const about = { up: true, mtuBytes: UPLINK_MTU, alias: `trivium ${network}` } as const
  const bridge = `trvb.${vlanId}`
  const mac = places.mac(node)
  return [
    { kind: 'link', name: bridge, link: { type: 'bridge' }, ...about, mac },
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
