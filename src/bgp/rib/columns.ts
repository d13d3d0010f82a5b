/**
 * Columns: a table as one typed array a field, so that a row costs what its
 * numbers cost and a walk over one field reads nothing else.
 *
 * @module
 */

type Column = Int32Array | Uint32Array | Uint16Array | Uint8Array

/** Rows of a new table; it doubles when it is full. */
export const ROWS_MIN = 64

/** The column with room for `length` numbers, zero where they are new. */
export function grown<T extends Column>(column: T, length: number): T {
  const larger = new (column.constructor as new (length: number) => T)(length)
  larger.set(column)
  return larger
}

const EMPTY = -1

/**
 * Row numbers by a 32-bit hash that the table keeps itself: open addressing with
 * linear probing, at most half full. The caller compares the rows.
 */
export class HashIndex {
  #slots = new Int32Array(2 * ROWS_MIN).fill(EMPTY)
  #count = 0

  get bytes(): number {
    return this.#slots.byteLength
  }

  /** Where to look first; then `next` until `rowAt` is negative. */
  first(hash: number): number {
    return hash & (this.#slots.length - 1)
  }

  next(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1)
  }

  /** The row there, or -1: nothing with this hash is further on. */
  rowAt(slot: number): number {
    return this.#slots[slot]!
  }

  /** `hashes` are those of all rows, the new one's too. */
  add(row: number, hashes: Int32Array): void {
    this.#count++
    if (2 * this.#count > this.#slots.length) this.#rehash(hashes)
    this.#place(row, hashes[row]!)
  }

  /** Closes the gap, so that no probe ends early. */
  remove(row: number, hashes: Int32Array): void {
    const mask = this.#slots.length - 1
    let gap = this.first(hashes[row]!)
    while (this.#slots[gap] !== row) gap = (gap + 1) & mask
    for (let at = (gap + 1) & mask; this.#slots[at] !== EMPTY; at = (at + 1) & mask) {
      const home = this.first(hashes[this.#slots[at]!]!)
      if (((at - home) & mask) < ((at - gap) & mask)) continue
      this.#slots[gap] = this.#slots[at]!
      gap = at
    }
    this.#slots[gap] = EMPTY
    this.#count--
  }

  /** Becomes what the other one is. */
  copyFrom(other: HashIndex): void {
    this.#slots = other.#slots.slice()
    this.#count = other.#count
  }

  #place(row: number, hash: number): void {
    let slot = this.first(hash)
    while (this.#slots[slot] !== EMPTY) slot = this.next(slot)
    this.#slots[slot] = row
  }

  #rehash(hashes: Int32Array): void {
    const rows = this.#slots
    this.#slots = new Int32Array(2 * rows.length).fill(EMPTY)
    for (const row of rows) if (row !== EMPTY) this.#place(row, hashes[row]!)
  }
}

/** MurmurHash3's finalizer: every bit of the input moves half of the output's. */
export function mixed(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
