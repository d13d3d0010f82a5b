/**
 * Prefixes of one turn, gathered by what is to be said of them and to whom, and
 * written as messages hold them.
 *
 * All prefixes of a turn lie in one buffer. A prefix that waits costs 12 bytes.
 *
 * @module
 */
import type { NlriSlice } from '../nlri.ts'
import { grown, ROWS_MIN } from './columns.ts'
import type { PrefixTable } from './prefix-table.ts'

/** The end of a list. */
const NOTHING = -1

/** Prefixes of which the same is said. */
export interface Parcel<Key> {
  readonly key: Key
  readonly hasPathIds: boolean
  count: number
  octets: number
  first: number
  last: number
}

export class Packer<Key> {
  readonly #table: PrefixTable
  #parcels: Parcel<Key>[] = []
  #prefix = new Int32Array(ROWS_MIN)
  #pathId = new Uint32Array(ROWS_MIN)
  #next = new Int32Array(ROWS_MIN)
  #count = 0

  constructor(table: PrefixTable) {
    this.#table = table
  }

  /** Parcels come out in the order in which they were opened. */
  open(key: Key, hasPathIds: boolean): Parcel<Key> {
    const parcel = { key, hasPathIds, count: 0, octets: 0, first: NOTHING, last: NOTHING }
    this.#parcels.push(parcel)
    return parcel
  }

  add(parcel: Parcel<Key>, prefix: number, pathId: number): void {
    const at = this.#count++
    if (at === this.#prefix.length) {
      this.#prefix = grown(this.#prefix, 2 * at)
      this.#pathId = grown(this.#pathId, 2 * at)
      this.#next = grown(this.#next, 2 * at)
    }
    this.#prefix[at] = prefix
    this.#pathId[at] = pathId
    this.#next[at] = NOTHING
    if (parcel.last === NOTHING) parcel.first = at
    else this.#next[parcel.last] = at
    parcel.last = at
    parcel.count++
    parcel.octets += this.#table.octetsOf(prefix) + (parcel.hasPathIds ? 4 : 0)
  }

  /** Everything gathered since the last call. Prefixes must still have their numbers. */
  flush(): readonly { readonly key: Key; readonly prefixes: NlriSlice; readonly count: number }[] {
    const parcels = this.#parcels
    let octets = 0
    for (const parcel of parcels) octets += parcel.octets
    const bytes = new Uint8Array(octets)
    let at = 0
    const { family } = this.#table
    const packed = parcels.map(({ key, count, hasPathIds, first }) => {
      const start = at
      for (let row = first; row !== NOTHING; row = this.#next[row]!) {
        if (hasPathIds) at = writePathId(bytes, at, this.#pathId[row]!)
        at = this.#table.write(this.#prefix[row]!, bytes, at)
      }
      return { key, count, prefixes: { family, bytes, start, end: at, hasPathIds } }
    })
    this.#parcels = []
    this.#count = 0
    return packed
  }
}

/** Big-endian, as RFC 7911 section 3 has it. */
export function readPathId(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}

function writePathId(bytes: Uint8Array, at: number, pathId: number): number {
  bytes[at] = pathId >>> 24
  bytes[at + 1] = pathId >>> 16
  bytes[at + 2] = pathId >>> 8
  bytes[at + 3] = pathId
  return at + 4
}
