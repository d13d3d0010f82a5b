/**
 * CIDR prefixes as canonical strings (`10.42.0.0/26`), host bits zero.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'
import {
  ADDRESS_BITS,
  type Ip,
  type IpFamily,
  ipFamily,
  ipFromInteger,
  ipToInteger,
  tryParseIp,
} from './ip.ts'

/** A canonical prefix. Its text starts with the network address. */
export type Prefix = string & { readonly brand: 'Prefix' }

/** No sign, exponent or leading zero. */
const LENGTH = /^(?:0|[1-9]\d{0,2})$/

/** Reads a prefix, or undefined. Host bits must be zero. */
export function tryParsePrefix(text: string): Prefix | undefined {
  const [address, bits, rest] = text.split('/')
  if (address === undefined || bits === undefined || rest !== undefined) return undefined
  const ip = tryParseIp(address)
  if (ip === undefined || !LENGTH.test(bits)) return undefined
  const length = Number(bits)
  if (length > ADDRESS_BITS[ipFamily(ip)] || networkOf(ip, length) !== ip) return undefined
  return `${ip}/${length}` as Prefix
}

/** @throws {TriviumError} BAD_CONFIG, with the prefix that was probably meant. */
export function parsePrefix(text: string, subject = 'CIDR'): Prefix {
  const prefix = tryParsePrefix(text)
  if (prefix !== undefined) return prefix
  const [address = '', bits = '', rest] = text.split('/')
  const ip = tryParseIp(address)
  const length = Number(bits)
  const isReadable = ip !== undefined && LENGTH.test(bits) && rest === undefined
  const meant =
    isReadable && length <= ADDRESS_BITS[ipFamily(ip)]
      ? `host bits are set, ${networkOf(ip, length)}/${length} would do`
      : 'wanted an address, a slash and a length, like 10.42.0.0/16'
  throw new TriviumError('BAD_CONFIG', `Cannot read ${subject} ${JSON.stringify(text)}: ${meant}`)
}

/** Makes a prefix of `ip` with its host bits cleared. */
export function prefixOf(ip: Ip, length: number): Prefix {
  return `${networkOf(ip, length)}/${length}` as Prefix
}

/** `ip/32` or `ip/128`. */
export function hostPrefix(ip: Ip): Prefix {
  return `${ip}/${ADDRESS_BITS[ipFamily(ip)]}` as Prefix
}

export const prefixFamily = (prefix: Prefix): IpFamily => ipFamily(prefix)
/** Read digit by digit: it is asked for every block of a node with every pod, and makes no text. */
export function prefixLength(prefix: Prefix): number {
  let length = 0
  for (let at = prefix.lastIndexOf('/') + 1; at < prefix.length; at++) {
    length = length * 10 + prefix.charCodeAt(at) - 0x30
  }
  return length
}

/** First address of the prefix. */
export const networkAddress = (prefix: Prefix): Ip => prefix.slice(0, prefix.indexOf('/')) as Ip

/** How many addresses it holds; up to 2^128. */
export const prefixSize = (prefix: Prefix): bigint =>
  1n << BigInt(ADDRESS_BITS[prefixFamily(prefix)] - prefixLength(prefix))

/** The address `offset` places after the first. */
export function addressAt(prefix: Prefix, offset: bigint): Ip {
  return ipFromInteger(prefixFamily(prefix), ipToInteger(networkAddress(prefix)) + offset)
}

/** Place of `ip` in the prefix; negative or too large when outside. */
export function offsetIn(prefix: Prefix, ip: Ip): bigint {
  return ipToInteger(ip) - ipToInteger(networkAddress(prefix))
}

/** The `index`-th prefix of `length` bits inside `prefix`. */
export function subPrefixAt(prefix: Prefix, length: number, index: bigint): Prefix {
  const family = prefixFamily(prefix)
  const step = 1n << BigInt(ADDRESS_BITS[family] - length)
  return `${addressAt(prefix, index * step)}/${length}` as Prefix
}

export function containsIp(prefix: Prefix, ip: Ip): boolean {
  if (prefixFamily(prefix) !== ipFamily(ip)) return false
  return networkOf(ip, prefixLength(prefix)) === networkAddress(prefix)
}

/** Whether every address of `inner` is in `outer`. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return prefixLength(inner) >= prefixLength(outer) && containsIp(outer, networkAddress(inner))
}

export function prefixesOverlap(left: Prefix, right: Prefix): boolean {
  return containsPrefix(left, right) || containsPrefix(right, left)
}

function networkOf(ip: Ip, length: number): Ip {
  const family = ipFamily(ip)
  const shift = BigInt(ADDRESS_BITS[family] - length)
  return ipFromInteger(family, (ipToInteger(ip) >> shift) << shift)
}
