/**
 * Numbers of BGP as IANA assigns them (registries "BGP Parameters", "Capability
 * Codes" and "Address Family Numbers", as of 2025-11).
 *
 * @module
 */
import type { Family } from '../nlri.ts'

/** RFC 4271 section 4.1, RFC 2918. */
export const MESSAGE = {
  OPEN: 1,
  UPDATE: 2,
  NOTIFICATION: 3,
  KEEPALIVE: 4,
  ROUTE_REFRESH: 5,
} as const

/** Path attributes that this speaker reads or writes. */
export const ATTRIBUTE = {
  ORIGIN: 1,
  AS_PATH: 2,
  NEXT_HOP: 3,
  MULTI_EXIT_DISC: 4,
  LOCAL_PREF: 5,
  ATOMIC_AGGREGATE: 6,
  AGGREGATOR: 7,
  COMMUNITIES: 8,
  ORIGINATOR_ID: 9,
  CLUSTER_LIST: 10,
  MP_REACH_NLRI: 14,
  MP_UNREACH_NLRI: 15,
  EXTENDED_COMMUNITIES: 16,
  AS4_PATH: 17,
  AS4_AGGREGATOR: 18,
  LARGE_COMMUNITIES: 32,
  ONLY_TO_CUSTOMER: 35,
} as const

/** Bits of an attribute's flags: RFC 4271 section 4.3. The lower four mean nothing. */
export const FLAG = { OPTIONAL: 0x80, TRANSITIVE: 0x40, PARTIAL: 0x20, EXTENDED: 0x10 } as const

/** Types of a segment of AS_PATH: RFC 4271, RFC 5065. */
export const SEGMENT = { SET: 1, SEQUENCE: 2, CONFED_SEQUENCE: 3, CONFED_SET: 4 } as const

/** What stands for an AS number that two octets cannot hold: RFC 6793 section 2. */
export const AS_TRANS = 23456

export const CAPABILITY = {
  MULTIPROTOCOL: 1,
  ROUTE_REFRESH: 2,
  EXTENDED_NEXT_HOP: 5,
  EXTENDED_MESSAGE: 6,
  ROLE: 9,
  GRACEFUL_RESTART: 64,
  FOUR_OCTET_AS: 65,
  ADD_PATH: 69,
  ENHANCED_ROUTE_REFRESH: 70,
  LONG_LIVED_GRACEFUL_RESTART: 71,
  FQDN: 73,
} as const

export const AFI: Readonly<Record<Family, number>> = { ipv4: 1, ipv6: 2 }
export const SAFI_UNICAST = 1

/** Of these numbers, if it is one of ours. */
export function familyOf(afi: number, safi: number): Family | undefined {
  if (safi !== SAFI_UNICAST) return undefined
  return afi === 1 ? 'ipv4' : afi === 2 ? 'ipv6' : undefined
}

/** Bits of an address. */
export const FAMILY_BITS: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 }

/** Error codes of a NOTIFICATION. */
export const ERROR = {
  HEADER: 1,
  OPEN: 2,
  UPDATE: 3,
  HOLD_TIMER: 4,
  FSM: 5,
  CEASE: 6,
  ROUTE_REFRESH: 7,
  SEND_HOLD_TIMER: 8,
} as const

export const HEADER_ERROR = { NOT_SYNCHRONIZED: 1, BAD_LENGTH: 2, BAD_TYPE: 3 } as const
export const OPEN_ERROR = {
  UNSPECIFIC: 0,
  UNSUPPORTED_VERSION: 1,
  BAD_PEER_AS: 2,
  BAD_IDENTIFIER: 3,
  UNSUPPORTED_PARAMETER: 4,
  UNACCEPTABLE_HOLD_TIME: 6,
  UNSUPPORTED_CAPABILITY: 7,
  ROLE_MISMATCH: 11,
} as const
export const UPDATE_ERROR = {
  MALFORMED_LIST: 1,
  UNRECOGNIZED_WELL_KNOWN: 2,
  MISSING_WELL_KNOWN: 3,
  FLAGS: 4,
  LENGTH: 5,
  INVALID_ORIGIN: 6,
  INVALID_NEXT_HOP: 8,
  OPTIONAL: 9,
  INVALID_NETWORK: 10,
  MALFORMED_AS_PATH: 11,
} as const
/** RFC 6608. */
export const FSM_ERROR = { UNSPECIFIED: 0, OPEN_SENT: 1, OPEN_CONFIRM: 2, ESTABLISHED: 3 } as const
/** RFC 4486, RFC 8538 (9), RFC 9384 (10). */
export const CEASE = {
  MAX_PREFIXES: 1,
  ADMINISTRATIVE_SHUTDOWN: 2,
  PEER_DECONFIGURED: 3,
  ADMINISTRATIVE_RESET: 4,
  CONNECTION_REJECTED: 5,
  OTHER_CONFIGURATION_CHANGE: 6,
  COLLISION_RESOLUTION: 7,
  OUT_OF_RESOURCES: 8,
  HARD_RESET: 9,
  BFD_DOWN: 10,
} as const
/** RFC 7313 section 5. */
export const ROUTE_REFRESH_ERROR = { INVALID_LENGTH: 1 } as const

/** Name of an error code, and of its subcodes by number. */
const ERROR_NAMES: Readonly<Record<number, readonly [string, Readonly<Record<number, string>>]>> = {
  1: [
    'Message Header Error',
    { 1: 'Connection Not Synchronized', 2: 'Bad Message Length', 3: 'Bad Message Type' },
  ],
  2: [
    'OPEN Message Error',
    {
      1: 'Unsupported Version Number',
      2: 'Bad Peer AS',
      3: 'Bad BGP Identifier',
      4: 'Unsupported Optional Parameter',
      6: 'Unacceptable Hold Time',
      7: 'Unsupported Capability',
      11: 'Role Mismatch',
    },
  ],
  3: [
    'UPDATE Message Error',
    {
      1: 'Malformed Attribute List',
      2: 'Unrecognized Well-known Attribute',
      3: 'Missing Well-known Attribute',
      4: 'Attribute Flags Error',
      5: 'Attribute Length Error',
      6: 'Invalid ORIGIN Attribute',
      8: 'Invalid NEXT_HOP Attribute',
      9: 'Optional Attribute Error',
      10: 'Invalid Network Field',
      11: 'Malformed AS_PATH',
    },
  ],
  4: ['Hold Timer Expired', {}],
  5: [
    'Finite State Machine Error',
    {
      1: 'Unexpected Message in OpenSent State',
      2: 'Unexpected Message in OpenConfirm State',
      3: 'Unexpected Message in Established State',
    },
  ],
  6: [
    'Cease',
    {
      1: 'Maximum Number of Prefixes Reached',
      2: 'Administrative Shutdown',
      3: 'Peer De-configured',
      4: 'Administrative Reset',
      5: 'Connection Rejected',
      6: 'Other Configuration Change',
      7: 'Connection Collision Resolution',
      8: 'Out of Resources',
      9: 'Hard Reset',
      10: 'BFD Down',
    },
  ],
  7: ['ROUTE-REFRESH Message Error', { 1: 'Invalid Message Length' }],
  8: ['Send Hold Timer Expired', {}],
}

/** E.g. `Cease: Administrative Shutdown`; a number that has no name is `subcode 77`. */
export function errorName(code: number, subcode: number): string {
  const [name, subcodes] = ERROR_NAMES[code] ?? [`code ${code}`, {}]
  if (subcode === 0) return name
  return `${name}: ${subcodes[subcode] ?? `subcode ${subcode}`}`
}

/** Communities with a meaning of their own, and the names that daemons print. */
export const COMMUNITY = {
  GRACEFUL_SHUTDOWN: 0xffff0000, // RFC 8326
  ACCEPT_OWN: 0xffff0001, // RFC 7611
  LLGR_STALE: 0xffff0006, // RFC 9494
  NO_LLGR: 0xffff0007, // RFC 9494
  BLACKHOLE: 0xffff029a, // RFC 7999
  NO_EXPORT: 0xffffff01, // RFC 1997
  NO_ADVERTISE: 0xffffff02, // RFC 1997
  NO_EXPORT_SUBCONFED: 0xffffff03, // RFC 1997
  NO_PEER: 0xffffff04, // RFC 3765
} as const
