/**
 * VLAN mode: frames from a pod's bridge port to another one, here or behind the
 * 802.1Q link.
 *
 * @module
 */
import type { Link } from '../kernel/mod.ts'
import { broken, fine, type Steps } from './hop.ts'
import { fits, linkUp } from './links.ts'
import type { Packet } from './packet.ts'
import { enterPod } from './pod.ts'
import type { PodPlace, Side } from './world.ts'

export function* switched(
  side: Side,
  port: Link,
  peer: Side,
  to: PodPlace,
  packet: Packet,
): Steps<true> {
  const here = yield* bridgeOf(side, port)
  if (here === undefined) return undefined
  const far = yield* linkUp(peer, to.attachment.hostLink ?? '')
  const there = far === undefined ? undefined : yield* bridgeOf(peer, far)
  if (there === undefined) return undefined
  if (side.node !== peer.node) {
    const ours = yield* uplinkOf(side, here)
    const theirs = ours === undefined ? undefined : yield* uplinkOf(peer, there)
    if (ours === undefined || theirs === undefined) return undefined
    if (!(yield* sameVlan(side, peer, ours, theirs))) return undefined
    if (!(yield* fits(side, ours, packet.bytes, 'a frame'))) return undefined
    if (!(yield* fits(peer, theirs, packet.bytes, 'a frame'))) return undefined
  }
  return yield* enterPod(peer, to, packet)
}

function* bridgeOf(side: Side, port: Link): Steps<Link> {
  const wanted = side.planned.link(port.name)?.master
  if (port.master === undefined) {
    yield broken(side, {
      object: `link ${port.name}`,
      found: 'it is in no bridge',
      wanted: `master ${wanted ?? 'of its network'}`,
      command:
        wanted === undefined
          ? `bridge link show dev ${port.name}`
          : `ip link set dev ${port.name} master ${wanted}`,
    })
    return undefined
  }
  return yield* linkUp(side, port.master)
}

/** The bridge's port to the wire, up with what carries it. */
function* uplinkOf(side: Side, bridge: Link): Steps<Link> {
  const isUplink = ({ link, master }: Link): boolean =>
    link.type === 'vlan' && master === bridge.name
  const port = side.tables.links.find(isUplink)
  if (port?.link.type !== 'vlan') {
    const planned = side.planned.links.find(isUplink)
    yield broken(side, {
      object: `link ${planned?.name ?? `in ${bridge.name}`}`,
      found: 'the bridge has no 802.1Q port',
      wanted: planned === undefined ? 'one' : `${planned.name} as a port of ${bridge.name}`,
      command:
        planned === undefined
          ? `bridge link show master ${bridge.name}`
          : `ip link set dev ${planned.name} master ${bridge.name} up`,
    })
    return undefined
  }
  if ((yield* linkUp(side, port.link.parent)) === undefined) return undefined
  return yield* linkUp(side, port.name)
}

function* sameVlan(side: Side, peer: Side, ours: Link, theirs: Link): Steps<true> {
  const [here, there] = [ours.link, theirs.link]
  if (here.type !== 'vlan' || there.type !== 'vlan') return undefined
  if (here.id === there.id) {
    yield fine(side, `vlan id ${here.id}`)
    return true
  }
  yield broken(peer, {
    object: `link ${theirs.name}`,
    found: `vlan id ${there.id}`,
    wanted: `vlan id ${here.id}, as on ${side.node}`,
    command: `ip -d link show dev ${theirs.name}`,
  })
  return undefined
}
