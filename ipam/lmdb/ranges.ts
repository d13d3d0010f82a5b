/**
 * What was read before and has not changed since. A thousand nodes and their
 * blocks are ten milliseconds of reading, and hardly any commit is about them.
 *
 * A snapshot says by its revision whether it is the one that was read. After a
 * commit of this process it is known which keys are others; after one of
 * another process everything is read again.
 *
 * @module
 */
import type { Key, KeyRange, Pairs, Reader } from '../store.ts'
import { revisionOf } from './changes.ts'
import type { Database } from './environment.ts'
import { merged, sectionOf } from './overlay.ts'

export interface Ranges {
  /** Reads what is not known yet through the reader that was given; remembers ranges. */
  readonly reader: Reader
  /** For a snapshot that is known to be of that revision: remembers single values, too. */
  at(revision: number): Reader
  /** This process committed `writes` (undefined: removed), which made that revision. Call it before anything else is read. */
  committed(revision: number, writes: ReadonlyMap<string, unknown>): void
}

/** Ranges kept at most: what an agent looks at is a few a network and one a block. */
const RANGES_MAX = 1000
/** Pairs of all ranges together: more are asked for by reports, now and then. */
const PAIRS_MAX = 100_000
/** Changes of a range that wait for somebody to ask, beyond one for each pair. */
const CHANGES_MAX = 1000
/** Single values kept at most: the same few are read by every body, the others once. */
const VALUES_MAX = 1000

interface Range {
  pairs: Pairs<unknown>
  /** Committed since; looked at when somebody asks. */
  changed: Map<string, unknown>
}

export function cachedRanges(db: Database, uncached: Reader): Ranges {
  const { scan, texts } = uncached
  const scanning = { ...(scan && { scan }), ...(texts && { texts }) }
  let revision = -1
  const known = new Map<string, Range>()
  let kept = 0
  /** First words of what is known: of most keys that are written, nothing is. */
  const sections = new Set<string>()
  const values = new Map<string, unknown>()

  function forgetRanges(): void {
    known.clear()
    sections.clear()
    kept = 0
  }

  function isOf(now: number): void {
    if (now !== revision) {
      forgetRanges()
      values.clear()
    }
    revision = now
  }

  function range<T>(asked: KeyRange<T>): Pairs<T> {
    const before = known.get(asked)
    if (before !== undefined) return upToDate(before) as Pairs<T>
    const pairs = uncached.range(asked)
    if (pairs.length > PAIRS_MAX) return pairs
    if (known.size >= RANGES_MAX || kept + pairs.length > PAIRS_MAX) forgetRanges()
    kept += pairs.length
    known.set(asked, { pairs, changed: new Map() })
    sections.add(sectionOf(asked))
    return pairs
  }

  function get<T>(key: Key<T>): T | undefined {
    const before = values.get(key)
    if (before !== undefined) return before as T
    const value = uncached.get(key)
    // What is absent is asked for once, to see that it is.
    if (value === undefined) return undefined
    if (values.size >= VALUES_MAX) values.clear()
    values.set(key, value)
    return value
  }

  return {
    reader: {
      ...scanning,
      get: uncached.get,
      range(asked) {
        isOf(revisionOf(db))
        return range(asked)
      },
    },
    at(now) {
      isOf(now)
      return { ...scanning, get, range }
    },
    committed(now, writes) {
      // Otherwise somebody else committed in between, or it has been read already.
      if (now !== revision + 1) return
      revision = now
      for (const [key, value] of writes) {
        if (values.has(key)) values.set(key, value)
        if (!sections.has(sectionOf(key))) continue
        for (let end = key.indexOf('/') + 1; end > 0; end = key.indexOf('/', end) + 1) {
          const asked = key.slice(0, end)
          const range = known.get(asked)
          range?.changed.set(key, value)
          if (range !== undefined && isLong(range)) known.delete(asked)
        }
      }
    },
  }
}

const isLong = ({ pairs, changed }: Range): boolean => changed.size > pairs.length + CHANGES_MAX

function upToDate(range: Range): Pairs<unknown> {
  if (range.changed.size === 0) return range.pairs
  range.pairs = merged(range.pairs, [...range.changed])
  range.changed = new Map()
  return range.pairs
}
