/**
 * Typed arrays that grow.
 *
 * @module
 */

/** What the event queue is made of. */
export type Numbers = Float64Array | Int32Array

/** A longer copy, zeroes at its end. */
export function widened<T extends Numbers>(from: T, length: number): T {
  const into = new (from.constructor as new (length: number) => T)(length)
  into.set(from)
  return into
}
