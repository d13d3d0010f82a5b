/**
 * The pod's link in the routed modes: a pair of veths, one address a family
 * with a full-length prefix, and a default route to a gateway that no machine
 * has. A permanent neighbour entry answers for it, so there is no bridge, no
 * flooding and no proxy ARP (which is silent on a node without default route).
 *
 * Cost on the node: one link, and an address one route and one nftables element.
 *
 * @module
 */
import type { AttachmentKey, AttachmentRecord, NetworkView } from '../cluster/view.ts'
import {
  DEFAULT_METRIC,
  type KernelObject,
  type Link,
  linkRoute,
  POD_GATEWAY,
  podAlias,
  ROUTE_PROTOCOL,
  type Route,
  shared,
} from '../kernel/mod.ts'
import {
  ADDRESS_BITS,
  hostPrefix,
  type Ip,
  type IpFamily,
  ipFamily,
  type Mac,
  macFromName,
  type Prefix,
} from '../net/mod.ts'
import type { PodPlan } from './backend.ts'
import { podElements } from './firewall.ts'

/** MAC of every pair's host end: locally administered, then "triv" in ASCII. */
export const HOST_END_MAC = '02:74:72:69:76:01' as Mac

export const DEFAULT_ROUTE = { 4: '0.0.0.0/0' as Prefix, 6: '::/0' as Prefix } as const

/** Plans both ends of one attachment. */
export function routedPod(attachment: AttachmentRecord, mtuBytes: number): PodPlan {
  const { ifname, ips } = attachment
  return {
    node: hostEnd(attachment, mtuBytes),
    pod: ips.flatMap((ip) => podObjects(ifname, ip)),
    mtuBytes,
    ips: ips.map((ip) => {
      const family = ipFamily(ip)
      return { ip, prefixLength: ADDRESS_BITS[family], gateway: POD_GATEWAY[family] }
    }),
    routes: ips.map((ip) => ({ dst: DEFAULT_ROUTE[ipFamily(ip)], via: POD_GATEWAY[ipFamily(ip)] })),
  }
}

/** The node's side of all of a network's pairs, as the agent keeps it. */
export const hostEnds = ({ attachments }: NetworkView, mtuBytes: number): readonly KernelObject[] =>
  attachments.flatMap((attachment) => hostEnd(attachment, mtuBytes))

interface HostEnd {
  readonly mtuBytes: number
  readonly objects: readonly KernelObject[]
}

/** By record, because records outlive plans. */
const hostEndOf = new WeakMap<AttachmentRecord, HostEnd>()

function hostEnd(attachment: AttachmentRecord, mtuBytes: number): readonly KernelObject[] {
  const known = hostEndOf.get(attachment)
  if (known?.mtuBytes === mtuBytes) return known.objects
  const { hostLink, ips } = attachment
  if (hostLink === undefined) return []
  const objects: readonly KernelObject[] = [
    { ...podLink(attachment, hostLink, mtuBytes), mac: HOST_END_MAC },
    ...hostEndAddress(hostLink, ips),
    ...podElements(hostLink, ips),
    ...ips.map((ip) => linkRoute(hostPrefix(ip), hostLink, ROUTE_PROTOCOL)),
  ]
  for (const object of objects) shared(object)
  hostEndOf.set(attachment, { mtuBytes, objects })
  return objects
}

/**
 * The IPv6 gateway itself, where there are IPv6 pods. The host asks for the
 * pod's MAC from a link-local address; the one the kernel makes is of no use
 * for two seconds, until duplicate detection is through.
 */
function hostEndAddress(link: string, ips: readonly Ip[]): readonly KernelObject[] {
  if (!ips.some((ip) => ipFamily(ip) === 6)) return []
  return [{ kind: 'addr', link, ip: POD_GATEWAY[6], prefixLength: 64 }]
}

/**
 * The pod's MAC: what the caller chose, or the same for the same attachment, so
 * that no dump is needed to know it.
 */
export function podMac(attachment: AttachmentKey & Pick<AttachmentRecord, 'mac'>): Mac {
  const { network, containerId, ifname, mac } = attachment
  return mac ?? macFromName(`${network}/${containerId}/${ifname}`)
}

/** The host's end of an attachment's pair. */
export function podLink(attachment: AttachmentRecord, name: string, mtuBytes: number): Link {
  const { network, containerId, ifname, sequence } = attachment
  return {
    kind: 'link',
    name,
    link: {
      type: 'veth',
      peer: { name: ifname, mac: podMac(attachment), netns: attachment.netns },
    },
    up: true,
    mtuBytes,
    peerMtuBytes: mtuBytes,
    alias: podAlias(network, containerId, ifname, sequence),
    adopt: true,
  }
}

function podObjects(link: string, ip: Ip): readonly KernelObject[] {
  const family: IpFamily = ipFamily(ip)
  const gateway = POD_GATEWAY[family]
  const toGateway: readonly Route[] = family === 4 ? [podRoute(hostPrefix(gateway), link)] : [] // fe80::/64 is on every IPv6 link
  return [
    { kind: 'addr', link, ip, prefixLength: ADDRESS_BITS[family] },
    { kind: 'neigh', link, ip: gateway, mac: HOST_END_MAC },
    ...toGateway,
    podRoute(DEFAULT_ROUTE[family], link, gateway),
  ]
}

function podRoute(dst: Prefix, link: string, via?: Ip): Route {
  const metric = DEFAULT_METRIC[ipFamily(dst)]
  const route: Route = {
    kind: 'route',
    dst,
    type: 'unicast',
    link,
    metric,
    protocol: ROUTE_PROTOCOL,
  }
  if (via === undefined) return route
  return ipFamily(via) === 6 ? { ...route, via, onlink: true } : { ...route, via }
}
