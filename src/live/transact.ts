/**
 * A store's callback as a promise, for the shells.
 *
 * @module
 */
import type { Store, Tx } from '../../ipam/store.ts'

/** Resolves with the body's answer once it is committed; rejects with what it threw. */
export function transact<T>(store: Store, body: (tx: Tx) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    store.transact(body, (outcome) => {
      if (outcome.kind === 'committed') resolve(outcome.answer)
      else reject(outcome.error)
    })
  })
}
