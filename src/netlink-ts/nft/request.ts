/**
 * Requests about nf_tables: bytes for the kernel and the words of `nft`.
 *
 * One request may need several messages (thousands of elements), and all changes
 * travel inside a transaction, so these are not the requests of rtnetlink.
 *
 * Source: include/uapi/linux/netfilter/nfnetlink.h, struct nfgenmsg.
 *
 * @module
 */
import { DecodeError } from '../errors.ts'
import { HEADER, HEADER_BYTES, type Message, NLM_F, viewOf } from '../message.ts'
import type { DumpRequest } from '../request.ts'
import { HOST_LITTLE, Writer } from '../writer.ts'
import { type Family, familyName, NFPROTO } from './constants.ts'

/** Bytes of struct nfgenmsg: family u8, version u8, resource u16 in network order. */
export const NFGEN_BYTES = 4

/** A change to ask for, inside a transaction. */
export interface NftRequest {
  /** Whole netlink messages, in order. Sequence and port are zero until they are sent. */
  readonly messages: readonly Uint8Array[]
  /** The request in nft's words, e.g. `add set inet demo pods4`. */
  readonly text: string
}

/** A table that is read in many parts and put together at the end. */
export interface GatherRequest<C, T> extends DumpRequest<C> {
  /** What is shown each part once, in order. */
  tearing(): Tearing<C>
  /** Turns all parts, in the order they came, into rows. */
  gather(parts: readonly C[]): readonly T[]
  /** Whether some of the parts at a time give the same rows. */
  readonly gathersSome: boolean
}

/** Whether a part shows that the table moved while it was being read, although the kernel did not say so. */
export interface Tearing<C> {
  shows(part: C): boolean
}

/** Any reading of many. */
export type NftDump<T> = DumpRequest<T> | GatherRequest<unknown, T>

/** Writes the attributes of a message. */
export type WriteAttrs = (out: Writer) => void

/** A change of one message. */
export function changeOf(
  type: number,
  flags: number,
  family: Family | undefined,
  write: WriteAttrs,
  describe: () => string,
): NftRequest {
  return new Described([nftMessage(type, flags, family, write)], describe)
}

/** A change of several messages. */
export const changesOf = (messages: readonly Uint8Array[], describe: () => string): NftRequest =>
  new Described(messages, describe)

class Described implements NftRequest {
  readonly messages: readonly Uint8Array[]
  readonly #describe: () => string

  constructor(messages: readonly Uint8Array[], describe: () => string) {
    this.messages = messages
    this.#describe = describe
  }

  get text(): string {
    return this.#describe()
  }
}

// Reused by every message; `nftMessage` is synchronous and never nests.
const scratch = new Writer()

/** One message: header, nfgenmsg, attributes. */
export function nftMessage(
  type: number,
  flags: number,
  family: Family | undefined,
  write: WriteAttrs,
  resource = 0,
): Uint8Array {
  scratch.length = 0
  scratch.reserve(HEADER_BYTES)
  scratch.u8(family === undefined ? 0 : familyNumber(family))
  scratch.u8(0) // NFNETLINK_V0
  scratch.view.setUint16(scratch.reserve(2), resource, false)
  write(scratch)
  scratch.view.setUint32(HEADER.length, scratch.length, HOST_LITTLE)
  scratch.view.setUint16(HEADER.type, type, HOST_LITTLE)
  scratch.view.setUint16(HEADER.flags, flags | NLM_F.request, HOST_LITTLE)
  return scratch.copy()
}

/** What a reading request needs besides its bytes. */
export interface NftReading<T> {
  readonly text: string
  readonly missing?: readonly string[]
  readonly decode: (message: Message) => T | undefined
}

/** Builds a request for a table. */
export function nftDump<T>(
  type: number,
  family: Family | undefined,
  write: WriteAttrs,
  { text, missing = [], decode }: NftReading<T>,
): DumpRequest<T> {
  const message = nftMessage(type, NLM_F.dump, family, write)
  return { kind: 'dump', message, text, missing: new Set(missing), decode }
}

/**
 * The family of a message and a view over its body.
 *
 * @throws {DecodeError} It is shorter than struct nfgenmsg.
 */
export function nfgenOf(message: Message): { family: Family | undefined; view: DataView } {
  if (message.body.length < NFGEN_BYTES) {
    throw new DecodeError('struct nfgenmsg', 0, `${NFGEN_BYTES} bytes`, message.body.length)
  }
  const view = viewOf(message.body)
  return { family: familyName(view.getUint8(0)), view }
}

function familyNumber(family: Family): number {
  const number = Object.hasOwn(NFPROTO, family) ? NFPROTO[family] : undefined
  if (number !== undefined) return number
  throw new RangeError(
    `Cannot encode family: found "${family}", wanted ${Object.keys(NFPROTO).join(', ')}`,
  )
}

/**
 * A name that must be there: without it the kernel would take the request for
 * one about everything.
 *
 * @throws {RangeError} It is missing or empty.
 */
export function required(name: string, what: string): string {
  if (typeof name === 'string' && name !== '') return name
  throw new RangeError(`Cannot encode ${what}: found ${name}, wanted a name`)
}
