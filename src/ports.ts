/**
 * What a driver needs from the world. Every port has a live and a simulated
 * implementation; none may answer before it returns.
 *
 * @module
 */
import type { Instant } from './machine.ts'

/** Time. Live: `performance.now` and `setTimeout`. Simulated: the event queue. */
export interface Clock {
  now(): Instant
  /** Calls `run` once, at `when` or later, never before returning. Returns a cancel function. */
  at(when: Instant, run: () => void): () => void
}

/** Carries out one effect; its answer comes back through `feed`, later. */
export type Perform<Input, Effect> = (effect: Effect, feed: (input: Input) => void) => void
