/**
 * A policy made ready: which rules' prefix lists hold for a prefix is one number, its
 * class, and the rest of a decision depends on attributes alone. So an outcome is
 * worked out once for a class and a set of attributes, not once for a route.
 *
 * @module
 */
import { TriviumError } from '../../errors.ts'
import { type Ip, networkAddress, prefixFamily, prefixLength } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import type { Family } from '../nlri.ts'
import { FAMILY_BITS, PrefixTable } from '../rib/prefix-table.ts'
import { asPathLength } from '../wire/as-path.ts'
import {
  type Changes,
  type Condition,
  originAs,
  type Policy,
  type PrefixRange,
  prepended,
  type Source,
} from './policy.ts'

/** Rules with prefix lists that one number of 31 bits can tell apart. */
const PREFIX_RULES_MAX = 30

/** What became of a route, and which rule said so. */
export type Verdict =
  | { readonly kind: 'accept'; readonly rule: string; readonly attributes: Attributes }
  | { readonly kind: 'reject'; readonly rule: string }

export interface PolicyContext {
  readonly source: Source
  /** Own AS number, for `prepend`. */
  readonly asn: number
  /** For next hop `self` and `unchanged`; undefined on the way in, where neither means anything. */
  readonly hops?: { readonly self: Hop; readonly unchanged: Hop }
}

/** One place to send packets to: the global address and, for IPv6, the link's (RFC 2545). */
export interface Hop {
  readonly nextHop: Ip
  readonly linkLocal?: Ip
}

/** One family's side of a policy. */
export class CompiledPolicy {
  readonly policy: Policy
  /** Prefix lists by rule; undefined where the rule has none. */
  readonly #lists: readonly (PrefixList | undefined)[]
  readonly usesPrefixes: boolean

  /** @throws {TriviumError} BAD_CONFIG when a range is impossible or prefix lists are too many. */
  constructor(policy: Policy, family: Family) {
    this.policy = policy
    this.#lists = policy.rules.map(({ when }, index) =>
      when?.prefixes === undefined
        ? undefined
        : new PrefixList(when.prefixes, family, `rule ${index + 1} of policy ${policy.name}`),
    )
    const count = this.#lists.filter((list) => list !== undefined).length
    this.usesPrefixes = count > 0
    if (count <= PREFIX_RULES_MAX) return
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot use policy ${policy.name}: ${count} rules with prefixes, at most ${PREFIX_RULES_MAX}`,
      'Put prefixes that are treated alike into one rule',
    )
  }

  /** Which prefix lists hold the prefix, a bit each; 0 where none does. */
  classOf(table: PrefixTable, id: number): number {
    if (!this.usesPrefixes) return 0
    let found = 0
    let bit = 1
    for (const list of this.#lists) {
      if (list === undefined) continue
      if (list.holds(table, id)) found |= bit
      bit <<= 1
    }
    return found
  }

  /** @param onMatch Hears of each rule that matched, also of those that go on. */
  decide(
    attributes: Attributes,
    prefixClass: number,
    context: PolicyContext,
    onMatch?: (rule: string) => void,
  ): Verdict {
    let current = attributes
    let bit = 1
    for (const [index, { name, when, set, action = 'accept' }] of this.policy.rules.entries()) {
      const list = this.#lists[index]
      const inList = list === undefined || (prefixClass & bit) !== 0
      if (list !== undefined) bit <<= 1
      if (!inList || (when !== undefined && !holds(when, current, context.source))) continue
      const rule = name ?? `rule ${index + 1}`
      onMatch?.(rule)
      if (action === 'reject') return { kind: 'reject', rule }
      if (set !== undefined) current = changed(current, set, context)
      if (action === 'accept') return { kind: 'accept', rule, attributes: current }
    }
    const rule = 'no rule'
    return this.policy.otherwise === 'accept'
      ? { kind: 'accept', rule, attributes: current }
      : { kind: 'reject', rule }
  }
}

/** A look-up for each length that the list's prefixes have. */
class PrefixList {
  readonly #table: PrefixTable
  readonly #lengths: readonly number[]
  /** Ranges by the number of their prefix. */
  readonly #ranges: { readonly ge: number; readonly le: number }[][] = []

  constructor(ranges: readonly PrefixRange[], family: Family, subject: string) {
    this.#table = new PrefixTable(family)
    const lengths = new Set<number>()
    for (const { prefix, ge, le } of ranges) {
      const length = prefixLength(prefix)
      const [from, to] = [ge ?? length, le ?? ge ?? length]
      const own: Family = prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6'
      if (from < length || to < from || to > FAMILY_BITS[own]) {
        throw new TriviumError(
          'BAD_CONFIG',
          `Cannot use ${subject}: ${prefix} with ge ${from} and le ${to}, wanted ${length} <= ge <= le <= ${FAMILY_BITS[own]}`,
          `Prefixes inside ${networkAddress(prefix)}/${length} are at least so long`,
        )
      }
      if (own !== family) continue
      lengths.add(length)
      this.#table.readPrefix(prefix)
      const id = this.#table.add()
      this.#ranges[id] = [...(this.#ranges[id] ?? []), { ge: from, le: to }]
    }
    this.#lengths = [...lengths]
  }

  holds(table: PrefixTable, id: number): boolean {
    const length = table.lengthOf(id)
    for (const bits of this.#lengths) {
      if (bits > length) continue
      this.#table.readId(table, id, bits)
      const found = this.#table.find()
      if (found < 0) continue
      if (this.#ranges[found]!.some(({ ge, le }) => length >= ge && length <= le)) return true
    }
    return false
  }
}

/** Whether all but the prefixes, which the class stands for, hold. */
function holds(when: Condition, attributes: Attributes, source: Source): boolean {
  const { communities = [], largeCommunities = [], asPath, nextHop } = attributes
  const has = <T>(wanted: readonly T[] | undefined, found: (each: T) => boolean): boolean =>
    wanted === undefined || wanted.some(found)
  const begins = when.originatesIn === undefined ? undefined : originAs(attributes)
  return (
    has(when.sources, (each) => each === source) &&
    has(when.communities, (each) => communities.includes(each)) &&
    has(when.largeCommunities, ([a, b, c]) =>
      largeCommunities.some((each) => each[0] === a && each[1] === b && each[2] === c),
    ) &&
    has(when.nextHops, (each) => each === nextHop) &&
    has(when.passes, (each) => asPath.some(({ asns }) => asns.includes(each))) &&
    has(when.originatesIn, (each) => each === begins) &&
    (when.asPathLengthMax === undefined || asPathLength(asPath) <= when.asPathLengthMax)
  )
}

function changed(attributes: Attributes, set: Changes, context: PolicyContext): Attributes {
  const next: { -readonly [Key in keyof Attributes]: Attributes[Key] } = { ...attributes }
  if (set.localPref !== undefined) next.localPref = set.localPref
  if (set.med === 'remove') delete next.med
  else if (set.med !== undefined) next.med = set.med
  if (set.origin !== undefined) next.origin = set.origin
  if (set.prepend !== undefined) next.asPath = prepended(next.asPath, context.asn, set.prepend)
  const { removeCommunities: removed, addCommunities: added } = set
  if (removed !== undefined || added !== undefined) {
    const kept = (next.communities ?? []).filter(
      (each) => removed === undefined || (removed !== 'all' && !removed.includes(each)),
    )
    const all = [...new Set([...kept, ...(added ?? [])])].sort((left, right) => left - right)
    if (all.length === 0) delete next.communities
    else next.communities = all
  }
  const large = set.addLargeCommunities
  if (set.removeLargeCommunities !== undefined) delete next.largeCommunities
  if (large !== undefined) next.largeCommunities = union(next.largeCommunities ?? [], large)
  setNextHop(next, set.nextHop, context)
  return next
}

function setNextHop(
  next: { nextHop: Ip; linkLocal?: Ip },
  to: Changes['nextHop'],
  { hops }: PolicyContext,
): void {
  const hop = hopOf(to, hops)
  if (hop === undefined) return
  next.nextHop = hop.nextHop
  if (hop.linkLocal === undefined) delete next.linkLocal
  else next.linkLocal = hop.linkLocal
}

function hopOf(to: Changes['nextHop'], hops: PolicyContext['hops']): Hop | undefined {
  if (to === 'self') return hops?.self
  if (to === 'unchanged') return hops?.unchanged
  return to === undefined ? undefined : { nextHop: to }
}

type Large = readonly [number, number, number]

function union(left: readonly Large[], right: readonly Large[]): readonly Large[] {
  const all = new Map([...left, ...right].map((each) => [each.join(':'), each]))
  return [...all.values()].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2])
}
