/**
 * Prefixes in octets: checked, counted, read and written (RFC 4271 section 4.3, RFC 7911).
 *
 * @module
 */
import { networkAddress, type Prefix, prefixFamily, prefixLength, prefixOf } from '../../net/mod.ts'
import type { Family, NlriSlice } from '../nlri.ts'
import { FAMILY_BITS } from './iana.ts'
import { ip4At, ip6At, ipOctets, u32 } from './octets.ts'

/** A prefix with its path identifier, which is there where the session has ADD-PATH. */
export interface PathPrefix {
  readonly prefix: Prefix
  readonly pathId?: number
}

/** Octets of a path identifier. */
const PATH_ID_OCTETS = 4

/** What is wrong with the prefixes of a slice, or undefined: RFC 7606 section 5.3. */
export function nlriFault(slice: NlriSlice): string | undefined {
  const { bytes, end, hasPathIds } = slice
  const bits = FAMILY_BITS[slice.family]
  const before = hasPathIds ? PATH_ID_OCTETS : 0
  let at = slice.start
  while (at < end) {
    at += before
    if (at >= end) return 'a prefix is cut off'
    const length = bytes[at] ?? 0
    if (length > bits) return `a prefix of ${length} bits, wanted at most ${bits}`
    at += 1 + ((length + 7) >>> 3)
  }
  return at === end ? undefined : 'a prefix is cut off'
}

/** The prefixes, bits behind their length cleared. */
export function prefixesOf(slice: NlriSlice): readonly PathPrefix[] {
  const { bytes, end, hasPathIds } = slice
  const isIp4 = slice.family === 'ipv4'
  const found: PathPrefix[] = []
  const address = new Uint8Array(isIp4 ? 4 : 16)
  let at = slice.start
  while (at < end) {
    const pathId = hasPathIds ? u32(bytes, at) : undefined
    if (hasPathIds) at += PATH_ID_OCTETS
    const length = bytes[at] ?? 0
    const next = at + 1 + ((length + 7) >>> 3)
    address.fill(0)
    address.set(bytes.subarray(at + 1, next))
    const ip = isIp4 ? ip4At(address, 0) : ip6At(address, 0)
    const prefix = prefixOf(ip, length)
    found.push(pathId === undefined ? { prefix } : { prefix, pathId })
    at = next
  }
  return found
}

export function countPrefixes({ bytes, start, end, hasPathIds }: NlriSlice): number {
  let count = 0
  for (let at = start; at < end; count++) {
    if (hasPathIds) at += PATH_ID_OCTETS
    at += 1 + (((bytes[at] ?? 0) + 7) >>> 3)
  }
  return count
}

/** Octets of prefixes of one family; path identifiers are those given, 0 where none is. */
export function nlriOf(
  family: Family,
  prefixes: readonly PathPrefix[],
  hasPathIds: boolean,
): NlriSlice {
  const octetsMax = (hasPathIds ? PATH_ID_OCTETS : 0) + 1 + FAMILY_BITS[family] / 8
  const bytes = new Uint8Array(prefixes.length * octetsMax)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const { prefix, pathId = 0 } of prefixes) {
    if ((prefixFamily(prefix) === 4) !== (family === 'ipv4')) {
      throw new RangeError(`Cannot write ${prefix}: it is not of ${family}`)
    }
    if (hasPathIds) {
      view.setUint32(at, pathId)
      at += PATH_ID_OCTETS
    }
    const length = prefixLength(prefix)
    const octets = (length + 7) >>> 3
    bytes[at] = length
    bytes.set(ipOctets(networkAddress(prefix)).subarray(0, octets), at + 1)
    at += 1 + octets
  }
  return { family, bytes, start: 0, end: at, hasPathIds }
}

/** Where the prefixes end that fit in `octets` from `start` on; `start` when not even one does. */
export function fittingEnd(slice: NlriSlice, start: number, octets: number): number {
  const { bytes, end, hasPathIds } = slice
  if (end - start <= octets) return end
  const limit = start + octets
  const before = hasPathIds ? PATH_ID_OCTETS : 0
  let at = start
  for (;;) {
    const length = bytes[at + before] ?? 0
    const next = at + before + 1 + ((length + 7) >>> 3)
    if (next > limit) return at
    at = next
  }
}
