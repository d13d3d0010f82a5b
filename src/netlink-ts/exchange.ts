/**
 * Two exchanges with a kernel, as machines that see only bytes: a batch of
 * changes, and the reading of a table. Whoever owns the socket, blocking or
 * not, sends what they give and feeds them what arrives.
 *
 * Answers are matched by sequence number; any other message is left alone.
 *
 * @module
 */
import { ackErrno, ackError } from './ack.ts'
import { errnoName } from './errno.ts'
import { DecodeError, type NetlinkError } from './errors.ts'
import { eachMessage, HEADER, type Message, messageAt, NLM_F, NLMSG, viewOf } from './message.ts'
import type { DumpRequest, GetRequest, Request } from './request.ts'
import { aligned, HOST_LITTLE } from './writer.ts'

/** How much may be in flight at once. */
export interface Limits {
  /** Bytes of requests per datagram. A longer request goes alone. */
  readonly bytes: number
  /**
   * Requests per datagram. Every one is answered by a datagram of its own before
   * the first can be read, so this times the size of an answer must fit the
   * receive buffer.
   */
  readonly messages: number
}

/** Sends many requests and collects one result each, in order. */
export class Batch {
  /** undefined for success; in the order of the requests. */
  readonly results: (NetlinkError | undefined)[]
  /** Requests sent and not answered yet. */
  waiting = 0
  readonly #requests: readonly Request[]
  readonly #limits: Limits
  readonly #firstSeq: number
  readonly #answered: Uint8Array
  #buffer: Uint8Array
  #sent = 0
  #view: DataView = EMPTY

  constructor(requests: readonly Request[], limits: Limits, firstSeq: number) {
    this.#requests = requests
    this.#limits = limits
    this.#firstSeq = firstSeq
    this.#answered = new Uint8Array(requests.length)
    this.#buffer = new Uint8Array(roomFor(requests, limits.bytes))
    this.results = new Array<NetlinkError | undefined>(requests.length).fill(undefined)
  }

  /**
   * The next datagram to send, or undefined when all are sent. Call it when
   * nothing is waiting; the bytes are valid until the next call.
   */
  next(): Uint8Array | undefined {
    const first = this.#requests[this.#sent]
    if (first === undefined) return undefined
    if (first.message.length > this.#buffer.length) {
      this.#buffer = new Uint8Array(aligned(first.message.length))
    }
    const view = viewOf(this.#buffer)
    let size = 0
    while (this.waiting < this.#limits.messages) {
      const message = this.#requests[this.#sent]?.message
      if (message === undefined || size + message.length > this.#buffer.length) break
      this.#buffer.set(message, size)
      address(view, size, (this.#firstSeq + this.#sent) >>> 0)
      size += aligned(message.length)
      this.#sent++
      this.waiting++
    }
    return this.#buffer.subarray(0, Math.min(size, this.#buffer.length))
  }

  /**
   * Takes a datagram that arrived: the first `length` bytes of `view`.
   *
   * @throws {DecodeError} It is no netlink.
   */
  handle(view: DataView, length: number): void {
    this.#view = view
    eachMessage(view, length, this.#visit)
  }

  /** What was being done, for an error about the whole. */
  get text(): string {
    const [only] = this.#requests
    if (this.#requests.length === 1 && only !== undefined) return only.text
    return `run a batch of ${this.#requests.length} requests`
  }

  readonly #visit = (offset: number, length: number): void => {
    const view = this.#view
    if (view.getUint16(offset + HEADER.type, HOST_LITTLE) !== NLMSG.error) return
    const index = (view.getUint32(offset + HEADER.seq, HOST_LITTLE) - this.#firstSeq) >>> 0
    if (index >= this.#sent || this.#answered[index] !== 0) return
    const errno = ackErrno(view, offset, length)
    this.#answered[index] = 1
    this.waiting--
    if (errno === 0) return
    this.results[index] = ackError(view, offset, length, this.#requests[index]!.text)
  }
}

/** Sends one reading request and collects what it returns. */
export class Read<T> {
  /** Whether the last answer has arrived. */
  done = false
  /** Whether the table changed while it was being read (NLM_F_DUMP_INTR). */
  interrupted = false
  readonly rows: T[] = []
  /** Why there is no result; the kernel's refusal, or an answer that cannot be read. */
  error: NetlinkError | DecodeError | undefined
  readonly #request: DumpRequest<T> | GetRequest<T>
  readonly #seq: number

  constructor(request: DumpRequest<T> | GetRequest<T>, seq: number) {
    this.#request = request
    this.#seq = seq
  }

  /** The datagram to send. */
  first(): Uint8Array {
    const bytes = this.#request.message.slice()
    viewOf(bytes).setUint32(HEADER.seq, this.#seq, HOST_LITTLE)
    return bytes
  }

  /**
   * Takes a datagram that arrived. An entry that cannot be read is remembered in
   * `error` and the rest is still consumed: a dump left halfway would make the
   * kernel refuse the next one.
   *
   * @throws {DecodeError} It is no netlink.
   */
  handle(view: DataView, length: number): void {
    eachMessage(view, length, (offset, size) => this.#visit(view, offset, size))
  }

  #visit(view: DataView, offset: number, length: number): void {
    if (this.done || view.getUint32(offset + HEADER.seq, HOST_LITTLE) !== this.#seq) return
    const message = messageAt(view, offset, length)
    if (message.flags & NLM_F.dumpIntr) this.interrupted = true
    if (message.type === NLMSG.done || message.type === NLMSG.error) {
      this.#finish(view, offset, length)
    } else if (message.type > NLMSG.overrun) {
      this.#keep(() => this.#take(message))
    }
  }

  #take(message: Message): void {
    const request = this.#request
    if (request.kind === 'dump' && request.decodeAll !== undefined) {
      for (const row of request.decodeAll(message)) this.rows.push(row)
      return
    }
    const row = request.decode(message)
    if (row !== undefined) this.rows.push(row)
  }

  #finish(view: DataView, offset: number, length: number): void {
    this.done = true
    this.#keep(() => {
      // A dump of an old kernel ends without an errno.
      const type = view.getUint16(offset + HEADER.type, HOST_LITTLE)
      if (type === NLMSG.done && length === 16) return
      const errno = ackErrno(view, offset, length)
      if (errnoName(errno) === 'EINTR') {
        this.interrupted = true // nf_tables' way of saying NLM_F_DUMP_INTR
        return
      }
      if (errno === 0 || this.#request.missing.has(errnoName(errno))) return
      this.error ??= ackError(view, offset, length, this.#request.text)
    })
  }

  #keep(step: () => void): void {
    try {
      step()
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.error ??= error
    }
  }
}

const EMPTY = new DataView(new ArrayBuffer(0))

/**
 * What all the requests need, or as much as a datagram may have. Most batches are
 * a few hundred bytes: clearing 64 KiB for each would cost more than the kernel's work.
 */
function roomFor(requests: readonly Request[], bytesMax: number): number {
  let bytes = 0
  for (const { message } of requests) {
    bytes += aligned(message.length)
    if (bytes >= bytesMax) return bytesMax
  }
  return bytes
}

/** Fills in the header fields that only the sender knows. */
function address(view: DataView, offset: number, seq: number): void {
  const flags = view.getUint16(offset + HEADER.flags, HOST_LITTLE)
  view.setUint16(offset + HEADER.flags, flags | NLM_F.request | NLM_F.ack, HOST_LITTLE)
  view.setUint32(offset + HEADER.seq, seq, HOST_LITTLE)
}
