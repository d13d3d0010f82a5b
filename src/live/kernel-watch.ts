/**
 * Notifications of one namespace, as the agent wants them.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import {
  type Drained,
  type Group,
  ignoreRoutes,
  Monitor,
  type NetlinkSocket,
} from 'netlink-ts/live'
import { BGP_ROUTE_PROTOCOL, isOurTable, type KernelEvent } from '../kernel/mod.ts'
import { eventObjects, type NameOf } from '../kernel/netlink-read.ts'
import type { KernelWays } from './kernel-apply.ts'
import type { LiveNft } from './nft.ts'
import { offloadEvents } from './offload.ts'

const GROUPS: readonly Group[] = ['link', 'neigh', 'addr4', 'addr6', 'route4', 'route6']

/** Receive calls between two returns to the event loop: at most 64 notifications, about a millisecond. */
const DRAIN_CALLS = 2
/** From the first word of a burst to when it is heard. */
const BURST_MS = 4

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

  return inBursts(monitor, ({ events, lost }) => {
    const known = events.flatMap((event) => {
      if (event.kind !== 'link') return eventObjects(event, nameOf)
      const objects = linkEvents(event, names)
      return [...objects, ...offloadEvents(socket, objects)]
    })
    if (known.length > 0) told.events(known)
    if (lost) told.changed()
  })
}

/**
 * Drains a moment after the first word, and then until there is no more. An ADD or DEL makes the kernel speak half
 * a dozen times, and to be woken and decode each time would be a part of what its
 * caller waits for. Nobody acts on such a word before 20 ms have passed.
 */
function inBursts<E>(monitor: Monitor<E>, drained: (all: Drained<E>) => void): () => void {
  let timer: NodeJS.Timeout | undefined
  let next: NodeJS.Immediate | undefined
  const take = (): void => {
    const all = monitor.drain(DRAIN_CALLS)
    drained(all)
    if (all.events.length > 0 || all.lost) next = setImmediate(take)
    else listen()
  }
  const listen = (): void => {
    const stop = monitor.watch(() => {
      stop()
      timer = setTimeout(take, BURST_MS)
    })
  }
  listen()
  return () => {
    clearTimeout(timer)
    clearImmediate(next)
    monitor.close()
  }
}

/** VNI filters came with Linux 5.18, and lightweight tunnels need a newer one anyway. */
function openMonitor(netnsFd: number | undefined): Monitor {
  // A speaker that learns a table would fill the buffer with what is not the agent's.
  const filter = ignoreRoutes({ protocol: BGP_ROUTE_PROTOCOL })
  try {
    return Monitor.open({ groups: [...GROUPS, 'tunnel'], netnsFd, filter })
  } catch {
    return Monitor.open({ groups: GROUPS, netnsFd, filter })
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
  return inBursts(monitor, ({ events, lost }) => {
    const foreign = events.some(
      (event) => isOurTable(event.family, event.table) && !nft.isOwn(event.portId),
    )
    if (foreign || lost) told.changed()
  })
}
