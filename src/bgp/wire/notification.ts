/**
 * NOTIFICATION: RFC 4271 section 4.5, with the words of RFC 9003 and the wrapping of RFC 8538.
 *
 * @module
 */

import { frameMessage } from './framing.ts'
import { CEASE, ERROR, MESSAGE } from './iana.ts'

export interface Notification {
  readonly kind: 'notification'
  readonly code: number
  readonly subcode: number
  readonly data: Uint8Array
  /** What the administrator wrote (RFC 9003); control characters taken out, for logs. */
  readonly shutdownText?: string
}

/** Octets of UTF-8 that a shutdown communication may have. */
export const SHUTDOWN_OCTETS_MAX = 255

/** Decodes the body; its two first octets are there by the framer's check. */
export function decodeNotification(bytes: Uint8Array, start: number, end: number): Notification {
  const code = bytes[start] ?? 0
  const subcode = bytes[start + 1] ?? 0
  const data = bytes.slice(start + 2, end)
  const shutdownText = hasShutdownText(code, subcode) ? shutdownTextOf(data) : undefined
  const plain = { kind: 'notification', code, subcode, data } as const
  return shutdownText === undefined ? plain : { ...plain, shutdownText }
}

const hasShutdownText = (code: number, subcode: number): boolean =>
  code === ERROR.CEASE &&
  (subcode === CEASE.ADMINISTRATIVE_SHUTDOWN || subcode === CEASE.ADMINISTRATIVE_RESET)

/** Nothing when the length octet contradicts the data: RFC 9003 section 4. */
function shutdownTextOf(data: Uint8Array): string | undefined {
  const length = data[0] ?? 0
  if (length === 0 || length > data.length - 1) return undefined
  const text = new TextDecoder().decode(data.subarray(1, 1 + length))
  return text.replace(/\p{Cc}/gu, ' ')
}

export function encodeNotification(
  code: number,
  subcode: number,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array {
  return frameMessage(MESSAGE.NOTIFICATION, Uint8Array.of(code, subcode, ...data))
}

/** Data of a Cease 2 or 4: as much of the text as fits, never half a character. */
export function shutdownData(text: string): Uint8Array {
  let octets = new TextEncoder().encode(text)
  if (octets.length > SHUTDOWN_OCTETS_MAX) {
    let end = SHUTDOWN_OCTETS_MAX
    while (((octets[end] ?? 0) & 0xc0) === 0x80) end--
    octets = octets.slice(0, end)
  }
  return Uint8Array.of(octets.length, ...octets)
}

/** RFC 8538 section 3.1: what a Cease 9 wraps, or undefined. */
export function hardResetOf({ code, subcode, data }: Notification): Notification | undefined {
  if (code !== ERROR.CEASE || subcode !== CEASE.HARD_RESET || data.length < 2) return undefined
  return decodeNotification(data, 0, data.length)
}
