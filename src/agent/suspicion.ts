/**
 * Kernel notifications weighed against what the agent wants.
 *
 * Most of them tell of what the agent or ADD and DEL did themselves. Only the
 * last word about an object counts, and only when it says something else than
 * the plan: so an agent's own thousand operations cost it no round.
 *
 * An object that is wrong again and again is in somebody else's hands as well, or
 * the kernel does not take it as planned. After a few repairs it is left to the
 * timer, so that two who disagree do not keep each other busy.
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
  /** Keeps them until `stand`: what is wanted is about to be read anew. */
  note(events: readonly KernelEvent[]): void
  /**
   * Weighs them at once, so that thousands that are in order are never kept.
   *
   * @returns Whether any last word that was weighed is not what is wanted.
   */
  hear(events: readonly KernelEvent[], wanted: Wanted): boolean
  /**
   * Whether any last word is not what is wanted; what is in order is forgotten.
   *
   * @param isFresh Whether `wanted` is what the store held at `readAnew`: then
   *   what it does not know is nobody's either, unless it was noted since.
   */
  stand(wanted: Wanted, isFresh?: boolean): boolean
  /** The store was read. */
  readAnew(): void
  /** The kernel was observed: what stands is in the state now, and was looked at once more. */
  clear(): void
  /** Forgets how often each was looked at. */
  forgive(): void
}

/** Looks that one object's notifications may cause until `forgive`. */
const LOOKS_MAX = 8

export function suspicions(): Suspicions {
  const last = new Map<string, KernelEvent>()
  const looks = new Map<string, number>()
  /** Keys of those that were wrong when they were last weighed. */
  const wrong = new Set<string>()
  let notedSince = false

  function judge(key: string, event: KernelEvent, wanted: Wanted, isFresh: boolean): void {
    const verdict = weigh(event, wanted(key))
    const isTired = (looks.get(key) ?? 0) >= LOOKS_MAX
    if (verdict === 'fine' || isTired || (verdict === 'unknown' && isFresh)) last.delete(key)
    if (verdict === 'wrong' && !isTired) wrong.add(key)
    else wrong.delete(key)
  }

  return {
    note(events) {
      notedSince = true
      for (const event of events) last.set(identity(event.object), event)
    },
    hear(events, wanted) {
      for (const event of events) {
        const key = identity(event.object)
        last.set(key, event)
        judge(key, event, wanted, false)
      }
      return wrong.size > 0
    },
    stand(wanted, isFresh = false) {
      for (const [key, event] of last) judge(key, event, wanted, isFresh && !notedSince)
      return wrong.size > 0
    },
    readAnew() {
      notedSince = false
    },
    clear() {
      for (const key of last.keys()) looks.set(key, (looks.get(key) ?? 0) + 1)
      last.clear()
      wrong.clear()
    },
    forgive: () => looks.clear(),
  }
}

/** `unknown`: gone, and not in the plan; but ADD may have recorded it since the plan was made. */
function weigh(
  { change, object }: KernelEvent,
  wanted: KernelObject | undefined,
): 'fine' | 'wrong' | 'unknown' {
  if (wanted === undefined) {
    if (!looksOurs(object)) return 'fine'
    return change === 'del' ? 'unknown' : 'wrong'
  }
  return change === 'new' && satisfies(object, wanted) ? 'fine' : 'wrong'
}
