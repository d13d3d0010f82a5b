/**
 * Numbers and small rules of Linux that the simulated kernel keeps.
 *
 * @module
 */
import type { KernelObject, Link, LinkKind, Route } from '../src/kernel/mod.ts'
import { DEFAULT_METRIC } from '../src/kernel/mod.ts'
import { type Ip, ipFamily, prefixOf } from '../src/net/mod.ts'

export type Errno =
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL'
  | 'EBUSY'
  | 'EEXIST'
  | 'EHOSTUNREACH'
  | 'EINVAL'
  | 'ENETDOWN'
  | 'ENETUNREACH'
  | 'ENODEV'
  | 'ENOENT'
  | 'EOPNOTSUPP'
  | 'ERANGE'
  | 'ESRCH'

/** Errno of removing what is not there. */
export const MISSING = {
  link: 'ENODEV',
  addr: 'EADDRNOTAVAIL',
  route: 'ESRCH',
  neigh: 'ENOENT',
  fdb: 'ENOENT',
  vni: 'ENOENT',
  'offload-off': undefined, // switching on what is on
  'nft-table': 'ENOENT',
  'nft-set': 'ENOENT',
  'nft-element': 'ENOENT',
  'nft-chain': 'ENOENT',
  sysctl: 'ENOENT',
} as const satisfies Record<KernelObject['kind'], Errno | undefined>

/** rtm_protocol of routes the kernel makes itself. Source: rtnetlink.h, RTPROT_KERNEL. */
export const PROTOCOL_KERNEL = 2
/** Metric of IPv6 connected routes. Source: ipv6_route.h, IP6_RT_PRIO_ADDRCONF. */
const CONNECTED_METRIC = { 4: 0, 6: 256 } as const

/** ETH_MIN_MTU, ETH_DATA_LEN and ETH_MAX_MTU. Source: if_ether.h. */
const MTU_BYTES_MIN = 68
export const MTU_BYTES_DEFAULT = 1500
export const MTU_BYTES_MAX = 65_535
/** VXLAN_HEADROOM and VXLAN6_HEADROOM. Source: include/net/vxlan.h. */
const VXLAN_HEADROOM_BYTES = { 4: 50, 6: 70 } as const

/** Links that carry frames of their own on another link, and never larger ones than it does. */
export const isStacked = ({ type }: LinkKind): boolean => type === 'vlan' || type === 'macvlan'

/**
 * The MTU of a new link, or why there is none. A VXLAN link is made smaller in
 * silence, a VLAN link and a macvlan are refused; a tunnel without underlay has no bound but
 * the largest packet.
 */
export function newMtu(wanted: Link, lower: Link | undefined): number | 'EINVAL' {
  const { link: kind, mtuBytes } = wanted
  const most = mostMtu(kind, lower?.mtuBytes ?? MTU_BYTES_DEFAULT)
  if (isStacked(kind) && lower !== undefined && (mtuBytes ?? most) > most) return 'EINVAL'
  const chosen = mtuBytes ?? (lower === undefined ? MTU_BYTES_DEFAULT : most)
  const made = kind.type === 'vxlan' ? Math.min(chosen, most) : chosen
  return made < MTU_BYTES_MIN || made > MTU_BYTES_MAX ? 'EINVAL' : made
}

/** Why a link cannot have this MTU; undefined: it can. */
export function mtuError(link: Link, mtuBytes: number, lower: Link | undefined): Errno | undefined {
  if (mtuBytes < MTU_BYTES_MIN || mtuBytes > MTU_BYTES_MAX) return 'EINVAL'
  if (lower?.mtuBytes === undefined || mtuBytes <= mostMtu(link.link, lower.mtuBytes)) {
    return undefined
  }
  if (link.link.type === 'vlan') return 'ERANGE'
  return link.link.type === 'vxlan' || link.link.type === 'macvlan' ? 'EINVAL' : undefined
}

function mostMtu(kind: LinkKind, lowerBytes: number): number {
  return kind.type === 'vxlan'
    ? lowerBytes - VXLAN_HEADROOM_BYTES[ipFamily(kind.local)]
    : lowerBytes
}

/** Two tunnels of one id and port, or two VLANs of one id on one link, cannot be told apart. */
export function areTwins(one: LinkKind, other: LinkKind): boolean {
  if (one.type === 'vxlan' && other.type === 'vxlan') {
    return one.vni === other.vni && one.port === other.port
  }
  if (one.type !== 'vlan' || other.type !== 'vlan') return false
  return one.parent === other.parent && one.id === other.id
}

/**
 * Whether two tunnels want one UDP port in different ways: a socket serves
 * classic links or extended ones. Source: drivers/net/vxlan/vxlan_core.c,
 * vxlan_find_sock, which compares VXLAN_F_RCV_FLAGS.
 */
export function fightForPort(one: LinkKind, other: LinkKind): boolean {
  if (one.type === 'vxlan') return other.type === 'vxlan-gpe' && one.port === other.port
  return one.type === 'vxlan-gpe' && other.type === 'vxlan' && one.port === other.port
}

/** The route that an address brings along. */
export function connectedRoute(ip: Ip, prefixLength: number, link: string): Route {
  const family = ipFamily(ip)
  return {
    kind: 'route',
    dst: prefixOf(ip, prefixLength),
    type: 'unicast',
    link,
    metric: CONNECTED_METRIC[family] ?? DEFAULT_METRIC[family],
    protocol: PROTOCOL_KERNEL,
  }
}

/**
 * RTM_DELROUTE matches what it names; IPv6 does not look into tunnels.
 * Source: net/ipv4/fib_semantics.c, fib_nh_match.
 */
export function sameHop(found: Route, named: Route): boolean {
  const tunnel =
    found.dst.includes(':') ||
    named.encapVni === undefined ||
    (found.encapVni === named.encapVni && found.encapDst === named.encapDst)
  return (
    found.type === named.type &&
    (named.link === undefined || found.link === named.link) &&
    found.via === named.via &&
    found.protocol === named.protocol &&
    tunnel
  )
}
