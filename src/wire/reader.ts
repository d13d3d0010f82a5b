/**
 * A cursor that reads integers and byte runs, checked against the end.
 *
 * Byte order is part of every method's name: `be` is network order, `le` is
 * little-endian. Nothing is copied: `bytes` returns views of the input.
 *
 * @module
 */

/** Bytes that are not what the protocol says they should be. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
  readonly code = 'WIRE_DECODE'
  /** Where in the buffer, in bytes from its start. */
  readonly offset: number

  constructor(what: string, offset: number, expected: string, actual: string) {
    super(`Cannot decode ${what} at byte ${offset}: expected ${expected}, got ${actual}`)
    this.offset = offset
  }
}

/** Reads from the start of a buffer to its end. Every method throws {@linkcode DecodeError}. */
export class Reader {
  readonly #view: DataView
  readonly #bytes: Uint8Array
  readonly #what: string
  #offset = 0

  /** @param what What is being read, for the messages of errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#bytes = bytes
    this.#what = what
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset
  }

  /** Bytes left. */
  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u16be(): number {
    return this.#view.getUint16(this.#take(2))
  }

  u16le(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  u32be(): number {
    return this.#view.getUint32(this.#take(4))
  }

  u32le(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  u64be(): bigint {
    return this.#view.getBigUint64(this.#take(8))
  }

  u64le(): bigint {
    return this.#view.getBigUint64(this.#take(8), true)
  }

  /** The next `count` bytes, as a view of the input. */
  bytes(count: number): Uint8Array {
    const start = this.#take(count)
    return this.#bytes.subarray(start, start + count)
  }

  /** Passes over `count` bytes. */
  skip(count: number): void {
    this.#take(count)
  }

  /** Throws unless everything was read. */
  expectEnd(): void {
    if (this.remaining > 0) throw this.error('the end', `${this.remaining} more bytes`)
  }

  /** An error about the byte at `offset`, by default the next one. */
  error(expected: string, actual: string, offset: number = this.#offset): DecodeError {
    return new DecodeError(this.#what, offset, expected, actual)
  }

  /** Moves past `count` bytes and returns where they start. */
  #take(count: number): number {
    if (count > this.remaining) throw this.error(`${count} bytes`, `${this.remaining}`)
    const start = this.#offset
    this.#offset += count
    return start
  }
}
