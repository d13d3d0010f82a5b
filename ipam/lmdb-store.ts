/**
 * The store on disk: one LMDB environment in a directory, shared by every
 * process of the node. The only file of this folder that touches the system.
 *
 * A commit is one fdatasync (about 0.2 to 0.4 ms) on the calling thread. The
 * library can also commit on a thread of its own and share one sync among
 * many requests; that is not used: in 3.5.6 a short-lived process that does so
 * beside other writers now and then reads a stale snapshot inside its write
 * transaction, or dies of SIGSEGV there (measured: one in 900 processes).
 * LMDB takes robust locks: a process that is killed while it holds one loses
 * its uncommitted writes and blocks nobody.
 *
 * `overlappingSync` stays off. With it, a commit can be seen before it is on
 * disk; here whatever anybody has read survives a power cut.
 *
 * @module
 */
import { existsSync, type FSWatcher, mkdirSync, watch as watchFile } from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase, type RootDatabaseOptions } from 'lmdb'
import { asTriviumError, TriviumError } from '../src/errors.ts'
import { keys, SCHEMA_VERSION } from './keys.ts'
import type { Key, KeyRange, Outcome, Reader, Store, Tx } from './store.ts'

/** Address space set aside, not disk: a million records fit, and LMDB grows it if they do not. */
const MAP_BYTES = 1 << 30
/**
 * A writer touches the file just before its commit becomes visible, so looks
 * are repeated, each time after twice as long, until a few found nothing.
 */
const WATCH_SETTLE_MS = 2
const WATCH_LOOKS = 8
/** For file systems where inotify is silent (network, overlay), and for a writer that stood still. */
const POLL_MS = 2000

/** Grows by one with every transaction that writes: what a snapshot itself says about its age. */
const REVISION: Key<number> = 'revision'

/**
 * How long nothing is written after the disk refused. A full disk gains nothing
 * from being asked again at once, and the native library (lmdb 3.5.6) damages
 * its memory when commits fail by the dozen: measured, one process in 25 after 50 failures.
 */
const DISK_PAUSE_MS = 1000

const DATA_FILE = 'data.mdb'

export interface LmdbStoreOptions {
  /** Refuse every transaction and never create anything. */
  readonly readOnly?: boolean
  /** Refuse a store that does not exist yet instead of making an empty one. */
  readonly mustExist?: boolean
  /** How often a watched store is looked at where the file system tells nothing. @default 2000 */
  readonly pollMs?: number
}

/**
 * Opens the store in the directory `path`, and makes it (0700, files 0600) when it is missing.
 *
 * @throws {TriviumError} NOT_FOUND when it is missing and must exist; STORE when
 * it cannot be opened or was written by a newer version.
 */
export function openLmdbStore(path: string, options: LmdbStoreOptions = {}): Store {
  const { readOnly = false, mustExist = readOnly, pollMs = POLL_MS } = options
  if (mustExist && !existsSync(join(path, DATA_FILE))) {
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot open store ${path}: there is none, wanted a directory with ${DATA_FILE}`,
      'The agent makes it when it starts; check the path if it already runs',
    )
  }
  const db = openDatabase(path, readOnly)
  try {
    checkSchema(db, path, readOnly)
  } catch (thrown) {
    void db.close()
    throw asTriviumError(thrown, 'STORE')
  }
  return lmdbStore(db, path, readOnly, watchChanges(db, path, pollMs))
}

type Database = RootDatabase<unknown, string>

function openDatabase(path: string, readOnly: boolean): Database {
  // The library reads this option too, but its types do not name it.
  const permissions: object = { permissionsMode: 0o600 }
  const options: RootDatabaseOptions = {
    encoding: 'json',
    overlappingSync: false,
    // Otherwise a failed commit also rejects a promise of the library's own, which ends the process.
    eventTurnBatching: false,
    noSubdir: false,
    mapSize: MAP_BYTES,
    readOnly,
    ...permissions,
  }
  try {
    if (!readOnly) mkdirSync(path, { recursive: true, mode: 0o700 })
    return open<unknown, string>(path, options)
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new TriviumError('STORE', `Cannot open store ${path}: ${reason}`, '', thrown)
  }
}

function checkSchema(db: Database, path: string, readOnly: boolean): void {
  if (db.get(keys.schema) === undefined && !readOnly) {
    db.transactionSync(() => {
      // Another process may have been first. Nothing is returned: a promise would leave it open.
      if (db.get(keys.schema) === undefined) db.putSync(keys.schema, SCHEMA_VERSION)
    })
  }
  const found = db.get(keys.schema) ?? SCHEMA_VERSION
  if (typeof found === 'number' && found >= 1 && found <= SCHEMA_VERSION) return
  throw new TriviumError(
    'STORE',
    `Cannot use store ${path}: layout ${JSON.stringify(found)}, wanted 1 to ${SCHEMA_VERSION}`,
    'A newer version wrote it: install that version, or a later one',
  )
}

function lmdbStore(db: Database, path: string, readOnly: boolean, changes: Changes): Store {
  const reader: Reader = {
    get: <T>(key: Key<T>) => db.get(key) as T | undefined,
    range: (range) => [...pairs(db, range)],
  }
  let wrote = false
  const tx: Tx = {
    ...reader,
    put: (key, value) => {
      wrote = true
      db.putSync(key, value)
    },
    remove: (key) => {
      wrote = true
      db.removeSync(key)
    },
  }
  let closed = false
  let running = 0
  /** What the disk last said, and until when it is taken at its word. */
  let refusedUntilMs = 0
  let lastRefusal: Outcome<never> | undefined

  function refusedBecause(reason: unknown): Outcome<never> {
    lastRefusal = notWritten(path, reason)
    refusedUntilMs = performance.now() + DISK_PAUSE_MS
    return lastRefusal
  }

  /** One commit on the calling thread: lock, body, fdatasync. */
  function run<T>(body: (tx: Tx) => T): Outcome<T> {
    let outcome: Outcome<T> | undefined
    try {
      // Nothing is returned: the library would wait for a promise among the answers.
      db.transactionSync(() => {
        try {
          wrote = false
          outcome = { kind: 'committed', answer: body(tx) }
          if (wrote) db.putSync(REVISION, revisionOf(db) + 1)
        } catch (thrown) {
          outcome = { kind: 'failed', error: asError(thrown) }
          throw thrown
        }
      })
    } catch (thrown) {
      // The body's own error, or else the disk refused the commit.
      return outcome?.kind === 'failed' ? outcome : refusedBecause(thrown)
    }
    return outcome ?? refusedBecause('the transaction did not run')
  }

  function finish<T>(done: (outcome: Outcome<T>) => void, outcome: Outcome<T>): void {
    running--
    if (closed && running === 0) void db.close()
    done(outcome)
  }

  return {
    read(body) {
      if (closed) throw refusal(path, 'it is closed')
      // Another process may have committed since the snapshot of this turn was taken.
      db.resetReadTxn()
      return body(reader)
    },
    transact<T>(body: (tx: Tx) => T, done: (outcome: Outcome<T>) => void) {
      if (closed || readOnly) {
        const error = refusal(path, closed ? 'it is closed' : 'it was opened to read')
        setImmediate(() => done({ kind: 'failed', error }))
        return
      }
      if (lastRefusal !== undefined && performance.now() < refusedUntilMs) {
        setImmediate(done, lastRefusal)
        return
      }
      running++
      setImmediate(() => finish(done, run(body)))
    },
    watch: changes.watch,
    close() {
      if (closed) return
      closed = true
      changes.close()
      if (running === 0) void db.close()
    },
  }
}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : asTriviumError(thrown)

function notWritten(path: string, thrown: unknown): Outcome<never> {
  const { message } = asError(thrown)
  const advice = 'Free some space on that disk; a write is tried again every second'
  const error = new TriviumError('STORE', `Cannot write store ${path}: ${message}`, advice, thrown)
  return { kind: 'failed', error }
}

const refusal = (path: string, why: string): TriviumError =>
  new TriviumError('STORE', `Cannot use store ${path}: ${why}, wanted an open, writable store`)

/** Read at once: a cursor must not outlive the snapshot, nor see writes made while it runs. */
function* pairs<T>(db: Database, range: KeyRange<T>): Generator<readonly [Key<T>, T]> {
  // The prefix ends with a slash, and '0' is the character after it.
  const end = `${range.slice(0, -1)}0`
  for (const { key, value } of db.getRange({ start: range, end })) {
    yield [key as Key<T>, value as T]
  }
}

interface Changes {
  watch(changed: () => void): () => void
  close(): void
}

/** Tells watchers about commits, also of other processes. Keeps no process alive. */
function watchChanges(db: Database, path: string, pollMs: number): Changes {
  const watchers = new Set<() => void>()
  let files: FSWatcher | undefined
  let poll: NodeJS.Timeout | undefined
  let settle: NodeJS.Timeout | undefined
  let looks = 0
  let seen = 0

  function look(): void {
    settle = undefined
    db.resetReadTxn()
    const now = revisionOf(db)
    const changed = now !== seen
    seen = now
    looks = changed ? 0 : looks + 1
    if (looks < WATCH_LOOKS) settle = setTimeout(look, WATCH_SETTLE_MS << looks).unref()
    if (!changed) return
    for (const watcher of [...watchers]) if (watchers.has(watcher)) watcher()
  }

  function start(): void {
    db.resetReadTxn()
    seen = revisionOf(db)
    poll = setInterval(() => {
      if (settle === undefined) look()
    }, pollMs).unref()
    try {
      files = watchFile(join(path, DATA_FILE), { persistent: false })
      files.on('change', () => {
        looks = 0
        settle ??= setTimeout(look, WATCH_SETTLE_MS).unref()
      })
      files.on('error', () => files?.close()) // the poll goes on alone
    } catch {
      // No inotify instances left on this node: the poll is enough, only slower.
    }
  }

  function stop(): void {
    files?.close()
    clearInterval(poll)
    clearTimeout(settle)
    settle = undefined
  }

  return {
    watch(changed) {
      const own = () => changed() // the same function may watch twice
      if (watchers.size === 0) start()
      watchers.add(own)
      return () => {
        if (watchers.delete(own) && watchers.size === 0) stop()
      }
    },
    close() {
      if (watchers.size > 0) stop()
      watchers.clear()
    },
  }
}

const revisionOf = (db: Database): number => (db.get(REVISION) as number | undefined) ?? 0
