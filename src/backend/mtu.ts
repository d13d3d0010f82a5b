/**
 * MTU arithmetic. A wrong MTU shows up as "small pings work, TLS hangs", so the
 * numbers live in one file with their sources.
 *
 * @module
 */
import type { NetworkRecord } from '../cluster/view.ts'
import { TriviumError } from '../errors.ts'
import type { IpFamily } from '../net/mod.ts'

/**
 * Bytes in front of the inner IP packet: outer IP, UDP 8, VXLAN 8, inner
 * Ethernet 14. Source: RFC 7348 section 5.
 */
const VXLAN_OVERHEAD_BYTES = { 4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14 } as const
/** The same without inner Ethernet. Source: draft-ietf-nvo3-vxlan-gpe-13 section 3. */
const GPE_OVERHEAD_BYTES = { 4: 20 + 8 + 8, 6: 40 + 8 + 8 } as const

const NO_OVERHEAD = { 4: 0, 6: 0 } as const

/** Bytes in front of the inner IP packet, by what carries it. */
const OVERHEAD_BYTES = {
  vxlan: VXLAN_OVERHEAD_BYTES,
  'vxlan-gpe': GPE_OVERHEAD_BYTES,
  route: NO_OVERHEAD,
  vlan: NO_OVERHEAD,
  ipam: NO_OVERHEAD,
} as const

/** How a network's packets cross the underlay. */
export type Carriage = keyof typeof OVERHEAD_BYTES

export const carriageOf = ({ mode, options }: NetworkRecord): Carriage =>
  mode === 'vxlan' && options.flavour === 'lightweight' ? 'vxlan-gpe' : mode

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
  carriage: Carriage,
  underlayBytes: number,
  outer: IpFamily,
  inner: IpFamily,
  configured?: number,
): number {
  const overhead = OVERHEAD_BYTES[carriage][outer]
  const most = underlayBytes - overhead
  if (most < MTU_BYTES_MIN[inner]) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot run ${carriage} over an underlay of ${underlayBytes} bytes: IPv${inner} pods need at least ${MTU_BYTES_MIN[inner] + overhead}`,
      "Raise the underlay's MTU, or take a mode with less overhead",
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
