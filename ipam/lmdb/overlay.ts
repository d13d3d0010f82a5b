/**
 * Writes that are not in the store yet, and reads as if they were.
 *
 * @module
 */
import { invariant } from '../../src/errors.ts'
import { compareKeys } from '../key-order.ts'
import type { Key, KeyRange, Reader, Tx } from '../store.ts'

/** What is to be written: a key's value as JSON text, or undefined to remove it. */
export type Writes = Map<string, string | undefined>

export interface Overlay extends Tx {
  readonly writes: Writes
}

/**
 * LMDB's limit, half a page less its headers, and a little room. A commit must
 * find nothing to refuse when it is half written, so keys are looked at here.
 */
const KEY_BYTES_MAX = 1970

export function overlay(base: Reader): Overlay {
  const writes: Writes = new Map()
  return {
    writes,
    get<T>(key: Key<T>): T | undefined {
      const text = writes.get(key)
      if (text !== undefined) return JSON.parse(text) as T
      return writes.has(key) ? undefined : base.get(key)
    },
    range<T>(range: KeyRange<T>): Iterable<readonly [Key<T>, T]> {
      const changed = [...writes].filter(([key]) => key.startsWith(range))
      return changed.length === 0 ? base.range(range) : merged([...base.range(range)], changed)
    },
    put(key, value) {
      const text = JSON.stringify(value)
      invariant(text !== undefined, `the value of ${key} is JSON`)
      checkKey(key)
      writes.set(key, text)
    },
    remove(key) {
      checkKey(key)
      writes.set(key, undefined)
    },
  }
}

function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  invariant(bytes > 0 && bytes <= KEY_BYTES_MAX, `a key has 1 to ${KEY_BYTES_MAX} bytes`)
}

/** Both in one, in order; `changed` has the last word. */
function merged<T>(
  pairs: readonly (readonly [Key<T>, T])[],
  changed: (readonly [key: string, text: string | undefined])[],
): (readonly [Key<T>, T])[] {
  changed.sort(([left], [right]) => compareKeys(left, right))
  const all: (readonly [Key<T>, T])[] = []
  let next = 0
  for (const [key, text] of changed) {
    let order = -1
    while (next < pairs.length) {
      order = compareKeys(pairs[next]![0], key)
      if (order >= 0) break
      all.push(pairs[next++]!)
    }
    if (order === 0 && next < pairs.length) next++
    if (text !== undefined) all.push([key as Key<T>, JSON.parse(text) as T])
  }
  for (; next < pairs.length; next++) all.push(pairs[next]!)
  return all
}
