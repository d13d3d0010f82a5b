/**
 * What comes in from a peer and goes out to it, as data: rules that are read from
 * the first to the last. The first that matches and does not say `continue` ends it.
 *
 * Without a policy nothing passes an eBGP session, and everything an iBGP session
 * (RFC 8212). What the protocol itself demands (loops, well-known communities,
 * roles) holds before and behind every policy: `rib/import.ts`, `rib/export.ts`.
 *
 * @example
 * const toRack: Policy = {
 *   name: 'to-rack',
 *   rules: [
 *     { when: { prefixes: [{ prefix: mustPrefix('10.42.0.0/16'), ge: 26, le: 26 }] } },
 *     { when: { sources: ['own'] }, set: { addCommunities: [community(64512, 1)] } },
 *   ],
 *   otherwise: 'reject',
 * }
 *
 * @module
 */
import type { Ip, Prefix } from '../../net/mod.ts'
import type { AsSegment, Attributes, Origin } from '../attributes.ts'

export interface Policy {
  readonly name: string
  readonly rules: readonly Rule[]
  /** What becomes of a route that no rule ends. */
  readonly otherwise: 'accept' | 'reject'
}

export interface Rule {
  /** For people; the number of the rule stands for it otherwise. */
  readonly name?: string
  /** @default everything */
  readonly when?: Condition
  readonly set?: Changes
  /** @default accept */
  readonly action?: 'accept' | 'reject' | 'continue'
}

/** Who a route is from: this speaker, another AS, or this AS. */
export type Source = 'own' | 'ebgp' | 'ibgp'

/** All that is said must hold; a list holds when one of its members does. */
export interface Condition {
  readonly prefixes?: readonly PrefixRange[]
  readonly sources?: readonly Source[]
  readonly communities?: readonly number[]
  readonly largeCommunities?: readonly (readonly [number, number, number])[]
  readonly nextHops?: readonly Ip[]
  /** AS numbers anywhere in AS_PATH. */
  readonly passes?: readonly number[]
  /** AS numbers at the end of AS_PATH: where the route began. */
  readonly originatesIn?: readonly number[]
  /** RFC 4271 section 9.1.2.2 a: a set counts one. */
  readonly asPathLengthMax?: number
}

/** A prefix and those inside it with at least `ge` and at most `le` bits. */
export interface PrefixRange {
  readonly prefix: Prefix
  /** @default the prefix's own length */
  readonly ge?: number
  /** @default `ge`; where that is not given the prefix's own length */
  readonly le?: number
}

export interface Changes {
  readonly localPref?: number
  /** `remove` leaves none. */
  readonly med?: number | 'remove'
  readonly origin?: Origin
  /** After those that are removed. */
  readonly addCommunities?: readonly number[]
  readonly removeCommunities?: readonly number[] | 'all'
  readonly addLargeCommunities?: readonly (readonly [number, number, number])[]
  readonly removeLargeCommunities?: 'all'
  /** Own AS number, so many times more. */
  readonly prepend?: number
  /** `self`: this end of the session; only on the way out. @default eBGP self, iBGP unchanged */
  readonly nextHop?: Ip | 'self' | 'unchanged'
}

/** RFC 1997 and those registered since, IANA 2026-08. */
export const WELL_KNOWN = {
  gracefulShutdown: 0xffff_0000, // RFC 8326
  noExport: 0xffff_ff01,
  noAdvertise: 0xffff_ff02,
  noExportSubconfed: 0xffff_ff03,
} as const

/** What is about to go, as RFC 8326 section 4.2 marks it; `attributes` themselves where they have it. */
export function withGracefulShutdown(attributes: Attributes): Attributes {
  const { communities = [] } = attributes
  if (communities.includes(WELL_KNOWN.gracefulShutdown)) return attributes
  const all = [...communities, WELL_KNOWN.gracefulShutdown].sort((left, right) => left - right)
  return { ...attributes, communities: all }
}

/** A community as people write it, `asn:value`. */
export const community = (asn: number, value: number): number => asn * 0x1_0000 + value

/** Where the route began: the last AS number of a sequence at the end. */
export function originAs({ asPath }: Attributes): number | undefined {
  const last = asPath.at(-1)
  return last?.kind === 'sequence' ? last.asns.at(-1) : undefined
}

/** The AS number at the front of AS_PATH `count` times more: RFC 4271 section 5.1.2. */
export function prepended(
  asPath: readonly AsSegment[],
  asn: number,
  count: number,
): readonly AsSegment[] {
  if (count === 0) return asPath
  const own = Array.from({ length: count }, () => asn)
  const [first, ...rest] = asPath
  // A segment holds 255 numbers: section 4.3.
  if (first?.kind === 'sequence' && first.asns.length + count <= 255) {
    return [{ kind: 'sequence', asns: [...own, ...first.asns] }, ...rest]
  }
  return [{ kind: 'sequence', asns: own }, ...asPath]
}
