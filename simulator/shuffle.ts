/**
 * A seeded order.
 *
 * @module
 */
import type { Prng } from '../src/prng.ts'

/** A copy in random order (Fisher and Yates). */
export function shuffled<T>(values: readonly T[], chance: Prng): T[] {
  const order = [...values]
  for (let last = order.length - 1; last > 0; last--) {
    const other = chance.below(last + 1)
    const kept = order[last]!
    order[last] = order[other]!
    order[other] = kept
  }
  return order
}
