/**
 * Offloads of our tunnels, which no dump of links shows.
 *
 * @module
 */
import type { NetlinkSocket } from 'netlink-ts/live'
import { type KernelEvent, type Link, type OffloadOff, ownsLink } from '../kernel/mod.ts'

/** Those that are switched off. Asked of our tunnels only: 2 µs each. */
export function offloadsOff(socket: NetlinkSocket, link: Link): readonly OffloadOff[] {
  return hasChecksum(socket, link) === false ? [offloadOff(link)] : []
}

/** The kernel says that a link's features changed, not which: so of ours they are asked. */
export function offloadEvents(
  socket: NetlinkSocket,
  events: readonly KernelEvent[],
): readonly KernelEvent[] {
  return events.flatMap(({ change, object }): readonly KernelEvent[] => {
    if (change === 'del' || object.kind !== 'link') return []
    const on = hasChecksum(socket, object)
    return on === undefined ? [] : [{ change: on ? 'del' : 'new', object: offloadOff(object) }]
  })
}

const offloadOff = ({ name }: Link): OffloadOff => ({
  kind: 'offload-off',
  link: name,
  feature: 'tx-checksum-ip-generic',
})

/** undefined where there is nothing to ask. */
function hasChecksum(socket: NetlinkSocket, link: Link): boolean | undefined {
  const isTunnel = link.link.type === 'vxlan' || link.link.type === 'vxlan-gpe'
  if (!isTunnel || !ownsLink(link)) return undefined
  try {
    return socket.txChecksum(link.name)
  } catch {
    return undefined // gone since it was named, or a kernel without the switch
  }
}
