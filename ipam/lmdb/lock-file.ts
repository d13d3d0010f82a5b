/**
 * LMDB's lock file, which it writes through a mapping.
 *
 * LMDB makes it long without taking room for it (`ftruncate`), so that on a full
 * disk whoever begins to read is ended by SIGBUS. Here the disk is asked first.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { tryLockByte } from 'netlink-ts/live'

const LOCK_FILE = 'lock.mdb'

/**
 * `MDB_txninfo` and 1000 times `MDB_reader` (64 bytes), rounded up. LMDB takes a
 * longer file as it is, with room for more readers.
 */
const LOCK_BYTES = 68 << 10
/** Of `stat`. */
const BLOCK_BYTES = 512

export const lockFileOf = (path: string): string => join(path, LOCK_FILE)

/**
 * Whether a process has the environment open: it keeps a lock on byte 0
 * (`mdb_env_share_locks`). Not to be asked by a process that has it open itself.
 */
export const isInUse = (fd: number): boolean => !tryLockByte(fd, 0n)

/**
 * Takes the room for the lock file in `path`. Call it inside the gate, before LMDB
 * opens; throws what the disk says.
 */
export function allocateLock(path: string): void {
  const fd = openSync(lockFileOf(path), constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    const { size, blocks } = fstatSync(fd)
    if (size >= LOCK_BYTES && blocks * BLOCK_BYTES >= LOCK_BYTES) return
    // What it says is of those who have it open; the first one begins anew (`mdb_env_setup_locks`).
    if (isInUse(fd)) return
    const zeros = Buffer.alloc(LOCK_BYTES)
    for (let at = 0; at < zeros.length; ) at += writeSync(fd, zeros, at, zeros.length - at, at)
  } finally {
    closeSync(fd)
  }
}
