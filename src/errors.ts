/**
 * The one error base of the product, and the checks for our own mistakes.
 *
 * Callers branch on `code`, never on `message`. A message reads
 * `Cannot <what>: <found>, <wanted>` and ends without a full stop.
 *
 * @module
 */

/** What went wrong, as a stable word that callers and the CNI error table branch on. */
export type ErrorCode =
  | 'BAD_ENVIRONMENT' // a CNI variable is missing or malformed
  | 'BAD_CONFIG' // a value from outside breaks a rule
  | 'BAD_JSON' // bytes from outside are not JSON, or not the JSON we wrote
  | 'UNSUPPORTED_FIELD' // a key we do not accept, or not with this value
  | 'INCOMPATIBLE_VERSION' // a CNI version, or a verb the version does not have
  | 'BAD_NETNS' // the namespace is missing, not a namespace, or our own
  | 'UNKNOWN_NODE' // nobody said which node this is
  | 'NOT_FOUND' // the named object does not exist
  | 'CONFLICT' // the named object exists with another meaning
  | 'EXHAUSTED' // no free address or block
  | 'TRY_LATER' // the same request may succeed without any change
  | 'UNAVAILABLE' // the plugin cannot serve ADD now
  | 'CUT_OFF' // neither that, nor may pods that run now reach each other
  | 'KERNEL' // the kernel refused
  | 'STORE' // the store cannot be read or written
  | 'CHECK_FAILED' // CHECK found a difference
  | 'USAGE' // a command line that makes no sense
  | 'INTERNAL' // our own mistake

/** An error with a code. `details` is a second sentence for the person who reads it. */
export class TriviumError extends Error {
  override readonly name = 'TriviumError'
  readonly code: ErrorCode
  readonly details: string

  constructor(code: ErrorCode, message: string, details = '', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
  }
}

/** By name, not by class: a bundle loaded by another has a copy of the class. */
export const isTriviumError = (thrown: unknown): thrown is TriviumError =>
  thrown instanceof Error && thrown.name === 'TriviumError' && 'code' in thrown

/** Wraps anything thrown into a TriviumError; one that already is one passes unchanged. */
export function asTriviumError(thrown: unknown, code: ErrorCode = 'INTERNAL'): TriviumError {
  if (isTriviumError(thrown)) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new TriviumError(code, message, '', thrown)
}

/** Fails when our own code broke a rule of ours. On in production. */
export function invariant(condition: boolean, why: string): asserts condition {
  if (!condition) throw new TriviumError('INTERNAL', `Broken invariant: ${why}`)
}

/** Ends a `switch` over a union: a new member becomes a type error here. */
export function assertNever(value: never): never {
  throw new TriviumError('INTERNAL', `Broken invariant: unexpected ${JSON.stringify(value)}`)
}

/** A place that our own rules make impossible to reach. */
export function unreachable(why: string): never {
  throw new TriviumError('INTERNAL', `Broken invariant: ${why}`)
}
