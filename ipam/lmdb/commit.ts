/**
 * One LMDB transaction of writes that are all known, here or in a pool thread.
 *
 * In the pool the library's own writer begins, writes and commits; it has been
 * read (lmdb-js 3.5.6, `writer.cpp`) for what happens when it cannot. Where it
 * cannot begin it keeps a mutex for ever and never tells: hence `mustBegin`. A
 * write or a sync that fails takes everything back and rejects. A process that
 * exits waits for the thread; the thread waits for nobody.
 *
 * @module
 */
import { asBinary } from 'lmdb'
import type { Batch, Batches } from './batch.ts'
import type { Database } from './environment.ts'
import type { Writes } from './overlay.ts'

/**
 * Throws when no transaction can begin. Call it before anything else inside the
 * gate: as nobody else writes there, what could begin can begin again. Reads that
 * follow are of the newest commit.
 *
 * Beginning is what finds the newest: a writer that was killed after its commit
 * was on disk, but before it had said so in the lock file, leaves readers with
 * the one before, until somebody takes the writers' mutex from the dead.
 */
export function mustBegin(db: Database): void {
  db.transactionSync(() => {
    // The library does not look; its reads would then be of an old snapshot.
    const { getWriteTxnId } = db as unknown as { getWriteTxnId: () => number }
    if (getWriteTxnId() === 0) throw new Error('LMDB could not begin a transaction')
  })
  db.resetReadTxn()
}

/** Commits, and throws when it could not; then nothing is written. Call it inside the gate, after `mustBegin`. */
export function commitHere(db: Database, writes: Writes): void {
  try {
    // No answer is returned: the library would wait for a promise among them.
    db.transactionSync(() => {
      for (const [key, text] of writes) {
        if (text === undefined) db.removeSync(key)
        else db.putSync(key, asBinary(Buffer.from(text)))
      }
    })
  } catch (thrown) {
    failed(db)
    throw thrown
  }
}

/**
 * The same in a pool thread. `done` is called once, later, with what was thrown
 * or undefined; until then the gate must be held, and reads see the store as it was.
 */
export function commitInPool(
  db: Database,
  batches: Batches,
  batch: Batch,
  done: (thrown: unknown) => void,
): void {
  batches.commit(batch, (thrown) => {
    if (thrown !== undefined) failed(db)
    done(thrown)
  })
}

/**
 * After an aborted transaction LMDB takes a commit of another process for its
 * own, because both have the same number, and goes on with the list of free
 * pages it had. A transaction without writes puts the number right.
 */
function failed(db: Database): void {
  try {
    db.transactionSync(() => undefined)
  } catch {
    // The next transaction meets the same trouble, and reports it.
  }
}
