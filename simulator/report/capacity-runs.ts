/**
 * How each mode's answer was had: counted, or run as well, with the times that only a run knows.
 *
 * @module
 */
import type { CapacityAnswer } from '../capacity/answer.ts'
import type { CapacityRun, ModeRun } from '../capacity/run.ts'
import { aligned, type Column } from './align.ts'
import { grouped } from './capacity-words.ts'
import { count, duration } from './words.ts'

const COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'ENGINE' },
  { title: 'NODES', right: true },
  { title: 'COLD START', right: true },
  { title: 'LAST POD', right: true },
  { title: 'HEARD', right: true },
  { title: 'GAP', right: true },
  { title: 'COUNT AND RUN' },
]

/** Columns in small letters, as a page has them. */
export const RUN_HEADS: readonly string[] = COLUMNS.map(({ title, right }) =>
  right === true ? `+${title.toLowerCase()}` : title.toLowerCase(),
)

/** A row a run; of a mode that was counted alone a row without times. */
export function runRows({ modes, runs = [] }: CapacityAnswer): readonly (readonly string[])[] {
  return runs.flatMap((run, index) => {
    const { label = '' } = modes[index] ?? {}
    const { engine, why = '', runs: sizes } = run
    if (sizes.length === 0) return [[label, engine, '-', '-', '-', '-', '-', grouped(why)]]
    return sizes.map((each, at) => [at === 0 ? label : '', engine, ...cells(each)])
  })
}

const cells = (run: CapacityRun): readonly string[] => [
  count(run.size.nodes),
  duration(run.coldStartMs),
  duration(run.lastPodMs),
  duration(run.heardMs),
  duration(run.gapMs),
  run.differences.length === 0
    ? `${run.tables} tables equal`
    : `DIFFER: ${grouped(run.differences.join('; '))}`,
]

export const runLines = (answer: CapacityAnswer): readonly string[] =>
  answer.runs === undefined ? [] : aligned(COLUMNS, runRows(answer))

export const runData = ({ engine, why, runs }: ModeRun): object => ({
  engine,
  ...(why === undefined ? {} : { countedAloneBecause: why }),
  runs,
})

/** Of the asked size; empty cells: it was counted alone. */
export const RUN_CSV_HEADS = [
  'engine',
  'cold_start_ms',
  'last_pod_ms',
  'heard_ms',
  'gap_ms',
  'differences',
] as const

export function runCsv(run: ModeRun | undefined): readonly (string | number)[] {
  if (run === undefined) return ['count', '', '', '', '', '']
  const [first] = run.runs
  if (first === undefined) return [run.engine, '', '', '', '', '']
  const differences = run.runs.reduce((sum, each) => sum + each.differences.length, 0)
  return [run.engine, first.coldStartMs, first.lastPodMs, first.heardMs, first.gapMs, differences]
}
