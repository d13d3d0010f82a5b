/**
 * The store on disk: one LMDB environment in a directory, shared by every
 * process of the node. It and `lmdb/` alone of this folder touch the system.
 *
 * A commit is two waits for the disk (0.2 to 0.3 ms each: an fdatasync, then the
 * page that makes it visible), for all transactions that waited; on the calling
 * thread, or with patience `pool` in a thread of the pool. A process that is
 * killed, inside a transaction or not, loses its uncommitted writes and blocks nobody.
 *
 * `overlappingSync` stays off. With it, a commit can be seen before it is on
 * disk; here whatever anybody has read survives a power cut.
 *
 * @module
 */
import { asTriviumError, TriviumError } from '../src/errors.ts'
import { isOlderLayout, keys, SCHEMA_VERSION } from './keys.ts'
import { watchChanges } from './lmdb/changes.ts'
import { type Database, leaveSnapshots, openEnvironment } from './lmdb/environment.ts'
import type { Patience } from './lmdb/gate.ts'
import { cachedRanges } from './lmdb/ranges.ts'
import { lmdbReader, openTransactions } from './lmdb/transactions.ts'
import type { Store } from './store.ts'

export { fillNew, putInPlace } from './lmdb/bulk.ts'

/** For file systems where inotify is silent (network, overlay), and for a writer that stood still. */
const POLL_MS = 2000

export interface LmdbStoreOptions {
  /** Refuse every transaction and never create anything. */
  readonly readOnly?: boolean
  /** Refuse a store that does not exist yet instead of making an empty one. */
  readonly mustExist?: boolean
  /** How often a watched store is looked at where the file system tells nothing. @default 2000 */
  readonly pollMs?: number
  /**
   * Where a transaction waits, while another process writes and for the disk; of
   * the first in this process who opens the store. @default 'blocks'
   */
  readonly patience?: Patience
}

/**
 * Opens the store in the directory `path`, and makes it (0700, files 0600) when it is missing.
 *
 * @throws {TriviumError} NOT_FOUND when it is missing and must exist; STORE when
 * it cannot be opened or was written by a newer version.
 */
export function openLmdbStore(path: string, options: LmdbStoreOptions = {}): Store {
  const { readOnly = false, mustExist = readOnly, pollMs = POLL_MS, patience = 'blocks' } = options
  const environment = openEnvironment(path, {
    mustExist,
    patience,
    prepare(db) {
      const found = db.get(keys.schema)
      if (readOnly || (found !== undefined && !isOlderLayout(found))) return
      db.transactionSync(() => void db.putSync(keys.schema, SCHEMA_VERSION))
    },
  })
  const { db } = environment
  try {
    checkSchema(db, path)
  } catch (thrown) {
    environment.release()
    throw asTriviumError(thrown, 'STORE')
  }
  const ranges = cachedRanges(db, lmdbReader(db))
  const transactions = openTransactions(environment, path, ranges)
  const changes = watchChanges(db, path, pollMs)
  let closed = false
  return {
    read(body) {
      if (closed) throw refusal(path, 'it is closed')
      // Another process may have committed since the snapshot of this turn was taken.
      db.resetReadTxn()
      return body(ranges.reader)
    },
    transact(body, done, decided) {
      if (!closed && !readOnly) return transactions.transact(body, done, decided)
      const error = refusal(path, closed ? 'it is closed' : 'it was opened to read')
      setImmediate(() => done({ kind: 'failed', error }))
    },
    watch: changes.watch,
    close() {
      if (closed) return
      closed = true
      changes.close()
      transactions.finish(() => environment.release())
    },
  }
}

/** For a process that is about to end without closing its stores. Nothing may be under way in them. */
export const leaveLmdbStores = (): void => leaveSnapshots()

function checkSchema(db: Database, path: string): void {
  db.resetReadTxn()
  const found = db.get(keys.schema) ?? SCHEMA_VERSION
  if (found === SCHEMA_VERSION || isOlderLayout(found)) return
  throw new TriviumError(
    'STORE',
    `Cannot use store ${path}: layout ${JSON.stringify(found)}, wanted 1 to ${SCHEMA_VERSION}`,
    'A newer version wrote it: install that version, or a later one',
  )
}

const refusal = (path: string, why: string): TriviumError =>
  new TriviumError('STORE', `Cannot use store ${path}: ${why}, wanted an open, writable store`)
