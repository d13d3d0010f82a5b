/**
 * Notifications of one namespace, as the agent wants them.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { type Group, Monitor, type NetlinkSocket } from 'netlink-ts/live'
import { type KernelEvent, NFT_TABLE } from '../kernel/mod.ts'
import { eventObjects, type NameOf } from '../kernel/netlink-read.ts'
import type { KernelWays } from './kernel-apply.ts'
import type { LiveNft } from './nft.ts'
import { offloadEvents } from './offload.ts'

const GROUPS: readonly Group[] = ['link', 'neigh', 'addr4', 'addr6', 'route4', 'route6']

/** Receive calls between two returns to the event loop: at most 64 notifications, about a millisecond. */
const DRAIN_CALLS = 2

export interface KernelWatch {
  /** What happened, in order. */
  readonly events: (events: readonly KernelEvent[]) => void
  /** Something is another, and no event says what: lost notifications, or our nftables table. */
  readonly changed: () => void
}

/**
 * Tells of every change until the returned function is called. A burst comes
 * as few calls. `netnsFd` is the namespace of `ways`; absent for the process's own.
 */
export function watchKernel(
  { socket, nft }: KernelWays,
  told: KernelWatch,
  netnsFd?: number,
): () => void {
  const stops = [watchRoutes(socket, told, netnsFd)]
  if (nft !== undefined) stops.push(watchTable(nft, told, netnsFd))
  return () => {
    for (const stop of stops) stop()
  }
}

function watchRoutes(
  socket: NetlinkSocket,
  told: KernelWatch,
  netnsFd: number | undefined,
): () => void {
  const monitor = openMonitor(netnsFd)
  const names = new Map<number, string>()
  // After the subscription: a link made in between is in both.
  for (const { index, name } of socket.dump(nl.link.list())) names.set(index, name)
  const nameOf = (index: number): string => names.get(index) ?? `#${index}`

  monitor.watch(() => {
    const { events, lost } = monitor.drain(DRAIN_CALLS)
    const known = events.flatMap((event) => {
      if (event.kind !== 'link') return eventObjects(event, nameOf)
      const objects = linkEvents(event, names)
      return [...objects, ...offloadEvents(socket, objects)]
    })
    if (known.length > 0) told.events(known)
    if (lost) told.changed()
  })
  return () => monitor.close()
}

/** VNI filters came with Linux 5.18, and lightweight tunnels need a newer one anyway. */
function openMonitor(netnsFd: number | undefined): Monitor {
  try {
    return Monitor.open({ groups: [...GROUPS, 'tunnel'], netnsFd })
  } catch {
    return Monitor.open({ groups: GROUPS, netnsFd })
  }
}

/** Follows the names of links. Of a new name the kernel tells, of the old one's end it does not. */
function linkEvents(
  event: nl.Event & { readonly kind: 'link' },
  names: Map<number, string>,
): readonly KernelEvent[] {
  const { link, change } = event
  const { index, name } = link
  const before = names.get(index)
  names.set(index, name)
  const nameOf: NameOf = (other) => names.get(other) ?? `#${other}`
  const now = eventObjects(event, nameOf)
  if (change === 'del') names.delete(index)
  if (before === undefined || before === name) return now
  const gone = eventObjects(
    { kind: 'link', change: 'del', link: { ...link, name: before } },
    nameOf,
  )
  return [...gone, ...now]
}

/**
 * Changes of our table by anybody but ourselves. What became of a rule or an
 * element is not read from the notification: a dump of the table is as good.
 */
function watchTable(nft: LiveNft, told: KernelWatch, netnsFd: number | undefined): () => void {
  const monitor = Monitor.openNft({ netnsFd })
  monitor.watch(() => {
    const { events, lost } = monitor.drain(DRAIN_CALLS)
    const foreign = events.some(
      (event) => event.family === 'inet' && event.table === NFT_TABLE && !nft.isOwn(event.portId),
    )
    if (foreign || lost) told.changed()
  })
  return () => monitor.close()
}
