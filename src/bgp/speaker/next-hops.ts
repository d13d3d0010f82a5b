/**
 * Next hops: what this end of a session is to others, and which of theirs cannot be right.
 *
 * @module
 */
import { type Ip, ipFamily } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import type { PeerConfig } from '../config.ts'
import type { Family } from '../nlri.ts'
import type { Hop } from '../policy/compiled.ts'
import type { Agreed } from '../session/types.ts'
import { NO_HOP } from './outbound.ts'

/**
 * This end as a next hop of a family: what the configuration says, else the session's
 * own address, else the interface's of the other family, else (RFC 8950) the IPv6 address.
 */
export function selfHop(
  { nextHops }: PeerConfig,
  { local, linkLocal, context }: Agreed,
  other: Ip | undefined,
  family: Family,
): Hop {
  const own = [nextHops?.[family], local, other].find(
    (ip) => ip !== undefined && (ipFamily(ip) === 4) === (family === 'ipv4'),
  )
  if (family === 'ipv6') {
    const nextHop = own ?? NO_HOP.ipv6
    return linkLocal === undefined ? { nextHop } : { nextHop, linkLocal }
  }
  const configured = nextHops?.ipv4
  if (configured !== undefined) return { nextHop: configured }
  const isOver6 = ipFamily(local) === 6
  if (isOver6 && context.extendedNextHop) {
    return linkLocal === undefined ? { nextHop: local } : { nextHop: local, linkLocal }
  }
  return { nextHop: own ?? NO_HOP.ipv4 }
}

/** Why nothing can be sent to a next hop (RFC 4271 section 6.3); undefined: it may be right. */
export function martian(
  { nextHop, linkLocal }: Pick<Attributes, 'nextHop' | 'linkLocal'>,
  local: Ip,
): string | undefined {
  if (nextHop === local) return 'is this speaker itself'
  if (ipFamily(nextHop) === 4) {
    const first = Number(nextHop.slice(0, nextHop.indexOf('.')))
    if (first === 0) return 'is in 0.0.0.0/8'
    if (first === 127) return 'is a loopback address'
    return first >= 224 ? 'is multicast or reserved' : undefined
  }
  // Some name no global address beside the link-local one.
  if (nextHop === '::') return linkLocal === undefined ? 'is unspecified' : undefined
  if (nextHop === '::1') return 'is a loopback address'
  return nextHop.startsWith('ff') && nextHop.indexOf(':') === 4 ? 'is multicast' : undefined
}
