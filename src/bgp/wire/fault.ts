/**
 * What goes wrong with bytes from outside, as data.
 *
 * @module
 */

/** The session ends with this NOTIFICATION. */
export interface Reset {
  readonly kind: 'reset'
  readonly code: number
  readonly subcode: number
  /** The NOTIFICATION's data field. */
  readonly data: Uint8Array
  /** For a log: what was found, what was wanted. */
  readonly reason: string
}

const NO_DATA = new Uint8Array(0)

export function reset(
  code: number,
  subcode: number,
  reason: string,
  data: Uint8Array = NO_DATA,
): Reset {
  return { kind: 'reset', code, subcode, data, reason }
}
