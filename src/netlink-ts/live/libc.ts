/**
 * The C functions in use, declared once. All are called synchronously on the
 * main thread, but `send`, `recvmmsg`, `fcntl` and `getpid`, which also have an
 * asynchronous form that runs in libuv's thread pool.
 *
 * Struct layouts are those of 64-bit Linux.
 *
 * @module
 */
import koffi from 'koffi'
import { errnoNumber } from '../errno.ts'
import { SyscallError } from '../errors.ts'

const libc = koffi.load(null)

type Fd = number

/** A blocking call in a pool thread; `done` runs on the main thread. */
interface Async<A extends readonly unknown[]> {
  async(...args: [...A, (error: unknown, result: number) => void]): void
}

type SendArgs = readonly [Fd, Uint8Array, number, number]

export const socket: (domain: number, type: number, protocol: number) => number = libc.func(
  'int socket(int, int, int)',
)
export const bind: (fd: Fd, address: Uint8Array, bytes: number) => number = libc.func(
  'int bind(int, void *, uint32_t)',
)
export const setsockopt: (
  fd: Fd,
  level: number,
  name: number,
  value: Uint8Array,
  bytes: number,
) => number = libc.func('int setsockopt(int, int, int, void *, uint32_t)')
export const getsockopt: (
  fd: Fd,
  level: number,
  name: number,
  value: Uint8Array,
  bytes: Uint8Array,
) => number = libc.func('int getsockopt(int, int, int, void *, void *)')
export const getsockname: (fd: Fd, address: Uint8Array, bytes: Uint8Array) => number = libc.func(
  'int getsockname(int, void *, void *)',
)
export const send: ((...args: SendArgs) => number) & Async<SendArgs> = libc.func(
  'int64_t send(int, void *, size_t, int)',
)
export const recv: (fd: Fd, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  'int64_t recv(int, void *, size_t, int)',
)
type RecvmmsgArgs = readonly [
  fd: Fd,
  messages: Uint8Array,
  count: number,
  flags: number,
  timeout: null,
]
export const recvmmsg: ((...args: RecvmmsgArgs) => number) & Async<RecvmmsgArgs> = libc.func(
  'int recvmmsg(int, void *, uint32_t, int, void *)',
)
export const setns: (fd: Fd, type: number) => number = libc.func('int setns(int, int)')
export const fstatfs: (fd: Fd, result: Uint8Array) => number = libc.func('int fstatfs(int, void *)')
// ioctl is variadic in C; Linux passes its third argument like any other.
export const ioctl: (fd: Fd, request: number, value: number) => number = libc.func(
  'int ioctl(int, unsigned long, unsigned long)',
)
/** The same with a buffer. */
export const ioctlPointer: (fd: Fd, request: number, value: Uint8Array) => number = libc.func(
  'ioctl',
  'int',
  ['int', 'unsigned long', 'void *'],
)
type FcntlArgs = readonly [Fd, number, Uint8Array]

// Variadic like ioctl.
export const fcntl: ((...args: FcntlArgs) => number) & Async<FcntlArgs> = libc.func(
  'int fcntl(int, int, void *)',
)
export const shutdown: (fd: Fd, how: number) => number = libc.func('int shutdown(int, int)')
export const getpid: (() => number) & Async<readonly []> = libc.func('int getpid()')

export const exitNow: (status: number) => void = libc.func('void _exit(int)')

/** The errno of the call just made. */
export const errno = (): number => koffi.errno()

/** The address of a buffer, which must not be collected while C knows it. */
export const addressOf = (bytes: Uint8Array): bigint => koffi.address(bytes)

/**
 * Makes a call, again when a signal interrupted it, and returns its result.
 *
 * @throws {SyscallError} It returned -1.
 */
export function check(syscall: string, subject: string, call: () => number): number {
  for (;;) {
    const result = call()
    if (result >= 0) return result
    if (errno() !== EINTR) throw new SyscallError(syscall, errno(), subject)
  }
}

const EINTR = errnoNumber('EINTR')
