/**
 * AS_PATH with numbers of two or four octets, and how AS4_PATH is merged:
 * RFC 4271 section 4.3, RFC 5065, RFC 6793 section 4.2.
 *
 * @module
 */
import { invariant } from '../../errors.ts'
import type { AsSegment } from '../attributes.ts'
import { AS_TRANS, SEGMENT } from './iana.ts'
import { u16, u32 } from './octets.ts'

const KINDS: readonly (AsSegment['kind'] | undefined)[] = [
  undefined,
  'set',
  'sequence',
  'confed-sequence',
  'confed-set',
]
const TYPES: Readonly<Record<AsSegment['kind'], number>> = {
  set: SEGMENT.SET,
  sequence: SEGMENT.SEQUENCE,
  'confed-sequence': SEGMENT.CONFED_SEQUENCE,
  'confed-set': SEGMENT.CONFED_SET,
}

/** A segment's count is one octet. */
export const SEGMENT_ASNS_MAX = 255
const ASN_MAX_OF_TWO_OCTETS = 0xffff

/** Segments, or what is wrong with them. */
export function decodeAsPath(
  bytes: Uint8Array,
  start: number,
  end: number,
  asnOctets: 2 | 4,
): readonly AsSegment[] | string {
  const segments: AsSegment[] = []
  let at = start
  while (at < end) {
    if (end - at < 2) return 'one octet is left, wanted a segment'
    const kind = KINDS[bytes[at] ?? 0]
    if (kind === undefined) return `segment of type ${bytes[at]}, wanted 1 to 4`
    const count = bytes[at + 1] ?? 0
    if (count === 0) return 'a segment of no AS'
    at += 2
    const next = at + count * asnOctets
    if (next > end) return `a segment of ${count} AS in ${end - at} octets`
    const asns = new Array<number>(count)
    for (let index = 0; index < count; index++) {
      asns[index] = asnOctets === 4 ? u32(bytes, at + 4 * index) : u16(bytes, at + 2 * index)
    }
    segments.push({ kind, asns })
    at = next
  }
  return segments
}

export const isConfederation = ({ kind }: AsSegment): boolean =>
  kind === 'confed-sequence' || kind === 'confed-set'

export const isSet = ({ kind }: AsSegment): boolean => kind === 'set' || kind === 'confed-set'

/** AS numbers as RFC 4271 section 9.1.2.2 counts them: a set is one, confederations none (RFC 5065). */
export function asPathLength(path: readonly AsSegment[]): number {
  let length = 0
  for (const segment of path) {
    if (!isConfederation(segment)) length += isSet(segment) ? 1 : segment.asns.length
  }
  return length
}

/** RFC 6793 section 4.2.3: of AS_PATH the leading part that AS4_PATH does not have. */
export function mergeAs4Path(
  path: readonly AsSegment[],
  as4Path: readonly AsSegment[],
): readonly AsSegment[] {
  const as4 = as4Path.filter((segment) => !isConfederation(segment))
  let lacking = asPathLength(path) - asPathLength(as4)
  if (lacking < 0 || as4.length === 0) return path
  const leading: AsSegment[] = []
  for (const segment of path) {
    if (isConfederation(segment)) {
      leading.push(segment)
      continue
    }
    if (lacking === 0) break
    const taken = isSet(segment) ? segment.asns : segment.asns.slice(0, lacking)
    leading.push({ kind: segment.kind, asns: taken })
    lacking -= isSet(segment) ? 1 : taken.length
    // Behind a part of a segment nothing is adjacent to what was taken.
    if (taken.length < segment.asns.length) break
  }
  return joined(leading, as4)
}

/** A sequence that was cut in two is one again. */
function joined(leading: readonly AsSegment[], rest: readonly AsSegment[]): readonly AsSegment[] {
  const [last, first] = [leading.at(-1), rest[0]]
  const fits =
    last?.kind === 'sequence' &&
    first?.kind === 'sequence' &&
    last.asns.length + first.asns.length <= SEGMENT_ASNS_MAX
  if (!fits) return [...leading, ...rest]
  const whole: AsSegment = { kind: 'sequence', asns: [...last.asns, ...first.asns] }
  return [...leading.slice(0, -1), whole, ...rest.slice(1)]
}

/** Appends the octets; with two of them a larger number is AS_TRANS (RFC 6793 section 4.2.2). */
export function encodeAsPath(path: readonly AsSegment[], asnOctets: 2 | 4): Uint8Array {
  const segments = path.flatMap(splitLong)
  const size = segments.reduce((sum, { asns }) => sum + 2 + asns.length * asnOctets, 0)
  const bytes = new Uint8Array(size)
  let at = 0
  for (const { kind, asns } of segments) {
    bytes[at++] = TYPES[kind]
    bytes[at++] = asns.length
    for (const asn of asns) {
      const written = asnOctets === 2 && asn > ASN_MAX_OF_TWO_OCTETS ? AS_TRANS : asn
      for (let shift = 8 * (asnOctets - 1); shift >= 0; shift -= 8) {
        bytes[at++] = (written >>> shift) & 0xff
      }
    }
  }
  return bytes
}

function splitLong(segment: AsSegment): readonly AsSegment[] {
  const { kind, asns } = segment
  if (asns.length <= SEGMENT_ASNS_MAX) return asns.length === 0 ? [] : [segment]
  invariant(!isSet(segment), `a set of ${asns.length} AS: a segment holds 255`)
  const parts: AsSegment[] = []
  for (let at = 0; at < asns.length; at += SEGMENT_ASNS_MAX) {
    parts.push({ kind, asns: asns.slice(at, at + SEGMENT_ASNS_MAX) })
  }
  return parts
}

/** What AS4_PATH says beside a path of two octets; undefined when nothing was lost. */
export function as4PathOf(path: readonly AsSegment[]): readonly AsSegment[] | undefined {
  const own = path.filter((segment) => !isConfederation(segment))
  const isLossy = own.some(({ asns }) => asns.some((asn) => asn > ASN_MAX_OF_TWO_OCTETS))
  return isLossy ? own : undefined
}

/** As `birdc show route all` prints it: `1 2 {3 4} (5 6) ({7 8})`. */
export function asPathText(path: readonly AsSegment[]): string {
  return path
    .map(({ kind, asns }) => {
      const text = asns.join(' ')
      const inner = kind === 'set' || kind === 'confed-set' ? `{${text}}` : text
      return kind === 'confed-sequence' || kind === 'confed-set' ? `(${inner})` : inner
    })
    .join(' ')
}
