/**
 * Requests: bytes for the kernel, words for people, and how to read the answer.
 *
 * @module
 */
import { HEADER, HEADER_BYTES, type Message, NLM_F } from './message.ts'
import { HOST_LITTLE, Writer } from './writer.ts'

/** Something to ask of the kernel. Sequence and port are zero until it is sent. */
export interface Request {
  /** nlmsghdr and body. */
  readonly message: Uint8Array
  /** The request in iproute2 words, e.g. `link add name vx0 type vxlan id 1`. */
  readonly text: string
}

/** A request that is answered with one object. */
export interface GetRequest<T> extends Request {
  readonly kind: 'get'
  /** Errors (names) that mean "there is no such object". */
  readonly missing: ReadonlySet<string>
  /** Reads one answer; undefined when it describes something else. */
  decode(message: Message): T | undefined
}

/** A request that is answered with a whole table. */
export interface DumpRequest<T> extends Request {
  readonly kind: 'dump'
  /** Errors (names) that mean "the table is empty". */
  readonly missing: ReadonlySet<string>
  /** Reads one entry; undefined leaves it out. */
  decode(message: Message): T | undefined
  /** Reads every entry of a message that may hold several; then `decode` is not used. */
  decodeAll?(message: Message): readonly T[]
}

/** Writes the body of a message. */
export type WriteBody = (out: Writer) => void

/** Builds a request that the kernel answers with an acknowledgement. */
export function changeRequest(
  type: number,
  flags: number,
  describe: () => string,
  write: WriteBody,
): Request {
  return new Described(build(type, flags | NLM_F.request | NLM_F.ack, write), describe)
}

/** What a reading request needs besides its bytes. */
export interface Reading<T> {
  readonly text: string
  readonly missing: readonly string[]
  readonly decode: (message: Message) => T | undefined
}

/** Builds a request for one object. */
export function getRequest<T>(type: number, write: WriteBody, reading: Reading<T>): GetRequest<T> {
  const message = build(type, NLM_F.request | NLM_F.ack, write)
  return { kind: 'get', message, ...reading, missing: new Set(reading.missing) }
}

/** Builds a request for a table. */
export function dumpRequest<T>(
  type: number,
  write: WriteBody,
  reading: Reading<T>,
): DumpRequest<T> {
  const message = build(type, NLM_F.request | NLM_F.dump, write)
  return { kind: 'dump', message, ...reading, missing: new Set(reading.missing) }
}

/** Builds a request for a table whose messages hold several entries each. */
export function groupedDumpRequest<T>(
  type: number,
  write: WriteBody,
  {
    decodeAll,
    ...reading
  }: Omit<Reading<T>, 'decode'> & Required<Pick<DumpRequest<T>, 'decodeAll'>>,
): DumpRequest<T> {
  const decode = (message: Message): T | undefined => decodeAll(message)[0]
  return { ...dumpRequest(type, write, { ...reading, decode }), decodeAll }
}

/** Words are made when somebody reads them: in a batch of routes almost nobody does. */
class Described implements Request {
  readonly message: Uint8Array
  readonly #describe: () => string

  constructor(message: Uint8Array, describe: () => string) {
    this.message = message
    this.#describe = describe
  }

  get text(): string {
    return this.#describe()
  }
}

// Reused by every request; `build` is synchronous and never nests.
const scratch = new Writer()

function build(type: number, flags: number, write: WriteBody): Uint8Array {
  scratch.length = 0
  scratch.reserve(HEADER_BYTES)
  write(scratch)
  scratch.view.setUint32(HEADER.length, scratch.length, HOST_LITTLE)
  scratch.view.setUint16(HEADER.type, type, HOST_LITTLE)
  scratch.view.setUint16(HEADER.flags, flags, HOST_LITTLE)
  return scratch.copy()
}
