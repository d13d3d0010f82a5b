/**
 * VLAN mode with macvlans: frames of a pod's own link go straight to the wire, to
 * other pods of the same uplink, or to the node's macvlan beside them.
 *
 * @module
 */
import { type Link, macvlanLinkName } from '../kernel/mod.ts'
import { broken, type Steps } from './hop.ts'
import { fits, linkUp } from './links.ts'
import type { Packet } from './packet.ts'
import { present } from './pod.ts'
import type { PodPlace, Side } from './world.ts'

/** The node's own link beside the pod's. */
export const nodeLinkOf = ({ network }: PodPlace): string => macvlanLinkName(network.options.vlanId)

/** From a pod's link into another pod of its VLAN. */
export function* beside(
  side: Side,
  pod: PodPlace,
  peer: Side,
  to: PodPlace,
  packet: Packet,
): Steps<true> {
  const here = yield* parentOf(side, pod)
  if (here === undefined) return undefined
  if (to.attachment.macvlan !== true || to.network.name !== pod.network.name) {
    yield broken(side, {
      object: `link ${here.name}`,
      found: `${to.words} hangs on no link of network ${pod.network.name}`,
      wanted: 'a pod of the same network, or a gateway between the two',
      command: `ip route get ${packet.dst}`,
    })
    return undefined
  }
  if (side.node !== peer.node && !(yield* fits(side, here, packet.bytes, 'a frame'))) {
    return undefined
  }
  return yield* intoMacvlan(peer, to, packet)
}

/** Off the wire, or from the node's own macvlan, into the pod. */
export function* intoMacvlan(side: Side, to: PodPlace, packet: Packet): Steps<true> {
  const there = yield* parentOf(side, to)
  if (there === undefined || !(yield* fits(side, there, packet.bytes, 'a frame'))) return undefined
  return yield* present(to, packet.dst)
}

/** What the pod's link is on, up with what carries it. */
export function* parentOf(side: Side, { plan, network }: PodPlace): Steps<Link> {
  const kind = plan?.link?.link
  const name = kind?.type === 'macvlan' ? kind.parent : undefined
  if (name === undefined) {
    yield broken(side, {
      object: `network ${network.name}`,
      found: 'its pods hang on macvlans no more',
      wanted: '--attachment macvlan, as when the pod was added',
    })
    return undefined
  }
  if (name !== side.record.underlayLink) {
    if ((yield* linkUp(side, side.record.underlayLink)) === undefined) return undefined
  }
  return yield* linkUp(side, name)
}
