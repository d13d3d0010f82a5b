/**
 * Statistics over seeds, for people and as data: median, least and most of each
 * measure of each mode.
 *
 * @module
 */
import type { ModeResult, RunResult } from '../run.ts'
import { type Spread, spreadOf } from '../seeds.ts'
import { aligned, type Column } from './align.ts'
import { type Measure, measuresOf, valueWords } from './measures.ts'
import { card, escaped, type Origin, page, reproduction, table } from './page.ts'
import { count } from './words.ts'

/** One measure of one mode. */
interface MeasureSpread extends Partial<Spread> {
  readonly name: string
  readonly unit: Measure['unit']
  /** Undefined: this seed's run has no such thing, e.g. no overflow. */
  readonly values: readonly (number | undefined)[]
}

function spreadOfMode(
  measure: Measure,
  results: readonly RunResult[],
  index: number,
): MeasureSpread {
  const values = results.map(({ modes }) => measure.value(modes[index]!))
  const known = values.filter((value) => value !== undefined)
  return { name: measure.name, unit: measure.unit, values, ...spreadOf(known) }
}

/** As plain data. */
export function seedsData(results: readonly RunResult[]): Readonly<Record<string, unknown>> {
  const measures = measuresOf(results.flatMap(({ modes }) => modes))
  const [first] = results
  return {
    scenario: first?.scenario,
    seeds: results.map(({ scenario }) => scenario.seed),
    passed: results.every(({ passed }) => passed),
    traceHashes: results.map(({ traceHash }) => traceHash ?? null),
    modes: (first?.modes ?? []).map(({ label, mode }, index) => ({
      label,
      ...mode,
      measures: measures.map((measure) => {
        const { name, unit, values, median, min, max } = spreadOfMode(measure, results, index)
        const all = values.map((value) => value ?? null)
        return {
          name,
          unit,
          median: median ?? null,
          min: min ?? null,
          max: max ?? null,
          values: all,
        }
      }),
    })),
  }
}

/** @param wide With details. */
export function seedsText(results: readonly RunResult[], wide: boolean): string {
  const modes = results[0]?.modes ?? []
  const columns: readonly Column[] = [
    { title: `${results.length} seeds: median (least to most)` },
    ...modes.map(({ label }) => ({ title: label, right: true })),
  ]
  const lines: (readonly string[])[] = []
  let group = ''
  for (const row of seedRows(results, wide)) {
    if (row.group !== group) lines.push([row.group])
    group = row.group
    lines.push([`  ${row.title}`, ...row.cells])
  }
  const failed = results.filter(({ passed }) => !passed).map(({ scenario }) => scenario.seed)
  return [
    ...aligned(columns, lines),
    '',
    failed.length === 0 ? 'checks: all passed' : `checks: FAILED with seeds ${failed.join(', ')}`,
    ...results.map(({ scenario, traceHash }) => `seed ${scenario.seed} trace ${traceHash ?? '-'}`),
    '',
  ].join('\n')
}

/** One table: for plots of a single run leave `--seeds` away. */
export function seedsHtml(results: readonly RunResult[], origin: Origin): string {
  const modes = results[0]?.modes ?? []
  const name = results[0]?.scenario.name ?? ''
  const rows = seedRows(results, true).map(({ title, cells }) => [title, ...cells].map(escaped))
  const heads = ['Measure', ...modes.map(({ label }) => `+${escaped(label)}`)]
  const seeds = results.map(({ scenario }) => scenario.seed)
  return page(name, [
    `<h1>${escaped(name)}: what chance changes</h1>`,
    card(
      `${count(results.length)} seeds`,
      'Median, and from the least to the most.',
      table(heads, rows),
    ),
    reproduction(
      `Seeds ${seeds.join(', ')}. The same version, scenario and seeds give the same numbers.`,
      origin,
    ),
  ])
}

interface SeedRow {
  readonly group: string
  readonly title: string
  readonly cells: readonly string[]
}

function seedRows(results: readonly RunResult[], wide: boolean): readonly SeedRow[] {
  const all: readonly ModeResult[] = results.flatMap(({ modes }) => modes)
  const measures = measuresOf(all).filter(({ isDetail }) => wide || !isDetail)
  return measures.map((measure): SeedRow => {
    const cells = (results[0]?.modes ?? []).map((_, index) =>
      spreadWords(measure, spreadOfMode(measure, results, index)),
    )
    return { group: measure.group, title: measure.title, cells }
  })
}

function spreadWords({ name, unit }: Measure, { values, median, min, max }: MeasureSpread): string {
  if (name === 'holds') {
    const holding = values.filter((value) => value === 1).length
    return `${holding} of ${values.length}`
  }
  const words = valueWords(median, unit)
  if (min === max) return words
  return `${words} (${valueWords(min, unit)} to ${valueWords(max, unit)})`
}
