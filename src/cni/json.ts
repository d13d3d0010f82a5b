/**
 * JSON from outside.
 *
 * @module
 */

/** An object with unknown values: not null, not a list. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
