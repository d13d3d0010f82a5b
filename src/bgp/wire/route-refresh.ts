/**
 * ROUTE-REFRESH: RFC 2918, enhanced RFC 7313.
 *
 * @module
 */
import type { Family } from '../nlri.ts'
import { type Reset, reset } from './fault.ts'
import { frameMessage, HEADER_OCTETS } from './framing.ts'
import { AFI, ERROR, familyOf, MESSAGE, ROUTE_REFRESH_ERROR, SAFI_UNICAST } from './iana.ts'
import { u16 } from './octets.ts'

export interface RouteRefresh {
  readonly kind: 'route-refresh'
  /** Undefined for a family that is not ours: to be ignored (RFC 2918 section 4). */
  readonly family: Family | undefined
  /** Demarcations are RFC 7313's BoRR and EoRR; `unknown` is to be ignored. */
  readonly purpose: 'request' | 'begin' | 'end' | 'unknown'
}

const PURPOSES: readonly RouteRefresh['purpose'][] = ['request', 'begin', 'end']
const BODY_OCTETS = 4

/** Decodes the body; its four first octets are there by the framer's check. */
export function decodeRouteRefresh(
  bytes: Uint8Array,
  start: number,
  end: number,
): RouteRefresh | Reset {
  const purpose = PURPOSES[bytes[start + 2] ?? 255] ?? 'unknown'
  const isDemarcation = purpose === 'begin' || purpose === 'end'
  if (isDemarcation && end - start !== BODY_OCTETS) {
    const what = `${end - start} octets of ROUTE-REFRESH, wanted 4`
    const message = bytes.slice(start - HEADER_OCTETS, end)
    return reset(ERROR.ROUTE_REFRESH, ROUTE_REFRESH_ERROR.INVALID_LENGTH, what, message)
  }
  const family = familyOf(u16(bytes, start), bytes[start + 3] ?? 0)
  return { kind: 'route-refresh', family, purpose }
}

export function encodeRouteRefresh(
  family: Family,
  purpose: 'request' | 'begin' | 'end' = 'request',
): Uint8Array {
  const body = Uint8Array.of(0, AFI[family], PURPOSES.indexOf(purpose), SAFI_UNICAST)
  return frameMessage(MESSAGE.ROUTE_REFRESH, body)
}
