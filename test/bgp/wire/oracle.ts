/**
 * What becomes of an UPDATE, written slowly from the RFCs' sentences, and apart from the
 * codec: lists of numbers, one rule after the other. The fuzz test holds the codec to it.
 */
import type { Context } from '../../../src/bgp/wire/context.ts'

export interface Verdict {
  readonly remedy: 'accept' | 'withdraw' | 'reset'
  /** When it is reset: subcodes of UPDATE Message Error that would be right. */
  readonly subcodes: ReadonlySet<number>
  /** Family and octets of each prefix, path identifier included; none after a reset. */
  readonly announced: readonly string[]
  readonly withdrawn: readonly string[]
  /** Codes that count in what is accepted, of those that we know. */
  readonly attributes: readonly number[]
}

interface Attribute {
  readonly flags: number
  readonly code: number
  readonly value: readonly number[]
}

/** Flags that each attribute must have, of Optional and Transitive. */
const FLAGS: Readonly<Record<number, number>> = {
  1: 0x40,
  2: 0x40,
  3: 0x40,
  4: 0x80,
  5: 0x40,
  6: 0x40,
  7: 0xc0,
  8: 0xc0,
  9: 0x80,
  10: 0x80,
  14: 0x80,
  15: 0x80,
  16: 0xc0,
  17: 0xc0,
  18: 0xc0,
  32: 0xc0,
  35: 0xc0,
}

class Judge {
  readonly context: Context
  discards = 0
  withdraws = 0
  readonly resets = new Set<number>()
  readonly announced: string[] = []
  readonly withdrawn: string[] = []
  constructor(context: Context) {
    this.context = context
  }
  /** Octets to prefixes; undefined: RFC 7606 section 5.3 calls them malformed. */
  prefixes(octets: readonly number[], family: 'ipv4' | 'ipv6'): string[] | undefined {
    const found: string[] = []
    const ids = this.context.addPathReceive.includes(family) ? 4 : 0
    let rest = octets
    while (rest.length > 0) {
      if (rest.length < ids + 1) return undefined
      const bits = rest[ids] as number
      const size = ids + 1 + Math.ceil(bits / 8)
      if (bits > (family === 'ipv4' ? 32 : 128) || rest.length < size) return undefined
      found.push(`${family} ${rest.slice(0, size).join('.')}`)
      rest = rest.slice(size)
    }
    return found
  }
}

const two = (octets: readonly number[], at: number): number =>
  (octets[at] as number) * 256 + (octets[at + 1] as number)

export function oracle(body: readonly number[], context: Context): Verdict {
  const judge = new Judge(context)
  if (body.length < 4) return resetBy(1)
  const withdrawnLength = two(body, 0)
  if (withdrawnLength + 4 > body.length) return resetBy(1)
  const attributesLength = two(body, 2 + withdrawnLength)
  if (withdrawnLength + attributesLength + 4 > body.length) return resetBy(1)
  const attributesStart = 4 + withdrawnLength
  const nlri = body.slice(attributesStart + attributesLength)
  plain(judge, body.slice(2, 2 + withdrawnLength), judge.withdrawn)
  plain(judge, nlri, judge.announced)
  const { attributes, isCut } = split(
    body.slice(attributesStart, attributesStart + attributesLength),
  )
  const reach = multi(judge, attributes, 14)
  multi(judge, attributes, 15)
  for (const { flags, code } of attributes) {
    if (FLAGS[code] === undefined && flags < 0x80) judge.resets.add(2)
  }
  if (isCut) judge.withdraws++
  const announces = nlri.length > 0 || reach === 'some'
  const isBare = attributes.every(({ code }) => code === 15) && !isCut
  const isPlain = nlri.length > 0 && context.families.includes('ipv4')
  const codes = values(judge, attributes, {
    announces: judge.announced.length > 0,
    needsNextHop: isPlain,
    ignoresNextHop: !isPlain && judge.announced.length > 0,
    isJudged: judge.announced.length > 0 || (!announces && !isBare),
  })
  const subcodes = judge.resets
  if (subcodes.size === 0 && judge.withdraws > 0 && !announces && !isBare) {
    // RFC 7606 section 5.2: nothing is announced, and an error is worse than a discard.
    for (let subcode = 1; subcode <= 11; subcode++) subcodes.add(subcode)
  }
  if (subcodes.size > 0) {
    return { remedy: 'reset', subcodes, announced: [], withdrawn: [], attributes: [] }
  }
  const { announced, withdrawn } = judge
  if (judge.withdraws > 0) {
    const all = [...withdrawn, ...announced]
    return { remedy: 'withdraw', subcodes, announced: [], withdrawn: all, attributes: [] }
  }
  return { remedy: 'accept', subcodes, announced, withdrawn, attributes: codes }
}

const resetBy = (subcode: number): Verdict => ({
  remedy: 'reset',
  subcodes: new Set([subcode]),
  announced: [],
  withdrawn: [],
  attributes: [],
})

function plain(judge: Judge, octets: readonly number[], into: string[]): void {
  if (!judge.context.families.includes('ipv4')) return
  const found = judge.prefixes(octets, 'ipv4')
  if (found === undefined) judge.resets.add(10)
  else into.push(...found)
}

/** RFC 7606 section 4: until one is longer than what is left. */
function split(octets: readonly number[]): { attributes: Attribute[]; isCut: boolean } {
  const attributes: Attribute[] = []
  let rest = octets
  while (rest.length > 0) {
    const [flags = 0, code = 0] = rest
    const head = flags & 0x10 ? 4 : 3
    if (rest.length < head) return { attributes, isCut: true }
    const length = head === 4 ? two(rest, 2) : (rest[2] as number)
    if (rest.length < head + length) return { attributes, isCut: true }
    attributes.push({ flags, code, value: rest.slice(head, head + length) })
    rest = rest.slice(head + length)
  }
  return { attributes, isCut: false }
}

/** MP_REACH_NLRI (14) or MP_UNREACH_NLRI (15); whether it has prefixes, of whatever family. */
function multi(judge: Judge, attributes: readonly Attribute[], code: 14 | 15): 'none' | 'some' {
  const [first, ...others] = attributes.filter((each) => each.code === code)
  if (first === undefined) return 'none'
  if (others.length > 0) judge.resets.add(1)
  if ((first.flags & 0xc0) !== 0x80) judge.withdraws++
  const { value } = first
  const hop = code === 14 ? (value[3] ?? 0) : 0
  const head = code === 14 ? 5 + hop : 3
  if (value.length < head || (code === 14 && value.length < 5)) {
    judge.resets.add(9)
    return 'none'
  }
  const rest = value.slice(head)
  const has = rest.length > 0 ? 'some' : 'none'
  const afi = two(value, 0)
  const family = value[2] !== 1 ? undefined : afi === 1 ? 'ipv4' : afi === 2 ? 'ipv6' : undefined
  const { families, extendedNextHop } = judge.context
  if (family === undefined || !families.includes(family)) {
    judge.discards++
    return has
  }
  const hops = family === 'ipv6' ? [16, 32] : extendedNextHop ? [4, 16, 32] : [4]
  if (code === 14 && !hops.includes(hop)) {
    judge.resets.add(9)
    return has
  }
  const found = judge.prefixes(rest, family)
  if (found === undefined) judge.resets.add(9)
  else (code === 14 ? judge.announced : judge.withdrawn).push(...found)
  return has
}

interface Asked {
  readonly announces: boolean
  readonly needsNextHop: boolean
  readonly ignoresNextHop: boolean
  /** Nobody looks at the values of attributes that hang on nothing. */
  readonly isJudged: boolean
}

/** RFC 7606 section 7, attribute by attribute. Returns the codes that count. */
function values(judge: Judge, attributes: readonly Attribute[], asked: Asked): number[] {
  if (!asked.isJudged) return []
  const seen = new Set<number>()
  const good: number[] = []
  for (const { flags, code, value } of attributes) {
    if (code === 14 || code === 15 || FLAGS[code] === undefined) continue
    if (code === 3 && asked.ignoresNextHop) continue
    if (seen.has(code)) {
      judge.discards++
      continue
    }
    seen.add(code)
    const remedy = remedyOf(judge.context, flags, code, value)
    if (remedy === 'withdraw') judge.withdraws++
    else if (remedy === 'discard') judge.discards++
    else good.push(code)
  }
  if (asked.announces) {
    const { peering } = judge.context
    const wanted = [
      1,
      2,
      ...(asked.needsNextHop ? [3] : []),
      ...(peering === 'internal' ? [5] : []),
    ]
    if (wanted.some((code) => !seen.has(code))) judge.withdraws++
  }
  return good
}

type Remedy = 'fine' | 'discard' | 'withdraw'

function remedyOf(context: Context, flags: number, code: number, value: readonly number[]): Remedy {
  const { peering, fourOctetAs } = context
  const { length } = value
  if (code === 5 && peering === 'external') return 'discard'
  if ((code === 9 || code === 10) && peering !== 'internal') return 'discard'
  if ((flags & 0xc0) !== FLAGS[code]) return 'withdraw'
  const unless = (isFine: boolean, remedy: Remedy): Remedy => (isFine ? 'fine' : remedy)
  const asnOctets = fourOctetAs ? 4 : 2
  switch (code) {
    case 1:
      return unless(length === 1 && (value[0] as number) <= 2, 'withdraw')
    case 2:
      return pathRemedy(context, value, asnOctets)
    case 3:
    case 4:
    case 5:
    case 9:
    case 35:
      return unless(length === 4, 'withdraw')
    case 6:
      return unless(length === 0, 'discard')
    case 7:
      return unless(
        length === asnOctets + 4 && value.slice(0, asnOctets).some((o) => o > 0),
        'discard',
      )
    case 8:
    case 10:
      return unless(length > 0 && length % 4 === 0, 'withdraw')
    case 16:
      return unless(length > 0 && length % 8 === 0, 'withdraw')
    case 32:
      return unless(length > 0 && length % 12 === 0, 'withdraw')
    case 17:
      return as4PathRemedy(context, value)
    case 18:
      return unless(!fourOctetAs && length === 8 && value.slice(0, 4).some((o) => o > 0), 'discard')
    default:
      return 'fine'
  }
}

interface Segment {
  readonly type: number
  readonly asns: readonly number[]
}

function segments(value: readonly number[], asnOctets: number): Segment[] | undefined {
  const found: Segment[] = []
  let rest = value
  while (rest.length > 0) {
    const [type = 0, count = 0] = rest
    const size = 2 + count * asnOctets
    if (rest.length < 2 || type < 1 || type > 4 || count === 0 || rest.length < size)
      return undefined
    const asns: number[] = []
    for (let at = 2; at < size; at += asnOctets) {
      asns.push(rest.slice(at, at + asnOctets).reduce((sum, octet) => sum * 256 + octet, 0))
    }
    found.push({ type, asns })
    rest = rest.slice(size)
  }
  return found
}

function pathRemedy(context: Context, value: readonly number[], asnOctets: number): Remedy {
  const path = segments(value, asnOctets)
  if (path === undefined) return 'withdraw'
  if (path.some(({ asns }) => asns.includes(0))) return 'withdraw'
  if (context.asSets === 'withdraw' && path.some(({ type }) => type === 1 || type === 4)) {
    return 'withdraw'
  }
  if (context.peering === 'external') {
    if (path.some(({ type }) => type >= 3)) return 'withdraw'
    const first = path[0]?.asns[0]
    if (context.firstAs !== undefined && first !== context.firstAs) return 'withdraw'
  }
  if (context.peering === 'confederation' && path[0]?.type !== 3) return 'withdraw'
  return 'fine'
}

function as4PathRemedy({ fourOctetAs, asSets }: Context, value: readonly number[]): Remedy {
  if (fourOctetAs) return 'discard'
  const path = segments(value, 4)
  if (path === undefined || path.length === 0) return 'discard'
  for (const { type, asns } of path) {
    if (asns.includes(0)) return 'discard'
    if (asSets === 'withdraw' && (type === 1 || type === 4)) return 'withdraw'
  }
  return 'fine'
}
