/**
 * One scenario under several seeds: what chance alone changes.
 *
 * One run says nothing about the next; the spread over seeds does.
 *
 * @module
 */
import type { RunResult } from './run.ts'
import type { Scenario } from './scenario.ts'

const SEED_RANGE = 2 ** 32

/** A run, and the same under the seeds that follow. */
export interface SeededRun {
  readonly result: RunResult
  /** In the order of their seeds; empty: one seed was asked for. */
  readonly others: readonly RunResult[]
}

/** Something to run. */
export interface Task {
  readonly key: string
  readonly scenario: Scenario
  /** For errors. */
  readonly words: string
}

/** The scenario under the seeds that follow its own. @param count Of all seeds, its own included. */
export function otherSeeds(scenario: Scenario, count: number): readonly Scenario[] {
  return Array.from({ length: count - 1 }, (_, index) => ({
    ...scenario,
    seed: (scenario.seed + index + 1) % SEED_RANGE,
  }))
}
