/**
 * One process at a time opens, writes or closes an LMDB environment.
 *
 * LMDB has a lock for writers, but the one in lmdb-js 3.5.6 opens without it:
 * `mdb_env_open2` reads the newest transaction's number and, a moment later,
 * stores it where writers look, even if others have committed meanwhile. The
 * next writer then starts from an old snapshot: commits that were answered are
 * lost, or it meets pages from the future (MDB_BAD_TXN "mdb_page_touch no
 * parent", or SIGSEGV). LMDB itself has repaired this (ITS#9496). Closing has a
 * hole of its own: the last one destroys the mutexes after somebody new has
 * begun to wait for the file (ITS#9278's repair).
 *
 * The gate is a lock on a file beside the data. The kernel opens it when its
 * holder ends, however that is. Reads need none.
 *
 * @module
 */
import { closeSync, openSync } from 'node:fs'
import { lockByte, lockByteInPool, tryLockByte, unlockByte } from 'netlink-ts/live'

/** A holder opens, or commits once: as long as the disk needs for two writes. Who holds it longer stands still. */
const WAIT_MS_MAX = 10_000
const BYTE = 0n

export interface Gate {
  readonly patience: Patience
  /** Runs `work` inside; blocks the thread until it may. No request may be open. */
  inside<T>(work: () => T): T
  /** Runs `work` inside, now or later; or `refused` when it could not in time. */
  request(work: Work, refused: () => void): void
  /** Whether somebody of this process came in by a request and has not left. */
  isOccupied(): boolean
  /** When no request is open. The lock, should it be held, goes with the file. */
  close(): void
}

/** Something to do inside. It calls `leave` once, now or later; `after` is then run outside. */
export type Work = (leave: (after: () => void) => void) => void

/**
 * How a process waits, for the gate and for the disk: `blocks` its thread, or has
 * a thread of the `pool` wait while the event loop goes on. Blocking is quicker,
 * for whoever does nothing else.
 */
export type Patience = 'blocks' | 'pool'

export function openGate(path: string, patience: Patience, waitMsMax: number = WAIT_MS_MAX): Gate {
  const fd = openSync(path, 'a', 0o600)
  let closed = false
  /** A pool thread waits for the lock, or has it and we do not know yet. */
  let asked = false
  /** Some work of ours has not left. The lock is the file's, so it would not keep a second one out. */
  let occupied = false
  /** What waits for it, and until when. */
  const waiting = new Map<Work, NodeJS.Timeout>()

  function ask(): void {
    asked = true
    lockByteInPool(fd, BYTE).then(granted, () => {
      asked = false
    })
  }

  function granted(): void {
    asked = false
    if (closed) return
    const [first] = waiting
    if (first === undefined) {
      unlockByte(fd, BYTE)
      return
    }
    const [work, deadline] = first
    clearTimeout(deadline)
    waiting.delete(work)
    enter(work)
  }

  function enter(work: Work): void {
    occupied = true
    let left = false
    const leave = (): void => {
      if (left) return
      left = true
      occupied = false
      unlockByte(fd, BYTE)
      if (waiting.size > 0) ask()
    }
    try {
      work((after) => {
        leave()
        after()
      })
    } catch (thrown) {
      leave()
      throw thrown
    }
  }

  return {
    patience,
    inside(work) {
      lockByte(fd, BYTE)
      try {
        return work()
      } finally {
        unlockByte(fd, BYTE)
      }
    },
    request(work, refused) {
      if (patience === 'blocks') {
        lockByte(fd, BYTE)
        enter(work)
        return
      }
      // The lock is this file's, whichever thread took it: while one waits, it must be the one to tell.
      if (!asked && !occupied && tryLockByte(fd, BYTE)) {
        enter(work)
        return
      }
      const own: Work = (leave) => work(leave) // the same function may wait twice
      const late = (): void => {
        if (waiting.delete(own)) refused()
      }
      waiting.set(own, setTimeout(late, waitMsMax))
      if (!asked && !occupied) ask()
    },
    isOccupied: () => occupied,
    close() {
      closed = true
      closeSync(fd)
    },
  }
}
