/**
 * How far packets of a session go, and from how far they are taken.
 *
 * @module
 */
import type { PeerConfig } from '../../bgp/config.ts'

const TTL_MAX = 255

export interface Hops {
  readonly ttl: number
  readonly ttlMin?: number
}

/**
 * RFC 5082: what left with 255 and still has 256 less the hops came no further. Else an
 * external peer is on the link, or as far as `multihop` says.
 */
export function hopsOf({ ttlSecurityHops, multihop = 1, asn }: PeerConfig, ownAsn: number): Hops {
  if (ttlSecurityHops !== undefined) return { ttl: TTL_MAX, ttlMin: TTL_MAX + 1 - ttlSecurityHops }
  return { ttl: asn === ownAsn ? TTL_MAX : multihop }
}
