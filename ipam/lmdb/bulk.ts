/**
 * A store made aside of what another one holds, and put in place whole: for looks
 * at what a large change would come to, and for stores that are not there yet.
 *
 * @module
 */
import { mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type Key, open } from 'lmdb'
import { TriviumError } from '../../src/errors.ts'
import { createData } from './create.ts'
import { GATE_FILE } from './environment.ts'
import { openGate } from './gate.ts'
import { DATA_FILE, hasData } from './inspect.ts'

const MAP_BYTES = 4 * 2 ** 30
/** Records of one commit. */
const AT_ONCE = 20_000

/** Makes an environment in a directory of the caller's own, of these records. Nobody else may know of it. */
export function fillNew(
  path: string,
  pairs: Iterable<readonly [key: string, value: unknown]>,
): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  // What is looked at and thrown away needs no sync.
  const settings = { encoding: 'json', noSubdir: false, mapSize: MAP_BYTES, noSync: true } as const
  const db = open<unknown, Key>(path, settings)
  const waiting: (readonly [key: string, value: unknown])[] = []
  const flush = (): void => {
    db.transactionSync(() => {
      for (const [key, value] of waiting.splice(0)) db.putSync(key, value)
    })
  }
  for (const pair of pairs) {
    waiting.push(pair)
    if (waiting.length >= AT_ONCE) flush()
  }
  flush()
  void db.close()
}

/**
 * Puts the data file of a store that was made aside into `path`, where there is
 * none. Both lie on one file system, and the one aside is closed.
 *
 * @throws {TriviumError} CONFLICT when there is one by now
 */
export function putInPlace(aside: string, path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const gate = openGate(join(path, GATE_FILE), 'blocks')
  try {
    gate.inside(() => {
      if (hasData(path)) {
        throw new TriviumError(
          'CONFLICT',
          `Cannot put the restored store into ${path}: somebody made one there meanwhile`,
          'Do it again, or stop the agent before',
        )
      }
      createData(path, (made) => renameSync(join(aside, DATA_FILE), join(made, DATA_FILE)))
    })
  } finally {
    gate.close()
  }
}
