/**
 * A growing buffer that messages are written into.
 *
 * One writer is reused for every message, so encoding a route costs one
 * allocation: the finished copy.
 *
 * @module
 */

/** Whether this machine is little-endian: netlink headers are in host order. */
export const HOST_LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

const CAPACITY_BYTES_START = 1024
const ATTR_HEADER_BYTES = 4
const ATTR_BYTES_MAX = 0xffff
/** Up to here a loop copies faster than a call of set. */
const SHORT_BYTES = 32

/** Rounds up to a multiple of four. Source: NLMSG_ALIGN and NLA_ALIGN. */
export const aligned = (bytes: number): number => (bytes + 3) & ~3

/** Append-only bytes. `bytes` and `view` change identity when the buffer grows. */
export class Writer {
  bytes = new Uint8Array(CAPACITY_BYTES_START)
  view = new DataView(this.bytes.buffer)
  length = 0

  /** Appends `count` zero bytes and returns the offset of the first. */
  reserve(count: number): number {
    const start = this.length
    const end = start + count
    if (end > this.bytes.length) this.#grow(end)
    // A loop: for the few bytes of a field it beats the call of fill.
    for (let i = start; i < end; i++) this.bytes[i] = 0
    this.length = end
    return start
  }

  u8(value: number): void {
    this.view.setUint8(this.reserve(1), value)
  }

  u16(value: number): void {
    this.view.setUint16(this.reserve(2), value, HOST_LITTLE)
  }

  u32(value: number): void {
    this.view.setUint32(this.reserve(4), value, HOST_LITTLE)
  }

  append(bytes: Uint8Array): void {
    const start = this.reserve(bytes.length)
    if (bytes.length > SHORT_BYTES) this.bytes.set(bytes, start)
    else for (let i = 0; i < bytes.length; i++) this.bytes[start + i] = bytes[i]!
  }

  /** Opens an attribute; the payload follows. Returns the mark for `endAttr`. */
  beginAttr(type: number): number {
    const start = this.reserve(ATTR_HEADER_BYTES)
    this.view.setUint16(start + 2, type, HOST_LITTLE)
    return start
  }

  /**
   * Closes an attribute: writes its length and the padding.
   *
   * @throws {RangeError} The payload is longer than a u16 can say.
   */
  endAttr(start: number): void {
    const length = this.length - start
    if (length > ATTR_BYTES_MAX) {
      throw new RangeError(
        `Cannot encode an attribute of ${length} bytes, at most ${ATTR_BYTES_MAX}`,
      )
    }
    this.view.setUint16(start, length, HOST_LITTLE)
    this.reserve(aligned(length) - length)
  }

  /** A copy of everything written. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }

  #grow(needed: number): void {
    let capacity = this.bytes.length
    while (capacity < needed) capacity *= 2
    const bigger = new Uint8Array(capacity)
    bigger.set(this.bytes)
    this.bytes = bigger
    this.view = new DataView(bigger.buffer)
  }
}
