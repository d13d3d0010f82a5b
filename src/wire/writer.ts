/**
 * A growing buffer that integers and byte runs are appended to.
 *
 * Byte order is part of every method's name, as in `reader.ts`. A value out of
 * range is our own mistake and throws; it is never cut to fit.
 *
 * @module
 */

const ROOM_BYTES_FIRST = 64

/** Appends to a buffer. Every method returns the writer, so that calls chain. */
export class Writer {
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  /** @param roomBytes Bytes to make room for at once; more is always possible. */
  constructor(roomBytes: number = ROOM_BYTES_FIRST) {
    this.#bytes = new Uint8Array(Math.max(roomBytes, 1))
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** @throws {RangeError} `value` is not a whole number of 8 bits; likewise below. */
  u8(value: number): this {
    inRange(value, 0xff)
    const start = this.#grow(1)
    this.#view.setUint8(start, value)
    return this
  }

  u16be(value: number): this {
    inRange(value, 0xffff)
    const start = this.#grow(2)
    this.#view.setUint16(start, value)
    return this
  }

  u16le(value: number): this {
    inRange(value, 0xffff)
    const start = this.#grow(2)
    this.#view.setUint16(start, value, true)
    return this
  }

  u32be(value: number): this {
    inRange(value, 0xffff_ffff)
    const start = this.#grow(4)
    this.#view.setUint32(start, value)
    return this
  }

  u32le(value: number): this {
    inRange(value, 0xffff_ffff)
    const start = this.#grow(4)
    this.#view.setUint32(start, value, true)
    return this
  }

  u64be(value: bigint): this {
    inRange64(value)
    const start = this.#grow(8)
    this.#view.setBigUint64(start, value)
    return this
  }

  u64le(value: bigint): this {
    inRange64(value)
    const start = this.#grow(8)
    this.#view.setBigUint64(start, value, true)
    return this
  }

  /** Appends a copy of `bytes`. */
  bytes(bytes: Uint8Array): this {
    const start = this.#grow(bytes.length)
    this.#bytes.set(bytes, start)
    return this
  }

  /** What was written, as a view; writing on does not change it. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /**
   * Makes room for `count` bytes and returns where they start. It may replace the
   * buffer, so it stands in a statement of its own, before the buffer is named.
   */
  #grow(count: number): number {
    const start = this.#length
    this.#length += count
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return start
  }
}

function inRange(value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`Cannot write ${value}: it is not a whole number from 0 to ${max}`)
  }
}

function inRange64(value: bigint): void {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) {
    throw new RangeError(`Cannot write ${value}: it does not fit in 64 unsigned bits`)
  }
}
