/**
 * Path attributes: octets to one frozen object, and back.
 *
 * @module
 */
import { invariant } from '../../errors.ts'
import type { Ip } from '../../net/mod.ts'
import type { AttributeBytes, Attributes, UnknownAttribute } from '../attributes.ts'
import { mergeAs4Path } from './as-path.ts'
import {
  ATTRIBUTE_ROWS,
  type AttributeRow,
  type Draft,
  isFrom,
  ROW_BY_CODE,
} from './attribute-table.ts'
import type { Context } from './context.ts'
import { AS_TRANS, ATTRIBUTE, FLAG } from './iana.ts'
import { familyOfIp, ip4At, ip6At, u16 } from './octets.ts'
import { faultOf, type UpdateFault } from './remedies.ts'

export type AttributesResult =
  | {
      readonly kind: 'attributes'
      readonly attributes: Attributes
      /** What was left out, each with the reason. */
      readonly discarded: readonly UpdateFault[]
    }
  /** The prefixes that have these attributes are withdrawn instead. */
  | { readonly kind: 'withdraw'; readonly faults: readonly UpdateFault[] }

const NO_FAULTS: readonly UpdateFault[] = []
const HANDLED_FLAGS = FLAG.OPTIONAL | FLAG.TRANSITIVE
const PASSED_ON_FLAGS = FLAG.OPTIONAL | FLAG.TRANSITIVE | FLAG.PARTIAL

/**
 * Reads a set of attributes that announces prefixes. `decodeUpdate` has looked at
 * their framing; what is wrong inside of them is found here, once for each distinct set.
 */
export function decodeAttributes(octets: AttributeBytes, context: Context): AttributesResult {
  const draft: Draft = {}
  let faults = readDraft(draft, octets, context)
  if (octets.nextHop !== undefined) setNextHop(draft, octets.nextHop)
  const missing = missingOf(draft, context, faults)
  if (missing.length > 0) faults = [...faults, ...missing]
  if (faults.some(({ remedy }) => remedy !== 'discard')) return { kind: 'withdraw', faults }
  return { kind: 'attributes', attributes: finished(draft), discarded: faults }
}

/** Of attributes that announce nothing: what is wrong inside of them, none being mandatory. */
export function attributeFaults(octets: AttributeBytes, context: Context): readonly UpdateFault[] {
  return readDraft({}, octets, context)
}

function readDraft(draft: Draft, octets: AttributeBytes, context: Context): readonly UpdateFault[] {
  const { bytes, start, end, nextHop } = octets
  const seen = new Uint8Array(256)
  let faults = NO_FAULTS
  let at = start
  while (at < end) {
    const flags = bytes[at] ?? 0
    const code = bytes[at + 1] ?? 0
    const isExtended = (flags & FLAG.EXTENDED) !== 0
    const value = at + (isExtended ? 4 : 3)
    const next = value + (isExtended ? u16(bytes, at + 2) : (bytes[at + 2] ?? 0))
    // An attribute that is longer than what is left was found by the message's decoder.
    if (value > end || next > end) break
    at = next
    if (code === ATTRIBUTE.NEXT_HOP && nextHop !== undefined) continue // RFC 4760 section 3
    const row = ROW_BY_CODE[code]
    const fault =
      seen[code] === 1
        ? faultOf(code, 'again', `${row?.name ?? `attribute ${code}`} again`)
        : row === undefined
          ? unknown(draft, flags, code, bytes.subarray(value, next))
          : read(row, draft, flags, bytes, value, next, context)
    seen[code] = 1
    if (fault !== undefined) faults = [...faults, fault]
  }
  return faults
}

function read(
  row: AttributeRow,
  draft: Draft,
  flags: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  context: Context,
): UpdateFault | undefined {
  const { code, name } = row
  if (!isFrom(row, context)) return faultOf(code, 'external', `${name} from outside`)
  if ((flags & HANDLED_FLAGS) !== row.flags) {
    const [found, wanted] = [flags & HANDLED_FLAGS, row.flags].map((each) => each.toString(16))
    return faultOf(code, 'flags', `${name}: flags 0x${found}, wanted 0x${wanted}`)
  }
  const complaint = row.decode(draft, bytes, start, end, context)
  return complaint && faultOf(code, complaint[0], `${name}: ${complaint[1]}`)
}

/** Optional ones only come here: RFC 4271 section 9, they are passed on or forgotten. */
function unknown(draft: Draft, flags: number, code: number, value: Uint8Array): undefined {
  if ((flags & FLAG.TRANSITIVE) === 0) return
  const attribute: UnknownAttribute = { code, flags: PASSED_ON_FLAGS, bytes: value.slice() }
  draft.unknown = [...(draft.unknown ?? []), attribute]
}

const IP6_OCTETS = 16

/** RFC 4760 section 3, RFC 2545 section 3, RFC 8950. */
function setNextHop(draft: Draft, nextHop: Uint8Array): void {
  if (nextHop.length < IP6_OCTETS) {
    draft.nextHop = ip4At(nextHop, 0)
    return
  }
  draft.nextHop = ip6At(nextHop, 0)
  if (nextHop.length === 2 * IP6_OCTETS && isLinkLocal(nextHop, IP6_OCTETS)) {
    draft.linkLocal = ip6At(nextHop, IP6_OCTETS)
  }
}

/** fe80::/10 */
const isLinkLocal = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === 0xfe && ((bytes[at + 1] ?? 0) & 0xc0) === 0x80

/** RFC 4271 section 5: which every announcement has. Those that were there, but wrong, are named already. */
function missingOf(
  draft: Draft,
  { peering }: Context,
  faults: readonly UpdateFault[],
): readonly UpdateFault[] {
  const wanted: [code: number, name: string, value: unknown][] = [
    [ATTRIBUTE.ORIGIN, 'ORIGIN', draft.origin],
    [ATTRIBUTE.AS_PATH, 'AS_PATH', draft.asPath],
    [ATTRIBUTE.NEXT_HOP, 'NEXT_HOP', draft.nextHop],
  ]
  if (peering === 'internal') wanted.push([ATTRIBUTE.LOCAL_PREF, 'LOCAL_PREF', draft.localPref])
  return wanted
    .filter(
      ([code, , value]) => value === undefined && !faults.some((each) => each.subject === code),
    )
    .map(([code, name]) => faultOf(code, 'missing', `${name} is missing`))
}

/** Merges what two-octet speakers said beside it, and keeps one order of keys. */
function finished(draft: Draft): Attributes {
  const { origin, asPath, nextHop, aggregator, as4Aggregator } = draft
  invariant(
    origin !== undefined && asPath !== undefined && nextHop !== undefined,
    'mandatory attributes were looked for',
  )
  const result: { -readonly [Key in keyof Attributes]: Attributes[Key] } = {
    origin,
    asPath,
    nextHop,
  }
  // RFC 6793 section 4.2.3: an aggregator that is not AS_TRANS is newer than both.
  const isAs4Stale =
    aggregator !== undefined && as4Aggregator !== undefined && aggregator.asn !== AS_TRANS
  if (draft.as4Path !== undefined && !isAs4Stale) {
    result.asPath = mergeAs4Path(asPath, draft.as4Path)
  }
  if (aggregator !== undefined) {
    result.aggregator = isAs4Stale ? aggregator : (as4Aggregator ?? aggregator)
  }
  for (const key of PLAIN_KEYS) copy(draft, result, key)
  return Object.freeze(result)
}

const PLAIN_KEYS = [
  'linkLocal',
  'med',
  'localPref',
  'atomicAggregate',
  'communities',
  'extendedCommunities',
  'largeCommunities',
  'originatorId',
  'clusterList',
  'onlyToCustomer',
  'unknown',
] as const

function copy<Key extends (typeof PLAIN_KEYS)[number]>(
  from: Pick<Draft, Key>,
  to: { [K in Key]?: Attributes[K] | undefined },
  key: Key,
): void {
  const value = from[key]
  if (value !== undefined) to[key] = value as Attributes[Key]
}

/**
 * The octets of a set of attributes, without MP_REACH_NLRI. NEXT_HOP is there when
 * `withNextHop`: for IPv4 prefixes in the NLRI field. What peers of this kind must not
 * be told (LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST) is left out.
 */
export function encodeAttributes(
  attributes: Attributes,
  context: Context,
  withNextHop: boolean,
): Uint8Array {
  const parts: { code: number; flags: number; value: Uint8Array }[] = []
  for (const row of ATTRIBUTE_ROWS) {
    if (!isFrom(row, context) || (row.code === ATTRIBUTE.NEXT_HOP && !withNextHop)) continue
    const value = row.encode(attributes, context)
    if (value !== undefined) parts.push({ code: row.code, flags: row.flags, value })
  }
  for (const { code, flags, bytes } of attributes.unknown ?? []) {
    parts.push({ code, flags, value: bytes })
  }
  return joinAttributes(parts.sort((a, b) => a.code - b.code))
}

function joinAttributes(
  parts: readonly { code: number; flags: number; value: Uint8Array }[],
): Uint8Array {
  const size = parts.reduce((sum, { value }) => sum + attributeOctets(value.length), 0)
  const bytes = new Uint8Array(size)
  let at = 0
  for (const { code, flags, value } of parts) {
    at = writeAttributeHeader(bytes, at, flags, code, value.length)
    bytes.set(value, at)
    at += value.length
  }
  return bytes
}

/** Octets of an attribute with its header. */
export const attributeOctets = (valueOctets: number): number =>
  valueOctets + (valueOctets > 255 ? 4 : 3)

/** Returns where the value begins. */
export function writeAttributeHeader(
  bytes: Uint8Array,
  at: number,
  flags: number,
  code: number,
  length: number,
): number {
  invariant(length <= 0xffff, `attribute ${code} of ${length} octets`)
  const isExtended = length > 255
  bytes[at] = isExtended ? flags | FLAG.EXTENDED : flags
  bytes[at + 1] = code
  if (!isExtended) {
    bytes[at + 2] = length
    return at + 3
  }
  bytes[at + 2] = length >>> 8
  bytes[at + 3] = length & 0xff
  return at + 4
}

/** Whether these attributes go with NEXT_HOP, for IPv4 prefixes; else with MP_REACH_NLRI. */
export const isPlainNextHop = (nextHop: Ip): boolean => familyOfIp(nextHop) === 'ipv4'
