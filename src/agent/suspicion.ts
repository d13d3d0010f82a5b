/**
 * Kernel notifications weighed against what the agent wants.
 *
 * Most of them tell of what the agent or ADD and DEL did themselves. Only the
 * last word about an object counts, and only when it says something else than
 * the plan: so an agent's own thousand operations cost it no round.
 *
 * @module
 */
import {
  identity,
  type KernelEvent,
  type KernelObject,
  looksOurs,
  satisfies,
} from '../kernel/mod.ts'

/** What is wanted under an identity. */
export type Wanted = (key: string) => KernelObject | undefined

export interface Suspicions {
  note(events: readonly KernelEvent[]): void
  /** Whether any last word is not what is wanted; what is in order is forgotten. */
  stand(wanted: Wanted): boolean
  clear(): void
}

export function suspicions(): Suspicions {
  const last = new Map<string, KernelEvent>()
  return {
    note(events) {
      for (const event of events) last.set(identity(event.object), event)
    },
    stand(wanted) {
      for (const [key, event] of last) {
        if (!contradicts(event, wanted(key))) last.delete(key)
      }
      return last.size > 0
    },
    clear: () => last.clear(),
  }
}

function contradicts({ change, object }: KernelEvent, wanted: KernelObject | undefined): boolean {
  if (change === 'del') return wanted !== undefined
  return wanted === undefined ? looksOurs(object) : !satisfies(object, wanted)
}
