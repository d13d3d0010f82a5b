/**
 * fast-check and tap, joined in one place.
 *
 * tap assertions report and carry on; fast-check needs a throw to shrink. So a
 * property throws (node:assert), and the whole run is one tap assertion.
 *
 * `FC_SEED` replays a run; `TRIVIUM_LONG=1` makes twenty times as many,
 * `TRIVIUM_FEWER=1` a tenth: where it is asked only whether they run at all.
 */
import fc from 'fast-check'
import type { Test } from 'tap'

const seedText = process.env['FC_SEED']
const seed = seedText === undefined ? Date.now() ^ (Math.random() * 2 ** 32) : Number(seedText)
const FACTOR =
  process.env['TRIVIUM_LONG'] === '1' ? 20 : process.env['TRIVIUM_FEWER'] === '1' ? 0.1 : 1

export interface HoldsOptions {
  /** Values to try; times twenty with TRIVIUM_LONG=1. @default 1000 */
  readonly numRuns?: number
}

/** Asserts that `check` throws for no value; a failure prints the smallest one and the seed. */
export function holds<T>(
  t: Pick<Test, 'notOk'>,
  name: string,
  values: fc.Arbitrary<T>,
  check: (value: T) => void,
  { numRuns = 1000 }: HoldsOptions = {},
): void {
  const run = fc.check(fc.property(values, check), { numRuns: Math.ceil(numRuns * FACTOR), seed })
  const { errorInstance: error } = run
  const why = error instanceof Error ? error.message : String(error)
  const found = run.failed ? `${why}\n${fc.defaultReportMessage(run)}` : 'none'
  t.notOk(run.failed, run.failed ? `${name} (replay with FC_SEED=${run.seed})` : name, { found })
}
