/**
 * A sweep for terminals and for programs.
 *
 * @module
 */
import { aligned, type Column } from '../report/align.ts'
import { cellData, cellWords } from '../report/seeds-report.ts'
import { count } from '../report/words.ts'
import type { SweepPlan } from './plan.ts'
import type { FailedRun, SweepRow, SweepSummary } from './summary.ts'

/** Failed runs that are named. */
const FAILED_MAX = 12

/** What a report begins with. */
export function sweepHead({ name, points, seeds, program, id }: SweepPlan): string {
  const first = seeds[0] ?? 0
  const last = seeds.at(-1) ?? 0
  const which = seeds.length === 1 ? `seed ${first}` : `seeds ${first} to ${last}`
  const runs = count(points.length * seeds.length)
  return `sweep ${name}  ${id}  program ${program}\n${count(points.length)} points, ${which}: ${runs} runs`
}

/** A row a point and mode: mean and half of the 95 % interval of each figure. */
export function sweepText(summary: SweepSummary): string {
  const { plan, rows, shown, there, failed } = summary
  const wanted = plan.points.length * plan.seeds.length
  const columns: readonly Column[] = [
    ...plan.paths.map((path) => ({
      title: path,
      right: isNumeric(rows, plan.paths.indexOf(path)),
    })),
    { title: 'MODE' },
    ...shown.map(({ title }) => ({ title, right: true })),
  ]
  const lines = rows.map(({ settings, label, cells }) => [
    ...settings.map((words) => words ?? '-'),
    label,
    ...shown.map(({ name }) => cellWords(cells.get(name), plan.seeds.length)),
  ])
  const missing = wanted - there
  return [
    ...aligned(columns, lines),
    '',
    `mean over seeds, ± half of the 95 % interval (Student's t)`,
    engineSentence(plan),
    ...(missing === 0 ? [] : [`missing: ${count(missing)} of ${count(wanted)} runs`]),
    ...failedLines(failed),
    '',
  ].join('\n')
}

/** Which engine ran which points, in a sentence. */
export function engineSentence({ points }: SweepPlan): string {
  const scaled = points.filter(({ engine }) => engine === 'scaled').length
  if (scaled === 0) return 'engine: exact'
  const which =
    scaled === points.length
      ? ''
      : ` at ${count(scaled)} of ${count(points.length)} points, exact at the others`
  return `engine: scaled${which}; scaled ends when all pods are known, and knows no packets`
}

const isNumeric = (rows: readonly SweepRow[], column: number): boolean =>
  rows.every(({ settings }) => /^(-?\d+(\.\d+)?)?$/.test(settings[column] ?? ''))

function failedLines(failed: readonly FailedRun[]): readonly string[] {
  if (failed.length === 0) return ['checks: all passed']
  const named = failed
    .slice(0, FAILED_MAX)
    .map(({ point, seed, failed: why }) => `  ${point} seed ${seed}: ${why.join('; ')}`)
  const more = failed.length - named.length
  return [
    `checks: FAILED in ${count(failed.length)} runs`,
    ...named,
    ...(more === 0 ? [] : [`  and ${count(more)} more`]),
  ]
}

/** As plain data: every measure, with the values that it comes from. */
export function sweepData(summary: SweepSummary): Readonly<Record<string, unknown>> {
  const { plan, there, failed, rows } = summary
  const { id, name, about, program, paths, seeds, points } = plan
  return {
    sweep: id,
    name,
    about,
    program,
    paths,
    seeds,
    runs: { wanted: points.length * seeds.length, there, failed: failed.length },
    failed,
    points: points.map(({ settings, engine }, point) => ({
      point: Object.fromEntries(settings.map(({ path, value }) => [path, value])),
      engine,
      modes: rows.filter((row) => row.point === point).map(modeData),
    })),
  }
}

const modeData = ({ label, cells }: SweepRow): object => ({
  label,
  measures: [...cells.values()].map(cellData),
})
