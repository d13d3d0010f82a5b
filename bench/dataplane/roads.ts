/**
 * The ways from one pod to another that are compared, and what is true of each
 * whatever is measured.
 */
import { GPE_KERNEL } from '../../src/kernel-release.ts'

/** What must lie between the nodes. */
export type Ground = 'ip' | 'l2' | 'segment'

/** What no measurement tells. */
export interface Facts {
  /**
   * `ip`: anything that carries IP; `l2`: one L2 network, or a fabric that hears of the blocks;
   * `segment`: one L2 segment, where every switch learns every pod.
   */
  readonly ground: Ground
  /** Kernel objects on a node for each other node (one block, one family). */
  readonly objectsPerPeer: number
  /** Others who do the same can take part: Flannel's nodes, hardware tunnel endpoints. */
  readonly isCommon: boolean
  /** Oldest kernel, where not every one that we run on will do. */
  readonly leastKernel?: string
  /** Pods are reached from the segment by their own MAC. */
  readonly isBeside: boolean
  /** The guard against forged senders is in the pod's own namespace, where NET_ADMIN takes it away. */
  readonly guardInPod?: true
}

export interface Road {
  readonly id: string
  /** In tables and charts. */
  readonly name: string
  readonly about: string
  /** Flags of `trivium network create`; undefined: not ours. */
  readonly flags?: readonly string[]
  /** The frames have a VLAN tag, which not every kernel can make. */
  readonly isTagged?: true
  /** Our nftables table is taken away before anything is measured. */
  readonly isUnguarded?: true
  /** Undefined: nothing to choose, only a yardstick. */
  readonly facts?: Facts
}

export const BARE = 'veth'
export const REFERENCE = 'reference'
/** The same road with and without our nftables table. */
export const GUARDED = 'route'
export const UNGUARDED = 'route-unguarded'

const TUNNEL = { ground: 'ip', isBeside: false } as const
const VLAN = { ground: 'segment', objectsPerPeer: 0, isCommon: true, isBeside: true } as const

export const ROADS: readonly Road[] = [
  { id: BARE, name: 'bare veth', about: 'two namespaces joined by one veth pair: no node' },
  {
    id: 'host',
    name: 'host network',
    about: 'node to node over the underlay, without pods',
  },
  {
    id: REFERENCE,
    name: 'bridge + static route',
    about: 'the reference plugins bridge and host-local, and a route to the other node',
  },
  {
    id: 'classic',
    name: 'vxlan classic',
    about: 'VXLAN as Flannel lays it out',
    flags: ['--mode', 'vxlan'],
    facts: { ...TUNNEL, objectsPerPeer: 3, isCommon: true },
  },
  {
    id: 'lightweight',
    name: 'vxlan lightweight',
    about: 'VXLAN-GPE with the tunnel in the route',
    flags: ['--mode', 'vxlan', '--flavour', 'lightweight'],
    facts: { ...TUNNEL, objectsPerPeer: 1, isCommon: false, leastKernel: GPE_KERNEL },
  },
  {
    id: GUARDED,
    name: 'route',
    about: 'a route to each block, no encapsulation',
    flags: ['--mode', 'route'],
    facts: { ground: 'l2', objectsPerPeer: 1, isCommon: true, isBeside: false },
  },
  {
    id: UNGUARDED,
    name: 'route, no guards',
    about: 'the same without our nftables table: what guards, isolation and masquerade cost',
    flags: ['--mode', 'route'],
    isUnguarded: true,
  },
  {
    id: 'vlan',
    name: 'vlan bridge',
    about: 'a bridge on the uplink’s VLAN interface',
    flags: ['--mode', 'vlan', '--vlan', '100'],
    isTagged: true,
    facts: VLAN,
  },
  {
    id: 'macvlan-tagged',
    name: 'vlan macvlan',
    about: 'macvlan on the uplink’s VLAN interface',
    flags: ['--mode', 'vlan', '--attachment', 'macvlan', '--vlan', '100'],
    isTagged: true,
    facts: { ...VLAN, guardInPod: true },
  },
  {
    id: 'macvlan',
    name: 'macvlan untagged',
    about: 'macvlan on the uplink itself, without a tag',
    flags: ['--mode', 'vlan', '--attachment', 'macvlan', '--vlan', '0'],
    facts: { ...VLAN, guardInPod: true },
  },
]
