/**
 * Destinations that no peer may steer: what a route learnt from it never leads to,
 * whatever policies say.
 *
 * Link-local, loopback and multicast addresses have a meaning of their own on every
 * node. A prefix in such a range, or one that covers one, is refused. One that covers it
 * and is shorter than eight bits is a default route, whole or a part: the policy's matter.
 *
 * @module
 */
import { ipToInteger, networkAddress, parsePrefix, prefixLength } from '../../net/mod.ts'
import type { Family } from '../nlri.ts'

const RESERVED: Readonly<Record<Family, readonly string[]>> = {
  ipv4: [
    '0.0.0.0/8', //          this network, RFC 791
    '127.0.0.0/8', //        loopback, RFC 1122 section 3.2.1.3
    '169.254.0.0/16', //     link-local, RFC 3927
    '224.0.0.0/4', //        multicast, RFC 5771
    '255.255.255.255/32', // broadcast, RFC 919
  ],
  ipv6: [
    '::/128', //        unspecified, RFC 4291 section 2.5.2
    '::1/128', //       loopback, RFC 4291 section 2.5.3
    '::ffff:0:0/96', // IPv4 in IPv6, RFC 4291 section 2.5.5.2
    'fe80::/10', //     link-local, RFC 4291 section 2.5.6
    'ff00::/8', //      multicast, RFC 4291 section 2.7
  ],
}

/** A shorter prefix is a default route, or a part of one. */
const SHORT_BITS = 8

interface Range {
  readonly bytes: Uint8Array
  readonly bits: number
}

const RANGES: Readonly<Record<Family, readonly Range[]>> = {
  ipv4: RESERVED.ipv4.map((text) => rangeOf(text, 4)),
  ipv6: RESERVED.ipv6.map((text) => rangeOf(text, 16)),
}

/** Whether the prefix at `at`, as RFC 4271 section 4.3 writes it, is in a reserved range or covers one. */
export function isReserved(family: Family, bytes: Uint8Array, at: number): boolean {
  const bits = bytes[at]!
  return RANGES[family].some((range) => {
    if (bits < Math.min(range.bits, SHORT_BITS)) return false
    return shares(range, bytes, at + 1, Math.min(bits, range.bits))
  })
}

/** Whether the first `bits` are equal. */
function shares(range: Range, bytes: Uint8Array, at: number, bits: number): boolean {
  const whole = bits >>> 3
  for (let octet = 0; octet < whole; octet++) {
    if (bytes[at + octet] !== range.bytes[octet]) return false
  }
  const rest = bits & 7
  if (rest === 0) return true
  return ((bytes[at + whole]! ^ range.bytes[whole]!) & (0xff00 >>> rest) & 0xff) === 0
}

function rangeOf(text: string, length: 4 | 16): Range {
  const prefix = parsePrefix(text)
  let value = ipToInteger(networkAddress(prefix))
  const bytes = new Uint8Array(length)
  for (let octet = length - 1; octet >= 0; octet--) {
    bytes[octet] = Number(value & 0xffn)
    value >>= 8n
  }
  return { bytes, bits: prefixLength(prefix) }
}
