/**
 * Columns whose length is not known before.
 *
 * @module
 */
const FIRST_ROOM = 256

type Column = Int32Array | Float64Array | Uint32Array

/** Numbers in a row, twice the room whenever there is none. */
export class Growing<T extends Column> {
  length = 0
  /** The first `length` count. Another array after a `push`. */
  values: T

  private readonly make: (room: number) => T

  constructor(make: (room: number) => T) {
    this.make = make
    this.values = make(FIRST_ROOM)
  }

  push(value: number): void {
    if (this.length === this.values.length) {
      const wider = this.make(2 * this.length)
      wider.set(this.values)
      this.values = wider
    }
    this.values[this.length++] = value
  }

  get bytes(): number {
    return this.values.byteLength
  }
}

/** A set of small numbers. */
export class Bits {
  private words: Uint32Array

  constructor(words = new Uint32Array(FIRST_ROOM)) {
    this.words = words
  }

  /** @returns whether it was not in there. */
  add(number: number): boolean {
    const at = number >>> 5
    while (at >= this.words.length) {
      const wider = new Uint32Array(2 * this.words.length)
      wider.set(this.words)
      this.words = wider
    }
    const mask = 1 << (number & 31)
    if ((this.words[at]! & mask) !== 0) return false
    this.words[at]! |= mask
    return true
  }

  has(number: number): boolean {
    return ((this.words[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0
  }

  copy(): Bits {
    return new Bits(this.words.slice())
  }

  get bytes(): number {
    return this.words.byteLength
  }
}

export const ints = (): Growing<Int32Array> => new Growing((room) => new Int32Array(room))
export const numbers = (): Growing<Float64Array> => new Growing((room) => new Float64Array(room))
