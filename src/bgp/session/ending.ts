/**
 * How connections end: what is sent, what is reported, and what follows from it.
 *
 * @module
 */
import type { Family } from '../nlri.ts'
import { type Reset, reset } from '../wire/fault.ts'
import { AFI, CEASE, ERROR, errorName, OPEN_ERROR, SAFI_UNICAST } from '../wire/iana.ts'
import {
  encodeNotification,
  hardResetOf,
  type Notification,
  shutdownData,
} from '../wire/notification.ts'
import type { DownReason } from './types.ts'

export interface Ending {
  readonly reason: DownReason
  /** Sent before the transport is closed. */
  readonly notification?: Uint8Array
  /** The transport has ended by itself. */
  readonly isGone?: true
  /** The transport takes nothing more. */
  readonly isAbort?: true
  /** A NOTIFICATION went either way. */
  readonly hasNotification: boolean
  /** Nothing is to be kept of the peer: RFC 8538 section 3.1. */
  readonly isHard: boolean
  readonly wait: Wait
}

/**
 * Before the next attempt. `longer` each time, as it would end the same way again;
 * `longest`: only a person helps; `retry`: the peer was not ready.
 */
export type Wait = 'longer' | 'longest' | 'retry'

/** Of Cease, those that end a session for good: RFC 8538 section 5.1, RFC 9384. */
const HARD: readonly number[] = [
  CEASE.MAX_PREFIXES,
  CEASE.ADMINISTRATIVE_SHUTDOWN,
  CEASE.PEER_DECONFIGURED,
  CEASE.ADMINISTRATIVE_RESET,
  CEASE.BFD_DOWN,
]

/** Of Cease, those by which a peer says that it is not ready yet. */
const PATIENT: readonly number[] = [CEASE.CONNECTION_REJECTED, CEASE.COLLISION_RESOLUTION]

/** The transport has ended. */
export function gone(text: string): Ending {
  const reason: DownReason = { by: 'peer', text }
  return { reason, isGone: true, hasNotification: false, isHard: false, wait: 'longer' }
}

/** We close without a word. */
export function abandoned(text: string): Ending {
  return { reason: { by: 'us', text }, hasNotification: false, isHard: false, wait: 'retry' }
}

/** We send a NOTIFICATION; `hasNotificationBit`: both know RFC 8538. */
export function resetBy(found: Reset, hasNotificationBit: boolean): Ending {
  const { code, subcode, data } = found
  const isHard = code === ERROR.CEASE && HARD.includes(subcode)
  const notification =
    isHard && hasNotificationBit
      ? encodeNotification(ERROR.CEASE, CEASE.HARD_RESET, Uint8Array.of(code, subcode, ...data))
      : encodeNotification(code, subcode, data)
  const text = `${errorName(code, subcode)}: ${found.reason}`
  const reason: DownReason = { by: 'us', code, subcode, text }
  const wait = code === ERROR.CEASE && subcode === CEASE.MAX_PREFIXES ? 'longest' : 'longer'
  return { reason, notification, hasNotification: true, isHard, wait }
}

/** The administrator's words: RFC 9003. */
export function stopReset(subcode: number, text: string | undefined): Reset {
  const hasText =
    subcode === CEASE.ADMINISTRATIVE_SHUTDOWN || subcode === CEASE.ADMINISTRATIVE_RESET
  const data = hasText && text !== undefined ? shutdownData(text) : undefined
  return reset(ERROR.CEASE, subcode, text ?? 'stopped', data)
}

/** RFC 9384. */
export const bfdReset = reset(ERROR.CEASE, CEASE.BFD_DOWN, 'BFD lost the peer')

/** RFC 4486 section 4: AFI, SAFI, and the limit. */
export function prefixesReset({ family, limit }: { family: Family; limit: number }): Reset {
  const octets = [limit >>> 24, limit >>> 16, limit >>> 8, limit]
  const data = Uint8Array.of(0, AFI[family], SAFI_UNICAST, ...octets)
  return reset(ERROR.CEASE, CEASE.MAX_PREFIXES, `more than ${limit} prefixes of ${family}`, data)
}

/** The peer sent one. */
export function notified(received: Notification): Ending {
  const hard = hardResetOf(received)
  const { code, subcode, shutdownText } = hard ?? received
  const said = shutdownText === undefined ? '' : `: ${shutdownText}`
  const wrapped = hard === undefined ? '' : ' (hard reset)'
  return {
    reason: { by: 'peer', code, subcode, text: `${errorName(code, subcode)}${wrapped}${said}` },
    hasNotification: true,
    isHard: received.code === ERROR.CEASE && received.subcode === CEASE.HARD_RESET,
    wait: waitAfter(code, subcode),
  }
}

function waitAfter(code: number, subcode: number): Wait {
  if (code === ERROR.CEASE && PATIENT.includes(subcode)) return 'retry'
  // The peer wants what we do not have.
  const isLacking = code === ERROR.OPEN && subcode === OPEN_ERROR.UNSUPPORTED_CAPABILITY
  return isLacking ? 'longest' : 'longer'
}
