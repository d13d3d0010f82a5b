/**
 * What is ours in a kernel. The only file that says so: what it does not
 * claim is never changed and never deleted.
 *
 * - Routes: by protocol number.
 * - Links: by a name of our exact shape *and* an alias of ours. An empty alias
 *   counts too: the kernel ignores the alias at creation, so a process killed
 *   between the two messages leaves such a link.
 * - Addresses, permanent neighbours, forwarding entries: by the link they are on.
 * - nftables: the tables of our names, and everything in them.
 * - Sysctls are set, never taken back.
 *
 * @module
 */
import { hashHex } from '../hash.ts'
import type { Ip } from '../net/mod.ts'
import type { KernelObject, KernelState, Link } from './state.ts'

/**
 * rtm_protocol of our routes, "T". Free in iproute2's etc/iproute2/rt_protos
 * (2026-11), which goes up to 18, then 42 and 186 to 192; Calico uses 80.
 */
export const ROUTE_PROTOCOL = 84

/**
 * rtm_protocol of routes that the node's BGP speaker learnt. They are the speaker's alone
 * (`live/bgp/kernel-routes.ts`): to the reconciler they are somebody else's, and it does not
 * even read them, for there may be a million.
 */
export const BGP_ROUTE_PROTOCOL = 85

const ALIAS_PREFIX = 'trivium '
/** IFALIASZ is 256 with the final zero (include/uapi/linux/if_link.h). */
const ALIAS_BYTES_MAX = 255

/**
 * Gateways of pods, one a family. RFC 3927 section 2.1 and RFC 4291 section
 * 2.5.6 keep them off every other wire.
 */
export const POD_GATEWAY = { 4: '169.254.1.1' as Ip, 6: 'fe80::1' as Ip } as const

/** Our table, in family inet. */
export const NFT_TABLE = 'trivium'
/** Our table in family bridge: what pods send that are ports. */
export const NFT_PORTS_TABLE = 'trivium-ports'

const POD_LINK_NAMES = /^trv[0-9a-f]{11}$/
const LINK_NAMES = /^(?:trv[0-9a-f]{11}|trvx\.[0-9]{1,8}b?|trv[blm]\.[0-9]{1,8})$/

/** Whether the name is one of `podLinkName`. */
export const isPodLinkName = (name: string): boolean => POD_LINK_NAMES.test(name)

/** Host end of a pod's pair; IFNAMSIZ leaves 15 characters. */
export function podLinkName(network: string, containerId: string, ifname: string): string {
  return `trv${hashHex(`${network}/${containerId}/${ifname}`, 11)}`
}

/** @param alternate While a network changes its tunnel, the new one stands beside the old. */
export const vxlanLinkName = (vni: number, alternate = false): string =>
  `trvx.${vni}${alternate ? 'b' : ''}`
export const bridgeLinkName = (vlanId: number): string => `trvb.${vlanId}`
export const vlanLinkName = (vlanId: number): string => `trvl.${vlanId}`
/** The node's own macvlan beside its pods': it and its parent cannot reach each other. */
export const macvlanLinkName = (vlanId: number): string => `trvm.${vlanId}`

/** What a pod's macvlan is called until it is in the pod: up to Linux 6.13 its name must be free on the node, too. */
export const bornLinkName = (ifname: string): string => `trv-${ifname}`.slice(0, 15)

/** Alias of a device that serves a network. */
export const deviceAlias = (network: string): string => `${ALIAS_PREFIX}${network}`

/** Alias of a pod's link: enough to rebuild the record from the kernel alone. */
export function podAlias(
  network: string,
  containerId: string,
  ifname: string,
  sequence: number,
): string {
  const whole = `${ALIAS_PREFIX}${network} ${containerId} ${ifname} ${sequence}`
  if (whole.length <= ALIAS_BYTES_MAX) return whole
  return `${ALIAS_PREFIX}${network} #${hashHex(containerId, 16)} ${ifname} ${sequence}`
}

/** The network in `podAlias`; undefined where the alias is not one. */
export function podAliasNetwork(alias: string | undefined): string | undefined {
  const [network, ...rest] = alias?.startsWith(ALIAS_PREFIX)
    ? alias.slice(ALIAS_PREFIX.length).split(' ')
    : []
  return rest.length === 3 ? network : undefined
}

/** Whose link it is; undefined where the alias is none of `podAlias`, or was too long to hold the container. */
export function podAliasOwner(
  alias: string | undefined,
): { network: string; containerId: string; ifname: string; sequence: number } | undefined {
  const name = podAliasNetwork(alias)
  const [network = '', containerId = '', ifname = '', number = ''] =
    name === undefined ? [] : (alias ?? '').slice(ALIAS_PREFIX.length).split(' ')
  // Anybody with root may write an alias; a slash would reach another record's key.
  const isName = [network, containerId, ifname].every((each) => /^[^/#\s][^/\s]*$/.test(each))
  const isWhole = name !== undefined && isName && /^[0-9]{1,15}$/.test(number)
  return isWhole ? { network, containerId, ifname, sequence: Number(number) } : undefined
}

/** Whether the link is one of ours. */
export function ownsLink(link: Pick<Link, 'name' | 'alias'>): boolean {
  if (!LINK_NAMES.test(link.name)) return false
  return link.alias === undefined || link.alias === '' || link.alias.startsWith(ALIAS_PREFIX)
}

/** Whether we may change or delete `object`, seen in `state`. */
export const owns = (object: KernelObject, state: KernelState): boolean => isOurs(object, state)

/** A route of ours by another node: it makes room for a pod that comes here with the address. */
export const isWayToPeer = (object: KernelObject): boolean =>
  object.kind === 'route' &&
  object.protocol === ROUTE_PROTOCOL &&
  (object.via !== undefined || object.encapDst !== undefined)

/**
 * Whether the object could be ours, judged without the rest of the kernel's
 * state: good enough to look closer, not to change anything.
 */
export const looksOurs = (object: KernelObject): boolean => isOurs(object, undefined)

/** Without a state, a link's name has to do where its alias is not at hand. */
function isOurs(object: KernelObject, state: KernelState | undefined): boolean {
  switch (object.kind) {
    case 'link':
      return ownsLink(object)
    case 'route':
      return object.protocol === ROUTE_PROTOCOL
    case 'addr':
      return isOwnLink(object.link, state) && !isKernelMade(object.ip)
    case 'neigh':
    case 'fdb':
    case 'vni':
    case 'offload-off':
      return isOwnLink(object.link, state)
    // Only our tables are ever read.
    case 'nft-table':
    case 'nft-set':
    case 'nft-element':
    case 'nft-chain':
      return true
    case 'sysctl':
      return false
  }
}

/** The kernel gives every link a link-local address of its own. */
const isKernelMade = (ip: Ip): boolean => /^fe[89ab]/.test(ip) && ip !== POD_GATEWAY[6]

function isOwnLink(name: string, state: KernelState | undefined): boolean {
  if (state === undefined) return LINK_NAMES.test(name)
  const link = state.get(`link ${name}`)
  return link?.kind === 'link' && ownsLink(link)
}
