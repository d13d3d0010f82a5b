/**
 * How much a suite has tried, for whoever sums it up: `# NAME: N commands, M faults`.
 *
 * @module
 */
import type { Test } from 'tap'
import type { Store } from '../../ipam/store.ts'

export interface Tally {
  /** What was asked of a store or a model. */
  commands: number
  /** What was done to it meanwhile: bodies that throw, kills, power cuts. */
  faults: number
}

export const emptyTally = (): Tally => ({ commands: 0, faults: 0 })

/** Printed, not asserted. */
export const tell = (t: Pick<Test, 'comment'>, name: string, { commands, faults }: Tally): void =>
  t.comment(`${name}: ${commands} commands, ${faults} faults`)

/** The store, with its transactions withTally; one that fails is a fault. */
export const withTally = <S extends Store>(store: S, tally: Tally): S => ({
  ...store,
  transact(body, done, decided) {
    tally.commands++
    store.transact(
      body,
      (outcome) => {
        if (outcome.kind === 'failed') tally.faults++
        done(outcome)
      },
      decided,
    )
  },
})
