/**
 * A netlink socket for nf_tables (NETLINK_NETFILTER) in one network namespace.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import type { NetlinkError } from '../errors.ts'
import {
  type NftConn,
  NftSession,
  neverStill,
  SNAPSHOT_ATTEMPTS_MAX,
  type Snapshot,
  TORN_ATTEMPTS_MAX,
  tornAlways,
} from '../nft/conn.ts'
import { NETLINK_NETFILTER } from '../nft/constants.ts'
import { generation } from '../nft/generation.ts'
import type { GatherRequest, NftDump, NftRequest } from '../nft/request.ts'
import type { TransactOptions } from '../nft/transaction.ts'
import type { DumpRequest, GetRequest } from '../request.ts'
import { Sequence } from '../session.ts'
import { dumpInPool, pacer } from './dump.ts'
import { openSocket, portIdOf, SNDBUF_BYTES, setSendBuffer } from './fd.ts'
import { visit } from './netns.ts'
import { sendAsync } from './send.ts'
import { limitsOf, type SocketOptions, wireOf } from './socket.ts'

const RCVBUF_BYTES = 4 << 20

/** A synchronous conversation with the kernel's nf_tables in one namespace. */
export class NftSocket implements NftConn {
  readonly #fd: number
  readonly #session: NftSession
  readonly #sequence = new Sequence()
  readonly #makeRoom: (bytes: number) => void
  #tail: Promise<unknown> = Promise.resolve()
  #underWay = 0
  #closed = false

  private constructor(fd: number) {
    this.#fd = fd
    this.#makeRoom = growing(fd)
    const { limits, send, receive } = wireOf(fd, limitsOf(fd))
    const wire = {
      limits,
      receive,
      send: (datagram: Uint8Array) => {
        this.#makeRoom(datagram.length)
        send(datagram)
      },
    }
    this.#session = new NftSession(wire, this.#sequence)
  }

  /**
   * Opens a socket.
   *
   * @throws {SyscallError} No permission to enter the namespace, no descriptors
   *   left, or a kernel without nfnetlink (EPROTONOSUPPORT).
   */
  static open({ netnsFd }: SocketOptions = {}): NftSocket {
    const open = (): number => openSocket(RCVBUF_BYTES, NETLINK_NETFILTER)
    return new NftSocket(netnsFd === undefined ? open() : visit(netnsFd, open))
  }

  transact(
    requests: readonly NftRequest[],
    options?: TransactOptions,
  ): readonly (NetlinkError | undefined)[] {
    return this.#session.transact(requests, options)
  }

  /**
   * Like `transact`, but the kernel works in a pool thread: a transaction that it
   * refuses waits for RCU, 17 ms. Calls on one socket run one after the other;
   * nothing else may be asked of it meanwhile.
   */
  transactAsync(requests: readonly NftRequest[]): Promise<readonly (NetlinkError | undefined)[]> {
    const run = async (): Promise<readonly (NetlinkError | undefined)[]> => {
      const transaction = this.#session.begin(requests)
      const datagram = transaction.first()
      if (datagram === undefined) return transaction.results
      this.#makeRoom(datagram.length)
      await sendAsync(this.#fd, datagram)
      // Answers are there before send returns, so this does not wait.
      return this.#session.finish(transaction)
    }
    this.#underWay += 1
    const result = this.#tail.then(run, run).finally(() => {
      this.#underWay -= 1
      if (this.#closed && this.#underWay === 0) closeSync(this.#fd)
    })
    this.#tail = result
    return result
  }

  commit(requests: readonly NftRequest[], options?: TransactOptions): void {
    this.#session.commit(requests, options)
  }

  dump<C, T>(request: GatherRequest<C, T>): readonly T[]
  dump<T>(request: DumpRequest<T>): readonly T[]
  dump<T>(request: NftDump<T>): readonly T[]
  dump<C, T>(request: GatherRequest<C, T> | DumpRequest<T>): readonly T[] {
    return this.#session.dump(request)
  }

  get<T>(request: GetRequest<T>): T | undefined {
    return this.#session.get(request)
  }

  snapshot<T>(read: () => T): Snapshot<T> {
    return this.#session.snapshot(read)
  }

  /**
   * Like `dump`, in a pool thread and in pieces. Nothing else may be asked of
   * the socket meanwhile.
   */
  async dumpAsync<T>(request: NftDump<T>): Promise<readonly T[]> {
    if (!('gather' in request)) return dumpInPool(this.#fd, request, this.#sequence)
    for (let attempt = 0; attempt < TORN_ATTEMPTS_MAX; attempt++) {
      const parts = await dumpInPool(this.#fd, request, this.#sequence)
      const rows = await gatherInPieces(request, parts)
      if (rows !== undefined) return rows
    }
    throw tornAlways(request.text)
  }

  /** Like `snapshot`, where `read` takes its time. Nothing else may be asked of the socket meanwhile. */
  async snapshotAsync<T>(read: () => Promise<T>): Promise<Snapshot<T>> {
    let before = this.get(generation()) ?? 0
    for (let attempt = 0; attempt < SNAPSHOT_ATTEMPTS_MAX; attempt++) {
      const value = await read()
      const after = this.get(generation()) ?? 0
      if (before === after) return { value, generation: after }
      before = after
    }
    throw neverStill()
  }

  get canDestroy(): boolean {
    return this.#session.canDestroy
  }

  /** What events of this socket's own transactions carry as `portId`. */
  get portId(): number {
    return portIdOf(this.#fd)
  }

  /** Closes the socket, after what is under way; a second call does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#underWay === 0) closeSync(this.#fd)
  }
}

/** A transaction is one datagram, which the send buffer must hold as a whole. */
function growing(fd: number): (bytes: number) => void {
  let room = SNDBUF_BYTES
  return (bytes) => {
    if (bytes <= room) return
    room = bytes * 2
    setSendBuffer(fd, room)
  }
}

const PIECE_PARTS = 64

/** undefined: the table moved while it was being read. */
async function gatherInPieces<C, T>(
  request: GatherRequest<C, T>,
  parts: readonly C[],
): Promise<readonly T[] | undefined> {
  const tearing = request.tearing()
  const pace = pacer()
  const rows: T[] = []
  for (let start = 0; start < parts.length; start += PIECE_PARTS) {
    const some = parts.slice(start, start + PIECE_PARTS)
    if (some.some((part) => tearing.shows(part))) return undefined
    if (request.gathersSome) for (const row of request.gather(some)) rows.push(row)
    await pace()
  }
  return request.gathersSome ? rows : request.gather(parts)
}
