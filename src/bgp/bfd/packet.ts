/**
 * The BFD control packet, and the checks that need no session.
 *
 * Source: RFC 5880 sections 4.1 and 6.8.6.
 *
 * @module
 */

/** RFC 5880 section 4.1, Sta: the place in this list is the number on the wire. */
export const BFD_STATES = ['admin-down', 'down', 'init', 'up'] as const
export type BfdState = (typeof BFD_STATES)[number]

/** RFC 5880 section 4.1, Diag: why the session left state up last. */
export const DIAGNOSTIC = {
  none: 0,
  timeExpired: 1,
  neighborSignaledDown: 3,
  pathDown: 5,
  administrativelyDown: 7,
} as const

/** Times in microseconds. */
export interface BfdPacket {
  readonly diagnostic: number
  readonly state: BfdState
  readonly isPoll: boolean
  readonly isFinal: boolean
  /** C: the sender's BFD does not share the fate of its control plane. */
  readonly isIndependent: boolean
  readonly isDemand: boolean
  readonly detectMultiplier: number
  readonly myDiscriminator: number
  /** 0: not known yet. */
  readonly yourDiscriminator: number
  readonly desiredMinTxUs: number
  readonly requiredMinRxUs: number
  readonly requiredMinEchoRxUs: number
}

/** Why a packet is not looked at further, in the order of RFC 5880 section 6.8.6. */
export type Discard =
  | 'version'
  | 'length too small'
  | 'length beyond the packet'
  | 'detect multiplier 0'
  | 'multipoint'
  | 'my discriminator 0'
  | 'your discriminator unknown'
  | 'your discriminator 0 in this state'
  | 'no session with the sender'
  | 'authentication'
  | 'session administratively down'

export type Decoded =
  | { readonly kind: 'packet'; readonly packet: BfdPacket }
  | { readonly kind: 'discard'; readonly why: Discard }

const VERSION = 1
const PACKET_BYTES = 24
const AUTHENTICATED_BYTES_MIN = 26
const BIT = { poll: 32, final: 16, independent: 8, authentication: 4, demand: 2, multipoint: 1 }

export function encodeBfd(packet: BfdPacket): Uint8Array {
  const bytes = new Uint8Array(PACKET_BYTES)
  const view = new DataView(bytes.buffer)
  bytes[0] = (VERSION << 5) | packet.diagnostic
  bytes[1] =
    (BFD_STATES.indexOf(packet.state) << 6) |
    (packet.isPoll ? BIT.poll : 0) |
    (packet.isFinal ? BIT.final : 0) |
    (packet.isIndependent ? BIT.independent : 0) |
    (packet.isDemand ? BIT.demand : 0)
  bytes[2] = packet.detectMultiplier
  bytes[3] = PACKET_BYTES
  view.setUint32(4, packet.myDiscriminator)
  view.setUint32(8, packet.yourDiscriminator)
  view.setUint32(12, packet.desiredMinTxUs)
  view.setUint32(16, packet.requiredMinRxUs)
  view.setUint32(20, packet.requiredMinEchoRxUs)
  return bytes
}

/** Reads the payload of a UDP packet. Never throws. Authentication is not in use, so a packet with it is discarded. */
export function decodeBfd(bytes: Uint8Array): Decoded {
  const discard = (why: Discard): Decoded => ({ kind: 'discard', why })
  const [first = 0, flags = 0, detectMultiplier = 0, length = 0] = bytes
  if (bytes.length < PACKET_BYTES) return discard('length too small')
  if (first >>> 5 !== VERSION) return discard('version')
  const isAuthenticated = (flags & BIT.authentication) !== 0
  if (length < (isAuthenticated ? AUTHENTICATED_BYTES_MIN : PACKET_BYTES)) {
    return discard('length too small')
  }
  if (length > bytes.length) return discard('length beyond the packet')
  if (detectMultiplier === 0) return discard('detect multiplier 0')
  if ((flags & BIT.multipoint) !== 0) return discard('multipoint')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const packet: BfdPacket = {
    diagnostic: first & 31,
    state: BFD_STATES[flags >>> 6]!,
    isPoll: (flags & BIT.poll) !== 0,
    isFinal: (flags & BIT.final) !== 0,
    isIndependent: (flags & BIT.independent) !== 0,
    isDemand: (flags & BIT.demand) !== 0,
    detectMultiplier,
    myDiscriminator: view.getUint32(4),
    yourDiscriminator: view.getUint32(8),
    desiredMinTxUs: view.getUint32(12),
    requiredMinRxUs: view.getUint32(16),
    requiredMinEchoRxUs: view.getUint32(20),
  }
  if (packet.myDiscriminator === 0) return discard('my discriminator 0')
  if (packet.yourDiscriminator === 0 && packet.state !== 'down' && packet.state !== 'admin-down') {
    return discard('your discriminator 0 in this state')
  }
  return isAuthenticated ? discard('authentication') : { kind: 'packet', packet }
}
