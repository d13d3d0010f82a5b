/**
 * A transaction that waits, and what becomes of it.
 *
 * @module
 */
import { asTriviumError, TriviumError } from '../../src/errors.ts'
import type { Outcome, Tx } from '../store.ts'
import type { Overlay } from './overlay.ts'

export interface Entry {
  /** Runs the body; what it writes goes to `all`, or nothing if it throws. */
  run(all: Overlay): void
  /** Whether somebody wants to know what was decided. */
  readonly listens: boolean
  /** Tells, unless `answer` has. */
  decide(): void
  /** Tells the caller; `refusal` when the commit failed. */
  answer(refusal: Outcome<never> | undefined): void
}

/** As `Store.transact` takes them. */
export function entryOf<T>(
  body: (tx: Tx) => T,
  done: (outcome: Outcome<T>) => void,
  decided: ((answer: T) => void) | undefined,
): Entry {
  let outcome: Outcome<T> = neverRan
  let told = decided === undefined
  const decide = (): void => {
    if (told || outcome.kind === 'failed') return
    told = true
    decided?.(outcome.answer)
  }
  return {
    run(all) {
      try {
        outcome = { kind: 'committed', answer: all.attempt(body) }
      } catch (thrown) {
        outcome = { kind: 'failed', error: asError(thrown) }
      }
    },
    listens: decided !== undefined,
    decide,
    answer(refusal) {
      if (refusal === undefined) decide()
      told = true
      done(refusal ?? outcome)
    },
  }
}

/** Calls take a microsecond or so, but what callers do next belongs to them. */
const CALLS_MS_MAX = 1

/**
 * Calls each in order, the first at once, and lets what follows from it run before
 * the next; as many in one turn of the event loop as a short stretch allows.
 */
export function inTurns<T>(all: readonly T[], call: (one: T) => void, from = 0): void {
  const endMs = performance.now() + CALLS_MS_MAX
  const next = (index: number): void => {
    const one = all[index]
    if (one === undefined) return
    if (performance.now() > endMs) {
      setImmediate(inTurns<T>, all, call, index)
      return
    }
    try {
      call(one)
    } finally {
      if (index + 1 < all.length) queueMicrotask(() => next(index + 1))
    }
  }
  next(from)
}

export function thrownBy(work: () => void): unknown {
  try {
    work()
    return undefined
  } catch (thrown) {
    return asError(thrown)
  }
}

export const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : asTriviumError(thrown)

const neverRan: Outcome<never> = {
  kind: 'failed',
  error: new TriviumError('INTERNAL', 'Broken invariant: a transaction was answered before it ran'),
}
