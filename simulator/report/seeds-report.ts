/**
 * What chance changes, beside the report of one seed: mean and 95 % interval of every
 * measure that varies, for people and as data.
 *
 * @module
 */
import { counted } from '../../src/words.ts'
import type { RunResult } from '../run.ts'
import { type Estimate, estimate } from '../statistics.ts'
import { aligned, type Column } from './align.ts'
import { type Measure, measuresOf, valueWords } from './measures.ts'
import { card, escaped, table } from './page.ts'
import { count } from './words.ts'

/** One figure over seeds. */
export interface Cell extends Estimate {
  readonly measure: Pick<Measure, 'name' | 'unit'>
  /** By seeds; undefined: that run has no such thing, e.g. no overflow. */
  readonly values: readonly (number | undefined)[]
}

/** `1.10 s ± 0.02 s`, and of how many seeds where not of all; `8 of 10` hold. */
export function cellWords(cell: Cell | undefined, seeds: number): string {
  if (cell === undefined) return '-'
  const { measure, mean, half, count: known } = cell
  if (measure.name === 'holds') return holdsWords(cell)
  const spread = half === undefined || half === 0 ? '' : ` ± ${halfWords(half, measure.unit)}`
  const few = known === seeds ? '' : ` (${known} of ${seeds})`
  return `${valueWords(mean, measure.unit)}${spread}${few}`
}

/** Half of an interval; what is there but too small to be written is no zero. */
export function halfWords(half: number, unit: Measure['unit']): string {
  const words = valueWords(half, unit)
  if (!/^0( |$)/.test(words)) return words
  return unit === 'ms' || unit === 'bytes'
    ? `<${words.replace('0', '1')}`
    : `<${words.replace('0', '0.1')}`
}

/** Of the measure `holds`: with how many seeds no table overflowed. */
export const holdsWords = ({ values, count: known }: Pick<Cell, 'values' | 'count'>): string =>
  `${values.filter((value) => value === 1).length} of ${known}`

/** As data: the values, and what comes from them. */
export function cellData({ measure, count: n, mean, deviation, half, values }: Cell): object {
  return {
    name: measure.name,
    unit: measure.unit,
    n,
    mean,
    deviation: deviation ?? null,
    low: half === undefined ? null : mean - half,
    high: half === undefined ? null : mean + half,
    values: values.map((value) => value ?? null),
  }
}

function cellOf(measure: Measure, results: readonly RunResult[], mode: number): Cell | undefined {
  const values = results.map(({ modes }) => modes[mode] && measure.value(modes[mode]))
  const known = estimate(values.filter((value) => value !== undefined))
  return known && { ...known, measure, values }
}

/** Another value with another seed, or none where others have one. */
const varies = ({ values }: Cell): boolean => values.some((value) => value !== values[0])

interface Row {
  readonly measure: Measure
  /** By modes. */
  readonly cells: readonly (Cell | undefined)[]
}

/** Every measure, in the order of a table. */
function rowsOf(results: readonly RunResult[]): readonly Row[] {
  const modes = results[0]?.modes ?? []
  return measuresOf(results.flatMap((result) => result.modes)).map((measure) => ({
    measure,
    cells: modes.map((_, mode) => cellOf(measure, results, mode)),
  }))
}

/** Those that vary in some mode, and how many do not. */
function varying(
  results: readonly RunResult[],
  wide: boolean,
): { readonly rows: readonly Row[]; readonly same: number } {
  const asked = rowsOf(results).filter(({ measure }) => wide || !measure.isDetail)
  const rows = asked.filter(({ cells }) => cells.some((cell) => cell !== undefined && varies(cell)))
  return { rows, same: asked.length - rows.length }
}

/** As plain data: every measure of every mode. */
export function seedsData(results: readonly RunResult[]): Readonly<Record<string, unknown>> {
  const rows = rowsOf(results)
  return {
    seeds: results.map(({ scenario }) => scenario.seed),
    passed: results.every(({ passed }) => passed),
    traceHashes: results.map(({ traceHash }) => traceHash ?? null),
    modes: (results[0]?.modes ?? []).map(({ label }, mode) => ({
      label,
      measures: rows.flatMap(({ cells }) => {
        const cell = cells[mode]
        return cell === undefined ? [] : [cellData(cell)]
      }),
    })),
  }
}

/** `10 seeds, 1 to 10`. */
function whichSeeds(results: readonly RunResult[]): string {
  const [first, last] = [results[0], results.at(-1)].map((each) => each?.scenario.seed)
  return `${counted(results.length, 'seed', count)}, ${first} to ${last}`
}

const sameWords = (same: number, rows: number): string =>
  rows === 0
    ? `every measure is the same with each seed`
    : `the same with each seed: ${counted(same, 'other measure', count)}`

/** @param wide With details. @returns nothing for one seed. */
export function seedsText(results: readonly RunResult[], wide: boolean): string {
  if (results.length < 2) return ''
  const modes = results[0]?.modes ?? []
  const { rows, same } = varying(results, wide)
  const columns: readonly Column[] = [
    { title: `${whichSeeds(results)}: mean ± half of the 95 % interval` },
    ...modes.map(({ label }) => ({ title: label, right: true })),
  ]
  const lines: (readonly string[])[] = []
  let group = ''
  for (const { measure, cells } of rows) {
    if (measure.group !== group) lines.push([measure.group])
    group = measure.group
    lines.push([`  ${measure.title}`, ...cells.map((cell) => cellWords(cell, results.length))])
  }
  return [
    ...(rows.length === 0 ? [`${whichSeeds(results)}:`] : [...aligned(columns, lines), '']),
    sameWords(same, rows.length),
    ...checkLines(results),
    '',
  ].join('\n')
}

/** Findings of seeds that failed, which the report above does not show. */
function checkLines(results: readonly RunResult[]): readonly string[] {
  const failed = results.filter(({ passed }) => !passed)
  if (failed.length === 0) return [`checks: all passed with each of ${results.length} seeds`]
  const seeds = failed.map(({ scenario }) => scenario.seed)
  return [
    `checks: FAILED with seeds ${seeds.join(', ')}; to see one: --seed ${seeds[0]} --seeds 1`,
    ...failed.flatMap(({ scenario, modes }) =>
      modes.flatMap(({ label, checks }) =>
        checks
          .filter(({ passed }) => !passed)
          .map(({ name, findings }) => `  seed ${scenario.seed} ${label}: ${name}: ${findings[0]}`),
      ),
    ),
  ]
}

/** @returns nothing for one seed. */
export function seedsCard(results: readonly RunResult[]): string {
  if (results.length < 2) return ''
  const modes = results[0]?.modes ?? []
  const { rows, same } = varying(results, true)
  const heads = ['Measure', ...modes.map(({ label }) => `+${escaped(label)}`)]
  const lines = rows.map(({ measure, cells }) =>
    [measure.title, ...cells.map((cell) => cellWords(cell, results.length))].map(escaped),
  )
  const failed = results.filter(({ passed }) => !passed).map(({ scenario }) => scenario.seed)
  const verdict =
    failed.length === 0
      ? ''
      : `<p class="bad">A checker failed with seeds ${failed.join(', ')}.</p>`
  return card(
    'What chance changes',
    `${whichSeeds(results)}: mean ± half of the 95 % interval (Student's t). Everything else here is of seed ${results[0]?.scenario.seed}; ${sameWords(same, rows.length)}.`,
    verdict + (rows.length === 0 ? '' : table(heads, lines, 'dense')),
  )
}
