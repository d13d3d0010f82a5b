/**
 * Transactions that wait at the same time share one commit, and one fdatasync.
 *
 * Each body still sees the store as if it ran alone: after those before it, and
 * without the writes of one that threw, which are taken back one by one. Nobody
 * is answered before the commit is on disk, and each answer gets a turn of the
 * event loop of its own, so a hundred of them are no long stretch.
 *
 * @module
 */
import { ABORT } from 'lmdb'
import { asTriviumError, TriviumError } from '../../src/errors.ts'
import type { Key, KeyRange, Outcome, Reader, Store, Tx } from '../store.ts'
import { REVISION, revisionOf } from './changes.ts'
import type { Database, Environment } from './environment.ts'

/** A body takes about 0.1 ms. With the sync (0.2 to 0.4 ms) a stretch stays below 5 ms. */
const BODIES_MS_MAX = 2

/**
 * How long nothing is written after the disk refused. A full disk gains nothing
 * from being asked again at once, and the native library (lmdb 3.5.6) damages
 * its memory when commits fail by the dozen: measured, one process in 25 after 50 failures.
 */
const DISK_PAUSE_MS = 1000

export interface Transactions {
  transact: Store['transact']
  /** Calls `idle` when all that was accepted is written, at once if it is. */
  finish(idle: () => void): void
}

/** A body and what becomes of it. */
interface Entry {
  /** Runs the body in the open transaction; `undone`: it wrote and threw. */
  run(): 'wrote' | 'undone' | 'read'
  /** Tells the caller; `refusal` when the commit failed. */
  answer(refusal: Outcome<never> | undefined): void
}

export function lmdbReader(db: Database): Reader {
  return {
    get: <T>(key: Key<T>) => db.get(key) as T | undefined,
    range: (range) => [...pairs(db, range)],
  }
}

export function openTransactions({ db, gate }: Environment, path: string): Transactions {
  let queue: Entry[] = []
  let idle: (() => void) | undefined
  let scheduled = false
  /** What the disk last said, and until when it is taken at its word. */
  let refusedUntilMs = 0
  let lastRefusal: Outcome<never> | undefined

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => gate.request(commitSome, () => end(take(queue.length), gateShut(path))))
  }

  function take(count: number): Entry[] {
    const taken = queue.slice(0, count)
    queue = queue.slice(count)
    return taken
  }

  function commitSome(): () => void {
    if (lastRefusal === undefined || performance.now() >= refusedUntilMs) {
      const { ran, thrown } = commit(db, queue)
      lastRefusal = thrown === undefined ? undefined : notWritten(path, thrown)
      if (lastRefusal === undefined) {
        const committed = take(ran)
        return () => end(committed, undefined)
      }
      refusedUntilMs = performance.now() + DISK_PAUSE_MS
    }
    const refused = take(queue.length)
    return () => end(refused, lastRefusal)
  }

  function end(entries: readonly Entry[], refusal: Outcome<never> | undefined): void {
    scheduled = false
    if (queue.length > 0) schedule()
    else idle?.()
    oneATurn(entries.map((entry) => () => entry.answer(refusal)))
  }

  const reader = lmdbReader(db)
  return {
    transact(body, done, decided) {
      queue.push(entryOf(db, reader, body, done, decided))
      schedule()
    },
    finish(told) {
      idle = told
      if (!scheduled) told()
    },
  }
}

/** Runs as many entries as fit into one transaction, at least one, and commits them. */
function commit(db: Database, entries: readonly Entry[]): { ran: number; thrown?: unknown } {
  const endMs = performance.now() + BODIES_MS_MAX
  const did = { wrote: false, undone: false, read: false }
  let ran = 0
  try {
    // No answer is returned: the library would wait for a promise among them.
    db.transactionSync(() => {
      mustHaveBegun(db)
      for (const entry of entries) {
        did[entry.run()] = true
        ran++
        if (performance.now() > endMs) break
      }
      if (did.wrote) db.putSync(REVISION, revisionOf(db) + 1)
      return !did.wrote && did.undone ? ABORT : undefined
    })
    if (!did.wrote && did.undone) forgetAbort(db)
    return { ran }
  } catch (thrown) {
    return { ran: Math.max(ran, 1), thrown }
  }
}

/** The library does not look whether LMDB could begin; its reads would then be of an old snapshot. */
function mustHaveBegun(db: Database): void {
  const { getWriteTxnId } = db as unknown as { getWriteTxnId: () => number }
  if (getWriteTxnId() === 0) throw new Error('LMDB could not begin a transaction')
}

/**
 * After an aborted transaction LMDB takes a commit of another process for its
 * own, because both have the same number, and goes on with the list of free
 * pages it had. An empty transaction puts the number right.
 */
function forgetAbort(db: Database): void {
  try {
    db.transactionSync(() => undefined)
  } catch {
    // The next transaction meets the same trouble, and reports it.
  }
}

function entryOf<T>(
  db: Database,
  reader: Reader,
  body: (tx: Tx) => T,
  done: (outcome: Outcome<T>) => void,
  decided?: (answer: T) => void,
): Entry {
  let outcome: Outcome<T> | undefined
  const undo: (readonly [key: string, value: unknown])[] = []
  const tx: Tx = {
    ...reader,
    put(key, value) {
      const before = db.get(key)
      db.putSync(key, value)
      undo.push([key, before])
    },
    remove(key) {
      const before = db.get(key)
      db.removeSync(key)
      undo.push([key, before])
    },
  }
  return {
    run() {
      try {
        outcome = { kind: 'committed', answer: body(tx) }
        return undo.length > 0 ? 'wrote' : 'read'
      } catch (thrown) {
        outcome = { kind: 'failed', error: asError(thrown) }
        for (const [key, value] of undo.reverse()) {
          if (value === undefined) db.removeSync(key)
          else db.putSync(key, value)
        }
        return undo.length > 0 ? 'undone' : 'read'
      }
    },
    answer(refusal) {
      if (refusal === undefined && outcome?.kind === 'committed') decided?.(outcome.answer)
      done(refusal ?? outcome ?? neverRan)
    },
  }
}

/** Calls the first now and each other in a turn of the event loop of its own, in order. */
function oneATurn(calls: (() => void)[]): void {
  const call = calls.shift()
  if (call === undefined) return
  if (calls.length > 0) setImmediate(oneATurn, calls)
  call()
}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : asTriviumError(thrown)

const neverRan: Outcome<never> = {
  kind: 'failed',
  error: new TriviumError('INTERNAL', 'Broken invariant: a transaction was answered before it ran'),
}

function notWritten(path: string, thrown: unknown): Outcome<never> {
  const { message } = asError(thrown)
  const advice = 'Free some space on that disk; a write is tried again every second'
  const error = new TriviumError('STORE', `Cannot write store ${path}: ${message}`, advice, thrown)
  return { kind: 'failed', error }
}

function gateShut(path: string): Outcome<never> {
  const error = new TriviumError(
    'TRY_LATER',
    `Cannot write store ${path}: another process has kept it to itself for too long`,
    `A process of trivium stands still: fuser -v ${path}/writers.lock names it`,
  )
  return { kind: 'failed', error }
}

/** Read at once: a cursor must not outlive the snapshot, nor see writes made while it runs. */
function* pairs<T>(db: Database, range: KeyRange<T>): Generator<readonly [Key<T>, T]> {
  // The prefix ends with a slash, and '0' is the character after it.
  const end = `${range.slice(0, -1)}0`
  for (const { key, value } of db.getRange({ start: range, end })) {
    yield [key as Key<T>, value as T]
  }
}
