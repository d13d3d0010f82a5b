/**
 * UPDATE: RFC 4271 section 4.3 and 6.3, errors by RFC 7606.
 *
 * The decoder walks the attributes without reading them: it looks for prefixes
 * and for what would end the session. Attributes are read by `decodeAttributes`,
 * once for each distinct set. Only where another remedy hangs on them (a message that
 * announces nothing, or two kinds of prefixes) they are read here.
 *
 * @module
 */
import type { AttributeBytes } from '../attributes.ts'
import type { NlriSlice, Update } from '../nlri.ts'
import { ROW_BY_CODE } from './attribute-table.ts'
import { attributeFaults, decodeAttributes } from './attributes.ts'
import type { Context } from './context.ts'
import { type Reset, reset } from './fault.ts'
import { ATTRIBUTE, ERROR, FLAG } from './iana.ts'
import { u16 } from './octets.ts'
import { nlriFault } from './prefixes.ts'
import {
  decodeReach,
  decodeUnreach,
  type Foreign,
  isFault,
  isForeign,
  type Reach,
} from './reach.ts'
import { faultOf, strongest, type UpdateFault } from './remedies.ts'

export type UpdateResult =
  | {
      readonly kind: 'update'
      /** One; two when prefixes have different next hops. To be taken in this order. */
      readonly updates: readonly Update[]
      /** What was left out, each with the reason. */
      readonly discarded: readonly UpdateFault[]
    }
  /** Treat-as-withdraw: all prefixes of the message, announced and withdrawn. */
  | {
      readonly kind: 'withdraw'
      readonly withdrawn: readonly NlriSlice[]
      readonly faults: readonly UpdateFault[]
    }
  | Reset

const NO_SLICES: readonly NlriSlice[] = []
const NO_FAULTS: readonly UpdateFault[] = []

/** What the walk over the attributes found. */
interface Walk {
  faults: UpdateFault[]
  reach: Reach | undefined
  unreach: NlriSlice | undefined
  foreignReach: Foreign | undefined
  /** Places of MP_REACH_NLRI and MP_UNREACH_NLRI, pairs of start and end. */
  holes: number[]
  /** The octets of the attribute that a NOTIFICATION is to show. */
  shown: Uint8Array | undefined
  /** Whether MP_REACH_NLRI or MP_UNREACH_NLRI were there, as bits 1 and 2. */
  seen: number
}

/** Decodes the body of an UPDATE: `bytes` from `start` to before `end`. */
export function decodeUpdate(
  bytes: Uint8Array,
  start: number,
  end: number,
  context: Context,
): UpdateResult {
  const withdrawnStart = start + 2
  const withdrawnEnd = withdrawnStart + u16(bytes, start)
  const attributesStart = withdrawnEnd + 2
  const attributesEnd = attributesStart + u16(bytes, withdrawnEnd)
  if (end - start < 4 || attributesStart > end || attributesEnd > end) {
    const what = 'withdrawn routes and attributes are longer than the message'
    return resetFor(faultOf('message', 'lengths', what), undefined)
  }
  const walk: Walk = {
    faults: [],
    reach: undefined,
    unreach: undefined,
    foreignReach: undefined,
    holes: [],
    shown: undefined,
    seen: 0,
  }
  const withdrawn = plainSlice(bytes, withdrawnStart, withdrawnEnd, 'withdrawn', walk, context)
  const announced = plainSlice(bytes, attributesEnd, end, 'announced', walk, context)
  if (attributesEnd > attributesStart) {
    walkAttributes(walk, bytes, attributesStart, attributesEnd, context)
  }
  return judge(walk, { bytes, start: attributesStart, end: attributesEnd }, withdrawn, announced, {
    context,
    hasNlriField: attributesEnd < end,
    isEmpty: end - start === 4,
  })
}

function plainSlice(
  bytes: Uint8Array,
  start: number,
  end: number,
  subject: 'withdrawn' | 'announced',
  walk: Walk,
  { families, addPathReceive }: Context,
): NlriSlice | undefined {
  if (start === end) return undefined
  const hasPathIds = addPathReceive.includes('ipv4')
  const slice: NlriSlice = { family: 'ipv4', bytes, start, end, hasPathIds }
  const isOurs = families.includes('ipv4')
  const fault = isOurs ? nlriFault(slice) : undefined
  if (fault !== undefined) walk.faults.push(faultOf(subject, 'nlri', `${subject} routes: ${fault}`))
  if (!isOurs)
    walk.faults.push(faultOf(subject, 'family', 'IPv4 prefixes, which were not negotiated'))
  return isOurs ? slice : undefined
}

/** RFC 7606 section 4: framing of attributes; flags and values are another's matter. */
function walkAttributes(
  walk: Walk,
  bytes: Uint8Array,
  start: number,
  end: number,
  context: Context,
): void {
  let at = start
  while (at < end) {
    const flags = bytes[at] ?? 0
    const isExtended = (flags & FLAG.EXTENDED) !== 0
    const value = at + (isExtended ? 4 : 3)
    const next = value + (isExtended ? u16(bytes, at + 2) : (bytes[at + 2] ?? 0))
    if (value > end || next > end) {
      // Of a header that is cut off no length is known.
      const size = value > end ? '' : ` of ${next - at} octets`
      const what = `an attribute${size} where ${end - at} octets are left`
      walk.faults.push(faultOf('message', 'overrun', what))
      return
    }
    const code = bytes[at + 1] ?? 0
    if (code === ATTRIBUTE.MP_REACH_NLRI || code === ATTRIBUTE.MP_UNREACH_NLRI) {
      walkMultiprotocol(walk, bytes, at, value, next, context)
    } else if ((flags & FLAG.OPTIONAL) === 0 && ROW_BY_CODE[code] === undefined) {
      fail(walk, faultOf(code, 'unrecognized', `well-known attribute ${code}`), bytes, at, next)
    }
    at = next
  }
}

function walkMultiprotocol(
  walk: Walk,
  bytes: Uint8Array,
  at: number,
  value: number,
  next: number,
  context: Context,
): void {
  const code = bytes[at + 1] ?? 0
  const isReach = code === ATTRIBUTE.MP_REACH_NLRI
  const name = isReach ? 'MP_REACH_NLRI' : 'MP_UNREACH_NLRI'
  const bit = isReach ? 1 : 2
  walk.holes.push(at, next)
  if ((walk.seen & bit) !== 0) {
    fail(walk, faultOf(code, 'again', `${name} again`), bytes, at, next)
    return
  }
  walk.seen |= bit
  const flags = (bytes[at] ?? 0) & (FLAG.OPTIONAL | FLAG.TRANSITIVE)
  if (flags !== FLAG.OPTIONAL) {
    const what = `${name}: flags 0x${flags.toString(16)}, wanted 0x80`
    walk.faults.push(faultOf(code, 'flags', what))
  }
  const found = isReach
    ? decodeReach(bytes, value, next, context)
    : decodeUnreach(bytes, value, next, context)
  if (isFault(found)) fail(walk, found, bytes, at, next)
  else if (isForeign(found)) {
    walk.faults.push(found.fault)
    if (isReach) walk.foreignReach = found
  } else if ('nlri' in found) walk.reach = found
  else walk.unreach = found
}

function fail(walk: Walk, fault: UpdateFault, bytes: Uint8Array, at: number, next: number): void {
  walk.shown ??= bytes.slice(at, next)
  walk.faults.push(fault)
}

interface Shape {
  readonly context: Context
  readonly hasNlriField: boolean
  readonly isEmpty: boolean
}

/** The remedy, and what remains. */
function judge(
  walk: Walk,
  octets: AttributeBytes,
  withdrawn: NlriSlice | undefined,
  announced: NlriSlice | undefined,
  { context, hasNlriField, isEmpty }: Shape,
): UpdateResult {
  const { reach, unreach, foreignReach } = walk
  let faults: readonly UpdateFault[] = walk.faults
  const reached = reach !== undefined && reach.nlri.end > reach.nlri.start ? reach : undefined
  const announces =
    hasNlriField || reached !== undefined || (foreignReach !== undefined && !foreignReach.isEmpty)
  const rest = withoutHoles(octets, walk.holes)
  const plain = announced && rest
  const multi = reached && { ...rest, nextHop: reached.nextHop }
  // RFC 7606 section 5.2: without reachable prefixes nothing says that they were found.
  const isUnsure = !announces && (rest.end > rest.start || (walk.seen & 1) !== 0)
  if (isUnsure) faults = [...faults, ...attributeFaults(rest, context)]
  if (plain !== undefined && multi !== undefined) {
    faults = [...faults, ...valueFaults(plain, context), ...valueFaults(multi, context)]
  }
  const worst = faults.length === 0 ? undefined : strongest(faults)
  if (worst !== undefined && worst.remedy !== 'discard') {
    if (worst.remedy === 'reset' || isUnsure) return resetFor(worst, walk.shown)
    const all = [withdrawn, unreach, announced, reached?.nlri]
    return { kind: 'withdraw', withdrawn: all.filter((slice) => slice !== undefined), faults }
  }
  const updates: Update[] = []
  const gone = withdrawnOf(withdrawn, unreach)
  if (announced !== undefined) updates.push(update(gone, announced, plain))
  if (reached !== undefined)
    updates.push(update(updates.length > 0 ? NO_SLICES : gone, reached.nlri, multi))
  if (updates.length === 0) updates.push(silent(gone, unreach, isEmpty, rest.end === rest.start))
  return { kind: 'update', updates, discarded: faults.length === 0 ? NO_FAULTS : faults }
}

const valueFaults = (octets: AttributeBytes, context: Context): readonly UpdateFault[] => {
  const result = decodeAttributes(octets, context)
  return result.kind === 'withdraw' ? result.faults : NO_FAULTS
}

function update(
  withdrawn: readonly NlriSlice[],
  announced: NlriSlice,
  attributes: AttributeBytes | undefined,
): Update {
  return { withdrawn, announced: [announced], attributes, endOfRib: undefined }
}

/** Announces nothing; an empty one ends a RIB: RFC 4724 section 2. */
function silent(
  withdrawn: readonly NlriSlice[],
  unreach: NlriSlice | undefined,
  isEmpty: boolean,
  isAlone: boolean,
): Update {
  const isMultiEnd = unreach !== undefined && withdrawn.length === 0 && isAlone
  const endOfRib = isEmpty ? 'ipv4' : isMultiEnd ? unreach.family : undefined
  return { withdrawn, announced: NO_SLICES, attributes: undefined, endOfRib }
}

function withdrawnOf(
  plain: NlriSlice | undefined,
  multi: NlriSlice | undefined,
): readonly NlriSlice[] {
  const isMulti = multi !== undefined && multi.end > multi.start
  if (plain === undefined) return isMulti ? [multi] : NO_SLICES
  return isMulti ? [plain, multi] : [plain]
}

/** The attributes without those that hold prefixes: in place when what remains is one piece. */
function withoutHoles(octets: AttributeBytes, holes: readonly number[]): AttributeBytes {
  if (holes.length === 0) return octets
  const { bytes } = octets
  const pieces: [start: number, end: number][] = []
  let at = octets.start
  for (let index = 0; index <= holes.length; index += 2) {
    const end = holes[index] ?? octets.end
    if (end > at) pieces.push([at, end])
    at = holes[index + 1] ?? octets.end
  }
  const [only = [octets.end, octets.end] as const, second] = pieces
  if (second === undefined) return { bytes, start: only[0], end: only[1] }
  const joined = new Uint8Array(pieces.reduce((sum, [start, end]) => sum + end - start, 0))
  let length = 0
  for (const [start, end] of pieces) {
    joined.set(bytes.subarray(start, end), length)
    length += end - start
  }
  return { bytes: joined, start: 0, end: joined.length }
}

/** RFC 4271 section 6.3: the data field is the attribute, where it is one's fault. */
function resetFor({ subject, subcode, reason }: UpdateFault, shown: Uint8Array | undefined): Reset {
  return reset(ERROR.UPDATE, subcode, reason, typeof subject === 'number' ? shown : undefined)
}
