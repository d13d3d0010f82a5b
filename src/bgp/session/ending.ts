/**
 * How connections end: what is sent, what is reported, and what follows from it.
 *
 * @module
 */
import { type Reset, reset } from '../wire/fault.ts'
import { CEASE, ERROR, errorName } from '../wire/iana.ts'
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
  /** Whether the next wait is longer: it would end the same way again. */
  readonly isBlamed: boolean
}

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
  return { reason, isGone: true, hasNotification: false, isHard: false, isBlamed: true }
}

/** We close without a word. */
export function abandoned(text: string): Ending {
  return { reason: { by: 'us', text }, hasNotification: false, isHard: false, isBlamed: false }
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
  return { reason, notification, hasNotification: true, isHard, isBlamed: true }
}

/** The administrator's words: RFC 9003. */
export function stopReset(subcode: number, text: string | undefined): Reset {
  const hasText =
    subcode === CEASE.ADMINISTRATIVE_SHUTDOWN || subcode === CEASE.ADMINISTRATIVE_RESET
  const data = hasText && text !== undefined ? shutdownData(text) : undefined
  return reset(ERROR.CEASE, subcode, text ?? 'stopped', data)
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
    isBlamed: !(code === ERROR.CEASE && PATIENT.includes(subcode)),
  }
}
