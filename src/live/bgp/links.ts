/**
 * What this host's interfaces say about a session: its link-local address and an
 * address of the other family, for next hops.
 *
 * @module
 */
import { networkInterfaces } from 'node:os'
import { containsIp, type Ip, ipFamily, prefixOf, tryParseIp } from '../../net/mod.ts'

export interface Ends {
  readonly linkLocal?: Ip
  readonly other?: Ip
}

/**
 * Of the interface that has `local`. The link-local address only where `peer` is on
 * the same link: elsewhere it means nothing (RFC 2545 section 3).
 */
export function endsOf(local: Ip, peer: Ip): Ends {
  for (const addresses of Object.values(networkInterfaces())) {
    const own = addresses?.find(({ address }) => address === local)
    if (addresses === undefined || own === undefined) continue
    const ips = addresses.flatMap(({ address }) => tryParseIp(address) ?? [])
    const isLinkLocal = (ip: Ip): boolean => /^fe[89ab]/.test(ip)
    const linkLocal = isOnLink(own.cidr, peer) ? ips.find(isLinkLocal) : undefined
    const other = ips.find((ip) => ipFamily(ip) !== ipFamily(local) && !isLinkLocal(ip))
    return { ...(linkLocal && { linkLocal }), ...(other && { other }) }
  }
  return {}
}

function isOnLink(cidr: string | null, peer: Ip): boolean {
  const [address = '', length] = (cidr ?? '').split('/')
  const ip = tryParseIp(address)
  if (ip === undefined || length === undefined || ipFamily(ip) !== ipFamily(peer)) return false
  return containsIp(prefixOf(ip, Number(length)), peer)
}
