/**
 * Notifications of one namespace, as the agent wants them.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { type Group, Monitor, type NetlinkSocket } from 'netlink-ts/live'
import type { KernelEvent } from '../kernel/mod.ts'
import { eventObject } from '../kernel/netlink-read.ts'

const GROUPS: readonly Group[] = ['link', 'neigh', 'addr4', 'addr6', 'route4', 'route6']

export interface KernelWatch {
  /** What happened, in order. */
  readonly events: (events: readonly KernelEvent[]) => void
  /** Notifications were lost: only a look at everything helps. */
  readonly lost: () => void
}

/**
 * Tells of every change until the returned function is called. A burst comes
 * as one call.
 */
export function watchKernel(socket: NetlinkSocket, told: KernelWatch): () => void {
  const monitor = Monitor.open({ groups: GROUPS })
  const names = new Map<number, string>()
  // After the subscription: a link made in between is in both.
  for (const { index, name } of socket.dump(nl.link.list())) names.set(index, name)
  const nameOf = (index: number): string => names.get(index) ?? `#${index}`

  monitor.watch(() => {
    const { events, lost } = monitor.drain()
    const known: KernelEvent[] = []
    for (const event of events) {
      if (event.kind === 'link') names.set(event.link.index, event.link.name)
      const object = eventObject(event, nameOf)
      if (object !== undefined) known.push(object)
      if (event.kind === 'link' && event.change === 'del') names.delete(event.link.index)
    }
    if (known.length > 0) told.events(known)
    if (lost) told.lost()
  })
  return () => monitor.close()
}
