/**
 * MTU arithmetic. A wrong MTU shows up as "small pings work, TLS hangs", so the
 * numbers live in one file with their sources.
 *
 * @module
 */
import type { Mode } from '../cluster/view.ts'
import { TriviumError } from '../errors.ts'
import type { IpFamily } from '../net/mod.ts'

/**
 * Bytes in front of the inner IP packet: outer IP, UDP 8, VXLAN 8, inner
 * Ethernet 14. Source: RFC 7348 section 5.
 */
const VXLAN_OVERHEAD_BYTES = { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 } as const

/** Smallest MTU of a link. Source: RFC 791 section 3.2; RFC 8200 section 5. */
const MTU_BYTES_MIN = { 4: 68, 6: 1280 } as const

/**
 * MTU in bytes of a network's links, pods' links included. Tunnel endpoints
 * must not fragment (RFC 7348 section 4.3), so the overhead is taken off here
 * instead of being left to path-MTU discovery.
 *
 * @param outer Family of the outer header; ignored without a tunnel.
 * @param inner Widest family that pods use.
 * @param configured The network's own wish; taken when it fits.
 * @throws {TriviumError} BAD_CONFIG when the underlay is too small.
 */
export function networkMtu(
  mode: Mode,
  underlayBytes: number,
  outer: IpFamily,
  inner: IpFamily,
  configured?: number,
): number {
  const overhead = mode === 'vxlan' ? VXLAN_OVERHEAD_BYTES[outer] : 0
  const most = underlayBytes - overhead
  if (most < MTU_BYTES_MIN[inner]) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot run ${mode} over an underlay of ${underlayBytes} bytes: IPv${inner} pods need at least ${MTU_BYTES_MIN[inner] + overhead}`,
    )
  }
  if (configured === undefined) return most
  if (configured > most) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot use an MTU of ${configured} bytes: the underlay leaves at most ${most}`,
      "Lower the network's MTU or raise the underlay's",
    )
  }
  return configured
}
