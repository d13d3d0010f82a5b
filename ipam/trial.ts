/**
 * Transactions that are tried: whether one is necessary, and what it would do.
 *
 * @module
 */
import type { Key, KeyRange, Reader, Store, Tx } from './store.ts'

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

/** The store as it would be: what is written shows here and nowhere else. */
export function overlay(reader: Reader): Tx {
  /** undefined: removed. */
  const written = new Map<string, unknown>()
  return {
    ...reader,
    get: <T>(key: Key<T>) =>
      written.has(key) ? (written.get(key) as T | undefined) : reader.get(key),
    range<T>(range: KeyRange<T>) {
      const own = [...written].filter(
        ([key, value]) => key.startsWith(range) && value !== undefined,
      )
      if (written.size === 0) return reader.range(range)
      const kept = [...reader.range(range)].filter(([key]) => !written.has(key))
      const all = [...kept, ...own] as [Key<T>, T][]
      return all.sort(([left], [right]) => (left < right ? -1 : 1))
    },
    put: (key, value) => void written.set(key, value),
    remove: (key) => void written.set(key, undefined),
  }
}
