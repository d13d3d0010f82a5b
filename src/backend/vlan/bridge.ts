/**
 * A bridge a VLAN id joins the pods' links and the underlay's 802.1Q interface.
 *
 * Cost per node: two links a network and one a pod, no routes; an element of the
 * nftables table of ports an address, and two more a pod.
 *
 * @module
 */
import type { AttachmentRecord, ClusterView, NetworkView } from '../../cluster/view.ts'
import { TriviumError } from '../../errors.ts'
import {
  bridgeLinkName,
  deviceAlias,
  type KernelObject,
  type Link,
  PORT_GUARD,
  portElements,
  shared,
  vlanLinkName,
} from '../../kernel/mod.ts'
import { macFromName } from '../../net/mod.ts'
import { podLink, podMac } from '../routed-pod.ts'

export function bridgeDevices(
  network: NetworkView,
  view: ClusterView,
  mtuBytes: number,
): readonly KernelObject[] {
  const { name, options } = network.network
  if (options.vlanId === 0) {
    uplinkBridge(network, view)
    return PORT_GUARD
  }
  const alias = deviceAlias(name)
  const bridge = bridgeLinkName(options.vlanId)
  return [
    ...PORT_GUARD,
    { kind: 'link', name: bridge, link: { type: 'bridge' }, up: true, mtuBytes, alias },
    { ...vlanLink(network, view, mtuBytes), master: bridge },
  ]
}

/** Untagged pods are ports of the bridge that has taken the uplink over. @throws {TriviumError} There is none. */
function uplinkBridge({ network }: NetworkView, { self }: ClusterView): string {
  if (self.uplinkPort !== undefined) return self.underlayLink
  throw new TriviumError(
    'CONFLICT',
    `Cannot use network ${network.name}: uplink ${self.underlayLink} of node ${self.name} is not taken over, wanted a bridge for untagged pods`,
    `On that node: trivium uplink take ${self.underlayLink}`,
  )
}

/** The underlay's 802.1Q interface of the network's VLAN. */
export function vlanLink({ network }: NetworkView, { self }: ClusterView, mtuBytes: number): Link {
  const { vlanId: id } = network.options
  return {
    kind: 'link',
    name: vlanLinkName(id),
    // A port's tagged frames come to its VLANs before they come to its bridge.
    link: { type: 'vlan', parent: self.uplinkPort ?? self.underlayLink, id },
    up: true,
    mtuBytes,
    alias: deviceAlias(network.name),
  }
}

export const bridgeEnds = (
  network: NetworkView,
  view: ClusterView,
  mtuBytes: number,
): readonly KernelObject[] =>
  network.attachments.flatMap((attachment) => bridgeEnd(attachment, network, view, mtuBytes))

/** By record, because records outlive plans. */
const hostEndOf = new WeakMap<AttachmentRecord, readonly [Link, ...KernelObject[]]>()

/** The host's end of a pod's pair, as a port, and what may come in by it. */
export function bridgeEnd(
  attachment: AttachmentRecord,
  network: NetworkView,
  view: ClusterView,
  mtuBytes: number,
): readonly KernelObject[] {
  const { vlanId } = network.network.options
  const master = vlanId === 0 ? uplinkBridge(network, view) : bridgeLinkName(vlanId)
  const known = hostEndOf.get(attachment)
  if (known?.[0].mtuBytes === mtuBytes && known[0].master === master) return known
  const { hostLink, ips } = attachment
  if (hostLink === undefined) return []
  const link = podLink(attachment, hostLink, mtuBytes)
  // A bridge takes the lowest MAC of its ports, and a pod's is stable: so is this one.
  const made = shared<Link>({ ...link, mac: macFromName(link.name), master })
  const elements = portElements(hostLink, podMac(attachment), ips).map((each) => shared(each))
  const objects: [Link, ...KernelObject[]] = [made, ...elements]
  hostEndOf.set(attachment, objects)
  return objects
}
