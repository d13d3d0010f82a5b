/**
 * One scenario under several seeds: what chance alone changes.
 *
 * One run says nothing about the next; the spread over seeds does.
 *
 * @module
 */
import { type Progress, type RunResult, runScenario } from './run.ts'
import type { Scenario } from './scenario.ts'

const SEED_RANGE = 2 ** 32

/** Runs under the scenario's seed and those that follow it. @param count At least 1. */
export function runSeeds(
  scenario: Scenario,
  count: number,
  progress: Progress = () => {},
): readonly RunResult[] {
  return Array.from({ length: count }, (_, index) => {
    const seed = (scenario.seed + index) % SEED_RANGE
    return runScenario({ ...scenario, seed }, (done, what) =>
      progress((index + done) / count, `seed ${seed}, ${what}`),
    )
  })
}

/** Middle and ends of some numbers. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** @returns undefined for no numbers. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number): number => sorted[Math.min(sorted.length - 1, index)] ?? 0
  const middle = Math.floor(sorted.length / 2)
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2
  return { median, min: at(0), max: at(sorted.length - 1) }
}
