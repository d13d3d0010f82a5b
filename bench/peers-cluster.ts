/**
 * Clusters of any size for one node to join: each peer has an underlay address
 * and one block, all of IPv4.
 */
import type { BlockClaim, NetworkRecord, NodeRecord } from '../src/cluster/view.ts'
import { macFromName, parseIp, parsePrefix, subPrefixAt } from '../src/net/mod.ts'

export type Road = 'classic' | 'lightweight' | 'route'

export interface Cluster {
  readonly self: NodeRecord
  readonly nodes: readonly NodeRecord[]
  readonly network: NetworkRecord
  readonly claims: readonly BlockClaim[]
}

/** The node's own underlay address; peers follow in the same /10. RFC 6598. */
export const UNDERLAY = { ip: '100.64.0.1', length: 10 } as const
export const SELF = 'bench'
export const NETWORK = 'pods'

const POOL = { cidr: parsePrefix('10.32.0.0/11'), blockLength: 26 }

function nodeAt(index: number): NodeRecord {
  const name = index === 0 ? SELF : `peer-${index}`
  const ip = `100.64.${Math.floor((index + 1) / 250)}.${(index + 1) % 250 || 250}`
  return {
    name,
    underlayLink: 'eth0',
    underlayIps: [parseIp(index === 0 ? UNDERLAY.ip : ip)],
    underlayMtuBytes: 1500,
    underlayPrefixes: [parsePrefix('100.64.0.0/10')],
    kernelRelease: '6.12.0',
    vtepMac: macFromName(name),
    registeredMs: 0,
  }
}

function claimAt(index: number): BlockClaim {
  return {
    network: NETWORK,
    cidr: subPrefixAt(POOL.cidr, POOL.blockLength, BigInt(index)),
    pool: POOL.cidr,
    node: index === 0 ? SELF : `peer-${index}`,
    first: true,
    claimedMs: 0,
  }
}

function cluster(change: Pick<NetworkRecord, 'mode' | 'options'>, peers: number): Cluster {
  const indexes = Array.from({ length: peers + 1 }, (_, index) => index)
  const [self, ...nodes] = indexes.map(nodeAt)
  const network = { name: NETWORK, pools: [POOL], createdMs: 0, ...change }
  return { self: self as NodeRecord, nodes, network, claims: indexes.map(claimAt) }
}

const OPTIONS = { vni: 1, vxlanPort: 8472, vlanId: 100 } as const

/** By road and number of peers. */
export const CLUSTERS: Readonly<Record<Road, (peers: number) => Cluster>> = {
  classic: (peers) => cluster({ mode: 'vxlan', options: OPTIONS }, peers),
  lightweight: (peers) =>
    cluster(
      {
        mode: 'vxlan',
        options: { ...OPTIONS, vxlanPort: 4790, flavour: 'lightweight', anyKernel: true },
      },
      peers,
    ),
  route: (peers) => cluster({ mode: 'route', options: OPTIONS }, peers),
}
