/**
 * Writes that are not in the store yet, and reads as if they were.
 *
 * Ranges that were asked for are kept as they are by now, so a hundred bodies
 * that share a commit do not look through each other's writes. Values become text
 * once, when all is known.
 *
 * @module
 */
import { invariant } from '../../src/errors.ts'
import { compareKeys } from '../key-order.ts'
import { plainCopy } from '../plain.ts'
import type { Key, KeyRange, Pairs, Reader, Tx } from '../store.ts'

/** What is to be written: a key's value as JSON text, or undefined to remove it. */
export type Writes = ReadonlyMap<string, string | undefined>

export interface Overlay extends Tx {
  /** What is to be written, as values; undefined: removed. */
  readonly values: ReadonlyMap<string, unknown>
  writes(): Writes
  /** Runs `body` on the overlay; if it throws, its writes are taken back and only they. */
  attempt<T>(body: (tx: Tx) => T): T
}

/**
 * LMDB's limit, half a page less its headers, and a little room. A commit must
 * find nothing to refuse when it is half written, so keys are looked at here.
 */
const KEY_BYTES_MAX = 1970

/** Changes that are cheaper as a copy of the pairs each than as one merge of all. */
const ONE_BY_ONE_MAX = 2

interface Range {
  pairs: Pairs<unknown>
  /** Keys written since; looked at when somebody asks. */
  readonly changed: Set<string>
}

export function overlay(base: Reader): Overlay {
  const values = new Map<string, unknown>()
  /** Written keys by their first word, once somebody has asked for a range of them. */
  const sections = new Map<string, Set<string>>()
  const ranges = new Map<string, Range>()
  /** Keys that the body which runs now wrote, and what they were before; `unwritten`: as in the base. */
  const written: string[] = []
  const before: unknown[] = []

  function section(range: string): ReadonlySet<string> {
    const name = sectionOf(range)
    let found = sections.get(name)
    if (found === undefined) {
      found = new Set<string>()
      for (const key of values.keys()) if (sectionOf(key) === name) found.add(key)
      sections.set(name, found)
    }
    return found
  }

  function write(key: string, value: unknown): void {
    checkKey(key)
    const known = values.get(key)
    written.push(key)
    before.push(known !== undefined || values.has(key) ? known : unwritten)
    values.set(key, value)
    const asked = sections.get(sectionOf(key))
    if (asked === undefined) return
    asked.add(key)
    for (let end = key.indexOf('/') + 1; end > 0; end = key.indexOf('/', end) + 1) {
      ranges.get(key.slice(0, end))?.changed.add(key)
    }
  }

  function upToDate(range: Range): Pairs<unknown> {
    const { changed } = range
    if (changed.size > ONE_BY_ONE_MAX) {
      const own = Array.from(changed, (key): [string, unknown] => [key, values.get(key)])
      range.pairs = merged(range.pairs, own)
    } else for (const key of changed) range.pairs = withOther(range.pairs, key, values.get(key))
    changed.clear()
    return range.pairs
  }

  function takeBack(): void {
    for (let index = written.length - 1; index >= 0; index--) {
      const key = written[index]!
      if (before[index] !== unwritten) values.set(key, before[index])
      else values.delete(key)
      sections.delete(sectionOf(key))
    }
    if (written.length > 0) ranges.clear()
  }

  function ownOf(range: string): [string, unknown][] {
    const own: [string, unknown][] = []
    for (const key of section(range)) {
      if (key.startsWith(range)) own.push([key, values.get(key)])
    }
    return own
  }

  const { glance, scan, history, conflicts = 0 } = base
  const tx: Tx = {
    ...(glance && { glance: (range) => merged(glance(range), ownOf(range)) }),
    ...(scan && { scan: (range) => (ownOf(range).length === 0 ? scan(range) : tx.range(range)) }),
    ...(history && { history }),
    conflicts,
    get<T>(key: Key<T>): T | undefined {
      const value = values.get(key)
      return value !== undefined || values.has(key) ? (value as T | undefined) : base.get(key)
    },
    range<T>(range: KeyRange<T>): Pairs<T> {
      const known = ranges.get(range)
      if (known !== undefined) return upToDate(known) as Pairs<T>
      const pairs = merged(base.range(range), ownOf(range))
      ranges.set(range, { pairs, changed: new Set() })
      return pairs
    },
    put: (key, value) => write(key, plainCopy(key, value, values.get(key))),
    remove: (key) => write(key, undefined),
  }
  return {
    ...tx,
    values,
    writes() {
      const texts = new Map<string, string | undefined>()
      for (const [key, value] of values) {
        texts.set(key, value === undefined ? undefined : JSON.stringify(value))
      }
      return texts
    },
    attempt(body) {
      written.length = 0
      before.length = 0
      try {
        return body(tx)
      } catch (thrown) {
        takeBack()
        throw thrown
      }
    },
  }
}

const unwritten = Symbol('unwritten')

/** The first word of a key or range. */
export function sectionOf(key: string): string {
  const slash = key.indexOf('/')
  return slash === -1 ? key : key.slice(0, slash)
}

function checkKey(key: string): void {
  // UTF-8 has at most three bytes for a unit of UTF-16.
  const isShort = key.length > 0 && key.length * 3 <= KEY_BYTES_MAX
  const bytes = isShort ? key.length : Buffer.byteLength(key)
  invariant(bytes > 0 && bytes <= KEY_BYTES_MAX, `a key has 1 to ${KEY_BYTES_MAX} bytes`)
}

/** With one key's value other than before; undefined: without the key. */
function withOther<T>(pairs: Pairs<T>, key: string, value: unknown): Pairs<T> {
  let [low, high] = [0, pairs.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareKeys(pairs[middle]![0], key) < 0) low = middle + 1
    else high = middle
  }
  const after = [...pairs]
  const known = pairs[low]?.[0] === key ? 1 : 0
  if (value === undefined) after.splice(low, known)
  else if (known === 1) after[low] = [key, value as T]
  else after.splice(low, 0, [key, value as T])
  return after
}

/** Both in one, in order; `own`, of other keys each, has the last word. */
export function merged<T>(pairs: Pairs<T>, own: [key: string, value: unknown][]): Pairs<T> {
  if (own.length === 0) return pairs
  own.sort(([left], [right]) => compareKeys(left, right))
  const all: (readonly [Key<T>, T])[] = []
  let next = 0
  for (const [key, value] of own) {
    let order = -1
    while (next < pairs.length) {
      order = compareKeys(pairs[next]![0], key)
      if (order >= 0) break
      all.push(pairs[next++]!)
    }
    if (order === 0 && next < pairs.length) next++
    if (value !== undefined) all.push([key as Key<T>, value as T])
  }
  for (; next < pairs.length; next++) all.push(pairs[next]!)
  return all
}
