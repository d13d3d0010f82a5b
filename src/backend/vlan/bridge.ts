/**
 * A bridge a VLAN id joins the pods' links and the underlay's 802.1Q interface.
 *
 * Cost per node: two links a network and one a pod, no routes.
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
  shared,
  vlanLinkName,
} from '../../kernel/mod.ts'
import { macFromName } from '../../net/mod.ts'
import { podLink } from '../routed-pod.ts'

export function bridgeDevices(
  network: NetworkView,
  view: ClusterView,
  mtuBytes: number,
): readonly Link[] {
  const { name, options } = network.network
  if (options.vlanId === 0) {
    uplinkBridge(network, view)
    return []
  }
  const alias = deviceAlias(name)
  const bridge = bridgeLinkName(options.vlanId)
  return [
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
const hostEndOf = new WeakMap<AttachmentRecord, Link>()

/** The host's end of a pod's pair, as a port. */
export function bridgeEnd(
  attachment: AttachmentRecord,
  network: NetworkView,
  view: ClusterView,
  mtuBytes: number,
): readonly Link[] {
  const { vlanId } = network.network.options
  const master = vlanId === 0 ? uplinkBridge(network, view) : bridgeLinkName(vlanId)
  const known = hostEndOf.get(attachment)
  if (known?.mtuBytes === mtuBytes && known.master === master) return [known]
  if (attachment.hostLink === undefined) return []
  const link = podLink(attachment, attachment.hostLink, mtuBytes)
  // A bridge takes the lowest MAC of its ports, and a pod's is stable: so is this one.
  const made = shared<Link>({ ...link, mac: macFromName(link.name), master })
  hostEndOf.set(attachment, made)
  return [made]
}
