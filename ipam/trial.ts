/**
 * Transactions that turn out to be unnecessary.
 *
 * @module
 */
import type { Store, Tx } from './store.ts'

/**
 * Whether `body` would end, and leave the store as it is. Then it need not be run
 * as a transaction, which waits for writers and for the disk.
 */
export function writesNothing(store: Store, body: (tx: Tx) => unknown): boolean {
  const refuse = (): never => {
    throw new Error('it writes')
  }
  try {
    store.read((reader) => body({ ...reader, put: refuse, remove: refuse }))
    return true
  } catch {
    // It writes, or fails: the transaction will tell why.
    return false
  }
}
