/**
 * What a kernel's release says about faults that cannot be probed for.
 *
 * @module
 */

/** First release whose VXLAN-GPE offloads are right. */
export const GPE_KERNEL = '6.6'
/** First release that fills in the checksum of a tunnel's packets after SNAT. */
const TUNNEL_CHECKSUM_KERNEL = '5.7'

/** Whether VXLAN-GPE may be used at all; a release that nobody knows may. */
export const offloadsGpe = (release: string | undefined): boolean => atLeast(release, GPE_KERNEL)

/**
 * Whether the checksums of tunnelled packets may be left to the device. Before
 * 5.7 an outer packet that netfilter translates leaves with a wrong UDP checksum.
 */
export const offloadsTunnelChecksum = (release: string | undefined): boolean =>
  atLeast(release, TUNNEL_CHECKSUM_KERNEL)

function atLeast(release: string | undefined, wanted: string): boolean {
  const found = /^(\d+)\.(\d+)/.exec(release ?? '')
  const [major, minor] = wanted.split('.').map(Number)
  if (found === null || major === undefined || minor === undefined) return true
  const [foundMajor, foundMinor] = [Number(found[1]), Number(found[2])]
  return foundMajor > major || (foundMajor === major && foundMinor >= minor)
}
