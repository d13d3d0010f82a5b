/**
 * What this node's kernel says of its pods.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { NetlinkSocket } from 'netlink-ts/live'
import { isPodLinkName, type Living, livingIn } from '../kernel/mod.ts'
import type { Ip } from '../net/mod.ts'
import type { LiveKernel } from './kernel.ts'

/** In the namespace of this process. */
export const livingHere = (kernel: LiveKernel): Living =>
  livingIn(kernel.state(), addressesInside())

/**
 * Addresses of pods behind our bridges, by host link; asked of the pod's namespace
 * by its number (IFA_TARGET_NETNSID), without entering it.
 */
function addressesInside(): ReadonlyMap<string, readonly Ip[]> {
  const inside = new Map<string, readonly Ip[]>()
  const socket = NetlinkSocket.open({})
  try {
    for (const { name, master, link, linkNetnsId } of socket.dump(nl.link.list())) {
      if (master === undefined || link === undefined || linkNetnsId === undefined) continue
      if (!isPodLinkName(name)) continue
      const request = nl.addr.list({ index: link, targetNetnsId: linkNetnsId })
      const found = socket.dump(request).filter(({ scope }) => scope === 'global')
      inside.set(
        name,
        found.map(({ address }) => address as Ip),
      )
    }
  } finally {
    socket.close()
  }
  return inside
}
