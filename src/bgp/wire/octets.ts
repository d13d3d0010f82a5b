/**
 * Addresses and integers at a place in a buffer, made for the codec's inner loops.
 *
 * @module
 */
import { type Ip, ipFamily, ipToInteger } from '../../net/mod.ts'
import type { Family } from '../nlri.ts'

export const u16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

export const u32 = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>>
  0

/** The IPv4 address of four octets. */
export const ip4At = (bytes: Uint8Array, at: number): Ip =>
  `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}` as Ip

/** The IPv6 address of sixteen octets, as RFC 5952 writes it. */
export function ip6At(bytes: Uint8Array, at: number): Ip {
  const [gapStart, gapLength] = longestGap(bytes, at)
  let text = ''
  for (let group = 0; group < 8; group++) {
    if (group === gapStart) {
      text += '::'
      group += gapLength - 1
    } else {
      const isFirst = group === 0 || group === gapStart + gapLength
      text += `${isFirst ? '' : ':'}${u16(bytes, at + 2 * group).toString(16)}`
    }
  }
  return text as Ip
}

/** The first of the longest runs of at least two zero groups; [-1, 0] without one. */
function longestGap(bytes: Uint8Array, at: number): readonly [start: number, length: number] {
  let [best, bestLength, run] = [-1, 1, 0]
  for (let group = 0; group < 8; group++) {
    run = u16(bytes, at + 2 * group) === 0 ? run + 1 : 0
    if (run > bestLength) [best, bestLength] = [group - run + 1, run]
  }
  return best === -1 ? [-1, 0] : [best, bestLength]
}

/** Four or sixteen octets. */
export function ipOctets(ip: Ip): Uint8Array {
  const octets = new Uint8Array(ipFamily(ip) === 4 ? 4 : 16)
  let rest = ipToInteger(ip)
  for (let at = octets.length - 1; at >= 0; at--) {
    octets[at] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return octets
}

export const familyOfIp = (ip: Ip): Family => (ipFamily(ip) === 4 ? 'ipv4' : 'ipv6')

/** Lower-case hexadecimal, for logs and text. */
export function hexOf(bytes: Uint8Array): string {
  let text = ''
  for (const octet of bytes) text += octet.toString(16).padStart(2, '0')
  return text
}

/** One behind the other, as one piece; a single one is itself, not copied. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts
  if (first !== undefined && parts.length === 1) return first
  let octets = 0
  for (const part of parts) octets += part.length
  const bytes = new Uint8Array(octets)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
