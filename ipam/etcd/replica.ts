/**
 * What one prefix of etcd holds, as of one revision: a list, and every event since.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { sortedMap } from '../sorted-map.ts'
import type { Key, KeyRange, Reader } from '../store.ts'
import { isInternal } from './layout.ts'

/** A key below the prefix, its JSON text (undefined: removed) and the revision that made it so. */
export interface Change {
  readonly key: string
  readonly text: string | undefined
  readonly revision: number
}

/** A key that is there. */
export interface Pair extends Change {
  readonly text: string
}

export interface Replica {
  readonly reader: Reader
  /** The state is etcd's after this revision; 0: nothing is known yet. */
  revision(): number
  /** The revision that last wrote `key`, 0 when it is absent. As etcd's `mod_revision`. */
  revisionOf(key: string): number
  /**
   * Applies the events of whole revisions, in order; those it has seen are
   * skipped. Answers whether a record changed.
   */
  apply(changes: readonly Change[]): boolean
  /**
   * Takes a whole list for what is there at `revision`. Answers whether a record changed.
   *
   * @param isAnother It is known to be of another history than before.
   */
  replace(pairs: readonly Pair[], revision: number, isAnother?: boolean): boolean
  /** The newest change: who finds it in etcd as of `revision` sees the same history. */
  witness(): Change | undefined
  /** The newest change of a record. */
  newestRecord(): Change | undefined
  /** How often the history became another. */
  falls(): number
}

interface Held {
  readonly value: unknown
  readonly text: string
  readonly revision: number
}

export function emptyReplica(): Replica {
  let records = sortedMap()
  let held = new Map<string, Held>()
  let revision = 0
  let witness: Change | undefined
  let newestRecord: Change | undefined
  let falls = 0

  function set({ key, text, revision: at }: Change): boolean {
    if (isInternal(key)) return false
    const before = held.get(key)
    if (text === undefined) {
      records.set(key, undefined)
      return held.delete(key)
    }
    const value = before?.text === text ? before.value : parsed(key, text)
    held.set(key, { value, text, revision: at })
    records.set(key, value)
    return true
  }

  function replace(pairs: readonly Pair[], at: number, isAnother = false): boolean {
    const before = held
    const [oldRecords, oldHeld] = [records, held]
    records = sortedMap()
    held = new Map()
    let changed = false
    try {
      for (const pair of pairs) {
        set(pair)
        if (!isInternal(pair.key) && before.get(pair.key)?.text !== pair.text) changed = true
      }
    } catch (thrown) {
      ;[records, held] = [oldRecords, oldHeld]
      throw thrown
    }
    revision = at
    witness = newest(pairs)
    newestRecord = newest(pairs.filter(({ key }) => !isInternal(key)))
    if (isAnother) falls++
    return changed || before.size !== held.size
  }

  return {
    reader: {
      get: <T>(key: Key<T>) => held.get(key)?.value as T | undefined,
      range: <T>(range: KeyRange<T>) => records.range(range) as [Key<T>, T][],
      history: () => falls,
    },
    revision: () => revision,
    revisionOf: (key) => held.get(key)?.revision ?? 0,
    apply(changes) {
      let changed = false
      const seen = revision
      for (const change of changes) {
        if (change.revision <= seen) continue
        if (set(change)) changed = true
        revision = change.revision
        witness = change
        if (!isInternal(change.key)) newestRecord = change
      }
      return changed
    },
    replace,
    witness: () => witness,
    newestRecord: () => newestRecord,
    falls: () => falls,
  }
}

function newest(pairs: readonly Pair[]): Pair | undefined {
  let found: Pair | undefined
  for (const pair of pairs) if (found === undefined || pair.revision > found.revision) found = pair
  return found
}

function parsed(key: string, text: string): unknown {
  try {
    return frozen(JSON.parse(text))
  } catch (cause) {
    throw new TriviumError(
      'BAD_JSON',
      `Cannot use key ${key} of etcd: ${text.slice(0, 40)}, wanted JSON`,
      'Something else writes below this prefix: give each its own',
      cause,
    )
  }
}

function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(value)) frozen(part)
  return Object.freeze(value)
}
