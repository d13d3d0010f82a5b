/**
 * A blocking conversation: sequence numbers, acknowledgements, tables in many
 * parts, and tables that change while they are read. Bytes move through a Wire,
 * so the same code runs on a socket and on a scripted kernel.
 *
 * @module
 */
import type { Conn } from './conn.ts'
import { type NetlinkError, SessionError } from './errors.ts'
import { Batch, type Limits, Read } from './exchange.ts'
import type { DumpRequest, GetRequest, Request } from './request.ts'

/** Takes one datagram: the first `length` bytes of `view`, valid during the call only. */
export type Deliver = (view: DataView, length: number) => void

/** Moves datagrams. */
export interface Wire {
  readonly limits: Limits
  send(datagram: Uint8Array): void
  /**
   * Waits for datagrams and delivers at least one.
   *
   * @returns false when none came in time.
   */
  receive(deliver: Deliver): boolean
}

/** A table that changes all the time is given up after this many readings. */
export const DUMP_ATTEMPTS_MAX = 10

/** Sequence numbers of one socket: successive, wrapping at 32 bits. */
export class Sequence {
  #next: number

  constructor(first = 1) {
    this.#next = first >>> 0
  }

  /** Reserves `count` numbers and returns the first. */
  take(count: number): number {
    const first = this.#next
    this.#next = (first + count) >>> 0
    return first
  }
}

/** See `Conn`; this is the only implementation of its rules. */
export class Session implements Conn {
  readonly #wire: Wire
  readonly #sequence: Sequence

  constructor(wire: Wire, sequence: Sequence = new Sequence()) {
    this.#wire = wire
    this.#sequence = sequence
  }

  execute(requests: readonly Request[]): readonly (NetlinkError | undefined)[] {
    const batch = new Batch(requests, this.#wire.limits, this.#sequence.take(requests.length))
    const deliver: Deliver = (view, length) => batch.handle(view, length)
    for (let out = batch.next(); out !== undefined; out = batch.next()) {
      this.#wire.send(out)
      while (batch.waiting > 0) {
        if (!this.#wire.receive(deliver)) throw noAnswer(batch.text)
      }
    }
    return batch.results
  }

  run(request: Request): void {
    const [error] = this.execute([request])
    if (error !== undefined) throw error
  }

  dump<T>(request: DumpRequest<T>): readonly T[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS_MAX; attempt++) {
      const read = this.#read(request)
      if (!read.interrupted) return read.rows
    }
    const why = `the table changed during each of ${DUMP_ATTEMPTS_MAX} readings`
    throw new SessionError('NETLINK_INTERRUPTED', request.text, why)
  }

  get<T>(request: GetRequest<T>): T | undefined {
    return this.#read(request).rows[0]
  }

  #read<T>(request: DumpRequest<T> | GetRequest<T>): Read<T> {
    const read = new Read(request, this.#sequence.take(1))
    this.#wire.send(read.first())
    while (!read.done) {
      if (!this.#wire.receive((view, length) => read.handle(view, length))) {
        throw noAnswer(request.text)
      }
    }
    if (read.error !== undefined) throw read.error
    return read
  }
}

/** The error for a kernel that stays silent. */
export const noAnswer = (request: string): SessionError =>
  new SessionError('NETLINK_NO_ANSWER', request, 'the kernel did not answer in time')
