/**
 * A store's callback as a promise, for the shells.
 *
 * @module
 */
import type { Store, Tx } from '../../ipam/store.ts'
import { asTriviumError } from '../errors.ts'

/** Resolves with the body's answer once it is committed; rejects with what it threw. */
export function transact<T>(store: Store, body: (tx: Tx) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    store.transact(body, (outcome) => {
      if (outcome.kind === 'committed') resolve(outcome.answer)
      else reject(outcome.error)
    })
  })
}

/** As `transact`; a failure that is none of ours is the store's. */
export async function commit<T>(store: Store, body: (tx: Tx) => T): Promise<T> {
  try {
    return await transact(store, body)
  } catch (thrown) {
    throw asTriviumError(thrown, 'STORE')
  }
}
