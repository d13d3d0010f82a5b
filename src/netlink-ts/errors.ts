/**
 * Everything this package throws on purpose, apart from RangeError and
 * TypeError for values that cannot be encoded.
 *
 * Branch on the class and on `code`; messages are for people.
 *
 * @module
 */
import { errnoName } from './errno.ts'

/** What the kernel said about one request. */
export interface Refusal {
  /** The request in iproute2 words, e.g. `link add name vx0 type vxlan id 1`. */
  readonly request: string
  /** Positive error number, e.g. 17. */
  readonly errno: number
  /** Text of the extended ACK (NLMSGERR_ATTR_MSG), when the kernel sent one. */
  readonly hint?: string | undefined
  /**
   * Where in the request the kernel found the fault (NLMSGERR_ATTR_OFFS), in
   * bytes from the start of its nlmsghdr.
   */
  readonly offset?: number | undefined
}

const RETRYABLE: ReadonlySet<string> = new Set(['EAGAIN', 'EBUSY', 'EINTR', 'ENOBUFS', 'ENOMEM'])

/** The kernel refused a request. The request itself was well formed netlink. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  /** The request in iproute2 words. */
  readonly request: string
  /** Positive error number. */
  readonly errno: number
  /** Symbolic error number, e.g. `EEXIST`; `E<number>` for one without a name. */
  readonly code: string
  /** The kernel's own words, or undefined. */
  readonly hint: string | undefined
  /** Byte offset of the fault inside the request, or undefined. */
  readonly offset: number | undefined

  constructor(refusal: Refusal) {
    const code = errnoName(refusal.errno)
    super(`Cannot ${refusal.request}: ${code}${refusal.hint ? `: ${refusal.hint}` : ''}`)
    this.request = refusal.request
    this.errno = refusal.errno
    this.code = code
    this.hint = refusal.hint
    this.offset = refusal.offset
  }

  /** Whether the unchanged request may succeed later. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code)
  }
}

/** Bytes that break the rules of the protocol. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
  readonly code = 'NETLINK_DECODE'
  /** Where, in bytes from the start of the message body or datagram. */
  readonly offset: number

  constructor(what: string, offset: number, wanted: string, found: string | number) {
    super(`Cannot decode ${what} at byte ${offset}: found ${found}, wanted ${wanted}`)
    this.offset = offset
  }
}

/**
 * The conversation itself broke: an answer never came, or a table kept changing
 * while it was being read.
 */
export class SessionError extends Error {
  override readonly name = 'SessionError'
  readonly code: 'NETLINK_NO_ANSWER' | 'NETLINK_INTERRUPTED'
  /** The request in iproute2 words. */
  readonly request: string

  constructor(code: 'NETLINK_NO_ANSWER' | 'NETLINK_INTERRUPTED', request: string, why: string) {
    super(`Cannot ${request}: ${why}`)
    this.code = code
    this.request = request
  }
}

/** A system call failed: the fault is the process's or the machine's, not a request's. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError'
  /** The C function, e.g. `setns`. */
  readonly syscall: string
  readonly errno: number
  readonly code: string

  constructor(syscall: string, errno: number, subject: string) {
    const code = errnoName(errno)
    super(`Cannot ${subject}: ${syscall}: ${code}`)
    this.syscall = syscall
    this.errno = errno
    this.code = code
  }
}

/** A path or a call that cannot be used as a network namespace. */
export class NetnsError extends Error {
  override readonly name = 'NetnsError'
  readonly code: 'NETNS_MISSING' | 'NETNS_WRONG_FILE' | 'NETNS_COLD_POOL' | 'NETNS_ASYNC'

  constructor(code: NetnsError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
