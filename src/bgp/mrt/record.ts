/**
 * A record of MRT: when, of which type, how long, and what (RFC 6396 section 2).
 *
 * @module
 */

import { joined } from '../wire/octets.ts'

/** RFC 6396 section 4. */
export const TYPE = { tableDumpV2: 13, bgp4mp: 16 } as const

/** @param seconds Since 1970. */
export function record(
  type: number,
  subtype: number,
  seconds: number,
  parts: readonly Uint8Array[],
): Uint8Array {
  const body = joined(parts)
  const head = [number32(seconds), number16(type), number16(subtype)]
  return joined([...head, number32(body.length), body])
}

export const number16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value & 0xff)
export const number32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
