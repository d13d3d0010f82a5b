/**
 * A map whose keys are in the order of their UTF-8 bytes.
 *
 * Keys live in sorted chunks of at most `CHUNK_KEYS`, so that a put costs one
 * binary search and one short splice, and a range costs what it returns: 100 000
 * pods on 1 000 nodes are 200 chunks.
 *
 * @module
 */
import { ABOVE_SURROGATES, type Compare, compareKeys, compareUnits } from './key-order.ts'

const CHUNK_KEYS = 512

export interface SortedMap {
  get(key: string): unknown
  /** Sets a value; undefined removes the key. */
  set(key: string, value: unknown): void
  range(prefix: string): [key: string, value: unknown][]
}

export function sortedMap(): SortedMap {
  const values = new Map<string, unknown>()
  const chunks: string[][] = [[]]
  let compare = compareUnits

  /** Last chunk whose first key is not after `key`. */
  function chunkFor(key: string): number {
    let [low, high] = [0, chunks.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (compare(chunks[middle]![0]!, key) <= 0) low = middle
      else high = middle - 1
    }
    return low
  }

  function set(key: string, value: unknown): void {
    if (values.has(key) === (value !== undefined)) {
      if (value !== undefined) values.set(key, value)
      return
    }
    const index = chunkFor(key)
    const chunk = chunks[index]!
    const place = lowerBound(chunk, key, compare)
    if (value === undefined) {
      values.delete(key)
      chunk.splice(place, 1)
      if (chunk.length === 0 && chunks.length > 1) chunks.splice(index, 1)
      return
    }
    values.set(key, value)
    if (ABOVE_SURROGATES.test(key)) compare = compareKeys
    chunk.splice(place, 0, key)
    if (chunk.length > CHUNK_KEYS) chunks.splice(index + 1, 0, chunk.splice(CHUNK_KEYS >> 1))
  }

  function range(prefix: string): [string, unknown][] {
    const pairs: [string, unknown][] = []
    let index = chunkFor(prefix)
    let place = lowerBound(chunks[index]!, prefix, compare)
    for (; index < chunks.length; index++, place = 0) {
      const chunk = chunks[index]!
      for (; place < chunk.length; place++) {
        const key = chunk[place]!
        if (!key.startsWith(prefix)) return pairs
        pairs.push([key, values.get(key)])
      }
    }
    return pairs
  }

  return { get: (key) => values.get(key), set, range }
}

/** First place in `sorted` whose key is not before `key`. */
function lowerBound(sorted: readonly string[], key: string, compare: Compare): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compare(sorted[middle]!, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
