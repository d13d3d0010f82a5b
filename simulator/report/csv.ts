/**
 * Reports as CSV (RFC 4180): tidy tables, one observation a row, for spreadsheets
 * and data frames. Times are virtual; nothing known is an empty field.
 *
 * @module
 */
import type { ModeResult, RunResult } from '../run.ts'
import { firstPods } from '../timeline/workload.ts'
import { measuresOf } from './measures.ts'

type Cell = string | number | boolean | undefined
type Row = readonly Cell[]

/** A name for a file, and what is in it. */
export interface CsvTable {
  readonly name: string
  readonly text: string
}

/** What tells the rows of several runs apart. */
const RUN_HEADS = ['scenario', 'seed', 'nodes', 'pods', 'mode'] as const

const runCells = ({ scenario }: RunResult, { label }: ModeResult): Row => [
  scenario.name,
  scenario.seed,
  scenario.nodes,
  firstPods(scenario),
  label,
]

/** Every measure of every mode of every run, one a row: the table that `-o csv` prints. */
export function measuresCsv(results: readonly RunResult[]): string {
  const measures = measuresOf(results.flatMap(({ modes }) => modes))
  return csvOf(['measure', 'value', 'unit'], results, (mode) =>
    measures.flatMap(({ name, unit, value }): Row[] => {
      const figure = value(mode)
      return figure === undefined ? [] : [[name, figure, unit]]
    }),
  )
}

/** Everything that is more than one number a mode. */
export function csvTables(results: readonly RunResult[]): readonly CsvTable[] {
  return [
    { name: 'measures', text: measuresCsv(results) },
    { name: 'tables', text: tablesCsv(results) },
    { name: 'samples', text: samplesCsv(results) },
    { name: 'devices', text: devicesCsv(results) },
    { name: 'timeline', text: timelineCsv(results) },
    { name: 'faults', text: faultsCsv(results) },
  ]
}

function tablesCsv(results: readonly RunResult[]): string {
  const heads = [
    ...['role', 'table', 'device', 'devices', 'entries', 'held', 'capacity', 'pressure'],
    ...['overflow_device', 'overflow_pods', 'overflow_ms', 'overflow_entry'],
  ]
  return csvOf(heads, results, ({ tables }) =>
    tables.map((figure): Row => {
      const { role, table, device, devices, demandPeak, entriesPeak, capacity, pressure } = figure
      const { firstOverflow: first } = figure
      const overflow = [first?.device, first?.pods, first?.atMs, first?.entry]
      return [
        role,
        table,
        device,
        devices,
        demandPeak,
        entriesPeak,
        capacity,
        pressure,
        ...overflow,
      ]
    }),
  )
}

function samplesCsv(results: readonly RunResult[]): string {
  return csvOf(['added', 'at_ms', 'role', 'table', 'entries'], results, ({ samples }) =>
    samples.flatMap(({ pods, atMs, entries }) =>
      Object.entries(entries).map(([name, value]): Row => {
        const [role, table] = name.split(' ')
        return [pods, atMs, role, table, value]
      }),
    ),
  )
}

function devicesCsv(results: readonly RunResult[]): string {
  const heads = [
    ...['device', 'role', 'rack', 'rack_nodes'],
    ...['table', 'entries', 'capacity', 'pressure', 'down'],
  ]
  return csvOf(heads, results, ({ fabric }) =>
    fabric.devices.map(
      ({ name, role, rack, nodes, table, demandPeak, capacity, pressure, isDown }): Row => {
        const place = rack === -1 ? [undefined, undefined] : [rack, nodes]
        return [name, role, ...place, table, demandPeak, capacity, pressure, isDown]
      },
    ),
  )
}

function timelineCsv(results: readonly RunResult[]): string {
  const heads = [
    ...['at_ms', 'living_pods', 'pairs', 'lost', 'lost_to_overflow', 'queued', 'stranded'],
  ]
  return csvOf(heads, results, ({ timeline }) =>
    (timeline?.points ?? []).map(
      ({ atMs, pods, pairs, lost, lostToOverflow, queued, stranded }): Row => [
        ...[atMs, pods, pairs, lost, lostToOverflow, queued, stranded],
      ],
    ),
  )
}

function faultsCsv(results: readonly RunResult[]): string {
  const heads = [
    ...['what', 'at_ms', 'pods_lost', 'lost_at_once', 'settled_ms', 'lost_after', 'pair_seconds'],
  ]
  return csvOf(heads, results, ({ timeline }) =>
    (timeline?.faults ?? []).map(
      ({ what, atMs, podsLost, lostAtOnce, settledMs, lostAfter, pairSeconds }): Row => [
        ...[what, atMs, podsLost, lostAtOnce, settledMs, lostAfter, pairSeconds],
      ],
    ),
  )
}

function csvOf(
  heads: readonly string[],
  results: readonly RunResult[],
  rowsOf: (mode: ModeResult) => readonly Row[],
): string {
  const rows = results.flatMap((result) =>
    result.modes.flatMap((mode) => {
      const own = runCells(result, mode)
      return rowsOf(mode).map((row) => [...own, ...row])
    }),
  )
  return [[...RUN_HEADS, ...heads], ...rows].map((row) => `${row.map(field).join(',')}\n`).join('')
}

/** Quoted where a reader would otherwise see several fields or lines. */
function field(cell: Cell): string {
  if (cell === undefined) return ''
  const text = String(cell)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
