/**
 * Our error codes as the CNI specification's numbers, and the error object.
 *
 * @module
 */
import { asTriviumError, type ErrorCode } from '../errors.ts'

/**
 * Source: CNI specification 1.1.0, section 5 "Error"; 8 and 999 are libcni's
 * (pkg/types), 100 and above are the plugin's own.
 */
const CNI_CODES: Readonly<Record<ErrorCode, number>> = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  BAD_ENVIRONMENT: 4,
  BAD_JSON: 6,
  BAD_CONFIG: 7,
  NOT_FOUND: 7,
  UNKNOWN_NODE: 7,
  USAGE: 7,
  BAD_NETNS: 8,
  TRY_LATER: 11,
  EXHAUSTED: 11,
  UNAVAILABLE: 50,
  CUT_OFF: 51,
  CONFLICT: 100,
  KERNEL: 101,
  STORE: 102,
  CHECK_FAILED: 103,
  INTERNAL: 999,
}

/** The object that a plugin prints on stdout when it fails. */
export interface CniErrorObject {
  readonly cniVersion: string
  readonly code: number
  readonly msg: string
  readonly details: string
}

/** Turns anything thrown into the error object. `msg` and `details` appear in a pod's events. */
export function cniError(thrown: unknown, cniVersion: string): CniErrorObject {
  const error = asTriviumError(thrown)
  return { cniVersion, code: CNI_CODES[error.code], msg: error.message, details: error.details }
}
