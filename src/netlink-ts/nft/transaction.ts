/**
 * One transaction: all requests or none, between NFNL_MSG_BATCH_BEGIN and _END.
 *
 * It is one datagram, whatever its size. The kernel goes through all of it even
 * after a fault, so every faulty request is named; an error about the whole (no
 * permission, another generation, no memory) is one about BATCH_BEGIN.
 *
 * Source: include/uapi/linux/netfilter/nfnetlink.h; net/netfilter/nfnetlink.c,
 * nfnetlink_rcv_batch, v6.12.
 *
 * @module
 */
import { ackErrno, ackError } from '../ack.ts'
import { attr, attrTable, writeAttrs } from '../attrs.ts'
import { u32be } from '../codecs.ts'
import { NetlinkError } from '../errors.ts'
import { eachMessage, HEADER, NLM_F, NLMSG, viewOf } from '../message.ts'
import { aligned, HOST_LITTLE } from '../writer.ts'
import { NFNL_MSG, NFNL_SUBSYS_NFTABLES } from './constants.ts'
import { type NftRequest, nftMessage } from './request.ts'

/** NFNL_BATCH_GENID. */
const batchAttrs = attrTable({ generation: attr(1, u32be) })

/** How a transaction is sent. */
export interface TransactOptions {
  /** Refuse everything (ERESTART) unless the ruleset is still of this generation. */
  readonly generation?: number | undefined
}

/** Sends one transaction and collects one result for each request, in order. */
export class Transaction {
  /** undefined for success. When any is an error, nothing was applied. */
  readonly results: (NetlinkError | undefined)[]
  readonly #requests: readonly NftRequest[]
  /** Which request each message belongs to. */
  readonly #owners: number[] = []
  readonly #firstSeq: number
  readonly #messages: readonly Uint8Array[]
  readonly #bytes: Uint8Array
  readonly #answered: Uint8Array
  /** Whether every message is answered, or only faulty ones and the last. */
  readonly #every: boolean
  #waiting: number
  #view: DataView = new DataView(new ArrayBuffer(0))

  /**
   * @param answersMax How many answers fit the receive buffer; beyond that, only
   * errors and the last request's success are reported.
   */
  constructor(
    requests: readonly NftRequest[],
    { generation }: TransactOptions,
    answersMax: number,
    firstSeq: number,
  ) {
    this.#requests = requests
    this.#firstSeq = firstSeq
    this.results = new Array<NetlinkError | undefined>(requests.length).fill(undefined)
    const messages = requests.flatMap((request, index) => {
      for (const _ of request.messages) this.#owners.push(index)
      return request.messages
    })
    this.#messages = messages
    this.#every = messages.length <= answersMax
    this.#waiting = this.#every ? messages.length : 1
    this.#answered = new Uint8Array(messages.length)
    this.#bytes = datagram(messages, generation, firstSeq, this.#every)
  }

  /** How many sequence numbers it needs. */
  static sequenceNumbers(requests: readonly NftRequest[]): number {
    return requests.reduce((sum, { messages }) => sum + messages.length, 2)
  }

  /** The datagram to send; undefined when there is nothing to do. */
  first(): Uint8Array | undefined {
    return this.#owners.length === 0 ? undefined : this.#bytes
  }

  /** Whether the last answer has arrived. */
  get done(): boolean {
    return this.#waiting === 0
  }

  /** What was being done, for an error about the whole. */
  get text(): string {
    const [only] = this.#requests
    return this.#requests.length === 1 && only !== undefined
      ? only.text
      : `run a transaction of ${this.#requests.length} requests`
  }

  /**
   * Takes a datagram that arrived.
   *
   * @throws {DecodeError} It is no netlink.
   */
  handle(view: DataView, length: number): void {
    this.#view = view
    eachMessage(view, length, this.#visit)
  }

  readonly #visit = (offset: number, length: number): void => {
    const view = this.#view
    if (this.done || view.getUint16(offset + HEADER.type, HOST_LITTLE) !== NLMSG.error) return
    const seq = view.getUint32(offset + HEADER.seq, HOST_LITTLE)
    const index = ((seq - this.#firstSeq) >>> 0) - 1 // BATCH_BEGIN has the first number
    if (index >= this.#owners.length) return
    const errno = ackErrno(view, offset, length)
    if (index < 0) {
      if (errno !== 0) this.#refuseAll(ackError(view, offset, length, this.text))
      return
    }
    if (this.#answered[index] !== 0) return
    this.#answered[index] = 1
    if (this.#every || index === this.#owners.length - 1) this.#waiting--
    if (errno === 0) return
    const owner = this.#owners[index]!
    const error = ackError(view, offset, length, this.#requests[owner]!.text)
    this.results[owner] ??= pointed(error, this.#messages[index]!)
  }

  #refuseAll(error: NetlinkError): void {
    this.results.fill(error)
    this.#waiting = 0
  }
}

/** nf_tables seldom explains itself, but it points at the attribute that it refuses: often a name. */
function pointed(error: NetlinkError, message: Uint8Array): NetlinkError {
  const { request, errno, hint, offset } = error
  if (hint !== undefined || offset === undefined || offset + ATTR_HEADER_BYTES > message.length) {
    return error
  }
  const length = viewOf(message).getUint16(offset, HOST_LITTLE)
  const payload = message.subarray(offset + ATTR_HEADER_BYTES, offset + length)
  const text = new TextDecoder().decode(payload).replace(/\0$/, '')
  if (!/^[\w.%/-]+$/.test(text)) return error
  return new NetlinkError({ request, errno, offset, hint: `at "${text}"` })
}

const ATTR_HEADER_BYTES = 4

function datagram(
  messages: readonly Uint8Array[],
  generation: number | undefined,
  firstSeq: number,
  every: boolean,
): Uint8Array {
  const begin = nftMessage(
    NFNL_MSG.batchBegin,
    0,
    undefined,
    (out) => writeAttrs(out, batchAttrs, { generation }),
    NFNL_SUBSYS_NFTABLES,
  )
  const end = nftMessage(NFNL_MSG.batchEnd, 0, undefined, () => {}, NFNL_SUBSYS_NFTABLES)
  const all = [begin, ...messages, end]
  const bytes = new Uint8Array(all.reduce((sum, { length }) => sum + aligned(length), 0))
  const view = viewOf(bytes)
  let offset = 0
  for (const [i, message] of all.entries()) {
    bytes.set(message, offset)
    view.setUint32(offset + HEADER.seq, (firstSeq + i) >>> 0, HOST_LITTLE)
    if (i > 0 && i <= messages.length && (every || i === messages.length)) {
      const flags = view.getUint16(offset + HEADER.flags, HOST_LITTLE)
      view.setUint16(offset + HEADER.flags, flags | NLM_F.ack, HOST_LITTLE)
    }
    offset += aligned(message.length)
  }
  return bytes
}
