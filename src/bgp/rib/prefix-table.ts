/**
 * Prefixes of one family by small numbers, and back. What else is known of a
 * prefix lies in columns under its number.
 *
 * A prefix costs its address (4 or 16 bytes), its length and 8 to 16 bytes of
 * the hash table. Numbers of removed prefixes are given again.
 *
 * @module
 */
import {
  ipFromInteger,
  ipToInteger,
  networkAddress,
  type Prefix,
  prefixLength,
} from '../../net/mod.ts'
import type { Family } from '../nlri.ts'
import { grown, mixed, ROWS_MIN } from './columns.ts'

const EMPTY = -1
const FREE_LENGTH = 255

/** Bits of an address. */
export const FAMILY_BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 }

/**
 * Look-ups are in two parts: `read` takes a prefix into the table's hands, `find`
 * and `add` speak about that one. So nothing is allocated for a prefix of a message.
 */
export class PrefixTable {
  readonly family: Family
  readonly words: 1 | 4
  /** One past the largest number given so far; columns must reach so far. */
  end = 0
  /** Prefixes in the table. */
  size = 0
  #slots = new Int32Array(2 * ROWS_MIN).fill(EMPTY)
  #address: Int32Array
  #length = new Uint8Array(ROWS_MIN)
  #free = EMPTY
  /** The prefix in hand. */
  readonly #word = new Int32Array(4)
  #bits = 0

  constructor(family: Family) {
    this.family = family
    this.words = family === 'ipv4' ? 1 : 4
    this.#address = new Int32Array(ROWS_MIN * this.words)
  }

  get bytes(): number {
    return this.#slots.byteLength + this.#address.byteLength + this.#length.byteLength
  }

  /** Numbers that fit before the columns grow again. */
  get capacity(): number {
    return this.#length.length
  }

  has(id: number): boolean {
    return id < this.end && this.#length[id] !== FREE_LENGTH
  }

  lengthOf(id: number): number {
    return this.#length[id]!
  }

  /** Reads length and address at `at` (RFC 4271 section 4.3) and returns the place after them. */
  read(bytes: Uint8Array, at: number): number {
    const bits = bytes[at]!
    const end = at + 1 + ((bits + 7) >>> 3)
    let from = at + 1
    for (let word = 0; word < this.words; word++) {
      let value = 0
      for (let octet = 0; octet < 4; octet++, from++) {
        value = (value << 8) | (from < end ? bytes[from]! : 0)
      }
      this.#word[word] = value
    }
    this.cut(bits)
    return end
  }

  /** Takes another prefix of this table in hand, shortened to `bits`. */
  readId(table: PrefixTable, id: number, bits: number): void {
    for (let word = 0; word < this.words; word++) {
      this.#word[word] = table.#address[id * this.words + word]!
    }
    this.cut(bits)
  }

  readPrefix(prefix: Prefix): void {
    if (this.words === 1) {
      this.#word[0] = wordOf(prefix)
      this.cut(prefixLength(prefix))
      return
    }
    let value = ipToInteger(networkAddress(prefix))
    for (let word = this.words - 1; word >= 0; word--) {
      this.#word[word] = Number(value & 0xffff_ffffn) | 0
      value >>= 32n
    }
    this.#bits = prefixLength(prefix)
  }

  /** Shortens the prefix in hand. */
  cut(bits: number): void {
    this.#bits = bits
    for (let word = 0; word < this.words; word++) {
      const kept = bits - 32 * word
      if (kept <= 0) this.#word[word] = 0
      else if (kept < 32) this.#word[word]! &= -1 << (32 - kept)
    }
  }

  /** The number of the prefix in hand, or -1. */
  find(): number {
    const mask = this.#slots.length - 1
    let slot = this.#hash() & mask
    for (;;) {
      const id = this.#slots[slot]!
      if (id === EMPTY || this.#isInHand(id)) return id
      slot = (slot + 1) & mask
    }
  }

  /** The number of the prefix in hand, a new one if it has none. */
  add(): number {
    const mask = this.#slots.length - 1
    let slot = this.#hash() & mask
    for (;;) {
      const id = this.#slots[slot]!
      if (id === EMPTY) break
      if (this.#isInHand(id)) return id
      slot = (slot + 1) & mask
    }
    const id = this.#take()
    for (let word = 0; word < this.words; word++) {
      this.#address[id * this.words + word] = this.#word[word]!
    }
    this.#length[id] = this.#bits
    this.#slots[slot] = id
    this.size++
    if (2 * this.size > this.#slots.length) this.#rehash()
    return id
  }

  /** Gives the number back. */
  remove(id: number): void {
    const mask = this.#slots.length - 1
    let gap = this.#hashOf(id) & mask
    while (this.#slots[gap] !== id) gap = (gap + 1) & mask
    for (let at = (gap + 1) & mask; this.#slots[at] !== EMPTY; at = (at + 1) & mask) {
      const home = this.#hashOf(this.#slots[at]!) & mask
      if (((at - home) & mask) < ((at - gap) & mask)) continue
      this.#slots[gap] = this.#slots[at]!
      gap = at
    }
    this.#slots[gap] = EMPTY
    this.#length[id] = FREE_LENGTH
    this.#address[id * this.words] = this.#free
    this.#free = id
    this.size--
  }

  /** Octets of the prefix in a message. */
  octetsOf(id: number): number {
    return 1 + ((this.#length[id]! + 7) >>> 3)
  }

  /** Writes it as `read` reads it and returns the place after it. */
  write(id: number, bytes: Uint8Array, at: number): number {
    const length = this.#length[id]!
    const end = at + 1 + ((length + 7) >>> 3)
    bytes[at] = length
    for (let to = at + 1, octet = 0; to < end; to++, octet++) {
      const word = this.#address[id * this.words + (octet >>> 2)]!
      bytes[to] = word >>> (24 - 8 * (octet & 3))
    }
    return end
  }

  /** As text, for people and planners. */
  prefixOf(id: number): Prefix {
    if (this.words === 1) return `${dotted(this.#address[id]!)}/${this.#length[id]}` as Prefix
    let value = 0n
    for (let word = 0; word < this.words; word++) {
      value = (value << 32n) | BigInt(this.#address[id * this.words + word]! >>> 0)
    }
    return `${ipFromInteger(6, value)}/${this.#length[id]}` as Prefix
  }

  #hash(): number {
    let hash = this.#bits
    for (let word = 0; word < this.words; word++) hash = mixed(hash ^ this.#word[word]!)
    return hash
  }

  #hashOf(id: number): number {
    let hash: number = this.#length[id]!
    const at = id * this.words
    for (let word = 0; word < this.words; word++) hash = mixed(hash ^ this.#address[at + word]!)
    return hash
  }

  #isInHand(id: number): boolean {
    if (this.#length[id] !== this.#bits) return false
    const at = id * this.words
    for (let word = 0; word < this.words; word++) {
      if (this.#address[at + word] !== this.#word[word]) return false
    }
    return true
  }

  #take(): number {
    if (this.#free !== EMPTY) {
      const id = this.#free
      this.#free = this.#address[id * this.words]!
      return id
    }
    if (this.end === this.#length.length) {
      this.#length = grown(this.#length, 2 * this.end)
      this.#address = grown(this.#address, 2 * this.end * this.words)
    }
    return this.end++
  }

  #rehash(): void {
    this.#slots = new Int32Array(2 * this.#slots.length).fill(EMPTY)
    const mask = this.#slots.length - 1
    for (let id = 0; id < this.end; id++) {
      if (this.#length[id] === FREE_LENGTH) continue
      let slot = this.#hashOf(id) & mask
      while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & mask
      this.#slots[slot] = id
    }
  }
}

const dotted = (word: number): string =>
  `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`

/** The address of an IPv4 prefix. */
function wordOf(prefix: Prefix): number {
  let word = 0
  let octet = 0
  for (let at = 0; ; at++) {
    const unit = prefix.charCodeAt(at)
    if (unit >= 0x30) octet = octet * 10 + unit - 0x30
    else {
      word = (word << 8) | octet
      octet = 0
      // A slash; a dot is 0x2e.
      if (unit === 0x2f) return word
    }
  }
}
