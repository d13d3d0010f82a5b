/**
 * What a transaction read, and as which comparisons etcd can look whether it is
 * still so. What it only glanced at is compared with nothing.
 *
 * A key is compared by its revision. A range at revision R is unchanged when each
 * of its keys has a revision of at most R, and the section's `!removed` too.
 * etcd takes few comparisons at once (128 unless configured): many keys of one
 * section become one comparison of the section, which is stricter, never laxer.
 *
 * @module
 */
import type { KeyRange, Reader } from '../store.ts'
import { rangeEnd, removedKey, sectionOf } from './layout.ts'
import type { Replica } from './replica.ts'

/** `key` was last written by this very revision; 0: it is absent. */
export interface KeyCheck {
  readonly kind: 'key'
  readonly key: string
  readonly revision: number
}

/** No key of `[key, end)`, or `key` alone, was written after this revision. */
export interface RangeCheck {
  readonly kind: 'unchanged'
  readonly key: string
  readonly end?: string
  readonly revision: number
}

export type Check = KeyCheck | RangeCheck

export interface Recording {
  readonly reader: Reader
  /** Everything read so far, as at most `max` checks if sections allow. */
  checks(max: number): Check[]
}

/** Reads through `replica`, which must not move on until `checks` was asked. */
export function record(replica: Replica): Recording {
  const revision = replica.revision()
  const read = new Map<string, number>()
  const ranges = new Set<string>()
  return {
    reader: {
      get(key) {
        read.set(key, replica.revisionOf(key))
        return replica.reader.get(key)
      },
      range(range) {
        ranges.add(range)
        return replica.reader.range(range as KeyRange<never>)
      },
      glance: (range) => replica.reader.range(range),
      history() {
        // An etcd that fell back beyond it has it no more, or has an older one.
        const newest = replica.newestRecord()
        if (newest !== undefined) read.set(newest.key, replica.revisionOf(newest.key))
        return replica.falls()
      },
    },
    checks: (max) => checksOf(read, ranges, revision, max),
  }
}

/**
 * @param read Revision by key; 0: absent.
 * @param revision The state that was read.
 */
export function checksOf(
  read: ReadonlyMap<string, number>,
  ranges: ReadonlySet<string>,
  revision: number,
  max: number,
): Check[] {
  let wide = new Set(ranges)
  let checks = exact(read, wide, revision)
  if (checks.length <= max) return checks
  // The fullest sections first: each makes one comparison of many.
  const sections = new Map<string, number>()
  for (const key of [...read.keys(), ...ranges]) {
    const section = sectionOf(key)
    if (key.includes('/')) sections.set(section, (sections.get(section) ?? 0) + 1)
  }
  for (const [section] of [...sections].sort((left, right) => right[1] - left[1])) {
    wide = new Set([...wide].filter((range) => sectionOf(range) !== section)).add(`${section}/`)
    checks = exact(read, wide, revision)
    if (checks.length <= max) break
  }
  return checks
}

function exact(
  read: ReadonlyMap<string, number>,
  ranges: ReadonlySet<string>,
  revision: number,
): Check[] {
  const checks: Check[] = []
  for (const range of ranges) {
    if (coveredBy(range, ranges)) continue
    checks.push({ kind: 'unchanged', key: range, end: rangeEnd(range), revision })
  }
  for (const section of new Set([...ranges].map(sectionOf))) {
    checks.push({ kind: 'unchanged', key: removedKey(section), revision })
  }
  for (const [key, at] of read) {
    if (!coveredBy(key, ranges)) checks.push({ kind: 'key', key, revision: at })
  }
  return checks
}

/** Whether a range that was read, other than itself, holds the key or range. */
function coveredBy(key: string, ranges: ReadonlySet<string>): boolean {
  for (let slash = key.indexOf('/'); slash >= 0 && slash < key.length - 1; ) {
    if (ranges.has(key.slice(0, slash + 1))) return true
    slash = key.indexOf('/', slash + 1)
  }
  return false
}
