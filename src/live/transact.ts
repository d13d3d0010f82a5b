/**
 * A store's callback as a promise, for the shells.
 *
 * @module
 */
import type { Outcome, Store, Tx } from '../../ipam/store.ts'

/**
 * Resolves with the body's answer once it is committed; rejects with what it
 * threw. `decided` hears it while it is being written, as in `Store`.
 */
export function transact<T>(
  store: Store,
  body: (tx: Tx) => T,
  decided?: (answer: T) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const done = (outcome: Outcome<T>): void => {
      if (outcome.kind === 'committed') resolve(outcome.answer)
      else reject(outcome.error)
    }
    store.transact(body, done, decided)
  })
}
