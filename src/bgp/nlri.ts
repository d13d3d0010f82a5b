/**
 * Prefixes as they lie in a message, and an UPDATE as far as a RIB needs it.
 *
 * An UPDATE with hundreds of prefixes is read where it arrived: nothing of it
 * is copied, and its path attributes stay bytes until their set is met for the
 * first time.
 *
 * @module
 */
import type { AttributeBytes } from './attributes.ts'

/** Unicast of one address family; AFI and SAFI numbers stay in `wire/`. */
export type Family = 'ipv4' | 'ipv6'

export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6']

/**
 * Prefixes as they came, not copied: `bytes` from `start` to before `end`. Each is
 * its length in bits (one octet) and as few octets as hold them, behind a path
 * identifier of four octets where `hasPathIds` (RFC 7911 section 3). The decoder has
 * checked the syntax: every prefix ends before `end`, no length is above the family's.
 * Bits behind the length are irrelevant (RFC 4271 section 4.3) and may be set.
 */
export interface NlriSlice {
  readonly family: Family
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly hasPathIds: boolean
}

/**
 * What an UPDATE says with one set of attributes. A message that announces both in its
 * NLRI field and in MP_REACH_NLRI has two next hops, and is two of these.
 */
export interface Update {
  /** Of each family one slice at most; to be withdrawn before anything is announced. */
  readonly withdrawn: readonly NlriSlice[]
  /** One slice at most. */
  readonly announced: readonly NlriSlice[]
  /** What is announced has these; undefined: nothing is announced. */
  readonly attributes: AttributeBytes | undefined
  /** Nothing more comes for a while after a start: RFC 4724 section 2. */
  readonly endOfRib: Family | undefined
}
