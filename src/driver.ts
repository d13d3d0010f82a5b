/**
 * The loop around a machine. The same loop runs live and simulated; only the
 * clock and the ports differ.
 *
 * @module
 */
import type { Instant, Machine } from './machine.ts'
import type { Clock, Perform } from './ports.ts'

/** A running machine. */
export interface Driven<Input> {
  /** Hands the machine an input from outside. Ignored after `stop`. */
  feed(input: Input): void
  /** Cancels the timer; nothing runs afterwards, late answers are dropped. */
  stop(): void
}

/** Starts `machine` with a first `wake` and keeps its one timer set. */
export function drive<Input, Effect>(
  machine: Machine<Input, Effect>,
  clock: Clock,
  perform: Perform<Input, Effect>,
): Driven<Input> {
  let stopped = false
  let cancel = (): void => {}
  /** What the timer is set to. */
  let armed: Instant | undefined

  const feed = (input: Input): void => {
    if (!stopped) settle(machine.handle(input, clock.now()))
  }

  function settle(effects: readonly Effect[]): void {
    for (const effect of effects) perform(effect, feed)
    const when = machine.nextWake()
    // Most inputs leave it as it is.
    if (when === armed) return
    cancel()
    armed = when
    cancel = when === undefined ? () => {} : clock.at(when, wake)
  }

  function wake(): void {
    armed = undefined
    settle(machine.wake(clock.now()))
  }

  settle(machine.wake(clock.now()))
  return {
    feed,
    stop: () => {
      stopped = true
      cancel()
    },
  }
}
