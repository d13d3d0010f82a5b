/**
 * Addresses of nodes: which rack, which address, which MAC.
 *
 * One prefix a rack for the switches. Where pods are tunnelled the nodes use the
 * same, with the top-of-rack switch as router: a rack is a network of its own.
 * Elsewhere one mask is over all racks: a node takes every other node for a
 * neighbour, and the switch answers for those of other racks (proxy ARP). So a
 * route via a peer's address is one that Linux accepts, and traffic between racks
 * is routed by switches.
 *
 * IPv4 is 100.64.0.0/10 (RFC 6598), a /24 a rack; IPv6 is fd64::/32, a /64 a rack.
 *
 * @module
 */
import type { NodeRecord } from '../ipam/records.ts'
import { DEFAULT_METRIC, type KernelObject } from '../src/kernel/mod.ts'
import {
  addressAt,
  type Ip,
  type IpFamily,
  ipFamily,
  type Mac,
  macFromName,
  type Prefix,
  parsePrefix,
  prefixOf,
  subPrefixAt,
} from '../src/net/mod.ts'

export const UNDERLAY_LINK = 'eth0'
export const UNDERLAY_MTU_BYTES = 1500

const UNDERLAY = { 4: parsePrefix('100.64.0.0/10'), 6: parsePrefix('fd64::/32') } as const
const RACK_LENGTH = { 4: 24, 6: 64 } as const
/** Prefix length of a node's addresses where it takes all other nodes for neighbours. */
const UNDERLAY_LENGTH = { 4: 10, 6: 32 } as const
/** rtm_protocol of what an administrator configured. Source: rtnetlink.h, RTPROT_STATIC. */
const PROTOCOL_STATIC = 4

/**
 * What a node is directly on: every node, or those of its rack only, with the
 * top-of-rack switch as router to the others.
 */
export type Reach = 'underlay' | 'rack'

const lengthOf = (reach: Reach, family: IpFamily): number =>
  (reach === 'rack' ? RACK_LENGTH : UNDERLAY_LENGTH)[family]

/** Offset 0 is the network's. */
const SWITCH_OFFSET = 1n
/** A /24 without its first address, the switch's, and the broadcast address. */
export const RACK_NODES_MAX = 250

/** The underlay's own prefixes, which no pool may overlap. */
export const UNDERLAY_PREFIXES: readonly Prefix[] = [UNDERLAY[4], UNDERLAY[6]]

/** A node's place. */
export interface NodePlace {
  readonly index: number
  readonly rack: number
  readonly name: string
  readonly mac: Mac
  readonly ips: readonly Ip[]
}

/** A rack and who is in it. */
export interface RackPlan {
  readonly index: number
  readonly prefixes: readonly Prefix[]
  readonly nodes: readonly NodePlace[]
}

export const nodeName = (index: number): string => `node-${String(index).padStart(4, '0')}`

/** Index of a node by its name or number; undefined when there is none. */
export function nodeNamed(node: string | number, nodes: number): number | undefined {
  const text = String(node).replace(/^node-(?=\d{4})/, '')
  const index = /^\d{1,6}$/.test(text) ? Number(text) : nodes
  const isName = text === String(node) || nodeName(index) === node
  return isName && index < nodes ? index : undefined
}

/**
 * Spreads nodes over racks, rack after rack, as evenly as can be.
 *
 * @param families Families of the underlay.
 */
export function planRacks(
  nodes: number,
  racks: number,
  families: readonly (4 | 6)[],
): readonly RackPlan[] {
  return Array.from({ length: racks }, (_, rack): RackPlan => {
    const prefixes = families.map((family) =>
      subPrefixAt(UNDERLAY[family], RACK_LENGTH[family], BigInt(rack)),
    )
    const first = Math.floor((rack * nodes) / racks)
    const end = Math.floor(((rack + 1) * nodes) / racks)
    const members = Array.from({ length: end - first }, (_, place): NodePlace => {
      const index = first + place
      const name = nodeName(index)
      const ips = prefixes.map((prefix) => addressAt(prefix, SWITCH_OFFSET + 1n + BigInt(place)))
      return { index, rack, name, mac: macFromName(`underlay/${name}`), ips }
    })
    return { index: rack, prefixes, nodes: members }
  })
}

/** What nodes of a rack call it. */
export const rackLabel = (rack: number): string => `rack-${rack}`

/** The node as it registers itself. @param saysRack Whether it says where it stands. */
export function nodeRecord(place: NodePlace, reach: Reach, saysRack = false): NodeRecord {
  const { name, rack, ips } = place
  return {
    name,
    ...(saysRack ? { rack: rackLabel(rack) } : {}),
    underlayLink: UNDERLAY_LINK,
    underlayIps: ips,
    underlayPrefixes: ips.map((ip) => prefixOf(ip, lengthOf(reach, ipFamily(ip)))),
    underlayMtuBytes: UNDERLAY_MTU_BYTES,
    vtepMac: macFromName(name),
    registeredMs: 0,
  }
}

/** What the kernel of a node holds before any agent runs. */
export function initialObjects({ mac, ips }: NodePlace, reach: Reach): readonly KernelObject[] {
  return [
    {
      kind: 'link',
      name: UNDERLAY_LINK,
      link: { type: 'other', name: 'ether' },
      up: true,
      mac,
      mtuBytes: UNDERLAY_MTU_BYTES,
    },
    ...ips.flatMap((ip) => addressObjects(ip, reach)),
  ]
}

function addressObjects(ip: Ip, reach: Reach): readonly KernelObject[] {
  const family = ipFamily(ip)
  const prefixLength = lengthOf(reach, family)
  const addr: KernelObject = { kind: 'addr', link: UNDERLAY_LINK, ip, prefixLength }
  if (reach === 'underlay') return [addr]
  const toOthers: KernelObject = {
    kind: 'route',
    dst: UNDERLAY[family],
    type: 'unicast',
    link: UNDERLAY_LINK,
    via: addressAt(prefixOf(ip, prefixLength), SWITCH_OFFSET),
    metric: DEFAULT_METRIC[family],
    protocol: PROTOCOL_STATIC,
  }
  return [addr, toOthers]
}
