/**
 * Waiting for links to end.
 *
 * @module
 */
import { Monitor } from 'netlink-ts/live'

/** Tells when links end. */
export interface LinkEnds {
  wait(index: number): Promise<undefined>
  forget(index: number): void
  close(): void
}

/**
 * The kernel announces the end of a link (RTM_DELLINK) after 0.6 ms and
 * acknowledges its removal after 13 to 20 ms: who waits, waits for the first.
 * The subscription is made with the first removal.
 */
export function linkEnds(
  netnsFd: number | undefined,
  isGone: (index: number) => boolean,
): LinkEnds {
  const waiting = new Map<number, () => void>()
  let monitor: Monitor | undefined
  let stop = (): void => {}

  function settle(index: number): void {
    waiting.get(index)?.()
    waiting.delete(index)
    if (waiting.size === 0) stop() // an idle subscription must not keep a process alive
  }

  function drain(): void {
    const { events, lost } = monitor?.drain() ?? { events: [], lost: false }
    for (const event of events) {
      if (event.kind === 'link' && event.change === 'del') settle(event.link.index)
    }
    if (lost) for (const index of [...waiting.keys()]) if (isGone(index)) settle(index)
  }

  return {
    wait(index) {
      monitor ??= Monitor.open(
        netnsFd === undefined ? { groups: ['link'] } : { groups: ['link'], netnsFd },
      )
      if (waiting.size === 0) {
        monitor.drain()
        stop = monitor.watch(drain)
      }
      return new Promise((resolve) => waiting.set(index, () => resolve(undefined)))
    },
    forget: settle,
    close() {
      stop()
      monitor?.close()
    },
  }
}
