/**
 * A pod's link is a macvlan on the uplink (VLAN id 0) or on its 802.1Q interface: no
 * bridge, no host's end, the pod's MAC is on the wire as it is.
 *
 * The kernel lets no parent talk to the macvlans on it. So the node has a macvlan of
 * its own beside its pods' (`trvm.ID`), with a route to each of them. Its
 * address, from which the node asks and at which its pods answer, is the
 * network address of the node's first block: of the pods' own prefix, so that no
 * gateway is asked for the way back, and never a pod's.
 *
 * Nothing but that passes the node's macvlan: it answers ARP only for pods of this
 * node (`arp_filter`; otherwise it would answer for the uplink's address as well),
 * takes packets from their addresses only and forwards none (kernel/firewall.ts).
 *
 * Cost per node: one link a network, two with 802.1Q; a pod's address one route and
 * one nftables element.
 *
 * @module
 */
import type { AttachmentRecord, ClusterView, NetworkView } from '../../cluster/view.ts'
import {
  deviceAlias,
  type KernelObject,
  type Link,
  linkRoute,
  linkSysctl,
  macvlanLinkName,
  podAlias,
  ROUTE_PROTOCOL,
  shared,
  vlanLinkName,
} from '../../kernel/mod.ts'
import { hostPrefix, macFromName, prefixLength } from '../../net/mod.ts'
import { podElements } from '../firewall.ts'
import { firstAddresses, ownClaims } from '../peers.ts'
import { podMac } from '../routed-pod.ts'
import { vlanLink } from './bridge.ts'

/** What the macvlans of a network are on. */
export const macvlanParent = (
  { network }: Pick<NetworkView, 'network'>,
  { self }: Pick<ClusterView, 'self'>,
): string => {
  const { vlanId } = network.options
  return vlanId === 0 ? self.underlayLink : vlanLinkName(vlanId)
}

export function macvlanDevices(
  network: NetworkView,
  view: ClusterView,
  mtuBytes: number,
): readonly KernelObject[] {
  const { name, options } = network.network
  const link = macvlanLinkName(options.vlanId)
  return [
    ...(options.vlanId === 0 ? [] : [vlanLink(network, view, mtuBytes)]),
    {
      kind: 'link',
      name: link,
      link: { type: 'macvlan', mode: 'bridge', parent: macvlanParent(network, view) },
      up: true,
      mac: macFromName(`${view.self.name}/${link}`),
      mtuBytes,
      alias: deviceAlias(name),
    },
    { kind: 'sysctl', name: linkSysctl(4, link, 'arp_filter'), value: '1' },
    ...[...firstAddresses(ownClaims(network, view)).values()].map(
      (ip): KernelObject => ({
        kind: 'addr',
        link,
        ip,
        // Full length, so that no connected route appears.
        prefixLength: prefixLength(hostPrefix(ip)),
      }),
    ),
  ]
}

/** The pod's link: born in its namespace, on a parent of the node's. */
export function macvlanLink(
  attachment: AttachmentRecord,
  network: NetworkView,
  view: ClusterView,
  mtuBytes: number,
): Link {
  const { containerId, ifname, sequence } = attachment
  return {
    kind: 'link',
    name: ifname,
    link: { type: 'macvlan', mode: 'bridge', parent: macvlanParent(network, view) },
    up: true,
    mac: podMac(attachment),
    mtuBytes,
    alias: podAlias(attachment.network, containerId, ifname, sequence),
  }
}

/** By record, because records outlive plans. */
const waysOf = new WeakMap<AttachmentRecord, readonly [number, readonly KernelObject[]]>()

/** What leads from the node to a pod, and what the pod may send to it. */
export function macvlanWays(attachment: AttachmentRecord, vlanId: number): readonly KernelObject[] {
  const [id, known] = waysOf.get(attachment) ?? []
  if (known !== undefined && id === vlanId) return known
  if (attachment.macvlan !== true) return []
  const link = macvlanLinkName(vlanId)
  const made = [
    ...podElements(link, attachment.ips),
    ...attachment.ips.map((ip) => linkRoute(hostPrefix(ip), link, ROUTE_PROTOCOL)),
  ]
  for (const object of made) shared(object)
  waysOf.set(attachment, [vlanId, made])
  return made
}
