/**
 * Sending from a pool thread.
 *
 * @module
 */
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
