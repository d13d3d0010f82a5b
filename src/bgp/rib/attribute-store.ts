/**
 * Sets of path attributes by small numbers, each kept as long as something holds it.
 *
 * Three kinds, each a store of its own, so that what is worked out of one another
 * never holds itself: as received (`RawStore`, by bytes), after import policy and
 * as sent (`AttributeStore`, by meaning). 0 is no set.
 *
 * @module
 */
import { invariant } from '../../errors.ts'
import type { AttributeBytes, Attributes } from '../attributes.ts'
import { hashOfAttributes, sameAttributes } from './attribute-identity.ts'
import { grown, HashIndex, mixed, ROWS_MIN } from './columns.ts'

/** The number that means none. */
export const NO_ATTRIBUTES = 0

/** What both kinds share: numbers, counts of holders, a hash index. */
abstract class Interned {
  protected readonly index = new HashIndex()
  protected hashes = new Int32Array(ROWS_MIN)
  #holders = new Int32Array(ROWS_MIN)
  readonly #free: number[] = []
  /** One past the largest number given so far. */
  end = 1

  /** Sets that are kept now. */
  get size(): number {
    return this.end - 1 - this.#free.length
  }

  get bytes(): number {
    return this.index.bytes + this.hashes.byteLength + this.#holders.byteLength
  }

  hold(id: number): void {
    this.#holders[id]!++
  }

  /** The last holder takes the set along. */
  release(id: number): void {
    const left = --this.#holders[id]!
    if (left > 0) return
    invariant(left === 0, 'attributes were released more often than held')
    this.index.remove(id, this.hashes)
    this.clear(id)
    this.#free.push(id)
  }

  /** Becomes what the other one is, with as many holders of each set. */
  copyFrom(other: Interned): void {
    this.index.copyFrom(other.index)
    this.hashes = other.hashes.slice()
    this.#holders = other.#holders.slice()
    for (const id of other.#free) this.#free.push(id)
    this.end = other.end
  }

  /** A number for a new set, which nobody holds yet. */
  protected take(hash: number): number {
    const id = this.#free.pop() ?? this.end++
    if (id >= this.hashes.length) {
      const length = 2 * this.hashes.length
      this.hashes = grown(this.hashes, length)
      this.#holders = grown(this.#holders, length)
      this.growColumns(length)
    }
    this.hashes[id] = hash
    this.index.add(id, this.hashes)
    return id
  }

  protected abstract clear(id: number): void
  protected abstract growColumns(length: number): void
}

/** What the octets mean in the session's context; undefined: treat as withdraw (RFC 7606 section 2). */
export type Decode = (bytes: AttributeBytes) => Attributes | undefined

/** Sets as they came, by context and bytes: decoded when they are met for the first time. */
export class RawStore extends Interned {
  readonly #bytes: (Uint8Array | undefined)[] = []
  readonly #nextHops: (Uint8Array | undefined)[] = []
  readonly #attributes: (Attributes | undefined)[] = []
  #contexts = new Int32Array(ROWS_MIN)
  readonly #onGone: (id: number) => void

  /** `onGone`: what else is known of the number goes, too. */
  constructor(onGone: (id: number) => void) {
    super()
    this.#onGone = onGone
  }

  /** The number of this set; a new one is nobody's until it is held. None when `decode` says so. */
  intern(context: number, from: AttributeBytes, decode: Decode): number {
    const hash = hashOfBytes(context, from)
    let slot = this.index.first(hash)
    for (let id = this.index.rowAt(slot); id >= 0; id = this.index.rowAt(slot)) {
      if (this.hashes[id] === hash && this.#isSame(id, context, from)) return id
      slot = this.index.next(slot)
    }
    // Before the number is taken: what throws leaves nothing behind.
    const attributes = decode(from)
    if (attributes === undefined) return NO_ATTRIBUTES
    const id = this.take(hash)
    this.#bytes[id] = from.bytes.slice(from.start, from.end)
    this.#nextHops[id] = from.nextHop?.slice()
    this.#attributes[id] = attributes
    this.#contexts[id] = context
    return id
  }

  /** The same set in another context, for when a peer's import policy changes. */
  moved(id: number, context: number): number {
    const bytes = this.#bytes[id]!
    const nextHop = this.#nextHops[id]
    const from = { bytes, start: 0, end: bytes.length, ...(nextHop && { nextHop }) }
    return this.intern(context, from, () => this.attributesOf(id))
  }

  attributesOf(id: number): Attributes {
    return this.#attributes[id]!
  }

  contextOf(id: number): number {
    return this.#contexts[id]!
  }

  protected clear(id: number): void {
    this.#onGone(id)
    this.#bytes[id] = undefined
    this.#nextHops[id] = undefined
    this.#attributes[id] = undefined
  }

  protected growColumns(length: number): void {
    this.#contexts = grown(this.#contexts, length)
  }

  #isSame(id: number, context: number, from: AttributeBytes): boolean {
    if (this.#contexts[id] !== context) return false
    const bytes = this.#bytes[id]!
    if (bytes.length !== from.end - from.start) return false
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] !== from.bytes[from.start + at]) return false
    }
    const nextHop = this.#nextHops[id]
    if (nextHop === undefined || from.nextHop === undefined) return nextHop === from.nextHop
    return (
      nextHop.length === from.nextHop.length && nextHop.every((b, at) => b === from.nextHop![at])
    )
  }
}

function hashOfBytes(context: number, { bytes, start, end, nextHop }: AttributeBytes): number {
  let hash = mixed(context)
  for (let at = start; at < end; at++) {
    hash = Math.imul(hash ^ bytes[at]!, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  for (const octet of nextHop ?? []) hash = Math.imul(hash ^ octet, 0x5f356495)
  return mixed(hash)
}

/**
 * Sets by what they mean. `tag` keeps equal attributes of different origin apart;
 * what else is worked out of a set lies in the columns of who extends this.
 */
export class AttributeStore extends Interned {
  readonly #attributes: (Attributes | undefined)[] = []
  #tags = new Int32Array(ROWS_MIN)

  /** The number of this set; a new one is nobody's until it is held. */
  intern(attributes: Attributes, tag: number): number {
    const hash = hashOfAttributes(attributes) ^ tag
    let slot = this.index.first(hash)
    for (let id = this.index.rowAt(slot); id >= 0; id = this.index.rowAt(slot)) {
      if (
        this.hashes[id] === hash &&
        this.#tags[id] === tag &&
        sameAttributes(this.#attributes[id]!, attributes)
      ) {
        return id
      }
      slot = this.index.next(slot)
    }
    const id = this.take(hash)
    this.#attributes[id] = Object.freeze(attributes)
    this.#tags[id] = tag
    this.added(id, attributes, tag)
    return id
  }

  override copyFrom(other: AttributeStore): void {
    super.copyFrom(other)
    for (let id = 1; id < other.end; id++) this.#attributes[id] = other.#attributes[id]
    this.#tags = other.#tags.slice()
  }

  attributesOf(id: number): Attributes {
    return this.#attributes[id]!
  }

  tagOf(id: number): number {
    return this.#tags[id]!
  }

  protected added(_id: number, _attributes: Attributes, _tag: number): void {}

  protected clear(id: number): void {
    this.#attributes[id] = undefined
  }

  protected growColumns(length: number): void {
    this.#tags = grown(this.#tags, length)
  }
}
