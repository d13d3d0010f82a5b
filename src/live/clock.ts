/**
 * The live clock: `performance.now` and `setTimeout`.
 *
 * @module
 */
import type { Instant } from '../machine.ts'
import type { Clock } from '../ports.ts'

/** setTimeout takes 31 bits of milliseconds; longer waits wake early, which machines allow. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

export const liveClock: Clock = {
  now: () => performance.now() as Instant,
  at(when, run) {
    const waitMs = Math.min(Math.max(0, when - performance.now()), TIMEOUT_MS_MAX)
    const timer = setTimeout(run, Math.ceil(waitMs))
    return () => clearTimeout(timer)
  },
}
