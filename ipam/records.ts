/**
 * What the store holds. All values are plain JSON; times are Unix milliseconds.
 *
 * @module
 */
import type { Ip, IpFamily, Mac, Prefix } from '../src/net/mod.ts'

/** How a pod's packets reach another node. `ipam`: addresses only, other plugins make the links. */
export type Mode = 'vxlan' | 'route' | 'vlan' | 'ipam'

export type Flavour = 'classic' | 'lightweight'

/** How a pod hangs on a VLAN: a port of the node's bridge, or a link of its own on the uplink. */
export type Attachment = 'bridge' | 'macvlan'

export type PeerRoutes = 'direct' | 'bgp'

/** A range of addresses, cut into blocks that nodes own. */
export interface Pool {
  readonly cidr: Prefix
  /** Prefix length of a block, e.g. 26. */
  readonly blockLength: number
  /** Only nodes of this rack claim blocks here, so that its switch can announce the pool. undefined: any node. */
  readonly rack?: string
  /** Only these nodes claim blocks here. undefined: any node. */
  readonly nodes?: readonly string[]
  /** Only pods of these Kubernetes namespaces get addresses here. undefined: any pod. */
  readonly namespaces?: readonly string[]
  /** An address on the wire that answers for the rest of the world (VLAN mode); never a pod's. */
  readonly gateway?: Ip
  /**
   * Its addresses are claimed one by one, by the node where the pod is, and announced
   * singly; a pod gets one only by asking for it. Blocks are single addresses then. @default false
   */
  readonly floating?: boolean
  /** Nobody gets an address of it any more; those that have one keep it. @default false */
  readonly draining?: boolean
}

/** Options of every mode; each planner reads its own. */
export interface NetworkOptions {
  /** VXLAN network identifier, 1 to 16 777 215. */
  readonly vni: number
  /** UDP port of the tunnel. */
  readonly vxlanPort: number
  /** 802.1Q VLAN id, 1 to 4094; 0: untagged, the uplink itself (macvlan only). */
  readonly vlanId: number
  /** VLAN mode: how pods hang on the uplink. @default 'bridge' */
  readonly attachment?: Attachment
  /**
   * How tunnels are laid out. `classic`: neighbour, forwarding entry and route a
   * peer, as Flannel does. `lightweight`: VXLAN-GPE, one route a peer's block
   * with the tunnel in it. @default 'classic'
   */
  readonly flavour?: Flavour
  /** Peers on the same underlay network are reached without tunnel. @default false */
  readonly crossSubnet?: boolean
  /**
   * Route mode: where the ways to peers' blocks come from. `direct`: from their records, to
   * each by its own address; `bgp`: from the node's speaker. @default 'direct'
   */
  readonly peerRoutes?: PeerRoutes
  /** Pods leave the networks under their node's address. @default true; never in vlan mode */
  readonly masquerade?: boolean
  /** false: tunnels never offload checksums. @default off only on kernels where it is broken */
  readonly checksumOffload?: boolean
  /** Lightweight tunnels even on kernels with broken GPE offloads. @default false */
  readonly anyKernel?: boolean
  /** MTU of the pods' links in bytes; undefined: derived from the underlay. */
  readonly mtuBytes?: number
  /** How long an address rests before another pod gets it; 0: not at all. @default 60 */
  readonly cooldownSeconds?: number
  /** Rather a new block, or none, than an address that still cools. @default false */
  readonly cooldownStrict?: boolean
  /** VLAN mode: ADD asks the segment whether anybody else has the address. @default false */
  readonly conflictProbe?: boolean
  /** How long a node keeps a block that it has no use for. @default 600 */
  readonly idleSeconds?: number
}

/** A network: the one truth about mode, pools and options. */
export interface NetworkRecord {
  readonly name: string
  readonly mode: Mode
  readonly pools: readonly Pool[]
  readonly options: NetworkOptions
  readonly createdMs: number
  /** Ranges that are given only to pods they are reserved for. Absent: none. */
  readonly exclusions?: readonly Prefix[]
  /** Its tunnels' links have the second of their two names. Absent: the first. */
  readonly alternate?: true
  /** The last change of its road. Absent: never changed under nodes. */
  readonly move?: Move
}

/** How packets of a network cross between nodes: what sender and receiver have to agree about. */
export interface Road {
  readonly mode: 'vxlan' | 'route'
  readonly vni: number
  readonly vxlanPort: number
  readonly flavour?: Flavour
  readonly crossSubnet?: boolean
  readonly alternate?: true
}

/** One of a move's two roads. */
export type RoadName = 'old' | 'new'

/**
 * Nodes go from one road to another, each in its own time, or back while they do:
 * which of the two is wanted, the network's mode and options say.
 */
export interface Move {
  /** Another one for each move of the network. */
  readonly serial: number
  readonly old: Road
  readonly new: Road
}

/** How far a node is in a move. */
export interface Standing {
  /** Of the move. */
  readonly serial: number
  /** Roads that it has open. */
  readonly takes: readonly RoadName[]
  /** Roads that it sends by. */
  readonly uses: readonly RoadName[]
}

/**
 * Pods of one network may open connections to another's. Without one, networks
 * are closed to each other.
 */
export interface AllowRecord {
  readonly from: string
  readonly to: string
  /** Empty: every protocol and port. */
  readonly ports: readonly AllowedPort[]
  readonly createdMs: number
}

export interface AllowedPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly port: number
}

/** A node and how the others reach it. */
export interface NodeRecord {
  readonly name: string
  /** Link that carries traffic to other nodes, e.g. `eth0`. */
  readonly underlayLink: string
  /** The host's own link, where `underlayLink` is a bridge that took it over (`trivium uplink take`). */
  readonly uplinkPort?: string
  /** Addresses of that link; at most one a family. */
  readonly underlayIps: readonly Ip[]
  readonly underlayMtuBytes: number
  /** Networks that the link is directly on, one an address. undefined: not known. */
  readonly underlayPrefixes?: readonly Prefix[]
  /** `uname -r`, e.g. `6.1.0-18-amd64`. undefined: not known. */
  readonly kernelRelease?: string
  /** Where the node stands, e.g. `r12`: blocks of one rack are placed together. undefined: not said. */
  readonly rack?: string
  /** Its reverse-path filter of all links together is strict (net.ipv4.conf.all.rp_filter 1). Absent: it is not, or not known. */
  readonly strictFilter?: true
  /** How far it is in moves of networks, by their names. Absent: in none. */
  readonly moves?: Readonly<Record<string, Standing>>
  /** MAC of the node's tunnel devices, derived from its name. */
  readonly vtepMac: Mac
  readonly registeredMs: number
}

/** One block's owner, as the whole cluster sees it. */
export interface BlockClaim {
  readonly network: string
  readonly cidr: Prefix
  readonly pool: Prefix
  readonly node: string
  /**
   * Whether this is the node's first block of its family in the network: its
   * network address is the node's tunnel endpoint and never a pod's.
   */
  readonly first: boolean
  readonly claimedMs: number
}

/** A block as its owner uses it. */
export interface BlockUse {
  readonly cidr: Prefix
  readonly pool: Prefix
  readonly first: boolean
  /** Offset to try next (round robin). */
  readonly cursor: number
  /** Addresses held by attachments. */
  readonly used: number
  /** Addresses given up a short while ago, in order of release; absent: none. */
  readonly cooling?: readonly CooledAddress[]
  /** How often one of its addresses was given up: the next place in its history. Absent: not since it was claimed. */
  readonly released?: number
  /** Another node claims it, too: its addresses are taken back, none is given. Absent: no. */
  readonly frozen?: true
}

/** An address that rests before it is given again. */
export interface CooledAddress {
  /** Its place in the block. */
  readonly offset: number
  /** When it was given up. */
  readonly sinceMs: number
  /** Who answered for it on the segment, where a pod was to have it. */
  readonly taken?: Mac
}

/** Names one attachment: one interface of one container in one network. */
export interface AttachmentKey {
  readonly network: string
  readonly containerId: string
  readonly ifname: string
}

/** A pod by name: the next one of a StatefulSet's place is the same. */
export interface PodName {
  readonly namespace: string
  readonly name: string
}

/** An address kept for one pod. */
export interface Reservation {
  readonly network: string
  readonly ip: Ip
  readonly pod: PodName
  /** MAC of the pod's end. */
  readonly mac: Mac
  readonly madeMs: number
}

/** The pod behind a container, as the runtime told it. */
export interface PodIdentity extends PodName {
  readonly uid: string
}

/** One attachment and everything needed to undo it. Written before the kernel is touched. */
export interface AttachmentRecord extends AttachmentKey {
  readonly node: string
  readonly ips: readonly Ip[]
  /** Name of the host's end of the pair; absent when the pod's link is a macvlan, or another plugin's. */
  readonly hostLink?: string
  /** The pod's link is a macvlan of ours: all of it is in the pod's namespace. Absent: it is not. */
  readonly macvlan?: true
  /** CNI_NETNS at the time of ADD. */
  readonly netns: string
  readonly pod?: PodIdentity
  /** MAC of the pod's end where the caller chose one. undefined: made from the key. */
  readonly mac?: Mac
  /** Grows by one with every allocation of this node; guards late releases. */
  readonly sequence: number
  /** Boot of the node in which it was made (/proc/sys/kernel/random/boot_id). */
  readonly bootId: string
  readonly addedMs: number
}

/** Whether the attachment's link is one that ADD of `trivium` made, not another plugin's. */
export const isLinkOurs = ({
  hostLink,
  macvlan,
}: Pick<AttachmentRecord, 'hostLink' | 'macvlan'>): boolean =>
  hostLink !== undefined || macvlan === true

/** Who holds an address. */
export interface AddressRecord extends AttachmentKey {
  readonly ip: Ip
  readonly block: Prefix
  readonly sequence: number
}

/** A backup that is restored in several transactions, of which some are done. */
export interface RestoreMark {
  /** Of the backup's file, hexadecimal. */
  readonly sha256: string
  /** When the backup was made. */
  readonly madeMs: number
  readonly startedMs: number
}

/** Who had an address before. */
export interface HistoryRecord extends AttachmentKey {
  readonly ip: Ip
  readonly node: string
  readonly pod?: PodIdentity
  readonly fromMs: number
  readonly toMs: number
}

/** Somebody wants to know what a node's kernel holds. Lives for seconds. */
export interface SnapshotRequest {
  /** Random, hexadecimal: the answer carries it. */
  readonly id: string
  readonly expiresMs: number
  /** Containers whose namespaces are wanted too. */
  readonly containerIds: readonly string[]
}

/** A node's answer: the text of a snapshot, or why there is none. */
export interface SnapshotAnswer {
  readonly id: string
  readonly text?: string
  readonly problem?: string
}

/** Whether the block is one address of a floating pool: it moves with its pod, and is no tunnel endpoint. */
export const isFloating = (
  { pools }: Pick<NetworkRecord, 'pools'>,
  { pool }: Pick<BlockClaim, 'pool'>,
): boolean => pools.some(({ cidr, floating }) => floating === true && cidr === pool)

/** Families a network serves, in the order of its pools. */
export function networkFamilies({ pools }: NetworkRecord): readonly IpFamily[] {
  let known = families.get(pools)
  if (known === undefined) {
    known = [...new Set(pools.map((pool): IpFamily => (pool.cidr.includes(':') ? 6 : 4)))]
    families.set(pools, known)
  }
  return known
}

/** Every allocation asks. */
const families = new WeakMap<readonly Pool[], readonly IpFamily[]>()
