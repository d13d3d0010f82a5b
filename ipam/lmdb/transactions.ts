/**
 * Transactions that wait at the same time share one commit.
 *
 * Bodies run inside the gate, so what is committed then stays the newest. Each
 * sees the store as if it ran alone: after those before it, and without the
 * writes of one that threw. Their writes are kept apart until all are known, and
 * then written as one LMDB transaction: here, or in a pool thread, while the
 * event loop goes on and reads see the store as it was. Nobody is answered
 * before the commit is on disk, and each answer gets a turn of the event loop of
 * its own, so a hundred of them are no long stretch.
 *
 * @module
 */
import { asTriviumError, TriviumError } from '../../src/errors.ts'
import type { Key, KeyRange, Outcome, Pairs, Reader, Store, Tx } from '../store.ts'
import { diskAdvice } from './advice.ts'
import { REVISION, revisionOf } from './changes.ts'
import { commitHere, commitInPool, mustBegin } from './commit.ts'
import type { Database, Environment } from './environment.ts'
import type { Work } from './gate.ts'
import { type Overlay, overlay } from './overlay.ts'
import type { Ranges } from './ranges.ts'

/** A body takes about 0.1 ms; a stretch of them stays below 5 ms. */
const BODIES_MS_MAX = 2
/** How long bodies are run, in such stretches, before they are written: more share a commit. */
const GATHER_MS_MAX = 16

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

type Leave = Parameters<Work>[0]

/** A body and what becomes of it. */
interface Entry {
  /** Runs the body; what it writes goes to `all`, or nothing if it throws. */
  run(all: Overlay): void
  /** Tells what was decided, unless `answer` has; undefined: nobody wants to know. */
  readonly decide: (() => void) | undefined
  /** Tells the caller; `refusal` when the commit failed. */
  answer(refusal: Outcome<never> | undefined): void
}

export function lmdbReader(db: Database): Reader {
  return {
    get: <T>(key: Key<T>) => db.get(key) as T | undefined,
    range: (range) => pairs(db, range),
    scan: (range) => pieces(db, range),
  }
}

export function openTransactions(
  { db, gate, room }: Environment,
  path: string,
  ranges: Ranges,
): Transactions {
  let queue: Entry[] = []
  let idle: (() => void) | undefined
  let scheduled = false
  /** What the disk last said, and until when it is taken at its word. */
  let refusedUntilMs = 0
  let lastRefusal: Outcome<never> | undefined

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    queueMicrotask(() => gate.request(commitSome, () => end(take(queue.length), gateShut(path))))
  }

  function take(count: number): Entry[] {
    const taken = queue.slice(0, count)
    queue = queue.slice(count)
    return taken
  }

  function commitSome(leave: Leave): void {
    if (lastRefusal !== undefined && performance.now() < refusedUntilMs) {
      const refused = take(queue.length)
      leave(() => end(refused, lastRefusal))
      return
    }
    let before = 0
    const trouble = thrownBy(() => {
      mustBegin(db)
      before = revisionOf(db)
    })
    if (trouble !== undefined) {
      refuse(trouble, take(queue.length), leave)
      return
    }
    const all = overlay(ranges.at(before))
    gather(all, [], performance.now() + GATHER_MS_MAX, (entries) => {
      commit(all, before + 1, entries, leave)
    })
  }

  /** Runs all that wait, and what comes to it, in stretches with turns between. */
  function gather(
    all: Overlay,
    before: readonly Entry[],
    endMs: number,
    done: (entries: readonly Entry[]) => void,
  ): void {
    const entries = [...before, ...take(runSome(queue, all))]
    if (queue.length === 0 || performance.now() > endMs) done(entries)
    else setImmediate(gather, all, entries, endMs, done)
  }

  function commit(all: Overlay, revision: number, entries: readonly Entry[], leave: Leave): void {
    const ended = (thrown: unknown): void => {
      if (thrown !== undefined) {
        refuse(thrown, entries, leave)
        return
      }
      ranges.committed(revision, all.values)
      lastRefusal = undefined
      leave(() => end(entries, undefined))
    }
    if (all.values.size === 0) {
      leave(() => end(entries, undefined))
      return
    }
    all.put(REVISION, revision)
    const writes = all.writes()
    const noRoom = thrownBy(() => room.make(writes))
    if (noRoom !== undefined || gate.patience === 'blocks') {
      ended(noRoom ?? thrownBy(() => commitHere(db, writes)))
      return
    }
    commitInPool(db, writes, ended)
    // Whoever goes on with it works after the thread has been told to begin.
    setImmediate(
      oneATurn,
      entries.flatMap(({ decide }) => decide ?? []),
    )
  }

  /** For a while; what waits till then hears the same. */
  function refuse(thrown: unknown, entries: readonly Entry[], leave: Leave): void {
    lastRefusal = notWritten(path, thrown)
    refusedUntilMs = performance.now() + DISK_PAUSE_MS
    leave(() => end(entries, lastRefusal))
  }

  function end(entries: readonly Entry[], refusal: Outcome<never> | undefined): void {
    scheduled = false
    if (queue.length > 0) schedule()
    else idle?.()
    oneATurn(entries.map((entry) => () => entry.answer(refusal)))
  }

  return {
    transact(body, done, decided) {
      queue.push(entryOf(body, done, decided))
      schedule()
    },
    finish(told) {
      idle = told
      if (!scheduled) told()
    },
  }
}

/** Runs as many entries as a stretch allows, at least one, and counts them. */
function runSome(entries: readonly Entry[], all: Overlay): number {
  const endMs = performance.now() + BODIES_MS_MAX
  let ran = 0
  for (const entry of entries) {
    entry.run(all)
    ran++
    if (performance.now() > endMs) break
  }
  return ran
}

function entryOf<T>(
  body: (tx: Tx) => T,
  done: (outcome: Outcome<T>) => void,
  decided: ((answer: T) => void) | undefined,
): Entry {
  let outcome: Outcome<T> = neverRan
  let told = false
  const decide =
    decided &&
    ((): void => {
      if (told || outcome.kind === 'failed') return
      told = true
      decided(outcome.answer)
    })
  return {
    run(all) {
      try {
        outcome = { kind: 'committed', answer: all.attempt(body) }
      } catch (thrown) {
        outcome = { kind: 'failed', error: asError(thrown) }
      }
    },
    decide,
    answer(refusal) {
      if (refusal === undefined) decide?.()
      told = true
      done(refusal ?? outcome)
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

function thrownBy(work: () => void): unknown {
  try {
    work()
    return undefined
  } catch (thrown) {
    return asError(thrown)
  }
}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : asTriviumError(thrown)

const neverRan: Outcome<never> = {
  kind: 'failed',
  error: new TriviumError('INTERNAL', 'Broken invariant: a transaction was answered before it ran'),
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
  const end = `${range.slice(0, -1)}0`
  let last: string | undefined
  for (;;) {
    const from = { start: last ?? range, end, limit: PIECE_PAIRS + 1 }
    const piece = [...db.getRange(from)].filter(({ key }) => key !== last)
    for (const { key, value } of piece) yield [key as Key<T>, value as T]
    if (piece.length < PIECE_PAIRS) return
    last = piece.at(-1)?.key
  }
}

/** Read at once: a cursor must not outlive the snapshot, nor see writes made while it runs. */
function pairs<T>(db: Database, range: KeyRange<T>): Pairs<T> {
  // The prefix ends with a slash, and '0' is the character after it.
  const end = `${range.slice(0, -1)}0`
  const found: (readonly [Key<T>, T])[] = []
  for (const { key, value } of db.getRange({ start: range, end })) {
    found.push([key as Key<T>, value as T])
  }
  return found
}
