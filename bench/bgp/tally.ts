/**
 * What a peer has been told so far, counted as it comes in.
 */
import type { NlriSlice } from '../../src/bgp/nlri.ts'
import type { Frame } from '../../src/bgp/wire/framing.ts'
import { decodeUpdate } from '../../src/bgp/wire/update.ts'
import { CONTEXT, numberAt, PREFIXES_MAX, VERSION_ASN } from './streams.ts'

const AS_PATH = 2
const EXTENDED_LENGTH = 0x10
const LAST_ASN_OCTETS = 4

export class Tally {
  /** Prefixes announced and not withdrawn since. */
  live = 0
  updates = 0
  /** Announced prefixes by the version in their path, counted when asked for. */
  readonly byVersion: number[] | undefined
  /** A bit a prefix; without it what is said twice counts twice. */
  readonly #known: Uint8Array | undefined

  constructor(isExact: boolean, countsVersions: boolean) {
    this.#known = isExact ? new Uint8Array(PREFIXES_MAX / 8) : undefined
    this.byVersion = countsVersions ? [] : undefined
  }

  /** @throws {Error} An UPDATE that cannot be read. */
  take({ bytes, start, end }: Frame): void {
    const decoded = decodeUpdate(bytes, start, end, CONTEXT)
    if (decoded.kind !== 'update') {
      throw new Error(`Cannot read an UPDATE: ${JSON.stringify(decoded)}`)
    }
    this.updates++
    for (const { withdrawn, announced, attributes } of decoded.updates) {
      for (const slice of withdrawn) this.#count(slice, false)
      for (const slice of announced) {
        const count = this.#count(slice, true)
        if (this.byVersion === undefined || attributes === undefined) continue
        const version = versionIn(attributes.bytes, attributes.start, attributes.end)
        this.byVersion[version] = (this.byVersion[version] ?? 0) + count
      }
    }
  }

  #count({ bytes, start, end }: NlriSlice, isThere: boolean): number {
    let count = 0
    for (let at = start; at < end; at += 4) {
      if (bytes[at] !== 24) throw new Error(`Cannot count a prefix of ${bytes[at]} bits: wanted 24`)
      count++
      if (this.#known === undefined) {
        this.live += isThere ? 1 : -1
        continue
      }
      const number = numberAt(bytes, at + 1)
      const bit = 1 << (number & 7)
      const was = (this.#known[number >>> 3]! & bit) !== 0
      if (was === isThere) continue
      this.#known[number >>> 3]! ^= bit
      this.live += isThere ? 1 : -1
    }
    return count
  }
}

/** What the last AS of the path says. */
function versionIn(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; ) {
    const isLong = (bytes[at]! & EXTENDED_LENGTH) !== 0
    const value = at + (isLong ? 4 : 3)
    const length = isLong ? (bytes[at + 2]! << 8) | bytes[at + 3]! : bytes[at + 2]!
    if (bytes[at + 1] === AS_PATH) {
      const last = value + length - LAST_ASN_OCTETS
      const view = new DataView(bytes.buffer, bytes.byteOffset + last, LAST_ASN_OCTETS)
      return view.getUint32(0) - VERSION_ASN
    }
    at = value + length
  }
  return -1
}
