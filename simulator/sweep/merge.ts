/**
 * Results of several places as those of one sweep: which runs are missing, and which
 * are there twice.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { pointWords } from './place.ts'
import { jobsOf, type SweepJob, type SweepPlan } from './plan.ts'
import { lineOf, type SweepResult } from './result.ts'

/** Results of one file. */
export interface ResultsFrom {
  /** Name of the file, for people. */
  readonly from: string
  readonly results: readonly SweepResult[]
}

/** A run that two places have, alike. */
export interface Double {
  readonly job: SweepJob
  readonly from: readonly string[]
}

export interface Merged {
  /** In the order of the sweep. */
  readonly results: ReadonlyMap<string, SweepResult>
  readonly missing: readonly SweepJob[]
  readonly doubles: readonly Double[]
}

/**
 * What there is of a sweep. Results of other sweeps are left aside: a grid may have been
 * larger before.
 *
 * @throws {TriviumError} CONFLICT: two places disagree about a run.
 */
export function mergeResults(plan: SweepPlan, parts: readonly ResultsFrom[]): Merged {
  const found = new Map<string, { readonly result: SweepResult; readonly from: string[] }>()
  for (const { from, results } of parts) {
    for (const result of results) {
      const earlier = found.get(result.key)
      if (earlier === undefined) found.set(result.key, { result, from: [from] })
      else {
        if (lineOf(earlier.result) !== lineOf(result)) throw disagree(plan, result, earlier, from)
        earlier.from.push(from)
      }
    }
  }
  const jobs = jobsOf(plan)
  return {
    results: new Map(
      jobs.flatMap(({ key }): [string, SweepResult][] => {
        const has = found.get(key)
        return has === undefined ? [] : [[key, has.result]]
      }),
    ),
    missing: jobs.filter(({ key }) => !found.has(key)),
    doubles: jobs.flatMap((job) => {
      const { from } = found.get(job.key) ?? { from: [] }
      return from.length > 1 ? [{ job, from }] : []
    }),
  }
}

function disagree(
  plan: SweepPlan,
  { key, trace }: SweepResult,
  earlier: { readonly result: SweepResult; readonly from: readonly string[] },
  from: string,
): TriviumError {
  const job = jobsOf(plan).find((each) => each.key === key)
  const run = job === undefined ? key : jobWords(plan, job)
  const traces = `trace ${earlier.result.trace} in ${earlier.from[0]}, ${trace} in ${from}`
  return new TriviumError(
    'CONFLICT',
    `Cannot merge run ${run}: found ${traces}, wanted the same`,
    'the same program, point and seed give the same run: remove the folder that another build wrote',
  )
}

/** `nodes=100 seed 3`. */
export function jobWords({ points }: SweepPlan, { point, seed }: SweepJob): string {
  return `${pointWords(points[point]?.settings ?? [])} seed ${seed}`
}

/** Folders that are not of one sweep. @throws {TriviumError} CONFLICT naming what differs. */
export function demandSame(
  plans: readonly { readonly folder: string; readonly plan: SweepPlan }[],
): void {
  const [first] = plans
  const other = plans.find(({ plan }) => plan.id !== first?.plan.id)
  if (first === undefined || other === undefined) return
  const [one, two] = [first.plan, other.plan]
  const what =
    one.program === two.program
      ? `${sizeOf(one)} in ${first.folder}, ${sizeOf(two)} in ${other.folder}`
      : `program ${one.program} in ${first.folder}, ${two.program} in ${other.folder}`
  const ids = `sweep ${one.id} and ${two.id}`
  throw new TriviumError(
    'CONFLICT',
    `Cannot merge ${ids}: found ${what}, wanted folders of one sweep by one program`,
  )
}

const sizeOf = ({ points, seeds }: SweepPlan): string =>
  `${points.length} points with ${seeds.length} seeds`
