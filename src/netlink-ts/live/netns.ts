/**
 * Network namespaces.
 *
 * setns changes the namespace of one thread. Here that is always Node's main
 * thread, and only while a synchronous function runs: nothing else can run on it
 * meanwhile. Two things could still leak, and are refused. A promise would go on
 * after the function returned, in the wrong namespace. And a thread created
 * meanwhile would inherit the namespace for good: libuv makes its pool at first
 * use, so the pool is started beforehand (`warmPool`).
 *
 * Cost: two setns calls, 4 µs.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import { NetnsError, SyscallError } from '../errors.ts'
import { HOST_LITTLE } from '../writer.ts'
import { check, errno, fstatfs, getpid, ioctl, setns } from './libc.ts'

const CLONE_NEWNET = 0x4000_0000
const NSFS_MAGIC = 0x6e73_6673 // include/uapi/linux/magic.h
const NS_GET_NSTYPE = 0xb703 // include/uapi/linux/nsfs.h
const STATFS_BYTES = 256 // struct statfs is 120; f_type comes first
const SELF = '/proc/thread-self/ns/net'

/** What makes a namespace the same namespace, whatever path leads to it. */
export interface NetnsIdentity {
  readonly dev: bigint
  readonly ino: bigint
}

/** How deep the main thread is in `inNetns`. */
let depth = 0
let home: number | undefined
let homeIdentity: NetnsIdentity | undefined
let warm = false

/** A namespace by its file, by a process or thread in it, or by a descriptor of it. */
export type NetnsRef = string | { readonly pid: number } | { readonly fd: number }

/**
 * Opens a namespace: a file such as /run/netns/blue, the one a process is in, or
 * one more descriptor of an open one. Close the descriptor with `closeSync`.
 * Never waits, whatever a path leads to.
 *
 * @throws {NetnsError} `NETNS_MISSING`: nothing there. `NETNS_WRONG_FILE`: it is
 *   no network namespace, or may not be opened.
 */
export function openNetns(ref: NetnsRef): number {
  const path = pathOf(ref)
  const fd = openFile(path)
  try {
    const wrong = whyNotNetns(fd)
    if (wrong === undefined) return fd
    throw new NetnsError('NETNS_WRONG_FILE', `Cannot open network namespace ${path}: ${wrong}`)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** The identity of an open namespace. */
export function netnsIdentity(fd: number): NetnsIdentity {
  const { dev, ino } = fstatSync(fd, { bigint: true })
  return { dev, ino }
}

/** Opens the namespace of the main thread. Close the descriptor with `closeSync`. */
export const selfNetns = (): number => openNetns(SELF)

/** The identity of the main thread's namespace. */
export function selfNetnsIdentity(): NetnsIdentity {
  if (depth > 0) return identityOfSelf()
  // The thread leaves it for visits only.
  homeIdentity ??= identityOfSelf()
  return homeIdentity
}

function identityOfSelf(): NetnsIdentity {
  const { dev, ino } = statSync(SELF, { bigint: true })
  return { dev, ino }
}

/** Starts every thread of libuv's pool, so that none is born inside a namespace later. */
export function warmPool(): Promise<void> {
  return new Promise((resolve, reject) => {
    // The first piece of work makes libuv start all threads and wait for them.
    getpid.async((error) => {
      if (error !== null && error !== undefined) return reject(error)
      warm = true
      resolve()
    })
  })
}

/**
 * Runs `work` with the main thread in a namespace and returns its result. If the
 * way back fails the process is aborted: anything it did afterwards would happen
 * in the wrong network.
 *
 * @param work Synchronous; what it starts and does not finish is refused.
 * @throws {NetnsError} `NETNS_COLD_POOL`: `warmPool` has not finished.
 *   `NETNS_ASYNC`: `work` is asynchronous, or returned a promise.
 * @throws {SyscallError} setns failed.
 */
export function inNetns<T>(fd: number, work: () => T): T {
  if (!warm) {
    throw new NetnsError(
      'NETNS_COLD_POOL',
      'Cannot enter a network namespace: await warmPool() first',
    )
  }
  if (Object.prototype.toString.call(work) === '[object AsyncFunction]') throw asyncWork()
  const result = visit(fd, work)
  if (!isThenable(result)) return result
  result.then(undefined, () => {}) // its failure is this error
  throw asyncWork()
}

/**
 * `inNetns` without its guards, for work of this package that starts nothing.
 *
 * @throws {SyscallError} setns failed.
 */
export function visit<T>(fd: number, work: () => T): T {
  const nested = depth > 0
  if (!nested) home ??= selfNetns()
  const back = nested ? selfNetns() : home!
  try {
    check('setns', 'enter a network namespace', () => setns(fd, CLONE_NEWNET))
    depth++
    try {
      return work()
    } finally {
      depth--
      if (setns(back, CLONE_NEWNET) < 0) abort()
    }
  } finally {
    if (nested) closeSync(back)
  }
}

function abort(): never {
  const error = new SyscallError('setns', errno(), 'return to the home network namespace')
  process.stderr.write(`${error.message}; aborting\n`)
  process.abort()
}

function pathOf(ref: NetnsRef): string {
  if (typeof ref === 'string') return ref
  return 'pid' in ref ? `/proc/${ref.pid}/ns/net` : `/proc/self/fd/${ref.fd}`
}

function openFile(path: string): number {
  try {
    // libuv adds O_CLOEXEC. O_NONBLOCK: a FIFO without a writer would wait for one.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const missing = code === 'ENOENT' || code === 'ENOTDIR'
    throw new NetnsError(
      missing ? 'NETNS_MISSING' : 'NETNS_WRONG_FILE',
      `Cannot open network namespace ${path}: ${missing ? 'there is no such file' : code}`,
      error,
    )
  }
}

function whyNotNetns(fd: number): string | undefined {
  const statfs = new Uint8Array(STATFS_BYTES)
  check('fstatfs', 'look at a namespace file', () => fstatfs(fd, statfs))
  const type = new DataView(statfs.buffer).getUint32(0, HOST_LITTLE)
  if (type !== NSFS_MAGIC) return 'the file is not a namespace'
  const kind = check('ioctl', 'ask for the type of a namespace', () => ioctl(fd, NS_GET_NSTYPE, 0))
  return kind === CLONE_NEWNET ? undefined : 'it is a namespace of another type'
}

const asyncWork = (): NetnsError =>
  new NetnsError(
    'NETNS_ASYNC',
    'Cannot run asynchronous work in a network namespace: it would go on outside',
  )

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return typeof (value as { then?: unknown }).then === 'function'
}
