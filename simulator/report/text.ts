/**
 * The report for a terminal: which table of which device holds how much, then
 * one line a mode.
 *
 * @module
 */
import type { TableFigure } from '../measure.ts'
import type { ModeResult, RunResult } from '../run.ts'
import { aligned, type Column } from './align.ts'
import { BGP_COLUMNS, bgpRows } from './bgp.ts'
import { countOrDash, pairsOf, traceLines } from './engine-words.ts'
import { acrossOf, wayRows } from './ways.ts'
import {
  capacityOf,
  count,
  duration,
  percent,
  ROLE_NAMES,
  sentenceOf,
  TABLE_NAMES,
  verdictOf,
} from './words.ts'

const TABLE_COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'DEVICE' },
  { title: 'TABLE' },
  { title: 'ENTRIES', right: true },
  { title: 'CAPACITY', right: true },
  { title: 'PRESSURE', right: true },
  { title: 'VERDICT' },
]
const WIDE_COLUMNS: readonly Column[] = [
  { title: 'FULLEST' },
  { title: 'HELD', right: true },
  { title: 'FIRST REFUSED' },
]
const TIME_COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'COLD START', right: true },
  { title: 'ALL PODS', right: true },
  { title: 'LAST POD', right: true },
  { title: 'HEARD', right: true },
  { title: 'GAP', right: true },
  { title: 'KERNEL OPS', right: true },
  { title: 'EVENTS', right: true },
  { title: 'PAIRS REACHED', right: true },
  { title: 'TRACE' },
]

const FAULT_COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'FAULT' },
  { title: 'AT', right: true },
  { title: 'PODS LOST', right: true },
  { title: 'PAIRS LOST AT ONCE', right: true },
  { title: 'SETTLED AFTER', right: true },
  { title: 'PAIRS LOST THEN', right: true },
  { title: 'PAIR-SECONDS', right: true },
]

const WORK_COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'PODS ADDED', right: true },
  { title: 'REMOVED', right: true },
  { title: 'REFUSED', right: true },
  { title: 'TRIED AGAIN', right: true },
  { title: 'MEDIAN ADD', right: true },
  { title: 'LONGEST ADD', right: true },
  { title: 'STRANDED AT MOST', right: true },
  { title: 'STRANDED', right: true },
]

const WAY_COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'PODS' },
  { title: 'PAIRS REACHED', right: true },
  { title: 'AT WORST' },
]
/** A mode and a sentence. */
const WORD_COLUMNS: readonly Column[] = [{ title: '' }, { title: '' }]

/** @param wide More columns: the device, what it held, what it refused first. */
export function textReport(result: RunResult, wide: boolean): string {
  const { modes } = result
  const columns = wide ? [...TABLE_COLUMNS, ...WIDE_COLUMNS] : TABLE_COLUMNS
  const rows = modes.flatMap((mode) =>
    mode.tables.map((figure, index) => tableRow(index === 0 ? mode.label : '', figure, wide)),
  )
  const verdicts = modes.map((mode) => [mode.label, sentenceOf(mode)])
  return [
    ...aligned(columns, rows),
    '',
    ...aligned(WORD_COLUMNS, verdicts).slice(1),
    ...wayLines(modes),
    '',
    ...aligned(TIME_COLUMNS, modes.map(timeRow)),
    ...bgpLines(modes),
    ...workLines(modes),
    ...faultLines(modes),
    '',
    ...checkLines(result),
    ...traceLines(result),
    '',
  ].join('\n')
}

function wayLines(modes: readonly ModeResult[]): readonly string[] {
  const sentences = modes.flatMap((mode) => {
    const across = acrossOf(mode)
    return across === undefined ? [] : [[mode.label, across]]
  })
  const rows = wayRows(modes)
  return [
    ...(sentences.length === 0 ? [] : ['', ...aligned(WORD_COLUMNS, sentences).slice(1)]),
    ...(rows.length === 0 ? [] : ['', ...aligned(WAY_COLUMNS, rows)]),
  ]
}

function bgpLines(modes: readonly ModeResult[]): readonly string[] {
  const rows = bgpRows(modes)
  return rows.length === 0 ? [] : ['', ...aligned(BGP_COLUMNS, rows)]
}

function workLines(modes: readonly ModeResult[]): readonly string[] {
  const rows = modes.flatMap(({ label, timeline }) => {
    if (timeline === undefined) return []
    const { workload } = timeline
    const { added, removed, refused, retried, strandedPeak, strandedEnd } = workload
    if (added + removed + refused + strandedPeak === 0) return []
    return [
      [
        label,
        ...[added, removed, refused, retried].map(count),
        ...[workload.addMedianMs, workload.addMaxMs].map(duration),
        ...[strandedPeak, strandedEnd].map(count),
      ],
    ]
  })
  const refusals = modes.flatMap(({ label, timeline }) => {
    const first = timeline?.workload.firstRefusal
    return first === undefined ? [] : [`${label} refused ${first}`]
  })
  const reasons = refusals.length === 0 ? [] : ['', ...refusals]
  return rows.length === 0 ? [] : ['', ...aligned(WORK_COLUMNS, rows), ...reasons]
}

function faultLines(modes: readonly ModeResult[]): readonly string[] {
  const rows = modes.flatMap(({ label, timeline }) =>
    (timeline?.faults ?? []).map((fault, index) => [
      index === 0 ? label : '',
      fault.what,
      duration(fault.atMs),
      count(fault.podsLost),
      count(fault.lostAtOnce),
      fault.settledMs === undefined ? 'the next came first' : duration(fault.settledMs),
      count(fault.lostAfter),
      fault.pairSeconds.toFixed(1),
    ]),
  )
  if (rows.length === 0) return []
  const totals = modes.flatMap(({ label, timeline }) => {
    if (timeline === undefined || timeline.faults.length === 0) return []
    const { watched, affected, pairSeconds, maxMs, worst } = timeline.blackHoles
    const all = `${count(affected)} of ${count(watched)} watched pairs without a way for some time`
    if (worst === undefined) return [[label, all]]
    return [
      [label, `${all}, ${pairSeconds.toFixed(1)} pair-seconds in all`],
      ['', `at worst ${duration(maxMs)}, ${worst}`],
    ]
  })
  const lines = [...aligned(FAULT_COLUMNS, rows), '', ...aligned(WORD_COLUMNS, totals).slice(1)]
  return ['', ...lines]
}

function tableRow(label: string, figure: TableFigure, wide: boolean): readonly string[] {
  const { role, table, devices, demandPeak, pressure, firstOverflow } = figure
  const verdict = verdictOf(figure)
  const row = [
    label,
    `${ROLE_NAMES[role]} x${devices}`,
    TABLE_NAMES[table],
    count(demandPeak),
    capacityOf(figure),
    pressure === undefined ? '-' : percent(pressure),
    firstOverflow === undefined ? verdict : `${verdict} at pod ${count(firstOverflow.pods)}`,
  ]
  if (!wide) return row
  return [...row, figure.device, count(figure.entriesPeak), firstOverflow?.entry ?? '-']
}

function timeRow(mode: ModeResult): readonly string[] {
  return [
    mode.label,
    duration(mode.coldStartMs),
    duration(mode.podsMs),
    duration(mode.tailMs),
    duration(mode.heardMs),
    duration(mode.programming.lagMaxMs),
    countOrDash(mode.kernelOperations),
    countOrDash(mode.events),
    pairsOf(mode),
    mode.traceHash ?? '-',
  ]
}

function checkLines({ modes, passed }: RunResult): readonly string[] {
  const all = modes.flatMap(({ checks }) => checks)
  if (passed) return [`checks: all ${all.length} passed (${names(all)})`]
  return [
    `checks: ${all.filter((check) => !check.passed).length} of ${all.length} FAILED`,
    ...modes.flatMap(({ label, checks }) =>
      checks
        .filter((check) => !check.passed)
        .flatMap(({ name, scope, findings }) => [
          `  ${label}: ${name} (${scope})`,
          ...findings.map((finding) => `    ${finding}`),
        ]),
    ),
  ]
}

const names = (checks: readonly { readonly name: string }[]): string =>
  [...new Set(checks.map(({ name }) => name.split(':')[0]))].join(', ')
