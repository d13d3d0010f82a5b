/**
 * IP addresses as canonical strings: two equal addresses are `===`, so they
 * work as Map keys. IPv6 is written as RFC 5952 says.
 *
 * Not for hot paths: engines with millions of addresses use columns instead.
 *
 * @module
 */
import { Address6 } from 'ip-address'
import { TriviumError } from '../errors.ts'

/** A canonical IPv4 or IPv6 address, e.g. `10.42.0.7` or `fd42::7`. */
export type Ip = string & { readonly brand: 'Ip' }

/** Version of the IP protocol. */
export type IpFamily = 4 | 6

/** Bits of an address. */
export const ADDRESS_BITS = { 4: 32, 6: 128 } as const

/** Reads an address, or undefined. No mask, zone, or leading zeros. */
export function tryParseIp(text: string): Ip | undefined {
  // The library also takes short and non-decimal forms; only four decimal octets are an address.
  if (!text.includes(':')) return isDotted(text) ? (text as Ip) : undefined
  if (/[/%]/.test(text)) return undefined
  try {
    return new Address6(text).correctForm() as Ip
  } catch {
    return undefined
  }
}

const isDotted = (text: string): boolean =>
  /^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})$/.test(text) &&
  text.split('.').every((octet) => Number(octet) <= 255)

/** @throws {TriviumError} BAD_CONFIG when `text` is not an address; `subject` names it. */
export function parseIp(text: string, subject = 'address'): Ip {
  const ip = tryParseIp(text)
  if (ip === undefined) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot read ${subject} ${JSON.stringify(text)}: not an IPv4 or IPv6 address`,
    )
  }
  return ip
}

export const ipFamily = (ip: Ip | Prefixed): IpFamily => (ip.includes(':') ? 6 : 4)

/** Anything that starts with a canonical address. */
type Prefixed = string & { readonly brand: 'Ip' | 'Prefix' }

/** The address as an unsigned integer of 32 or 128 bits. */
export function ipToInteger(ip: Ip): bigint {
  return ipFamily(ip) === 6 ? integerOf6(ip) : BigInt(integerOf4(ip))
}

const [DOT, ZERO] = [46, 48]

/** Digit by digit: keys of the store are made of it all the time. */
function integerOf4(ip: Ip): number {
  let value = 0
  let octet = 0
  for (let at = 0; at < ip.length; at++) {
    const unit = ip.charCodeAt(at)
    if (unit !== DOT) octet = octet * 10 + unit - ZERO
    else {
      value = value * 256 + octet
      octet = 0
    }
  }
  return value * 256 + octet
}

const GROUPS_6 = 8

/** The library takes three times as long, for forms that a canonical address cannot have. */
function integerOf6(ip: Ip): bigint {
  const gap = ip.indexOf('::')
  const before = groupsOf(gap === -1 ? ip : ip.slice(0, gap))
  const after = groupsOf(gap === -1 ? '' : ip.slice(gap + 2))
  const zeros = '0000'.repeat(GROUPS_6 - before.length - after.length)
  return BigInt(`0x${before.join('')}${zeros}${after.join('')}`)
}

const groupsOf = (text: string): string[] =>
  text === '' ? [] : text.split(':').map((group) => group.padStart(4, '0'))

/** The inverse of `ipToInteger`; bits above the family's width are an invariant's matter. */
export function ipFromInteger(family: IpFamily, value: bigint): Ip {
  if (family === 6) return textOf6(value)
  const number = Number(value)
  const octet = (shift: number): number => (number >>> shift) & 255
  return `${octet(24)}.${octet(16)}.${octet(8)}.${octet(0)}` as Ip
}

/** The first of the longest runs of zero groups is `::`, a single one is not (RFC 5952 section 4.2). */
function textOf6(value: bigint): Ip {
  const digits = value.toString(16).padStart(4 * GROUPS_6, '0')
  let [from, length] = [0, 1]
  let run = 0
  const groups = Array.from({ length: GROUPS_6 }, (_, at) => {
    const group = digits.slice(4 * at, 4 * at + 4).replace(/^0{1,3}/, '')
    run = group === '0' ? run + 1 : 0
    if (run > length) [from, length] = [at + 1 - run, run]
    return group
  })
  if (length === 1) return groups.join(':') as Ip
  return `${groups.slice(0, from).join(':')}::${groups.slice(from + length).join(':')}` as Ip
}

/** Fixed-width hexadecimal, so that text order is numeric order. */
export function ipToSortable(ip: Ip): string {
  const family = ipFamily(ip)
  const integer = family === 6 ? integerOf6(ip) : integerOf4(ip)
  return `${family}/${integer.toString(16).padStart(ADDRESS_BITS[family] / 4, '0')}`
}

/** Numeric order, IPv4 first. */
export function compareIp(left: Ip, right: Ip): number {
  const [a, b] = [ipToSortable(left), ipToSortable(right)]
  return a < b ? -1 : a > b ? 1 : 0
}
