/**
 * UPDATE messages from prefixes and attributes, as few and as full as the
 * session's message size allows.
 *
 * Prefixes are octets already (a RIB writes them from its tables), so packing is
 * finding where to cut. One set of messages serves every peer of the same context.
 *
 * @module
 */
import { invariant } from '../../errors.ts'
import type { Attributes } from '../attributes.ts'
import type { Family, NlriSlice } from '../nlri.ts'
import {
  attributeOctets,
  encodeAttributes,
  isPlainNextHop,
  writeAttributeHeader,
} from './attributes.ts'
import type { Context } from './context.ts'
import { HEADER_OCTETS, writeHeader } from './framing.ts'
import { ATTRIBUTE, FLAG, MESSAGE } from './iana.ts'
import { ipOctets } from './octets.ts'
import { fittingEnd } from './prefixes.ts'
import { reachHead, unreachHead } from './reach.ts'

/** A set of attributes in the octets of one context and family, ready for any number of prefixes. */
export interface EncodedAttributes {
  readonly family: Family
  /** Without MP_REACH_NLRI. */
  readonly octets: Uint8Array
  /** MP_REACH_NLRI before its prefixes; undefined: they go into the NLRI field. */
  readonly reach: Uint8Array | undefined
}

/** Header, withdrawn routes length, total path attribute length. */
const FIXED_OCTETS = HEADER_OCTETS + 4
/** Header of an attribute whose length has two octets. */
const LONG_HEADER_OCTETS = 4
const NOTHING = new Uint8Array(0)

/** IPv4 prefixes with an IPv6 next hop need `extendedNextHop`. */
export function prepareAttributes(
  attributes: Attributes,
  family: Family,
  context: Context,
): EncodedAttributes {
  const { nextHop, linkLocal } = attributes
  const isPlain = isPlainNextHop(nextHop)
  if (family === 'ipv4' && isPlain) {
    return { family, octets: encodeAttributes(attributes, context, true), reach: undefined }
  }
  invariant(!isPlain, `an IPv6 prefix with the next hop ${nextHop}`)
  invariant(family === 'ipv6' || context.extendedNextHop, `IPv4 with the next hop ${nextHop}`)
  const hop = ipOctets(nextHop)
  const both = linkLocal === undefined ? hop : Uint8Array.of(...hop, ...ipOctets(linkLocal))
  const octets = encodeAttributes(attributes, context, false)
  return { family, octets, reach: reachHead(family, both) }
}

/**
 * Messages that announce `nlri`. Undefined when the attributes leave no room for a
 * prefix: then nobody can be told, and what was announced before is to be
 * withdrawn (RFC 8654 section 4).
 */
export function packAnnouncements(
  attributes: EncodedAttributes,
  nlri: NlriSlice,
  { messageOctetsMax, addPathSend }: Context,
): readonly Uint8Array[] | undefined {
  invariant(nlri.family === attributes.family, `prefixes of ${nlri.family}`)
  invariant(nlri.hasPathIds === addPathSend.includes(nlri.family), 'path identifiers')
  const { octets, reach } = attributes
  const overhead = reach === undefined ? 0 : LONG_HEADER_OCTETS + reach.length
  const room = messageOctetsMax - FIXED_OCTETS - octets.length - overhead
  return cut(nlri, room, (start, end) => {
    const prefixes = nlri.bytes.subarray(start, end)
    if (reach === undefined) return message(NOTHING, [octets], prefixes)
    const attribute = multiprotocol(ATTRIBUTE.MP_REACH_NLRI, reach, prefixes)
    // RFC 7606 section 5.1: the very first attribute.
    return message(NOTHING, [attribute, octets], NOTHING)
  })
}

/** Messages that withdraw `nlri`. */
export function packWithdrawals(
  nlri: NlriSlice,
  { messageOctetsMax, addPathSend }: Context,
): readonly Uint8Array[] {
  const { family, hasPathIds, bytes } = nlri
  invariant(hasPathIds === addPathSend.includes(family), 'path identifiers')
  const head = unreachHead(family)
  const overhead = family === 'ipv4' ? 0 : LONG_HEADER_OCTETS + head.length
  const messages = cut(nlri, messageOctetsMax - FIXED_OCTETS - overhead, (start, end) => {
    const prefixes = bytes.subarray(start, end)
    if (family === 'ipv4') return message(prefixes, [], NOTHING)
    const attribute = multiprotocol(ATTRIBUTE.MP_UNREACH_NLRI, head, prefixes)
    return message(NOTHING, [attribute], NOTHING)
  })
  invariant(messages !== undefined, `messages of ${messageOctetsMax} octets`)
  return messages
}

/** RFC 4724 section 2: the session's first announcements of a family are complete. */
export function encodeEndOfRib(family: Family): Uint8Array {
  if (family === 'ipv4') return message(NOTHING, [], NOTHING)
  const attribute = multiprotocol(ATTRIBUTE.MP_UNREACH_NLRI, unreachHead(family), NOTHING)
  return message(NOTHING, [attribute], NOTHING)
}

function cut(
  nlri: NlriSlice,
  room: number,
  make: (start: number, end: number) => Uint8Array,
): readonly Uint8Array[] | undefined {
  const messages: Uint8Array[] = []
  for (let at = nlri.start; at < nlri.end; ) {
    const end = fittingEnd(nlri, at, room)
    if (end === at) return undefined
    messages.push(make(at, end))
    at = end
  }
  return messages
}

function multiprotocol(code: number, head: Uint8Array, prefixes: Uint8Array): Uint8Array {
  const length = head.length + prefixes.length
  const bytes = new Uint8Array(attributeOctets(length))
  const at = writeAttributeHeader(bytes, 0, FLAG.OPTIONAL, code, length)
  bytes.set(head, at)
  bytes.set(prefixes, at + head.length)
  return bytes
}

/** An UPDATE. */
function message(
  withdrawn: Uint8Array,
  attributes: readonly Uint8Array[],
  prefixes: Uint8Array,
): Uint8Array {
  const attributesOctets = attributes.reduce((sum, part) => sum + part.length, 0)
  const length = FIXED_OCTETS + withdrawn.length + attributesOctets + prefixes.length
  const bytes = new Uint8Array(length)
  writeHeader(bytes, 0, length, MESSAGE.UPDATE)
  let at = putLength(bytes, HEADER_OCTETS, withdrawn.length)
  bytes.set(withdrawn, at)
  at = putLength(bytes, at + withdrawn.length, attributesOctets)
  for (const part of attributes) {
    bytes.set(part, at)
    at += part.length
  }
  bytes.set(prefixes, at)
  return bytes
}

function putLength(bytes: Uint8Array, at: number, length: number): number {
  bytes[at] = length >>> 8
  bytes[at + 1] = length & 0xff
  return at + 2
}
