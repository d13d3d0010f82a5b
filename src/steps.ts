/**
 * Long work in pieces, so that a driver may do something else in between.
 *
 * @module
 */

/** Pauses at every `yield`; what it returns is the result. */
export type Steps<T> = Generator<void, T, void>

/** Does all of it at once. */
export function finish<T>(steps: Steps<T>): T {
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  return step.value
}
