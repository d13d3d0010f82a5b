/**
 * A conversation about nf_tables: transactions, tables, and snapshots of several
 * tables at one moment.
 *
 * @module
 */
import { type NetlinkError, SessionError } from '../errors.ts'
import type { DumpRequest, GetRequest } from '../request.ts'
import { noAnswer, Sequence, Session, type Wire } from '../session.ts'
import { generation } from './generation.ts'
import type { GatherRequest, NftDump, NftRequest } from './request.ts'
import { table } from './table.ts'
import { Transaction, type TransactOptions } from './transaction.ts'

/** Values that were read at one moment. */
export interface Snapshot<T> {
  readonly value: T
  /** Of the ruleset at that moment; for `TransactOptions`. */
  readonly generation: number
}

/** What a live socket and a scripted kernel share. */
export interface NftConn {
  /**
   * Sends all requests as one transaction and returns one result per request:
   * undefined for success. When any result is an error, nothing was applied.
   */
  transact(
    requests: readonly NftRequest[],
    options?: TransactOptions,
  ): readonly (NetlinkError | undefined)[]

  /**
   * Sends all requests as one transaction.
   *
   * @throws {NetlinkError} The first refused request; nothing was applied.
   */
  commit(requests: readonly NftRequest[], options?: TransactOptions): void

  /**
   * Reads a whole table, again when it changed while being read.
   *
   * @throws {NetlinkError} The kernel refused.
   * @throws {SessionError} It changed during every attempt.
   */
  dump<C, T>(request: GatherRequest<C, T>): readonly T[]
  dump<T>(request: DumpRequest<T>): readonly T[]
  dump<T>(request: NftDump<T>): readonly T[]

  /** Reads one object; undefined when there is none. */
  get<T>(request: GetRequest<T>): T | undefined

  /**
   * Runs `read`, which dumps what it needs, until the ruleset was the same before
   * and after it.
   *
   * @throws {SessionError} It changed during every attempt.
   */
  snapshot<T>(read: () => T): Snapshot<T>

  /** Whether the kernel has `destroy` (6.3); asked once. */
  readonly canDestroy: boolean
}

/** A hash table has grown after a few milliseconds; one reading of a large one takes longer. */
export const TORN_ATTEMPTS_MAX = 50

/** A ruleset that changes all the time is given up after this many readings. */
export const SNAPSHOT_ATTEMPTS_MAX = 20

/** See `NftConn`; this is the only implementation of its rules. */
export class NftSession implements NftConn {
  readonly #wire: Wire
  readonly #sequence: Sequence
  readonly #session: Session
  #canDestroy: boolean | undefined

  constructor(wire: Wire, sequence: Sequence = new Sequence()) {
    this.#wire = wire
    this.#sequence = sequence
    this.#session = new Session(wire, sequence)
  }

  transact(
    requests: readonly NftRequest[],
    options: TransactOptions = {},
  ): readonly (NetlinkError | undefined)[] {
    const transaction = this.begin(requests, options)
    const datagram = transaction.first()
    if (datagram === undefined) return transaction.results
    this.#wire.send(datagram)
    return this.finish(transaction)
  }

  /**
   * A transaction that the caller sends, in its own way and time, before it calls
   * `finish`. Nothing else may use the wire in between.
   */
  begin(requests: readonly NftRequest[], options: TransactOptions = {}): Transaction {
    const firstSeq = this.#sequence.take(Transaction.sequenceNumbers(requests))
    return new Transaction(requests, options, this.#wire.limits.messages, firstSeq)
  }

  /** Collects the answers to a transaction that was sent. */
  finish(transaction: Transaction): readonly (NetlinkError | undefined)[] {
    while (!transaction.done) {
      if (!this.#wire.receive((view, length) => transaction.handle(view, length))) {
        throw noAnswer(transaction.text)
      }
    }
    return transaction.results
  }

  commit(requests: readonly NftRequest[], options: TransactOptions = {}): void {
    for (const error of this.transact(requests, options)) if (error !== undefined) throw error
  }

  dump<C, T>(request: GatherRequest<C, T> | DumpRequest<T>): readonly T[] {
    if (!('gather' in request)) return this.#session.dump(request)
    for (let attempt = 0; attempt < TORN_ATTEMPTS_MAX; attempt++) {
      const parts = this.#session.dump(request)
      const tearing = request.tearing()
      if (!parts.some((part) => tearing.shows(part))) return request.gather(parts)
    }
    throw tornAlways(request.text)
  }

  get<T>(request: GetRequest<T>): T | undefined {
    return this.#session.get(request)
  }

  snapshot<T>(read: () => T): Snapshot<T> {
    let before = this.#generation()
    for (let attempt = 0; attempt < SNAPSHOT_ATTEMPTS_MAX; attempt++) {
      const value = read()
      const after = this.#generation()
      if (before === after) return { value, generation: after }
      before = after
    }
    throw neverStill()
  }

  get canDestroy(): boolean {
    this.#canDestroy ??= this.transact([PROBE])[0] === undefined
    return this.#canDestroy
  }

  #generation(): number {
    return this.get(generation()) ?? 0
  }
}

/** Destroying a table that cannot be there changes nothing; an old kernel does not know the message. */
const PROBE = table.destroy({ family: 'inet', name: 'no table has this name' })

export function tornAlways(request: string): SessionError {
  const why = `the table moved during each of ${TORN_ATTEMPTS_MAX} readings`
  return new SessionError('NETLINK_INTERRUPTED', request, why)
}

export function neverStill(): SessionError {
  const why = `the ruleset changed during each of ${SNAPSHOT_ATTEMPTS_MAX} readings`
  return new SessionError('NETLINK_INTERRUPTED', 'list ruleset', why)
}
