/**
 * Ranges that were read before and have not changed since. A thousand nodes and
 * their blocks are ten milliseconds of reading, and hardly any commit is about
 * them.
 *
 * A snapshot says by its revision whether it is the one that was read. After a
 * commit of this process it is known which keys are others; after one of
 * another process everything is read again.
 *
 * @module
 */
import type { Key, KeyRange, Reader } from '../store.ts'
import { revisionOf } from './changes.ts'
import type { Database } from './environment.ts'
import type { Writes } from './overlay.ts'

export interface Ranges {
  /** Reads what is not known yet through the reader that was given. */
  readonly reader: Reader
  /** This process committed `writes`, which made that revision. Call it before anything else is read. */
  committed(revision: number, writes: Writes): void
}

type Pairs = readonly (readonly [Key<unknown>, unknown])[]

/** Kept at most: what an agent looks at, a few ranges a network. */
const RANGES_MAX = 100
/** Longer ones are asked for by reports, now and then. */
const PAIRS_MAX = 20_000

export function cachedRanges(db: Database, uncached: Reader): Ranges {
  let revision = -1
  const known = new Map<string, Pairs>()

  function range<T>(asked: KeyRange<T>): Iterable<readonly [Key<T>, T]> {
    const now = revisionOf(db)
    if (now !== revision || known.size >= RANGES_MAX) known.clear()
    revision = now
    const before = known.get(asked)
    if (before !== undefined) return before as (readonly [Key<T>, T])[]
    const found = [...uncached.range(asked)]
    if (found.length <= PAIRS_MAX) known.set(asked, found)
    return found
  }

  return {
    reader: { get: uncached.get, range },
    committed(now, writes) {
      // Otherwise somebody else committed in between, or it has been read already.
      if (now !== revision + 1) return
      revision = now
      for (const each of [...known.keys()]) {
        for (const key of writes.keys()) {
          if (!key.startsWith(each)) continue
          known.delete(each)
          break
        }
      }
    },
  }
}
