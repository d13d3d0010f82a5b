/**
 * Addresses of nodes: which rack, which address, which MAC.
 *
 * One prefix a rack for the switches, one mask over all racks for the nodes:
 * a node takes every other node for a neighbour, and the top-of-rack switch
 * answers for those of other racks (proxy ARP). So a route via a peer's address
 * is one that Linux accepts, and traffic between racks is routed by switches.
 *
 * IPv4 is 100.64.0.0/10 (RFC 6598), a /24 a rack; IPv6 is fd64::/32, a /64 a rack.
 *
 * @module
 */
import type { NodeRecord } from '../ipam/records.ts'
import type { KernelObject } from '../src/kernel/mod.ts'
import {
  addressAt,
  type Ip,
  type Mac,
  macFromName,
  type Prefix,
  parsePrefix,
  subPrefixAt,
} from '../src/net/mod.ts'

export const UNDERLAY_LINK = 'eth0'
export const UNDERLAY_MTU_BYTES = 1500

const UNDERLAY = { 4: parsePrefix('100.64.0.0/10'), 6: parsePrefix('fd64::/32') } as const
const RACK_LENGTH = { 4: 24, 6: 64 } as const
/** All of a node's prefix length on its link. */
const NODE_LENGTH = { 4: 10, 6: 32 } as const

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
      const name = `node-${String(index).padStart(4, '0')}`
      // Offset 0 is the network's, 1 the switch's.
      const ips = prefixes.map((prefix) => addressAt(prefix, BigInt(place + 2)))
      return { index, rack, name, mac: macFromName(`underlay/${name}`), ips }
    })
    return { index: rack, prefixes, nodes: members }
  })
}

/** The node as it registers itself. */
export function nodeRecord({ name, ips }: NodePlace): NodeRecord {
  return {
    name,
    underlayLink: UNDERLAY_LINK,
    underlayIps: ips,
    underlayMtuBytes: UNDERLAY_MTU_BYTES,
    vtepMac: macFromName(name),
    registeredMs: 0,
  }
}

/** What the kernel of a node holds before any agent runs. */
export function initialObjects({ mac, ips }: NodePlace): readonly KernelObject[] {
  return [
    {
      kind: 'link',
      name: UNDERLAY_LINK,
      link: { type: 'other', name: 'ether' },
      up: true,
      mac,
      mtuBytes: UNDERLAY_MTU_BYTES,
    },
    ...ips.map(
      (ip): KernelObject => ({
        kind: 'addr',
        link: UNDERLAY_LINK,
        ip,
        prefixLength: NODE_LENGTH[ip.includes(':') ? 6 : 4],
      }),
    ),
  ]
}
