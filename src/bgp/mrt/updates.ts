/**
 * What peers said, message by message, and how their sessions went, as octets that
 * `bgpdump` and others read: MRT, BGP4MP (RFC 6396 section 4.4, ADD-PATH RFC 8050).
 *
 * @module
 */
import { type Ip, ipFamily } from '../../net/mod.ts'
import type { SessionState } from '../session/types.ts'
import { AS_TRANS } from '../wire/iana.ts'
import { ipOctets } from '../wire/octets.ts'
import { number16, number32, record, TYPE } from './record.ts'

/** RFC 6396 section 4.4, RFC 8050 section 3. */
const SUBTYPE = { message: 1, messageAs4: 4, stateAs4: 5, addPath: 8, as4AddPath: 9 } as const
/** RFC 4271 section 8.2.2, by the numbers of section 4.4.1. */
const STATES: Readonly<Record<SessionState, number>> = {
  idle: 1,
  connect: 2,
  active: 3,
  'open-sent': 4,
  'open-confirm': 5,
  established: 6,
}

/** Both ends of a session. */
export interface Ends {
  readonly peer: Ip
  readonly peerAs: number
  /** Undefined: not known, there is no connection. */
  readonly local: Ip | undefined
  readonly localAs: number
}

/** How a message is to be read. */
export interface MessageForm {
  /** Of AS_PATH: RFC 6793. */
  readonly fourOctetAs: boolean
  /** Its prefixes have path identifiers: RFC 7911. */
  readonly hasPathIds: boolean
}

/**
 * A message of the peer.
 *
 * @param message With its header.
 * @param seconds Since 1970.
 */
export function messageRecord(
  ends: Ends,
  message: Uint8Array,
  { fourOctetAs, hasPathIds }: MessageForm,
  seconds: number,
): Uint8Array {
  const subtype = fourOctetAs
    ? hasPathIds
      ? SUBTYPE.as4AddPath
      : SUBTYPE.messageAs4
    : hasPathIds
      ? SUBTYPE.addPath
      : SUBTYPE.message
  return record(TYPE.bgp4mp, subtype, seconds, [...endsOctets(ends, fourOctetAs), message])
}

/** A session went from one state to another: BGP4MP_STATE_CHANGE_AS4. @param seconds Since 1970. */
export function stateRecord(
  ends: Ends,
  from: SessionState,
  to: SessionState,
  seconds: number,
): Uint8Array {
  const states = [number16(STATES[from]), number16(STATES[to])]
  return record(TYPE.bgp4mp, SUBTYPE.stateAs4, seconds, [...endsOctets(ends, true), ...states])
}

/** The interface's index is 0: not known. AFI 1 and 2 are those of the addresses. */
function endsOctets({ peer, peerAs, local, localAs }: Ends, fourOctetAs: boolean) {
  const asOctets = (asn: number): Uint8Array =>
    fourOctetAs ? number32(asn) : number16(asn > 0xffff ? AS_TRANS : asn)
  const there = ipOctets(peer)
  const isKnown = local !== undefined && ipFamily(local) === ipFamily(peer)
  const here = isKnown ? ipOctets(local) : new Uint8Array(there.length)
  const afi = number16(there.length === 4 ? 1 : 2)
  return [asOctets(peerAs), asOctets(localAs), number16(0), afi, there, here]
}
