/**
 * Sending from a pool thread, or without waiting.
 *
 * @module
 */
import { errnoNumber } from '../errno.ts'
import { SyscallError } from '../errors.ts'
import { errno, send } from './libc.ts'

/** `send` in a pool thread. */
export function sendAsync(fd: number, datagram: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    send.async(fd, datagram, datagram.length, 0, (error, result) => {
      if (error !== null && error !== undefined) reject(error)
      else if (result < 0) reject(new SyscallError('send', errno(), 'send netlink'))
      else resolve()
    })
  })
}

const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const EAGAIN = errnoNumber('EAGAIN')
const EINTR = errnoNumber('EINTR')

/**
 * Writes to any stream socket without waiting.
 *
 * @returns How many bytes were taken; 0 when there is no room now.
 * @throws {SyscallError} The other side is gone.
 */
export function sendNow(fd: number, bytes: Uint8Array): number {
  const sent = Number(send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL))
  if (sent >= 0) return sent
  if (errno() === EAGAIN || errno() === EINTR) return 0
  throw new SyscallError('send', errno(), 'write to a socket')
}
