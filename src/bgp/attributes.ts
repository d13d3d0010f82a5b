/**
 * Path attributes: what all prefixes of one announcement have in common.
 *
 * Source: RFC 4271 section 5 and those named at each field.
 *
 * @module
 */
import type { Ip } from '../net/mod.ts'

/** Where a path began (RFC 4271 section 5.1.1); the lower one is preferred. */
export type Origin = 'igp' | 'egp' | 'incomplete'

/** A segment of AS_PATH: RFC 4271 section 4.3, confederations RFC 5065 section 3. */
export interface AsSegment {
  readonly kind: 'sequence' | 'set' | 'confed-sequence' | 'confed-set'
  readonly asns: readonly number[]
}

/** An attribute that this speaker does not know and passes on (RFC 4271 section 5). */
export interface UnknownAttribute {
  readonly code: number
  /** As they came, the partial bit set. */
  readonly flags: number
  readonly bytes: Uint8Array
}

/** One frozen object for each distinct set of path attributes. */
export interface Attributes {
  readonly origin: Origin
  /** Four-octet numbers always: AS4_PATH is merged (RFC 6793 section 4.2.3). */
  readonly asPath: readonly AsSegment[]
  /** The global one; MP_REACH_NLRI's where the family is there. */
  readonly nextHop: Ip
  /** RFC 2545 section 3. */
  readonly linkLocal?: Ip
  readonly med?: number
  readonly localPref?: number
  readonly atomicAggregate?: true
  /** Who aggregated: a four-octet number, AS4_AGGREGATOR merged. */
  readonly aggregator?: { readonly asn: number; readonly id: Ip }
  /** RFC 1997, ascending, 32 bits each, none twice. */
  readonly communities?: readonly number[]
  /** RFC 4360, ascending, 64 bits each, none twice. */
  readonly extendedCommunities?: readonly bigint[]
  /** RFC 8092, ascending, three times 32 bits, none twice. */
  readonly largeCommunities?: readonly (readonly [number, number, number])[]
  /** RFC 4456 section 8. */
  readonly originatorId?: Ip
  /** RFC 4456 section 8, the newest first. */
  readonly clusterList?: readonly Ip[]
  /** OTC, RFC 9234 section 5. */
  readonly onlyToCustomer?: number
  /** Optional transitive ones, by code. */
  readonly unknown?: readonly UnknownAttribute[]
}

/**
 * Path attributes as they came, without NLRI: `bytes` from `start` to before `end`.
 * In one session, equal bytes with an equal `nextHop` mean equal attributes.
 * They lie in the message where they can, so who keeps them copies them.
 */
export interface AttributeBytes {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  /** The octets of MP_REACH_NLRI's next hop, when the prefixes are there. */
  readonly nextHop?: Uint8Array
}
