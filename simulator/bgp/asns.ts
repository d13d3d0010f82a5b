/**
 * AS numbers of a fabric, all of the private range of RFC 6996: one a top-of-rack switch,
 * and one for switches of a tier that share their racks, so that no path goes up again
 * once it went down (RFC 7938 section 5.2.1).
 *
 * @module
 */
import { dataCentersOf, type Topology } from '../fabric-topology.ts'

const TOR_ASN_FIRST = 4_200_000_000
/** Nodes of a rack share one. */
export const NODE_ASN_FIRST = 4_210_000_000
const TIER_ASN_FIRST = 4_220_000_000
/** Where all are in one. */
export const ONE_ASN = 4_230_000_000

/** By device. */
export function asnsOf(topology: Topology): readonly number[] {
  const { devices, links } = topology
  const sites = dataCentersOf(topology)
  const below = devices.map((): number[] => [])
  for (const {
    ends: [a, b],
  } of links) {
    if (devices[a]?.rack !== -1) below[b]?.push(a)
    if (devices[b]?.rack !== -1) below[a]?.push(b)
  }
  const tiers = new Map<string, number>()
  return devices.map(({ role, rack }, index) => {
    if (rack !== -1) return TOR_ASN_FIRST + rack
    // Those of aggregation that serve the same racks; all others of a data centre.
    const group = role === 'aggregation' ? (below[index] ?? []).join(' ') : ''
    const tier = `${role} ${sites[index]} ${group}`
    const known = tiers.get(tier) ?? TIER_ASN_FIRST + tiers.size
    tiers.set(tier, known)
    return known
  })
}
