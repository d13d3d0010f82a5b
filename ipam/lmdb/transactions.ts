/**
 * Transactions that wait at the same time share one commit.
 *
 * Bodies run inside the gate, so what is committed then stays the newest. Each
 * sees the store as if it ran alone: after those before it, and without the
 * writes of one that threw. Their writes are kept apart until all are known, and
 * then written as one LMDB transaction: here, or in a pool thread, while the
 * event loop goes on, bodies of the next commit run on top (`stay.ts`) and reads see
 * the store as it was. Nobody is answered before the commit is on disk; answers are
 * given in short stretches.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import type { Key, KeyRange, Outcome, Pairs, Reader, Store } from '../store.ts'
import { diskAdvice } from './advice.ts'
import { openBatches } from './batch.ts'
import { asError, type Entry, entryOf, inTurns } from './entry.ts'
import type { Database, Environment } from './environment.ts'
import type { Work } from './gate.ts'
import type { Ranges } from './ranges.ts'
import { type Stay, stay } from './stay.ts'

/** After a long stay others have their turn: their lock is granted in microseconds. */
const TURN_OF_OTHERS_MS = 1

/**
 * How long nothing is written after the disk refused. A full disk gains nothing
 * from being asked again at once, and the native library (lmdb 3.5.6) damages
 * its memory when commits fail by the dozen: measured, one process in 25 after 50
 * failures. `room.ts` sees to it that a full disk refuses before LMDB has begun.
 */
const DISK_PAUSE_MS = 1000

export interface Transactions {
  transact: Store['transact']
  /** Calls `idle` when all that was accepted is written, at once if it is. */
  finish(idle: () => void): void
}

export function lmdbReader(db: Database): Reader {
  return {
    get: <T>(key: Key<T>) => db.get(key) as T | undefined,
    range: (range) => pairs(db, range),
    scan: (range) => pieces(db, range),
    texts(range, visit) {
      for (const { value } of textsOf(db).getRange(bounds(range))) visit(value as string)
    },
  }
}

/** The same records with values as text, and keys not looked at: each half of the cost of a walk. */
function textsOf(db: Database): Database {
  const asText = { encoding: { value: 'string' }, readKey: { value: () => '' } }
  return Object.create(db, asText) as Database
}

/** The prefix ends with a slash, and '0' is the character after it. */
const bounds = (range: string): { start: string; end: string } => ({
  start: range,
  end: `${range.slice(0, -1)}0`,
})

export function openTransactions(
  environment: Environment,
  path: string,
  ranges: Ranges,
): Transactions {
  const { db, gate } = environment
  const batches = openBatches(db)
  const queue: Entry[] = []
  let idle: (() => void) | undefined
  let scheduled = false
  let current: Stay | undefined
  /** What the disk last said, and until when it is taken at its word. */
  let refusedUntilMs = 0
  let lastRefusal: Outcome<never> | undefined

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    queueMicrotask(request)
  }

  function request(): void {
    gate.request(enter, () => end(queue.splice(0), gateShut(path), false))
  }

  function enter(leave: Parameters<Work>[0]): void {
    if (lastRefusal !== undefined && performance.now() < refusedUntilMs) {
      const refused = queue.splice(0)
      leave(() => end(refused, lastRefusal, false))
      return
    }
    let isOver = false
    const made = stay({
      environment,
      ranges,
      batches,
      queue,
      left(entries, wasCut) {
        isOver = true
        lastRefusal = undefined
        leave(() => end(entries, undefined, wasCut))
      },
      // For a while; what waits till then hears the same.
      failed(entries, thrown) {
        isOver = true
        lastRefusal = notWritten(path, thrown)
        refusedUntilMs = performance.now() + DISK_PAUSE_MS
        leave(() => end(entries, lastRefusal, false))
      },
    })
    current = isOver ? undefined : made
  }

  function end(
    entries: readonly Entry[],
    refusal: Outcome<never> | undefined,
    afterOthers: boolean,
  ): void {
    current = undefined
    if (queue.length === 0) {
      scheduled = false
      idle?.()
    } else if (afterOthers) setTimeout(request, TURN_OF_OTHERS_MS)
    else queueMicrotask(request)
    inTurns(entries, (entry) => entry.answer(refusal))
  }

  return {
    transact(body, done, decided) {
      queue.push(entryOf(body, done, decided))
      if (current !== undefined) current.arrived()
      else schedule()
    },
    finish(told) {
      idle = told
      if (!scheduled) told()
    },
  }
}

function notWritten(path: string, thrown: unknown): Outcome<never> {
  const { message } = asError(thrown)
  const advice = [diskAdvice(thrown), 'A write is tried again every second']
    .filter((part) => part !== '')
    .join('. ')
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

const PIECE_PAIRS = 1000

function* pieces<T>(db: Database, range: KeyRange<T>): Generator<readonly [Key<T>, T]> {
  const { start, end } = bounds(range)
  let last: string | undefined
  for (;;) {
    const from = { start: last ?? start, end, limit: PIECE_PAIRS + 1 }
    const piece = [...db.getRange(from)].filter(({ key }) => key !== last)
    for (const { key, value } of piece) yield [key as Key<T>, value as T]
    if (piece.length < PIECE_PAIRS) return
    last = piece.at(-1)?.key
  }
}

/** Read at once: a cursor must not outlive the snapshot, nor see writes made while it runs. */
function pairs<T>(db: Database, range: KeyRange<T>): Pairs<T> {
  const found: (readonly [Key<T>, T])[] = []
  for (const { key, value } of db.getRange(bounds(range))) {
    found.push([key as Key<T>, value as T])
  }
  return found
}
