/**
 * Communities of four (RFC 1997), eight (RFC 4360) and twelve octets (RFC 8092):
 * sets, so they are kept ascending and none twice.
 *
 * @module
 */
import { u32 } from './octets.ts'

type Large = readonly [number, number, number]

export function decodeCommunities(bytes: Uint8Array, start: number, end: number): number[] {
  const found: number[] = []
  let isSorted = true
  let last = -1
  for (let at = start; at < end; at += 4) {
    const value = u32(bytes, at)
    isSorted &&= value > last
    last = value
    found.push(value)
  }
  // Peers send them in order, as a rule.
  return isSorted ? found : [...new Set(found)].sort((a, b) => a - b)
}

export function decodeExtended(bytes: Uint8Array, start: number, end: number): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = new Set<bigint>()
  for (let at = start; at < end; at += 8) found.add(view.getBigUint64(at))
  return [...found].sort((a, b) => (a < b ? -1 : 1))
}

export function decodeLarge(bytes: Uint8Array, start: number, end: number): Large[] {
  const found: Large[] = []
  for (let at = start; at < end; at += 12) {
    found.push([u32(bytes, at), u32(bytes, at + 4), u32(bytes, at + 8)])
  }
  found.sort(compareLarge)
  return found.filter((each, index) => {
    const before = found[index - 1]
    return before === undefined || compareLarge(before, each) !== 0
  })
}

/** By global administrator, then the local parts. */
export const compareLarge = (a: Large, b: Large): number =>
  a[0] - b[0] || a[1] - b[1] || a[2] - b[2]

export function encodeCommunities(communities: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * communities.length)
  const view = new DataView(bytes.buffer)
  for (const [index, value] of communities.entries()) view.setUint32(4 * index, value)
  return bytes
}

export function encodeExtended(communities: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(8 * communities.length)
  const view = new DataView(bytes.buffer)
  for (const [index, value] of communities.entries()) view.setBigUint64(8 * index, value)
  return bytes
}

export function encodeLarge(communities: readonly Large[]): Uint8Array {
  return encodeCommunities(communities.flat())
}

/** `(65001,100)`, as `birdc show route all` prints it. */
export const communityText = (value: number): string => `(${value >>> 16},${value & 0xffff})`

export const largeCommunityText = (value: Large): string => `(${value.join(', ')})`

const KINDS: Readonly<Record<number, string>> = { 2: 'rt', 3: 'ro' }

/** `(rt, 65001, 100)`; a type that has no such form is `(generic, 0x43000000, 0x1)`. */
export function extendedCommunityText(value: bigint): string {
  const [high, low] = [Number(value >> 32n), Number(value & 0xffff_ffffn)]
  const kindNumber = (high >>> 16) & 0xf0ff & 0xbfff
  const kind = KINDS[kindNumber] ?? `unknown 0x${((high >>> 16) & 0xf0ff).toString(16)}`
  const form = (high >>> 24) & 0xbf
  const [key, rest] = [Number((value >> 16n) & 0xffff_ffffn), low & 0xffff]
  if (form === 0) return `(${kind}, ${high & 0xffff}, ${low})`
  if (form === 1)
    return `(${kind}, ${[24, 16, 8, 0].map((s) => (key >>> s) & 255).join('.')}, ${rest})`
  if (form === 2) return `(${kind}, ${key}, ${rest})`
  return `(generic, 0x${high.toString(16)}, 0x${low.toString(16)})`
}
