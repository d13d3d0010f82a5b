/**
 * What peers say, as octets made before anything is timed.
 *
 * Prefix number n is a /24 between 16.0.0.0 and 79.255.255.0; neighbouring numbers
 * lie far apart, so no daemon meets them in the order of its own tables.
 *
 * A hundred consecutive numbers have the same attributes, however many of them there
 * are in a message: ORIGIN, an AS_PATH of four, NEXT_HOP, two communities.
 */
import type { Attributes } from '../../src/bgp/attributes.ts'
import type { NlriSlice } from '../../src/bgp/nlri.ts'
import { type Context, PLAIN_CONTEXT } from '../../src/bgp/wire/context.ts'
import { packAnnouncements, packWithdrawals, prepareAttributes } from '../../src/bgp/wire/pack.ts'
import type { Ip } from '../../src/net/mod.ts'

/** Prefixes there are, and those of one set of attributes. */
export const PREFIXES_MAX = 1 << 22
export const PREFIXES_PER_SET = 100

/** The last AS of a path is this and the version: who sees a path sees which. */
export const VERSION_ASN = 4_200_000_000

const FIRST_OCTET = 16
const PREFIX_OCTETS = 4
// A multiplication by an odd number is a permutation; by its inverse, the way back.
const SPREAD = 0x9e3779b1
const GATHER = inverse(SPREAD)

export const CONTEXT: Context = { ...PLAIN_CONTEXT, fourOctetAs: true }

/** The number of the /24 whose octets begin at `at`, behind its length. */
export function numberAt(bytes: Uint8Array, at: number): number {
  const network =
    ((bytes[at]! - FIRST_OCTET) << 16) | (bytes[at + 1]! << 8) | (bytes[at + 2]! & 0xff)
  return (Math.imul(network, GATHER) >>> 0) & (PREFIXES_MAX - 1)
}

export interface Said {
  /** Numbers of prefixes: `first` and on. */
  readonly first: number
  readonly count: number
  readonly perUpdate: number
}

/** Announcements of one peer; another `version` is another path. */
export function announcements(
  { first, count, perUpdate }: Said,
  peer: { readonly asn: number; readonly address: Ip },
  version: number,
): Buffer {
  const messages: Uint8Array[] = []
  for (let at = first; at < first + count; ) {
    const set = Math.floor(at / PREFIXES_PER_SET)
    const end = Math.min(first + count, (set + 1) * PREFIXES_PER_SET)
    const prepared = prepareAttributes(attributesOf(set, peer, version), 'ipv4', CONTEXT)
    for (; at < end; at += perUpdate) {
      const nlri = prefixes(at, Math.min(perUpdate, end - at))
      messages.push(...(packAnnouncements(prepared, nlri, CONTEXT) ?? []))
    }
  }
  return Buffer.concat(messages)
}

export function withdrawals({ first, count, perUpdate }: Said): Buffer {
  const messages: Uint8Array[] = []
  for (let at = first; at < first + count; at += perUpdate) {
    const nlri = prefixes(at, Math.min(perUpdate, first + count - at))
    messages.push(...packWithdrawals(nlri, CONTEXT))
  }
  return Buffer.concat(messages)
}

function attributesOf(
  set: number,
  { asn, address }: { readonly asn: number; readonly address: Ip },
  version: number,
): Attributes {
  const asns = [asn, 65_100 + (set % 977), 70_000 + set, VERSION_ASN + version]
  return {
    origin: 'igp',
    asPath: [{ kind: 'sequence', asns }],
    nextHop: address,
    communities: [(65_100 << 16) | (set % 64), (65_100 << 16) | (1000 + (set % 7))].map(
      (value) => value >>> 0,
    ),
  }
}

function prefixes(first: number, count: number): NlriSlice {
  const bytes = new Uint8Array(PREFIX_OCTETS * count)
  for (let index = 0; index < count; index++) {
    const network = (Math.imul(first + index, SPREAD) >>> 0) & (PREFIXES_MAX - 1)
    const at = PREFIX_OCTETS * index
    bytes[at] = 24
    bytes[at + 1] = FIRST_OCTET + (network >>> 16)
    bytes[at + 2] = network >>> 8
    bytes[at + 3] = network
  }
  return { family: 'ipv4', bytes, start: 0, end: bytes.length, hasPathIds: false }
}

/** Modulo 2^32, by Newton's iteration. */
function inverse(odd: number): number {
  let found = odd
  for (let round = 0; round < 5; round++) found = Math.imul(found, 2 - Math.imul(odd, found))
  return found >>> 0
}
