/**
 * Netlink messages: the 16-byte header, and datagrams that hold several.
 *
 * Source: include/uapi/linux/netlink.h, struct nlmsghdr.
 *
 * @module
 */
import { DecodeError } from './errors.ts'
import { aligned, HOST_LITTLE } from './writer.ts'

/** Bytes of a header: length u32, type u16, flags u16, sequence u32, port u32. */
export const HEADER_BYTES = 16

/** Offsets of the header's fields. */
export const HEADER = { length: 0, type: 4, flags: 6, seq: 8, pid: 12 } as const

/** Message types every netlink family has. */
export const NLMSG = { noop: 1, error: 2, done: 3, overrun: 4 } as const

/** Flags of a header. */
export const NLM_F = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  echo: 0x8,
  dumpIntr: 0x10,
  dumpFiltered: 0x20,
  // requests that read
  root: 0x100,
  match: 0x200,
  dump: 0x300,
  // requests that write
  replace: 0x100,
  excl: 0x200,
  create: 0x400,
  append: 0x800,
  // acknowledgements
  capped: 0x100,
  ackTlvs: 0x200,
} as const

/** One message. `body` is a view into the datagram, not a copy. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly seq: number
  readonly pid: number
  readonly body: Uint8Array
}

/** A view over bytes, wherever they lie in their buffer. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * Calls `visit` with the place of every message of the datagram in the first
 * `end` bytes of `view`: no allocation per message.
 *
 * @throws {DecodeError} A header cut short, or a length outside the datagram.
 */
export function eachMessage(
  view: DataView,
  end: number,
  visit: (offset: number, length: number) => void,
): void {
  for (let offset = 0; offset < end; ) {
    const left = end - offset
    if (left < HEADER_BYTES) {
      throw new DecodeError('message header', offset, `${HEADER_BYTES} bytes`, left)
    }
    const length = view.getUint32(offset, HOST_LITTLE)
    if (length < HEADER_BYTES || length > left) {
      throw new DecodeError('message length', offset, `${HEADER_BYTES}..${left}`, length)
    }
    visit(offset, length)
    offset += aligned(length)
  }
}

/** Reads the message at `offset`; the caller has checked that it is there. */
export function messageAt(view: DataView, offset: number, length: number): Message {
  return {
    type: view.getUint16(offset + HEADER.type, HOST_LITTLE),
    flags: view.getUint16(offset + HEADER.flags, HOST_LITTLE),
    seq: view.getUint32(offset + HEADER.seq, HOST_LITTLE),
    pid: view.getUint32(offset + HEADER.pid, HOST_LITTLE),
    body: new Uint8Array(
      view.buffer,
      view.byteOffset + offset + HEADER_BYTES,
      length - HEADER_BYTES,
    ),
  }
}

/**
 * The messages of a datagram.
 *
 * @throws {DecodeError} As `eachMessage`.
 */
export function splitMessages(datagram: Uint8Array): Message[] {
  const view = viewOf(datagram)
  const messages: Message[] = []
  eachMessage(view, view.byteLength, (offset, length) =>
    messages.push(messageAt(view, offset, length)),
  )
  return messages
}

/** Joins messages into one datagram, each padded to a multiple of 4. */
export function joinMessages(messages: readonly Message[]): Uint8Array {
  const size = messages.reduce((sum, { body }) => sum + aligned(HEADER_BYTES + body.length), 0)
  const bytes = new Uint8Array(size)
  const view = viewOf(bytes)
  let offset = 0
  for (const { type, flags, seq, pid, body } of messages) {
    const length = HEADER_BYTES + body.length
    view.setUint32(offset + HEADER.length, length, HOST_LITTLE)
    view.setUint16(offset + HEADER.type, type, HOST_LITTLE)
    view.setUint16(offset + HEADER.flags, flags, HOST_LITTLE)
    view.setUint32(offset + HEADER.seq, seq, HOST_LITTLE)
    view.setUint32(offset + HEADER.pid, pid, HOST_LITTLE)
    bytes.set(body, offset + HEADER_BYTES)
    offset += aligned(length)
  }
  return bytes
}
