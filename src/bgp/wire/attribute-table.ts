/**
 * The path attributes, a row each: number, name, flags, octets to meaning and
 * back. What their faults cost is in `remedies.ts`, their text in `text.ts`.
 *
 * MP_REACH_NLRI and MP_UNREACH_NLRI hold prefixes and are not here but in `reach.ts`.
 *
 * @module
 */
import type { Attributes, Origin } from '../attributes.ts'
import { as4PathOf, decodeAsPath, encodeAsPath, isConfederation, isSet } from './as-path.ts'
import {
  decodeCommunities,
  decodeExtended,
  decodeLarge,
  encodeCommunities,
  encodeExtended,
  encodeLarge,
} from './communities.ts'
import type { Context } from './context.ts'
import { AS_TRANS, ATTRIBUTE, FLAG } from './iana.ts'
import { ip4At, ipOctets, u16, u32 } from './octets.ts'
import type { FaultKind } from './remedies.ts'

type Fields = { -readonly [Key in keyof Attributes]?: Attributes[Key] }

/** Attributes on their way: what has been read so far. */
export interface Draft extends Fields {
  as4Path?: Attributes['asPath']
  as4Aggregator?: NonNullable<Attributes['aggregator']>
}

/** What is wrong with an attribute, and in words. */
export type Complaint = readonly [fault: FaultKind, what: string]

export interface AttributeRow {
  readonly code: number
  /** As its RFC writes it. */
  readonly name: string
  /** The Optional and Transitive bits that it must have. */
  readonly flags: number
  /** From whom it means anything: `interior` is internal or another member of the confederation. */
  readonly from: 'anyone' | 'interior' | 'internal'
  /** Puts `bytes` from `start` to before `end` into the draft. */
  decode(
    draft: Draft,
    bytes: Uint8Array,
    start: number,
    end: number,
    context: Context,
  ): Complaint | undefined
  /** The value's octets, or undefined when there is nothing to say. */
  encode(attributes: Attributes, context: Context): Uint8Array | undefined
}

const WELL_KNOWN = FLAG.TRANSITIVE
const OPTIONAL = FLAG.OPTIONAL
const OPTIONAL_TRANSITIVE = FLAG.OPTIONAL | FLAG.TRANSITIVE

const ORIGINS: readonly Origin[] = ['igp', 'egp', 'incomplete']

const wrongLength = (found: number, wanted: string): Complaint => [
  'length',
  `${found} octets, wanted ${wanted}`,
]

function octets32(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length)
  const view = new DataView(bytes.buffer)
  for (const [index, value] of values.entries()) view.setUint32(4 * index, value)
  return bytes
}

type NumberField = 'med' | 'localPref' | 'onlyToCustomer'

/** One number of four octets. */
function number32(field: NumberField): Pick<AttributeRow, 'decode' | 'encode'> {
  return {
    decode(draft, bytes, start, end) {
      if (end - start !== 4) return wrongLength(end - start, '4')
      draft[field] = u32(bytes, start)
      return undefined
    },
    encode({ [field]: value }) {
      return value === undefined ? undefined : octets32(value)
    },
  }
}

type PathFault = 'as-zero' | 'as-set'

function pathFault(
  path: Attributes['asPath'],
  { asSets }: Context,
): readonly [PathFault, string] | undefined {
  for (const segment of path) {
    if (segment.asns.includes(0)) return ['as-zero', 'AS 0 in the path']
    if (asSets === 'withdraw' && isSet(segment)) return ['as-set', 'an AS_SET in the path']
  }
  return undefined
}

/** RFC 5065 section 5, RFC 4271 section 6.3. */
function neighbourFault(path: Attributes['asPath'], context: Context): Complaint | undefined {
  const [first] = path
  if (context.peering === 'external') {
    if (path.some(isConfederation)) {
      return ['confederation', 'a segment of a confederation from outside of it']
    }
    const { firstAs } = context
    if (firstAs !== undefined && first?.asns[0] !== firstAs) {
      return ['first-as', `the path begins with ${first?.asns[0] ?? 'nothing'}, wanted ${firstAs}`]
    }
  }
  if (context.peering === 'confederation' && first?.kind !== 'confed-sequence') {
    return ['confederation', 'no AS_CONFED_SEQUENCE in front, wanted the member AS']
  }
  return undefined
}

const origin: AttributeRow = {
  code: ATTRIBUTE.ORIGIN,
  name: 'ORIGIN',
  flags: WELL_KNOWN,
  from: 'anyone',
  decode(draft, bytes, start, end) {
    if (end - start !== 1) return wrongLength(end - start, '1')
    const found = ORIGINS[bytes[start] ?? 255]
    if (found === undefined) return ['value', `origin ${bytes[start]}, wanted 0 to 2`]
    draft.origin = found
    return undefined
  },
  encode: (attributes) => Uint8Array.of(ORIGINS.indexOf(attributes.origin)),
}

const asPath: AttributeRow = {
  code: ATTRIBUTE.AS_PATH,
  name: 'AS_PATH',
  flags: WELL_KNOWN,
  from: 'anyone',
  decode(draft, bytes, start, end, context) {
    const path = decodeAsPath(bytes, start, end, context.fourOctetAs ? 4 : 2)
    if (typeof path === 'string') return ['segment', path]
    const fault = pathFault(path, context) ?? neighbourFault(path, context)
    if (fault === undefined) draft.asPath = path
    return fault
  },
  encode: (attributes, { fourOctetAs }) => encodeAsPath(attributes.asPath, fourOctetAs ? 4 : 2),
}

const nextHop: AttributeRow = {
  code: ATTRIBUTE.NEXT_HOP,
  name: 'NEXT_HOP',
  flags: WELL_KNOWN,
  from: 'anyone',
  decode(draft, bytes, start, end) {
    if (end - start !== 4) return wrongLength(end - start, '4')
    draft.nextHop = ip4At(bytes, start)
    return undefined
  },
  encode: (attributes) => ipOctets(attributes.nextHop),
}

const atomicAggregate: AttributeRow = {
  code: ATTRIBUTE.ATOMIC_AGGREGATE,
  name: 'ATOMIC_AGGREGATE',
  flags: WELL_KNOWN,
  from: 'anyone',
  decode(draft, _bytes, start, end) {
    if (end !== start) return wrongLength(end - start, '0')
    draft.atomicAggregate = true
    return undefined
  },
  encode: ({ atomicAggregate }) => (atomicAggregate ? new Uint8Array(0) : undefined),
}

const aggregator: AttributeRow = {
  code: ATTRIBUTE.AGGREGATOR,
  name: 'AGGREGATOR',
  flags: OPTIONAL_TRANSITIVE,
  from: 'anyone',
  decode(draft, bytes, start, end, { fourOctetAs }) {
    const asnOctets = fourOctetAs ? 4 : 2
    if (end - start !== asnOctets + 4) return wrongLength(end - start, `${asnOctets + 4}`)
    const asn = fourOctetAs ? u32(bytes, start) : u16(bytes, start)
    if (asn === 0) return ['as-zero', 'AS 0 aggregated']
    draft.aggregator = { asn, id: ip4At(bytes, start + asnOctets) }
    return undefined
  },
  encode({ aggregator }, { fourOctetAs }) {
    if (aggregator === undefined) return undefined
    const { asn, id } = aggregator
    const written = asn > 0xffff ? AS_TRANS : asn
    const number = fourOctetAs ? octets32(asn) : Uint8Array.of(written >>> 8, written & 0xff)
    return Uint8Array.of(...number, ...ipOctets(id))
  },
}

const originatorId: AttributeRow = {
  code: ATTRIBUTE.ORIGINATOR_ID,
  name: 'ORIGINATOR_ID',
  flags: OPTIONAL,
  from: 'internal',
  decode(draft, bytes, start, end) {
    if (end - start !== 4) return wrongLength(end - start, '4')
    draft.originatorId = ip4At(bytes, start)
    return undefined
  },
  encode: ({ originatorId }) => (originatorId === undefined ? undefined : ipOctets(originatorId)),
}

const clusterList: AttributeRow = {
  code: ATTRIBUTE.CLUSTER_LIST,
  name: 'CLUSTER_LIST',
  flags: OPTIONAL,
  from: 'internal',
  decode(draft, bytes, start, end) {
    const length = end - start
    if (length === 0 || length % 4 !== 0) return wrongLength(length, 'a multiple of 4, not 0')
    draft.clusterList = Array.from({ length: length / 4 }, (_, index) =>
      ip4At(bytes, start + 4 * index),
    )
    return undefined
  },
  encode({ clusterList }) {
    if (clusterList === undefined) return undefined
    return Uint8Array.from(clusterList.flatMap((id) => [...ipOctets(id)]))
  },
}

const communities: AttributeRow = {
  code: ATTRIBUTE.COMMUNITIES,
  name: 'COMMUNITIES',
  flags: OPTIONAL_TRANSITIVE,
  from: 'anyone',
  decode(draft, bytes, start, end) {
    const length = end - start
    if (length === 0 || length % 4 !== 0) return wrongLength(length, 'a multiple of 4, not 0')
    draft.communities = decodeCommunities(bytes, start, end)
    return undefined
  },
  encode: ({ communities }) => communities && encodeCommunities(communities),
}

const extendedCommunities: AttributeRow = {
  code: ATTRIBUTE.EXTENDED_COMMUNITIES,
  name: 'EXTENDED COMMUNITIES',
  flags: OPTIONAL_TRANSITIVE,
  from: 'anyone',
  decode(draft, bytes, start, end) {
    const length = end - start
    if (length === 0 || length % 8 !== 0) return wrongLength(length, 'a multiple of 8, not 0')
    draft.extendedCommunities = decodeExtended(bytes, start, end)
    return undefined
  },
  encode: ({ extendedCommunities }) => extendedCommunities && encodeExtended(extendedCommunities),
}

const largeCommunities: AttributeRow = {
  code: ATTRIBUTE.LARGE_COMMUNITIES,
  name: 'LARGE_COMMUNITY',
  flags: OPTIONAL_TRANSITIVE,
  from: 'anyone',
  decode(draft, bytes, start, end) {
    const length = end - start
    if (length === 0 || length % 12 !== 0) return wrongLength(length, 'a multiple of 12, not 0')
    draft.largeCommunities = decodeLarge(bytes, start, end)
    return undefined
  },
  encode: ({ largeCommunities }) => largeCommunities && encodeLarge(largeCommunities),
}

const SUPERFLUOUS: Complaint = ['superfluous', 'from a speaker of four-octet AS numbers']

const as4Path: AttributeRow = {
  code: ATTRIBUTE.AS4_PATH,
  name: 'AS4_PATH',
  flags: OPTIONAL_TRANSITIVE,
  from: 'anyone',
  decode(draft, bytes, start, end, context) {
    if (context.fourOctetAs) return SUPERFLUOUS
    const path = decodeAsPath(bytes, start, end, 4)
    if (typeof path === 'string') return ['segment', path]
    if (path.length === 0) return ['segment', 'no segment']
    const fault = pathFault(path, context)
    if (fault === undefined) draft.as4Path = path
    return fault
  },
  encode(attributes, { fourOctetAs }) {
    const path = fourOctetAs ? undefined : as4PathOf(attributes.asPath)
    return path && encodeAsPath(path, 4)
  },
}

const as4Aggregator: AttributeRow = {
  code: ATTRIBUTE.AS4_AGGREGATOR,
  name: 'AS4_AGGREGATOR',
  flags: OPTIONAL_TRANSITIVE,
  from: 'anyone',
  decode(draft, bytes, start, end, { fourOctetAs }) {
    if (fourOctetAs) return SUPERFLUOUS
    if (end - start !== 8) return wrongLength(end - start, '8')
    const asn = u32(bytes, start)
    if (asn === 0) return ['as-zero', 'AS 0 aggregated']
    draft.as4Aggregator = { asn, id: ip4At(bytes, start + 4) }
    return undefined
  },
  encode({ aggregator }, { fourOctetAs }) {
    if (fourOctetAs || aggregator === undefined || aggregator.asn <= 0xffff) return undefined
    return Uint8Array.of(...octets32(aggregator.asn), ...ipOctets(aggregator.id))
  },
}

/** By code, which is the order in which they are written (RFC 4271 section 5). */
export const ATTRIBUTE_ROWS: readonly AttributeRow[] = [
  origin,
  asPath,
  nextHop,
  {
    code: ATTRIBUTE.MULTI_EXIT_DISC,
    name: 'MULTI_EXIT_DISC',
    flags: OPTIONAL,
    from: 'anyone',
    ...number32('med'),
  },
  {
    code: ATTRIBUTE.LOCAL_PREF,
    name: 'LOCAL_PREF',
    flags: WELL_KNOWN,
    from: 'interior',
    ...number32('localPref'),
  },
  atomicAggregate,
  aggregator,
  communities,
  originatorId,
  clusterList,
  extendedCommunities,
  as4Path,
  as4Aggregator,
  largeCommunities,
  {
    code: ATTRIBUTE.ONLY_TO_CUSTOMER,
    name: 'ONLY_TO_CUSTOMER',
    flags: OPTIONAL_TRANSITIVE,
    from: 'anyone',
    ...number32('onlyToCustomer'),
  },
]

/** By code, for the loop over a message's attributes. */
export const ROW_BY_CODE: readonly (AttributeRow | undefined)[] = Array.from(
  { length: 256 },
  (_, code) => ATTRIBUTE_ROWS.find((row) => row.code === code),
)

/** Whether peers of this kind send the attribute, so that it means something. */
export function isFrom({ from }: AttributeRow, { peering }: Context): boolean {
  if (from === 'anyone' || peering === 'internal') return true
  return from === 'interior' && peering === 'confederation'
}
