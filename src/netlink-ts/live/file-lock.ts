/**
 * Exclusive locks between processes on single bytes of a file (OFD locks).
 *
 * A lock belongs to the open file, not to the process: closing another
 * descriptor of the same file does not release it, two `openSync` of one file
 * exclude each other even inside a process, and the kernel releases it when the
 * process ends in whatever way. The byte need not exist in the file.
 *
 * Source: include/uapi/asm-generic/fcntl.h, v6.12; fcntl(2) "Open file description locks".
 *
 * @module
 */
import { HOST_LITTLE } from '../writer.ts'
import { check, errno, fcntl } from './libc.ts'

const F_OFD_SETLK = 37
const F_OFD_SETLKW = 38
const F_WRLCK = 1
const F_UNLCK = 2
const EAGAIN = 11
/** struct flock: type at 0, whence at 2, start at 8, length at 16; the process id stays 0. */
const FLOCK_BYTES = 32

/** Takes the lock if nobody holds it, and says whether it did. The file must be open for writing. */
export function tryLockByte(fd: number, offset: bigint): boolean {
  if (fcntl(fd, F_OFD_SETLK, flock(F_WRLCK, offset)) >= 0) return true
  if (errno() === EAGAIN) return false
  check('fcntl', subject(offset), () => fcntl(fd, F_OFD_SETLK, flock(F_WRLCK, offset)))
  return true
}

/** Takes the lock and blocks the thread until it has it. */
export function lockByte(fd: number, offset: bigint): void {
  check('fcntl', subject(offset), () => fcntl(fd, F_OFD_SETLKW, flock(F_WRLCK, offset)))
}

/** Takes the lock; a pool thread waits for it, so it may be held before the promise has told so. */
export function lockByteInPool(fd: number, offset: bigint): Promise<void> {
  return new Promise((resolve, reject) => {
    const wanted = flock(F_WRLCK, offset)
    fcntl.async(fd, F_OFD_SETLKW, wanted, (error, result) => {
      if (error !== null && error !== undefined) return reject(error)
      if (result >= 0) return resolve()
      // The pool thread's errno is not ours to read: asking again here says why.
      try {
        if (tryLockByte(fd, offset)) resolve()
        else lockByteInPool(fd, offset).then(resolve, reject)
      } catch (thrown) {
        reject(thrown)
      }
    })
  })
}

/** Releases the lock; free when it is not held. */
export function unlockByte(fd: number, offset: bigint): void {
  check('fcntl', subject(offset), () => fcntl(fd, F_OFD_SETLK, flock(F_UNLCK, offset)))
}

const subject = (offset: bigint): string => `lock byte ${offset} of a file`

function flock(type: number, offset: bigint): Uint8Array {
  const bytes = new Uint8Array(FLOCK_BYTES)
  const view = new DataView(bytes.buffer)
  view.setInt16(0, type, HOST_LITTLE)
  view.setBigInt64(8, offset, HOST_LITTLE)
  view.setBigInt64(16, 1n, HOST_LITTLE)
  return bytes
}
