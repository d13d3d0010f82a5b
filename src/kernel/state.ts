/**
 * What a kernel holds, as plain data: one object a link, address, route,
 * neighbour entry, forwarding entry, VNI, sysctl, or part of our nftables
 * table, keyed by the kernel's identity. Objects are flat, so that comparing
 * two of them is comparing their fields.
 *
 * Links are named, not numbered: an interface index means nothing to a planner
 * and nothing on another machine. `kernel/netlink.ts` translates.
 *
 * @module
 */
import { invariant } from '../errors.ts'
import { type Ip, type IpFamily, ipFamily, type Mac, type Prefix } from '../net/mod.ts'

/** What sort of link, with what cannot be changed after creation. */
export type LinkKind =
  | { readonly type: 'veth'; readonly peer?: VethPeer }
  | {
      readonly type: 'vxlan'
      readonly vni: number
      readonly port: number
      /** Link that carries the outer packets. */
      readonly underlay: string
      /** Outer source address. */
      readonly local: Ip
    }
  /**
   * A VXLAN-GPE link in external mode with a VNI filter: the tunnel is in each
   * route (`encap ip`), and frames of other VNIs are not taken.
   */
  | { readonly type: 'vxlan-gpe'; readonly port: number }
  | { readonly type: 'bridge' }
  | { readonly type: 'vlan'; readonly parent: string; readonly id: number }
  | {
      readonly type: 'macvlan'
      /** How links of one parent talk: `bridge` directly, `private` not at all. */
      readonly mode: 'bridge' | 'private' | 'vepa' | 'passthru' | 'source'
      /** Link below. undefined: it is in another namespace, whose names say nothing here. */
      readonly parent?: string
    }
  | { readonly type: 'other'; readonly name: string }

/** The pod's end of a pair. Known to planners; a dump of the host's side cannot show it. */
export interface VethPeer {
  readonly name: string
  /** Path of the pod's namespace. */
  readonly netns?: string
  readonly mac?: Mac
}

export interface Link {
  readonly kind: 'link'
  readonly name: string
  readonly link: LinkKind
  readonly up: boolean
  /** undefined: whatever the kernel chose. */
  readonly mac?: Mac
  /** undefined: whatever the kernel chose. */
  readonly mtuBytes?: number
  /** A pair's other end, in whatever namespace it is. undefined: not known, or not minded. */
  readonly peerMtuBytes?: number
  /** Bridge this link is a port of. */
  readonly master?: string
  readonly alias?: string
  /**
   * Planned links only: keep it right while it exists, never create it. A pod's
   * pair is such a link: only ADD knows the pod's namespace.
   */
  readonly adopt?: boolean
}

export interface Addr {
  readonly kind: 'addr'
  readonly link: string
  readonly ip: Ip
  readonly prefixLength: number
}

export interface Route {
  readonly kind: 'route'
  /** `0.0.0.0/0` and `::/0` are the default routes. */
  readonly dst: Prefix
  readonly type: 'unicast' | 'blackhole'
  readonly link?: string
  readonly via?: Ip
  /** The gateway is on the link whatever the addresses say (RTNH_F_ONLINK). */
  readonly onlink?: boolean
  /** RTA_PRIORITY. IPv4 defaults to 0, IPv6 to 1024; planners say it. */
  readonly metric: number
  /** rtm_protocol: who made it; see ownership.ts. */
  readonly protocol: number
  /** The packet goes into a tunnel of this id (`encap ip id …`), to `encapDst`. */
  readonly encapVni?: number
  /** Outer destination address. */
  readonly encapDst?: Ip
}

/** A permanent neighbour (ARP or ND) entry. */
export interface Neigh {
  readonly kind: 'neigh'
  readonly link: string
  readonly ip: Ip
  readonly mac: Mac
}

/** A permanent forwarding entry of a VXLAN link: frames to `mac` go to tunnel endpoint `dst`. */
export interface Fdb {
  readonly kind: 'fdb'
  readonly link: string
  readonly mac: Mac
  readonly dst: Ip
}

/** A VNI that a filtering VXLAN link takes (RTM_NEWTUNNEL). */
export interface Vni {
  readonly kind: 'vni'
  readonly link: string
  readonly vni: number
}

/** An offload of a link that is switched off (`ethtool -K`). On is the absence of this. */
export interface OffloadOff {
  readonly kind: 'offload-off'
  readonly link: string
  readonly feature: 'tx-checksum-ip-generic'
}

/** An nftables table; its family and what is in it: nft-ports.ts. */
export interface NftTable {
  readonly kind: 'nft-table'
  readonly name: string
}

/** Data types of set keys. `vni`: 24 bits of a VXLAN header, its reserved byte 0. */
export type NftKeyType =
  | 'ifname'
  | 'ether_addr'
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'inet_proto'
  | 'inet_service'
  | 'vni'

/** A set of our table. What a name means never changes: another layout gets another name. */
export interface NftSet {
  readonly kind: 'nft-set'
  readonly name: string
  /** Data types of the key, joined by ` . ` as nft writes a concatenation. */
  readonly key: string
  /** Elements may be prefixes. */
  readonly interval: boolean
}

/** One element of one of our sets. */
export interface NftElement {
  readonly kind: 'nft-element'
  readonly set: string
  /** Fields in nft's words, joined by ` . `, e.g. `trv0123456789a . 10.42.0.5`. */
  readonly key: string
}

/** A base chain of our table with its rules. Replaced as a whole, atomically. */
export interface NftChain {
  readonly kind: 'nft-chain'
  readonly name: string
  readonly type: 'filter' | 'nat'
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'
  readonly priority: number
  /** Rules in nft's words, one a line. A rule that we did not write reads `unknown …`. */
  readonly rules: string
}

export interface Sysctl {
  readonly kind: 'sysctl'
  /** Dotted, e.g. `net.ipv4.ip_forward`. */
  readonly name: string
  readonly value: string
}

/** A pod's link on a segment, and what may leave by it; see nft-segment.ts. In no state: it is the pod's. */
export interface SegmentGuard {
  readonly link: string
  readonly mac: Mac
  readonly ips: readonly Ip[]
}

export type NftObject = NftTable | NftSet | NftElement | NftChain

export type KernelObject = Link | Addr | Route | Neigh | Fdb | Vni | OffloadOff | NftObject | Sysctl

/** Objects by identity; see `identity`. */
export type KernelState = ReadonlyMap<string, KernelObject>

/** Metric of routes that say none. Source: Linux net/ipv6/route.c, IP6_RT_PRIO_USER = 1024. */
export const DEFAULT_METRIC = { 4: 0, 6: 1024 } as const satisfies Record<IpFamily, number>

/** What the kernel takes as the same object: adding a second one is EEXIST or a replacement. */
export function identity(object: KernelObject): string {
  return sharedIdentities.get(object) ?? spell(object)
}

function spell(object: KernelObject): string {
  switch (object.kind) {
    case 'link':
      return `link ${object.name}`
    case 'addr':
      return `addr ${object.link} ${object.ip}/${object.prefixLength}`
    case 'route':
      return `route ${object.dst} metric ${object.metric}`
    case 'neigh':
      return `neigh ${object.link} ${object.ip}`
    case 'fdb':
      return `fdb ${object.link} ${object.mac}`
    case 'vni':
      return `vni ${object.link} ${object.vni}`
    case 'offload-off':
      return `offload-off ${object.link} ${object.feature}`
    case 'nft-table':
    case 'nft-set':
    case 'nft-chain':
      return `${object.kind} ${object.name}`
    case 'nft-element':
      return `nft-element ${object.set} ${object.key}`
    case 'sysctl':
      return `sysctl ${object.name}`
  }
}

const sharedIdentities = new WeakMap<KernelObject, string>()

/**
 * Marks an object that is in many plans: its identity is put together once.
 * Looking a key up whose hash is known is what makes a large table cheap.
 */
export function shared<T extends KernelObject>(object: T): T {
  sharedIdentities.set(object, spell(object))
  return Object.freeze(object)
}

/** Whether the object is part of our nftables table. */
export function isNft(object: KernelObject): object is NftObject {
  return object.kind.startsWith('nft-')
}

/** Builds a state; two objects of one identity are a planner's mistake. */
export function kernelState(objects: Iterable<KernelObject>): KernelState {
  const state = new Map<string, KernelObject>()
  for (const object of objects) {
    const key = identity(object)
    invariant(!state.has(key), `one object for ${key}`)
    state.set(key, object)
  }
  return state
}

/** The link an object hangs on: it vanishes with it. */
export function linkOf(object: KernelObject): string | undefined {
  if (object.kind === 'sysctl') return sysctlLink(object.name)
  if (isNft(object)) return undefined
  if (object.kind !== 'link') return object.link
  if (object.link.type === 'vlan' || object.link.type === 'macvlan') return object.link.parent
  return object.link.type === 'vxlan' ? object.link.underlay : undefined
}

/** A link's own sysctl, e.g. `net.ipv4.conf.trvx/1.rp_filter`; a slash stands for a dot. Source: sysctl(8). */
export const linkSysctl = (family: IpFamily, link: string, key: string): string =>
  `net.ipv${family}.conf.${link.replaceAll('.', '/')}.${key}`

/** The link whose setting it is. */
function sysctlLink(name: string): string | undefined {
  const [, link] = /^net\.ipv[46]\.conf\.([^.]+)\.[^.]+$/.exec(name) ?? []
  return link === undefined || link === 'all' || link === 'default'
    ? undefined
    : link.replaceAll('/', '.')
}

/** Route to one address. */
export function linkRoute(dst: Prefix, link: string, protocol: number): Route {
  const metric = DEFAULT_METRIC[ipFamily(dst)]
  return { kind: 'route', dst, type: 'unicast', link, metric, protocol }
}

/**
 * Whether `actual` is what `desired` asks for. What `desired` leaves open
 * (undefined) matches anything.
 */
export function satisfies(actual: KernelObject, desired: KernelObject): boolean {
  if (actual === desired) return true
  if (actual.kind !== desired.kind) return false
  if (actual.kind === 'link' && desired.kind === 'link') {
    return sameLinkKind(actual.link, desired.link) && linkSettingsMatch(actual, desired)
  }
  return isEqual(actual, desired)
}

/** Whether the parts that need a new link agree. */
export function sameLinkKind(actual: LinkKind, desired: LinkKind): boolean {
  if (actual.type === 'veth' && desired.type === 'veth') return true
  if (actual.type === 'macvlan' && desired.type === 'macvlan') {
    const { parent = desired.parent } = actual
    return actual.mode === desired.mode && parent === desired.parent
  }
  return isEqual(actual, desired)
}

function linkSettingsMatch(actual: Link, desired: Link): boolean {
  const open = <T>(found: T, wanted: T | undefined): boolean =>
    wanted === undefined || found === wanted
  return (
    actual.up === desired.up &&
    actual.master === desired.master &&
    open(actual.mac, desired.mac) &&
    open(actual.mtuBytes, desired.mtuBytes) &&
    !peerMtuDiffers(actual, desired) &&
    open(actual.alias, desired.alias)
  )
}

/**
 * Whether the MTU of a pair's other end has to change. One below both the plan
 * and its own host's end was chosen in the pod (a chained `tuning`), and stays.
 */
export function peerMtuDiffers(actual: Link, desired: Link): boolean {
  const [found, wanted] = [actual.peerMtuBytes, desired.peerMtuBytes]
  if (found === undefined || wanted === undefined || found === wanted) return false
  return found > wanted || found >= (actual.mtuBytes ?? found)
}

/** Field by field; an absent field equals undefined and `onlink: false`. */
function isEqual(left: object, right: object): boolean {
  const [a, b] = [left as Record<string, unknown>, right as Record<string, unknown>]
  // Called for every object of every round: no set of names is built.
  for (const field in a) if ((a[field] || undefined) !== (b[field] || undefined)) return false
  for (const field in b) if ((a[field] || undefined) !== (b[field] || undefined)) return false
  return true
}
