/**
 * A backup in parts that are restored one after the other, each in a transaction
 * of its own, where one would be too large.
 *
 * Order makes every part a whole: blocks come before what is in them, and give no
 * address before all of the backup is there (`frozen`). A mark in the store says
 * meanwhile which backup it is, so that a restore that was broken off is seen, and
 * goes on when it is asked for again: what a part added is there then.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { keys } from '../keys.ts'
import type { BlockUse, RestoreMark } from '../records.ts'
import { type Key, type Reader, scan, type Tx } from '../store.ts'
import type { Image, ImageHeader, ImagePair } from './image.ts'

/** Cuts a backup into parts of about so many bytes of text; a block's history stays together. */
export function* partsOf(
  header: ImageHeader,
  pairs: Iterable<ImagePair>,
  bytesMax: number,
): Generator<Image> {
  let part = new Map<Key<unknown>, unknown>()
  let bytes = 0
  let last = ''
  for (const [key, value] of pairs) {
    if (bytes > bytesMax && togetherOf(key) !== last) {
      yield { header, pairs: part }
      part = new Map()
      bytes = 0
    }
    part.set(key, value)
    bytes += key.length + JSON.stringify(value).length
    last = togetherOf(key)
  }
  if (part.size > 0) yield { header, pairs: part }
}

const togetherOf = (key: string): string =>
  key.startsWith('history/') ? key.slice(0, key.lastIndexOf('/')) : key

/** @throws {TriviumError} CONFLICT where another backup is half restored. */
export function refuseOther(reader: Reader, mark: RestoreMark, force: boolean): void {
  const found = reader.get(keys.restore)
  if (found !== undefined && found.sha256 !== mark.sha256 && !force) {
    throw new TriviumError(
      'CONFLICT',
      `Cannot restore the backup with sum ${mark.sha256.slice(0, 12)}…: one with sum ${found.sha256.slice(0, 12)}… is restored half`,
      'Restore that one again, which ends it; or give it up with --force',
    )
  }
}

/**
 * Says that a restore is under way, in each of its transactions.
 *
 * @throws {TriviumError} CONFLICT where another backup is half restored.
 */
export function begin(tx: Tx, mark: RestoreMark, force: boolean): void {
  refuseOther(tx, mark, force)
  if (tx.get(keys.restore)?.sha256 !== mark.sha256) tx.put(keys.restore, mark)
}

/** Blocks that wait for the end of a restore. */
export function frozenUses(reader: Reader): readonly Key<BlockUse>[] {
  const found: Key<BlockUse>[] = []
  for (const [key, use] of scan(reader, keys.allUses)) if (use.frozen === true) found.push(key)
  return found
}

/** Some of those give addresses from now on. */
export function thaw(tx: Tx, uses: readonly Key<BlockUse>[]): void {
  for (const key of uses) {
    const use = tx.get(key)
    if (use?.frozen !== true) continue
    const { frozen: _was, ...rest } = use
    tx.put(key, rest)
  }
}

/** The whole backup is there. */
export function finish(tx: Tx): void {
  if (tx.get(keys.restore) !== undefined) tx.remove(keys.restore)
}
