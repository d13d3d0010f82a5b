/**
 * A peer's byte stream cut into messages: RFC 4271 section 4.1, RFC 8654.
 *
 * @module
 */
import { type Reset, reset } from './fault.ts'
import { ERROR, HEADER_ERROR, MESSAGE } from './iana.ts'

/** Marker of 16 octets, length of two, type of one. */
export const HEADER_OCTETS = 19
const MARKER_OCTETS = 16

/** Largest message, header included; without and with RFC 8654. */
export const MESSAGE_OCTETS_MAX = 4096
export const EXTENDED_MESSAGE_OCTETS_MAX = 65535

/** Smallest message of each type, header included: RFC 4271 section 6.1, RFC 2918 section 3. */
const OCTETS_MIN: Readonly<Record<number, number>> = {
  [MESSAGE.OPEN]: 29,
  [MESSAGE.UPDATE]: 23,
  [MESSAGE.NOTIFICATION]: 21,
  [MESSAGE.KEEPALIVE]: 19,
  [MESSAGE.ROUTE_REFRESH]: 23,
}

/** One message where it lies: its body is `bytes` from `start` to before `end`. */
export interface Frame {
  readonly kind: 'frame'
  /** Of RFC 4271 section 4.1; one of those this speaker knows. */
  readonly type: number
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

const ROOM_OCTETS = 16384

/**
 * Takes what a socket read and gives whole messages, without copying those that
 * lie in one piece. Octets that a frame names are never written again.
 */
export class Framer {
  #bytes: Uint8Array = new Uint8Array(0)
  /** Octets before `#at` were given out; those from `#end` on are room. */
  #at = 0
  #end = 0
  #isOurs = false
  #octetsMax = MESSAGE_OCTETS_MAX
  #fault: Reset | undefined

  /** Both sides announced RFC 8654: messages other than OPEN and KEEPALIVE may be longer. */
  allowExtendedMessages(): void {
    this.#octetsMax = EXTENDED_MESSAGE_OCTETS_MAX
  }

  /** Octets that wait for the rest of their message. */
  get waitingOctets(): number {
    return this.#end - this.#at
  }

  /** Takes more of the stream. `chunk` is kept, so the caller must not write to it again. */
  push(chunk: Uint8Array): void {
    const left = this.#end - this.#at
    if (left === 0) {
      this.#bytes = chunk
      this.#at = 0
      this.#end = chunk.length
      this.#isOurs = false
      return
    }
    if (!this.#isOurs || this.#bytes.length - this.#end < chunk.length) {
      const larger = new Uint8Array(Math.max(2 * (left + chunk.length), ROOM_OCTETS))
      larger.set(this.#bytes.subarray(this.#at, this.#end))
      this.#bytes = larger
      this.#at = 0
      this.#end = left
      this.#isOurs = true
    }
    this.#bytes.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /** The next message, or undefined until more is there. After a reset there is only that. */
  next(): Frame | Reset | undefined {
    if (this.#fault !== undefined) return this.#fault
    const bytes = this.#bytes
    const at = this.#at
    if (this.#end - at < HEADER_OCTETS) return undefined
    const fault = headerFault(bytes, at, this.#octetsMax)
    if (fault !== undefined) {
      this.#fault = fault
      return fault
    }
    const end = at + lengthAt(bytes, at)
    if (end > this.#end) return undefined
    this.#at = end
    return { kind: 'frame', type: bytes[at + 18] ?? 0, bytes, start: at + HEADER_OCTETS, end }
  }
}

const lengthAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at + 16] ?? 0) << 8) | (bytes[at + 17] ?? 0)

/** RFC 4271 section 6.1. */
function headerFault(bytes: Uint8Array, at: number, octetsMax: number): Reset | undefined {
  for (let index = at; index < at + MARKER_OCTETS; index++) {
    if (bytes[index] !== 0xff) {
      return reset(ERROR.HEADER, HEADER_ERROR.NOT_SYNCHRONIZED, 'the marker is not all ones')
    }
  }
  const length = lengthAt(bytes, at)
  const type = bytes[at + 18] ?? 0
  const min = OCTETS_MIN[type]
  const isShortType = type === MESSAGE.OPEN || type === MESSAGE.KEEPALIVE
  const max =
    type === MESSAGE.KEEPALIVE ? HEADER_OCTETS : isShortType ? MESSAGE_OCTETS_MAX : octetsMax
  if (length < HEADER_OCTETS || length > octetsMax || (min !== undefined && length < min)) {
    return badLength(bytes, at, `${length} octets, wanted ${min ?? HEADER_OCTETS} to ${max}`)
  }
  if (min === undefined) {
    const data = bytes.slice(at + 18, at + 19)
    return reset(ERROR.HEADER, HEADER_ERROR.BAD_TYPE, `type ${type}, wanted 1 to 5`, data)
  }
  return length > max
    ? badLength(bytes, at, `type ${type} of ${length} octets, wanted at most ${max}`)
    : undefined
}

function badLength(bytes: Uint8Array, at: number, reason: string): Reset {
  return reset(ERROR.HEADER, HEADER_ERROR.BAD_LENGTH, reason, bytes.slice(at + 16, at + 18))
}

/** A message with its header. @throws {RangeError} It is longer than a length field can say. */
export function frameMessage(type: number, body: Uint8Array): Uint8Array {
  const length = HEADER_OCTETS + body.length
  if (length > EXTENDED_MESSAGE_OCTETS_MAX) {
    throw new RangeError(`Cannot frame ${length} octets: wanted at most 65535`)
  }
  const message = new Uint8Array(length)
  writeHeader(message, 0, length, type)
  message.set(body, HEADER_OCTETS)
  return message
}

/** Writes the 19 octets at `at`. */
export function writeHeader(into: Uint8Array, at: number, length: number, type: number): void {
  into.fill(0xff, at, at + MARKER_OCTETS)
  into[at + 16] = length >>> 8
  into[at + 17] = length & 0xff
  into[at + 18] = type
}

/** RFC 4271 section 4.4. */
export const encodeKeepalive = (): Uint8Array => frameMessage(MESSAGE.KEEPALIVE, new Uint8Array(0))
