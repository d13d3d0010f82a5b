/**
 * The seam between what decides and what acts.
 *
 * @module
 */

/** Milliseconds since the runtime started. Never goes backwards. */
export type Instant = number & { readonly unit: 'ms since start' }

/**
 * A deterministic state machine: the same inputs at the same instants give the
 * same effects. It never awaits, reads a clock or touches a socket.
 */
export interface Machine<Input, Effect> {
  /** Takes one input and returns the effects it caused, in order. */
  handle(input: Input, now: Instant): readonly Effect[]
  /** Runs every timer due at `now`; a no-op when none is. */
  wake(now: Instant): readonly Effect[]
  /** When to call `wake` next if nothing else arrives; undefined means never. */
  nextWake(): Instant | undefined
}
