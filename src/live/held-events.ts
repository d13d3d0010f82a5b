/**
 * What the kernel tells about links that verbs are at work on.
 *
 * In the middle of a verb a link and its record disagree: a DEL removes the link
 * first and forgets the record last. The reconciler, told at that moment, would
 * compare everything, and put back or take away what the verb is about to. So
 * such events wait until the verb is done; only the last word counts then.
 *
 * @module
 */
import type { KernelEvent, KernelObject } from '../kernel/mod.ts'

export interface HeldEvents {
  /** Holds back what is about the link, until the returned function is called. Verbs may overlap. */
  hold(link: string): () => void
  /** How many links are held. */
  count(): number
  /** What may be told at once; the rest comes later through `told`. */
  pass(events: readonly KernelEvent[]): readonly KernelEvent[]
}

/** @param told Takes what was held, in the kernel's order. */
export function heldEvents(told: (events: readonly KernelEvent[]) => void): HeldEvents {
  const held = new Map<string, { verbs: number; readonly events: KernelEvent[] }>()
  return {
    hold(link) {
      const entry = held.get(link) ?? { verbs: 0, events: [] }
      entry.verbs += 1
      held.set(link, entry)
      let isDone = false
      return () => {
        if (isDone) return
        isDone = true
        entry.verbs -= 1
        if (entry.verbs > 0) return
        held.delete(link)
        if (entry.events.length > 0) told(entry.events)
      }
    },
    count: () => held.size,
    pass(events) {
      if (held.size === 0) return events
      return events.filter((event) => {
        const link = linkOf(event.object)
        const entry = link === undefined ? undefined : held.get(link)
        entry?.events.push(event)
        return entry === undefined
      })
    },
  }
}

/** The link that an object is, or hangs on. */
export function linkOf(object: KernelObject): string | undefined {
  if (object.kind === 'link') return object.name
  return 'link' in object ? object.link : undefined
}
