/**
 * The other end of a Unix socket: who it is, and that it shall say no more.
 *
 * Source: unix(7) "SO_PEERCRED"; include/uapi/asm-generic/socket.h and
 * `struct ucred` in include/linux/socket.h, v6.12.
 *
 * @module
 */
import { HOST_LITTLE } from '../writer.ts'
import { check, getsockopt, shutdown } from './libc.ts'

const SOL_SOCKET = 1
const SO_PEERCRED = 17
const SHUT_RD = 0
/** struct ucred: pid, uid, gid, 32 bits each. */
const UCRED_BYTES = 12

/**
 * The process that connected, in this process's PID namespace; 0 when it cannot
 * be seen from there.
 *
 * @throws {SyscallError} `fd` is no Unix socket that is connected.
 */
export function peerPid(fd: number): number {
  const value = new Uint8Array(UCRED_BYTES)
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, UCRED_BYTES, HOST_LITTLE)
  check('getsockopt', 'peer of a socket', () =>
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, bytes),
  )
  return new DataView(value.buffer).getInt32(0, HOST_LITTLE)
}

/**
 * From now on what the other end writes fails. What it has written is still read.
 *
 * @throws {SyscallError} `fd` is no socket.
 */
export function shutReading(fd: number): void {
  check('shutdown', 'reading end of a socket', () => shutdown(fd, SHUT_RD))
}
