/**
 * A netlink socket in one network namespace.
 *
 * A socket stays in the namespace it was made in, whatever its process does, so
 * the main thread visits the namespace for one call only.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import type { Conn } from '../conn.ts'
import type { NetlinkError } from '../errors.ts'
import { Batch, type Limits, Read } from '../exchange.ts'
import type { DumpRequest, GetRequest, Request } from '../request.ts'
import { type Deliver, noAnswer, Sequence, Session, type Wire } from '../session.ts'
import { dumpInPool } from './dump.ts'
import { setTxChecksum, txChecksum } from './ethtool.ts'
import { openSocket, portIdOf, rcvbufBytes } from './fd.ts'
import { ifindex } from './ifindex.ts'
import { check, ioctl, send } from './libc.ts'
import { visit } from './netns.ts'
import { MSG, receiveMany } from './ring.ts'
import { sendAsync } from './send.ts'

const RCVBUF_BYTES = 4 << 20
const REQUEST_BYTES_MAX = 64 * 1024
/** What one queued acknowledgement, with an error text, costs of the receive buffer. */
const ACK_TRUESIZE_BYTES = 2048
const SIOCGSKNS = 0x894c // include/uapi/linux/sockios.h: the namespace of a socket
/** Kept for the next call: making one costs 0.1 ms. */
const SPARE_SOCKETS_MAX = 16

/** Options of a new socket. */
export interface SocketOptions {
  /** An open descriptor of the namespace; it may be closed afterwards. @default the process's own */
  readonly netnsFd?: number | undefined
}

/** Options of a new routing socket. */
export interface RouteSocketOptions extends SocketOptions {
  /**
   * Whether calls may overlap. Otherwise asynchronous ones need no socket of
   * their own, and each call waits for the one before. @default true
   */
  readonly shared?: boolean | undefined
}

/** A conversation with the kernel's routing part (NETLINK_ROUTE) in one namespace. */
export class NetlinkSocket implements Conn {
  readonly #fd: number
  readonly #foreign: boolean
  readonly #shared: boolean
  readonly #limits: Limits
  readonly #sequence = new Sequence()
  readonly #session: Session
  readonly #spare: number[] = []
  #closed = false

  private constructor(fd: number, foreign: boolean, shared: boolean) {
    this.#fd = fd
    this.#foreign = foreign
    this.#shared = shared
    this.#limits = limitsOf(fd)
    this.#session = new Session(wireOf(fd, this.#limits), this.#sequence)
  }

  /**
   * Opens a socket.
   *
   * @throws {SyscallError} No permission to enter the namespace, or no descriptors left.
   */
  static open({ netnsFd, shared = true }: RouteSocketOptions = {}): NetlinkSocket {
    return new NetlinkSocket(openIn(netnsFd), netnsFd !== undefined, shared)
  }

  /** The number that notifications of this socket's own synchronous changes carry. */
  get portId(): number {
    return portIdOf(this.#fd)
  }

  execute(requests: readonly Request[]): readonly (NetlinkError | undefined)[] {
    return this.#session.execute(requests)
  }

  run(request: Request): void {
    this.#session.run(request)
  }

  dump<T>(request: DumpRequest<T>): readonly T[] {
    return this.#session.dump(request)
  }

  get<T>(request: GetRequest<T>): T | undefined {
    return this.#session.get(request)
  }

  /**
   * Like `execute`, but the kernel works in a pool thread: for requests that wait,
   * such as the removal of a veth pair (13 to 20 ms). Calls may overlap; each has
   * a socket of its own.
   */
  async executeAsync(requests: readonly Request[]): Promise<readonly (NetlinkError | undefined)[]> {
    return this.#inPool(async (fd) => {
      const batch = new Batch(requests, this.#limits, this.#sequence.take(requests.length))
      const deliver: Deliver = (view, length) => batch.handle(view, length)
      for (let out = batch.next(); out !== undefined; out = batch.next()) {
        await sendAsync(fd, out)
        // rtnetlink answers before send returns, so this does not wait.
        while (batch.waiting > 0) {
          if (receiveMany(fd, MSG.dontWait, deliver) === 0) throw noAnswer(batch.text)
        }
      }
      return batch.results
    })
  }

  /** Like `get`, in a pool thread: for when others hold the kernel's lock. */
  getAsync<T>(request: GetRequest<T>): Promise<T | undefined> {
    return this.#inPool(async (fd) => {
      const read = new Read(request, this.#sequence.take(1))
      const deliver: Deliver = (view, length) => read.handle(view, length)
      await sendAsync(fd, read.first())
      while (!read.done) {
        if (receiveMany(fd, MSG.dontWait, deliver) === 0) throw noAnswer(request.text)
      }
      if (read.error !== undefined) throw read.error
      return read.rows[0]
    })
  }

  /**
   * Like `dump`, in a pool thread and in pieces: a table of thousands holds up
   * nobody for more than a millisecond.
   */
  dumpAsync<T>(request: DumpRequest<T>): Promise<readonly T[]> {
    return this.#inPool((fd) => dumpInPool(fd, request, this.#sequence))
  }

  /** The index of the link of that name; undefined when there is none. Never waits. */
  indexOf(name: string): number | undefined {
    return ifindex(this.#fd, name)
  }

  /**
   * Whether the link leaves checksums of what it sends to the device
   * (`tx-checksumming` of `ethtool -k`).
   *
   * @throws {SyscallError} ENODEV; EOPNOTSUPP for a link without the switch.
   */
  txChecksum(name: string): boolean {
    return txChecksum(this.#fd, name)
  }

  /** @throws {SyscallError} As `txChecksum`. */
  setTxChecksum(name: string, on: boolean): void {
    setTxChecksum(this.#fd, name, on)
  }

  /** Closes the socket; a second call does nothing. Asynchronous calls under way still finish. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#fd)
    for (const fd of this.#spare.splice(0)) closeSync(fd)
  }

  /** Lends a socket of its own to `work`. */
  async #inPool<T>(work: (fd: number) => Promise<T>): Promise<T> {
    if (!this.#shared) return work(this.#fd)
    const fd = this.#spare.pop() ?? this.#another()
    let reusable = false
    try {
      const result = await work(fd)
      reusable = true
      return result
    } finally {
      if (reusable && !this.#closed && this.#spare.length < SPARE_SOCKETS_MAX) this.#spare.push(fd)
      else closeSync(fd)
    }
  }

  /** Another socket in the same namespace, whose descriptor may be long closed. */
  #another(): number {
    if (!this.#foreign) return openIn(undefined)
    const netns = check('ioctl', 'find the namespace of a socket', () =>
      ioctl(this.#fd, SIOCGSKNS, 0),
    )
    try {
      return openIn(netns)
    } finally {
      closeSync(netns)
    }
  }
}

function openIn(netnsFd: number | undefined): number {
  const open = (): number => openSocket(RCVBUF_BYTES)
  return netnsFd === undefined ? open() : visit(netnsFd, open)
}

/** What may be in flight on a socket: as many requests as answers fit its receive buffer. */
export function limitsOf(fd: number): Limits {
  const messages = Math.max(1, Math.floor(rcvbufBytes(fd) / ACK_TRUESIZE_BYTES))
  return { bytes: REQUEST_BYTES_MAX, messages }
}

/** Blocking system calls on a socket. */
export function wireOf(fd: number, limits: Limits): Wire {
  return {
    limits,
    send(datagram) {
      check('send', 'send netlink', () => send(fd, datagram, datagram.length, 0))
    },
    receive: (deliver) => receiveMany(fd, MSG.waitForOne, deliver) > 0,
  }
}
