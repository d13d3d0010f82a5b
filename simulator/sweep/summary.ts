/**
 * Statistics over the seeds of each point: a row a point and mode.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { everyMeasure, type Measure } from '../report/measures.ts'
import { type Estimate, estimate } from '../statistics.ts'
import { among } from '../suggest.ts'
import { pointWords, wordsOf } from './place.ts'
import type { SweepPlan } from './plan.ts'
import type { SweepResult } from './result.ts'

/** Shown when nobody asked for others: what people ask first. */
const FIRST_FIGURES = [
  'holds',
  'first_overflow.pods',
  'tor.fullest.pressure',
  'cold_start',
  'converged.programmed',
  'gap.max',
  'bgp.learned',
  'pods.refused',
  'pairs.reached',
  'black_hole.pair_seconds',
] as const

export type MeasureHead = Pick<Measure, 'name' | 'title' | 'unit' | 'better'>

/** One figure of one row. */
export interface SweepCell extends Estimate {
  readonly measure: MeasureHead
  /** By seeds; undefined: the run is missing, failed, or has no such thing. */
  readonly values: readonly (number | undefined)[]
}

/** A point in one of its modes. */
export interface SweepRow {
  readonly point: number
  /** In words, by the plan's paths; undefined: the point does not set it. */
  readonly settings: readonly (string | undefined)[]
  readonly label: string
  /** Only what there is, by name. */
  readonly cells: ReadonlyMap<string, SweepCell>
}

/** Runs of a point of which a check failed. */
export interface FailedRun {
  readonly point: string
  readonly seed: number
  readonly failed: readonly string[]
}

export interface SweepSummary {
  readonly plan: SweepPlan
  /** Runs there are. */
  readonly there: number
  readonly rows: readonly SweepRow[]
  readonly failed: readonly FailedRun[]
  /** Every measure that any row has, in the order of a table. */
  readonly measures: readonly MeasureHead[]
  /** Those of them that are shown. */
  readonly shown: readonly MeasureHead[]
}

/**
 * @param asked Names of measures. Undefined: those of the file, or the usual ones.
 * @param wide Every measure but details, when none was asked for.
 * @throws {TriviumError} USAGE for a name that is unknown.
 */
export function summaryOf(
  plan: SweepPlan,
  results: ReadonlyMap<string, SweepResult>,
  asked: readonly string[] | undefined,
  wide = false,
): SweepSummary {
  const names = demandFigures(asked ?? plan.figures)
  const every = everyMeasure()
  const rows = plan.points.flatMap((_, point) => rowsOf(plan, point, results, every))
  const measures = every.filter(({ name }) => rows.some(({ cells }) => cells.has(name)))
  const isUsual = ({ name, isDetail }: Measure): boolean =>
    wide ? !isDetail : FIRST_FIGURES.some((each) => each === name)
  const byName = new Map(every.map((measure) => [measure.name, measure]))
  const shown =
    names === undefined ? measures.filter(isUsual) : names.flatMap((name) => byName.get(name) ?? [])
  return {
    plan,
    there: results.size,
    rows,
    failed: failedOf(plan, results),
    measures,
    shown,
  }
}

/** @throws {TriviumError} USAGE */
export function demandFigures(names: readonly string[] | undefined): readonly string[] | undefined {
  const known = everyMeasure().map(({ name }) => name)
  const wrong = names?.find((name) => !known.includes(name))
  if (wrong === undefined) return names
  const message = `Cannot show figure ${wrong}: there is no such measure, ${among(wrong, known)}`
  throw new TriviumError('USAGE', message)
}

function rowsOf(
  plan: SweepPlan,
  point: number,
  results: ReadonlyMap<string, SweepResult>,
  every: readonly Measure[],
): readonly SweepRow[] {
  const { settings = [], keys = [] } = plan.points[point] ?? {}
  const runs = keys.map((key) => results.get(key))
  const labels = [...new Set(runs.flatMap((run) => run?.modes.map(({ label }) => label) ?? []))]
  const words = plan.paths.map((path) => {
    const setting = settings.find((each) => each.path === path)
    return setting && wordsOf(setting.value)
  })
  return labels.map((label): SweepRow => {
    const modes = runs.map((run) => run?.modes.find((mode) => mode.label === label)?.figures)
    const cells = every.flatMap((measure): [string, SweepCell][] => {
      const values = modes.map((figures) =>
        figures !== undefined && Object.hasOwn(figures, measure.name)
          ? figures[measure.name]
          : undefined,
      )
      const known = estimate(values.filter((value) => value !== undefined))
      return known === undefined ? [] : [[measure.name, { ...known, measure, values }]]
    })
    return { point, settings: words, label, cells: new Map(cells) }
  })
}

function failedOf(
  { points, seeds }: SweepPlan,
  results: ReadonlyMap<string, SweepResult>,
): readonly FailedRun[] {
  return points.flatMap(({ settings, keys }) =>
    keys.flatMap((key, place): FailedRun[] => {
      const failed = results.get(key)?.failed ?? []
      const seed = seeds[place] ?? 0
      return failed.length === 0 ? [] : [{ point: pointWords(settings), seed, failed }]
    }),
  )
}
