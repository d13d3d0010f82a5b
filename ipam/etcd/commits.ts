/**
 * Transactions on a replica, committed by compare-and-swap.
 *
 * Those that wait at the same time share one: bodies run one after the other on
 * the replica, and one `Txn` writes for all if nothing they read has changed. On
 * a conflict the replica catches up and the bodies run again.
 *
 * A call that broke off may have been carried out, now or later. So each commit
 * sets a key of this client, and is repeated as it was: it finds its own
 * mark there, or it is carried out, or nobody ever does.
 *
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { asTriviumError, TriviumError } from '../../src/errors.ts'
import { type Overlay, overlay } from '../lmdb/overlay.ts'
import type { Outcome, Store, Tx } from '../store.ts'
import type { TxnAnswer } from './client.ts'
import { clientKey, isInternal } from './layout.ts'
import { record } from './recording.ts'
import type { Session } from './session.ts'
import { checksMax, opsOf, type Txn, txnOf } from './txn.ts'

/** A stretch of bodies on the event loop. */
const BODIES_MS_MAX = 2
/** Writes that share a transaction, while one level of it has room for them. */
const WRITES_SHARED = 100
/** Fifty that want the same need six at most; a conflict is given up after the patience, too. */
const ATTEMPTS_MIN = 40
const CONFLICT_PAUSE_MS = 2
const CONFLICT_PAUSE_MS_MAX = 100
/** What etcd says of a transaction that it will never carry out (api/v3rpc/rpctypes/error.go). */
const NEVER =
  /too many operations|request is too large|space exceeded|permission denied|larger than max/i
/** How long the watch may take to show what etcd has said is there. */
const CATCH_UP_MS_MAX = 1000

export interface Commits {
  transact: Store['transact']
  /** Resolves when all that was accepted is answered. */
  finish(): Promise<void>
}

export interface CommitOptions {
  /** Names the store in messages. */
  readonly name: string
  /** Of this client and no other, ever. */
  readonly id: string
  /** How long etcd may be away before transactions are refused. */
  readonly patienceMs: number
}

interface Entry {
  run(all: Overlay): void
  answer(refusal: Error | undefined): void
}

export function openCommits(session: Session, options: CommitOptions): Commits {
  const { replica } = session
  const own = clientKey(options.id)
  const queue: Entry[] = []
  /** Revision of `own` after our last commit. */
  let ownRevision = 0
  let serial = 0
  let running: Promise<void> | undefined

  async function drain(): Promise<void> {
    // Those of one turn share a commit, and nobody is answered before `transact` returns.
    await new Promise((resolve) => setImmediate(resolve))
    while (queue.length > 0) {
      const { count, refusal } = await commitSome().catch(refusalOf)
      for (const entry of queue.splice(0, count)) {
        entry.answer(refusal)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    running = undefined
  }

  /** What has failed: all that wait, unless it was about some. */
  const refusalOf = (thrown: unknown): Ended => ({
    count: thrown instanceof OfSome ? thrown.count : queue.length,
    refusal: asTriviumError(thrown, 'STORE'),
  })

  /** Commits the first entries of the queue. */
  async function commitSome(): Promise<Ended> {
    let pauseMs = CONFLICT_PAUSE_MS
    let alone = false
    const endMs = performance.now() + options.patienceMs
    for (let attempt = 0; attempt < ATTEMPTS_MIN || performance.now() < endMs; attempt++) {
      await online()
      const made = attemptOf(alone ? 1 : queue.length, attempt)
      if (made.kind === 'too-large') {
        if (made.count === 1) throw new OfSome(1, made.error)
        alone = true
        continue
      }
      if (made.txn === undefined) return { count: made.count, refusal: undefined }
      const before = replica.revision()
      const answer = await sent(made.txn, made)
      if (answer.committedAt !== undefined) {
        const at = answer.committedAt
        if (made.txn.ops.length > 0) {
          ownRevision = at
          await seen(() => replica.revision() >= at)
        }
        return { count: made.count, refusal: undefined }
      }
      await seen(() => replica.revision() > before)
      await sleep(pauseMs * Math.random())
      pauseMs = Math.min(pauseMs * 2, CONFLICT_PAUSE_MS_MAX)
    }
    throw refused(options.name, `others changed what was read, each time`)
  }

  function attemptOf(most: number, conflicts: number): Attempt {
    const recording = record(replica)
    const all = overlay({ ...recording.reader, conflicts })
    const count = runSome(queue.slice(0, most), all)
    const mark = `${options.id}.${++serial}`
    const writes = opsOf(all.writes(), mark)
    if (writes.length > 0) writes.push({ kind: 'put', key: own, text: JSON.stringify(mark) })
    const checks = recording.checks(checksMax(writes.length) - 1)
    if (writes.length === 0 && checks.length === 0)
      return { kind: 'made', count, txn: undefined, mark }
    if (writes.length > 0) checks.push({ kind: 'key', key: own, revision: ownRevision })
    try {
      return { kind: 'made', count, txn: txnOf(checks, writes, own), mark }
    } catch (thrown) {
      return { kind: 'too-large', count, error: asTriviumError(thrown) }
    }
  }

  /** Sends it until etcd has said whether it was carried out. */
  async function sent(txn: Txn, { count, mark }: { count: number; mark: string }): Promise<Sent> {
    const endMs = performance.now() + options.patienceMs
    for (;;) {
      const answer = await session.client()?.txn(txn).catch(asError)
      if (answer !== undefined && !(answer instanceof Error)) return ended(answer, mark)
      const why = answer?.message ?? session.away().why
      if (NEVER.test(why)) throw new OfSome(count, never(options.name, why))
      if (performance.now() > endMs) throw new OfSome(count, unknown(options.name, why))
      await sleep(20 + 80 * Math.random())
      await session.until(() => session.client() !== undefined, endMs)
    }
  }

  function ended({ succeeded, revision, found }: TxnAnswer, mark: string): Sent {
    if (succeeded) return { committedAt: revision }
    if (found?.text === JSON.stringify(mark)) return { committedAt: found.revision }
    // What an earlier call may have left behind, known now.
    ownRevision = found?.revision ?? 0
    return { committedAt: undefined }
  }

  /** @throws {TriviumError} TRY_LATER when etcd is away for too long; STORE when it is of no use. */
  async function online(): Promise<void> {
    const usable = (): boolean => session.client() !== undefined || session.broken() !== undefined
    if (!usable()) await session.until(usable, session.away().sinceMs + options.patienceMs)
    const broken = session.broken()
    if (broken !== undefined) throw broken
    if (session.client() === undefined) throw refused(options.name, session.away().why)
  }

  async function seen(done: () => boolean): Promise<void> {
    await session.until(done, performance.now() + CATCH_UP_MS_MAX)
    if (!done()) session.restart()
    await session.until(done, performance.now() + CATCH_UP_MS_MAX)
  }

  return {
    transact(body, done, decided) {
      queue.push(entryOf(body, done, decided))
      running ??= drain()
    },
    finish: () => running ?? Promise.resolve(),
  }
}

/** How many entries of the queue are done with, and what they are told. */
interface Ended {
  readonly count: number
  readonly refusal: Error | undefined
}

interface Sent {
  /** The revision it made, or that it was read at; undefined: a check failed. */
  readonly committedAt: number | undefined
}

type Attempt =
  | {
      readonly kind: 'made'
      readonly count: number
      /** Undefined: nothing was read or written. */
      readonly txn: Txn | undefined
      readonly mark: string
    }
  | { readonly kind: 'too-large'; readonly count: number; readonly error: TriviumError }

/** A refusal that is about the first `count` entries. */
class OfSome extends TriviumError {
  readonly count: number
  constructor(count: number, { code, message, details }: TriviumError) {
    super(code, message, details)
    this.count = count
  }
}

/** Runs as many as a stretch and a transaction allow, at least one, and counts them. */
function runSome(entries: readonly Entry[], all: Overlay): number {
  const endMs = performance.now() + BODIES_MS_MAX
  let ran = 0
  for (const entry of entries) {
    entry.run(all)
    ran++
    if (performance.now() > endMs || all.values.size >= WRITES_SHARED) break
  }
  return ran
}

function entryOf<T>(
  body: (tx: Tx) => T,
  done: (outcome: Outcome<T>) => void,
  decided: ((answer: T) => void) | undefined,
): Entry {
  let outcome: Outcome<T> | undefined
  return {
    run(all) {
      try {
        outcome = { kind: 'committed', answer: all.attempt((tx) => body(guarded(tx))) }
      } catch (thrown) {
        outcome = failed(asError(thrown))
      }
    },
    answer(refusal) {
      const error = refusal ?? new TriviumError('INTERNAL', 'Broken invariant: it never ran')
      const told = refusal === undefined && outcome !== undefined ? outcome : failed(error)
      if (told.kind === 'committed') decided?.(told.answer)
      done(told)
    },
  }
}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : asTriviumError(thrown)

const failed = (error: Error): Outcome<never> => ({ kind: 'failed', error })

const guarded = (tx: Tx): Tx => ({
  ...tx,
  put(key, value) {
    refuseInternal(key)
    tx.put(key, value)
  },
  remove(key) {
    refuseInternal(key)
    tx.remove(key)
  },
})

function refuseInternal(key: string): void {
  if (!isInternal(key)) return
  throw new TriviumError('INTERNAL', `Broken invariant: key ${key} starts as no record may`)
}

const refused = (name: string, why: string): TriviumError =>
  new TriviumError(
    'TRY_LATER',
    `Cannot write store ${name}: ${why}`,
    'Nothing was written; the same request may succeed once most members of etcd answer',
  )

const unknown = (name: string, why: string): TriviumError =>
  new TriviumError(
    'TRY_LATER',
    `Cannot write store ${name}: ${why}, before it said whether it wrote`,
    'It may have been written: look before trying again',
  )

const never = (name: string, why: string): TriviumError =>
  new TriviumError(
    'STORE',
    `Cannot write store ${name}: ${why}`,
    'Nothing was written; etcdctl alarm list, --quota-backend-bytes, --max-txn-ops and roles tell more',
  )
