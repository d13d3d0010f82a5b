/**
 * IP addresses and prefixes as text and as bytes.
 *
 * Input is strict: no leading zeroes, no hexadecimal or exponent octets, no
 * zone (`%eth0`). Output is canonical (RFC 5952), so two equal addresses are
 * equal strings. The IPv4-mapped block ::ffff:0:0/96 is written with a dotted
 * quad, as RFC 5952 section 5 recommends and as iproute2 does.
 *
 * @module
 */

/** IP version. */
export type IpFamily = 4 | 6

const DOT = 46
const ZERO = 48
const SLASH = '/'

/** Bytes of an address of each family. */
export const ADDRESS_BYTES = { 4: 4, 6: 16 } as const

/** The family an address or prefix is written in; its text is not checked. */
export const familyOf = (text: string): IpFamily => (text.includes(':') ? 6 : 4)

/**
 * Returns the 4 or 16 bytes of an address, network order.
 *
 * @throws {RangeError} `text` is no address.
 *
 * @example
 * parseIp('fd00::1').length // 16
 */
export function parseIp(text: string): Uint8Array {
  return familyOf(text) === 6 ? parse6(text, text) : parse4(text, text)
}

/**
 * Returns the canonical text of 4 or 16 bytes.
 *
 * @throws {RangeError} Any other length.
 */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  if (bytes.length === 16) return format6(bytes)
  throw new RangeError(`Cannot format an IP address of ${bytes.length} bytes, wanted 4 or 16`)
}

/** A parsed prefix: network bytes and their significant bits. */
export interface PrefixBytes {
  readonly bytes: Uint8Array
  readonly bits: number
}

/**
 * Parses `10.0.0.0/24` or `fd00::/64`.
 *
 * @throws {RangeError} No address, no length, a length too long, or bits set
 *   after the prefix: the kernel refuses those for IPv4 and drops them silently
 *   for IPv6, so they are refused here for both.
 */
export function parsePrefix(text: string): PrefixBytes {
  const slash = text.indexOf(SLASH)
  if (slash < 0) throw bad('prefix', text, 'it has no /length')
  const bytes = parseIp(text.slice(0, slash))
  const length = text.slice(slash + 1)
  const bits = Number(length)
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length) || bits > bytes.length * 8) {
    throw bad('prefix', text, `the length must be 0..${bytes.length * 8}`)
  }
  if (!hostBitsClear(bytes, bits)) throw bad('prefix', text, `bits after the first ${bits} are set`)
  return { bytes, bits }
}

/** Writes a prefix the way `parsePrefix` reads it. */
export const formatPrefix = (address: string, bits: number): string => `${address}/${bits}`

function hostBitsClear(bytes: Uint8Array, bits: number): boolean {
  const whole = bits >> 3
  const rest = bits & 7
  if (rest !== 0 && (bytes[whole]! & (0xff >> rest)) !== 0) return false
  for (let i = rest === 0 ? whole : whole + 1; i < bytes.length; i++) {
    if (bytes[i] !== 0) return false
  }
  return true
}

/** `whole` is what the caller wrote: an IPv6 address may end in a dotted quad. */
function parse4(text: string, whole: string): Uint8Array {
  const bytes = new Uint8Array(4)
  let octet = 0
  let digits = 0
  let index = 0
  for (let i = 0; i <= text.length; i++) {
    const char = i === text.length ? DOT : text.charCodeAt(i)
    if (char === DOT) {
      if (digits === 0) throw bad('IP address', whole, 'an octet is empty')
      if (index > 3) throw bad('IP address', whole, 'it has more than 4 octets')
      bytes[index++] = octet
      octet = 0
      digits = 0
      continue
    }
    const digit = char - ZERO
    if (digit < 0 || digit > 9) throw bad('IP address', whole, 'an octet is not decimal')
    if (digits > 0 && octet === 0) throw bad('IP address', whole, 'an octet has a leading zero')
    octet = octet * 10 + digit
    digits++
    if (octet > 255) throw bad('IP address', whole, 'an octet is above 255')
  }
  if (index !== 4) throw bad('IP address', whole, `it has ${index} octets, wanted 4`)
  return bytes
}

function parse6(text: string, whole: string): Uint8Array {
  const halves = text.split('::')
  if (halves.length > 2) throw bad('IP address', whole, 'it has more than one "::"')
  const [left, right] = halves
  const head = groups(left!, whole, right === undefined)
  const tail = right === undefined ? [] : groups(right, whole, true)
  const count = head.length + tail.length
  if (right === undefined ? count !== 16 : count > 14) {
    throw bad('IP address', whole, `it has ${count / 2} groups, wanted 8`)
  }
  const bytes = new Uint8Array(16)
  bytes.set(head)
  bytes.set(tail, 16 - tail.length)
  return bytes
}

/** Bytes of colon-separated groups; only the last part of an address may be a dotted quad. */
function groups(text: string, whole: string, last: boolean): number[] {
  const bytes: number[] = []
  if (text === '') return bytes
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes('.')) {
      bytes.push(...parse4(part, whole))
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      const value = Number.parseInt(part, 16)
      bytes.push(value >> 8, value & 0xff)
    } else {
      throw bad('IP address', whole, 'a group is not 1 to 4 hexadecimal digits')
    }
  }
  return bytes
}

function format6(bytes: Uint8Array): string {
  const words: number[] = []
  for (let i = 0; i < 16; i += 2) words.push((bytes[i]! << 8) | bytes[i + 1]!)
  if (words[5] === 0xffff && words.slice(0, 5).every((word) => word === 0)) {
    return `::ffff:${formatIp(bytes.subarray(12))}`
  }
  const { start, length } = longestZeroRun(words)
  const text = (from: number, to: number): string =>
    words
      .slice(from, to)
      .map((word) => word.toString(16))
      .join(':')
  // RFC 5952 section 4.2.2: "::" must not stand for just one group.
  return length < 2 ? text(0, 8) : `${text(0, start)}::${text(start + length, 8)}`
}

/** RFC 5952 section 4.2.3: the longest run, the first one of equals. */
function longestZeroRun(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let length = 0
  for (const [i, word] of words.entries()) {
    length = word === 0 ? length + 1 : 0
    if (length > best.length) best = { start: i - length + 1, length }
  }
  return best
}

const bad = (what: string, text: string, why: string): RangeError =>
  new RangeError(`Cannot parse ${what} "${text}": ${why}`)
