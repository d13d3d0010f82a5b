/**
 * What modes and seeds are compared by: a name for programs, a title for people,
 * a unit, and which side is better. One list for comparisons, statistics and CSV.
 *
 * @module
 */
import { networkMtu } from '../../src/backend/mtu.ts'
import { SWITCH_ROLES } from '../fabric-device.ts'
import { NODE_TABLES, type Role, type TableFigure } from '../measure.ts'
import { roadsOf } from '../network.ts'
import { SWITCH_TABLES } from '../profiles.ts'
import type { ModeResult } from '../run.ts'
import { UNDERLAY_MTU_BYTES } from '../underlay.ts'
import { count, duration, percent, SHORT_ROLES, TABLE_NAMES } from './words.ts'

export type Unit = 'ms' | 's' | 'share' | 'entries' | 'bytes' | 'pods' | 'pairs' | 'count'

/** One figure of a mode. */
export interface Measure {
  /** For programs, e.g. `tor.host.pressure`. */
  readonly name: string
  readonly title: string
  readonly group: string
  readonly unit: Unit
  /** Undefined: neither is. */
  readonly better: 'less' | 'more' | undefined
  /** Left out of short tables. */
  readonly isDetail: boolean
  /** Undefined: the mode has no such thing. */
  readonly value: (mode: ModeResult) => number | undefined
  /** What a person reads beside the value. */
  readonly note?: (mode: ModeResult) => string | undefined
}

type Row = readonly [
  name: string,
  title: string,
  unit: Unit,
  value: Measure['value'],
  better?: Measure['better'] | 'detail',
]

/** The measures that any of these modes has, in the order of a table. */
export function measuresOf(modes: readonly ModeResult[]): readonly Measure[] {
  return everyMeasure().filter(({ value }) => modes.some((mode) => value(mode) !== undefined))
}

/** All that there are, in the order of a table. */
export function everyMeasure(): readonly Measure[] {
  return [
    holding,
    firstFull,
    ...SWITCH_ROLES.map(fullestOf),
    ...SWITCH_ROLES.flatMap((role) => SWITCH_TABLES.flatMap((table) => tableMeasures(role, table))),
    ...NODE_TABLES.map((table) => entriesOf('node', table, false)),
    entriesOf('node', 'learned', false),
    ...rows('node kernel', NODE_ROWS),
    ...rows('time, virtual', TIME_ROWS),
    ...rows('work', WORK_ROWS),
    ...rows('BGP', BGP_ROWS),
    ...rows('pods and failures', LOSS_ROWS),
    ...rows('packets', PACKET_ROWS),
  ]
}

/** A value in words, with its unit. */
export function valueWords(value: number | undefined, unit: Unit): string {
  if (value === undefined) return '-'
  if (unit === 'ms') return duration(value)
  if (unit === 's') return `${count(Math.round(value * 10) / 10)} s`
  if (unit === 'share') return percent(value)
  return unit === 'bytes' ? bytesWords(value) : count(Math.round(value * 10) / 10)
}

/** What a mode's figure reads like, its note included. */
export function cellOf({ value, unit, note }: Measure, mode: ModeResult): string {
  const words = note?.(mode)
  const number = value(mode)
  if (words === undefined || number === undefined) return words ?? valueWords(number, unit)
  return `${words} ${valueWords(number, unit)}`
}

/**
 * Which of these modes have the best value; none when all are alike, or none is
 * better. Values that read the same are the same.
 */
export function bestOf(
  { value, unit, better }: Measure,
  modes: readonly ModeResult[],
): readonly boolean[] {
  const values = modes.map((mode) => value(mode))
  const known = values.filter((each) => each !== undefined)
  if (better === undefined || known.length < 2) return values.map(() => false)
  const best = valueWords(better === 'less' ? Math.min(...known) : Math.max(...known), unit)
  const isBest = values.map((each) => each !== undefined && valueWords(each, unit) === best)
  return known.length === isBest.filter(Boolean).length ? values.map(() => false) : isBest
}

/** Whether no table overflowed, as far as sizes are known. */
export function standOf(mode: ModeResult): 'holds' | 'OVERFLOW' | 'unknown' {
  if (mode.firstOverflow !== undefined) return 'OVERFLOW'
  const own = mode.tables.filter(({ role }) => role !== 'node')
  const isBlind = own.length > 0 && own.every(({ pressure }) => pressure === undefined)
  return isBlind ? 'unknown' : 'holds'
}

const holding: Measure = {
  name: 'holds',
  title: 'holds?',
  group: 'switches',
  unit: 'count',
  better: undefined,
  isDetail: false,
  value: (mode) => ({ holds: 1, OVERFLOW: 0, unknown: undefined })[standOf(mode)],
  note: () => undefined,
}

const firstFull: Measure = {
  name: 'first_overflow.pods',
  title: 'first full table, at pod',
  group: 'switches',
  unit: 'pods',
  better: 'more',
  isDetail: false,
  value: ({ firstOverflow }) => firstOverflow?.pods,
  note: ({ firstOverflow }) =>
    firstOverflow && `${SHORT_ROLES[firstOverflow.role]} ${TABLE_NAMES[firstOverflow.table]}`,
}

function fullestOf(role: Role): Measure {
  const fullest = ({ tables }: ModeResult): TableFigure | undefined =>
    tables
      .filter((figure) => figure.role === role && figure.pressure !== undefined)
      .reduce<TableFigure | undefined>(
        (most, figure) => ((figure.pressure ?? 0) > (most?.pressure ?? -1) ? figure : most),
        undefined,
      )
  return {
    name: `${role}.fullest.pressure`,
    title: `fullest ${SHORT_ROLES[role]} table`,
    group: 'switches',
    unit: 'share',
    better: 'less',
    isDetail: false,
    value: (mode) => fullest(mode)?.pressure,
    note: (mode) => {
      const figure = fullest(mode)
      return figure && TABLE_NAMES[figure.table]
    },
  }
}

/** Tables of which people ask; the rest is for those who look closer. */
const ASKED = ['lpm', 'lpm6', 'host', 'host6', 'mac'] as const

function tableMeasures(role: Role, table: TableFigure['table']): readonly Measure[] {
  const pressure: Measure = {
    ...entriesOf(role, table, true),
    name: `${role}.${table}.pressure`,
    title: `${SHORT_ROLES[role]} ${TABLE_NAMES[table]}, pressure`,
    unit: 'share',
    value: (mode) => figureOf(mode, role, table)?.pressure,
  }
  return [entriesOf(role, table, !ASKED.some((asked) => asked === table)), pressure]
}

function entriesOf(role: Role, table: TableFigure['table'], isDetail: boolean): Measure {
  return {
    name: `${role}.${table}.entries`,
    title: role === 'node' ? TABLE_NAMES[table] : `${SHORT_ROLES[role]} ${TABLE_NAMES[table]}`,
    group: role === 'node' ? 'node kernel' : 'entries in switches',
    unit: 'entries',
    better: 'less',
    isDetail,
    value: (mode) => figureOf(mode, role, table)?.demandPeak,
  }
}

const figureOf = (
  { tables }: ModeResult,
  role: Role,
  table: TableFigure['table'],
): TableFigure | undefined =>
  tables.find((figure) => figure.role === role && figure.table === table)

const NODE_ROWS: readonly Row[] = [
  ['node.fib_bytes', 'memory of routes', 'bytes', ({ fibBytes }) => fibBytes, 'less'],
]

const TIME_ROWS: readonly Row[] = [
  ['cold_start', 'cold start', 'ms', ({ coldStartMs }) => coldStartMs, 'less'],
  ['all_pods', 'all pods', 'ms', ({ podsMs }) => podsMs, 'detail'],
  ['add_latency.median', 'ADD, median', 'ms', ({ timeline: t }) => added(t)?.addMedianMs, 'less'],
  ['add_latency.max', 'ADD, longest', 'ms', ({ timeline: t }) => added(t)?.addMaxMs, 'less'],
  [
    'converged.heard',
    'last pod heard everywhere',
    'ms',
    (mode) => (mode.podsMs === 0 ? undefined : mode.heardMs),
    'less',
  ],
  [
    'converged.programmed',
    'last pod written everywhere',
    'ms',
    (mode) => (mode.podsMs === 0 ? undefined : mode.tailMs),
    'less',
  ],
  ['gap.max', 'longest gap, kernel to switch', 'ms', ({ programming: p }) => p.lagMaxMs, 'less'],
  ['queue.peak', 'most writes that waited', 'count', ({ programming: p }) => p.queuePeak, 'detail'],
]

const WORK_ROWS: readonly Row[] = [
  ['kernel_operations', 'kernel operations', 'count', (mode) => mode.kernelOperations, 'less'],
  ['store.commits', 'commits of the store', 'count', ({ traffic: t }) => t.store.commits, 'less'],
  ['store.notes', 'notes to agents', 'count', ({ traffic: t }) => t.store.notes, 'less'],
  ['store.bytes', 'bytes of both', 'bytes', storeBytes, 'less'],
  ['updates', 'updates to switches', 'count', ({ traffic: t }) => t.fabric.updates, 'less'],
  ['updates.prefixes', 'prefixes in them', 'count', (m) => m.traffic.fabric.prefixesTold, 'less'],
  ['updates.bytes', 'their bytes', 'bytes', ({ traffic: t }) => t.fabric.bytes, 'less'],
  ['events', 'events', 'count', ({ events }) => events, 'detail'],
]

/** Of the whole run, but for what ends with the cold start. */
const BGP_ROWS: readonly Row[] = [
  ['bgp.sessions', 'sessions', 'count', ({ bgp }) => bgp?.whole.sessions, 'less'],
  ['bgp.up', 'all sessions up after', 'ms', ({ bgp }) => bgp?.coldStart.upMs, 'less'],
  ['bgp.learned', 'everything learned after', 'ms', ({ bgp }) => bgp?.coldStart.learnedMs, 'less'],
  ['bgp.deferred', 'longest wait for peers', 'ms', ({ bgp }) => bgp?.whole.deferredMs, 'less'],
  ['bgp.ended', 'sessions that ended', 'count', ({ bgp }) => bgp?.whole.ended, 'less'],
  ['bgp.updates', 'UPDATE messages', 'count', ({ bgp }) => bgp?.whole.messages.update, 'less'],
  ['bgp.bytes', 'bytes of all messages', 'bytes', ({ bgp }) => bgp?.whole.bytes, 'less'],
  [
    'bgp.best_paths',
    'best paths of all speakers',
    'count',
    ({ bgp }) => bgp?.whole.routes,
    'detail',
  ],
]

const LOSS_ROWS: readonly Row[] = [
  ['pods.refused', 'pods refused', 'pods', ({ podsRefused }) => podsRefused, 'less'],
  ['pairs.reached', 'pairs reached', 'share', reached, 'more'],
  ['pairs.cut_off_by_overflow', 'pairs cut off by full tables', 'share', cutOff, 'less'],
  ['black_hole.pair_seconds', 'black-hole pair-seconds', 's', holes((h) => h.pairSeconds), 'less'],
  ['black_hole.pairs', 'pairs that lost packets', 'pairs', holes((h) => h.affected), 'less'],
  ['black_hole.max', 'longest black hole of a pair', 'ms', holes((h) => h.maxMs), 'less'],
  [
    'stranded.peak',
    'stranded addresses, peak',
    'count',
    (m) => m.timeline?.workload.strandedPeak,
    'less',
  ],
  [
    'stranded.end',
    'stranded addresses, at the end',
    'count',
    (m) => m.timeline?.workload.strandedEnd,
    'less',
  ],
]

const PACKET_ROWS: readonly Row[] = [
  ['mtu', "MTU of a pod's link", 'bytes', (mode) => mtuOf(mode), 'more'],
  ['overhead', 'overhead of a packet', 'bytes', (mode) => UNDERLAY_MTU_BYTES - mtuOf(mode), 'less'],
]

const rows = (group: string, list: readonly Row[]): readonly Measure[] =>
  list.map(([name, title, unit, value, side]) => ({
    name,
    title,
    group,
    unit,
    value,
    better: side === 'detail' ? undefined : side,
    isDetail: side === 'detail',
  }))

function storeBytes({ traffic: { store } }: ModeResult): number {
  return store.bytesWritten + store.bytesNoted
}

type Timeline = NonNullable<ModeResult['timeline']>

/** Of a time line in which pods were asked for. */
const added = (timeline: ModeResult['timeline']): Timeline['workload'] | undefined =>
  timeline === undefined || timeline.workload.added === 0 ? undefined : timeline.workload

function holes(value: (holes: Timeline['blackHoles']) => number): Measure['value'] {
  return ({ timeline }) => (timeline === undefined ? undefined : value(timeline.blackHoles))
}

function reached({ reachability }: ModeResult): number | undefined {
  const { delivered = 0, pairs = 0 } = reachability ?? {}
  return pairs === 0 ? undefined : delivered / pairs
}

function cutOff({ reachability }: ModeResult): number | undefined {
  const { lostToOverflow = 0, pairs = 0 } = reachability ?? {}
  return pairs === 0 ? undefined : lostToOverflow / pairs
}

/** Over IPv4, which nodes always have. */
function mtuOf({ mode }: ModeResult): number {
  const each = roadsOf(mode).map((road) => {
    const carriage =
      road.mode === 'vxlan' && road.flavour === 'lightweight' ? 'vxlan-gpe' : road.mode
    return networkMtu(carriage, UNDERLAY_MTU_BYTES, 4, 4)
  })
  return Math.min(...each)
}

function bytesWords(bytes: number): string {
  if (bytes < 10_000) return `${count(Math.round(bytes))} B`
  if (bytes < 10_000_000) return `${count(Math.round(bytes / 1000))} kB`
  return `${count(Math.round(bytes / 1_000_000))} MB`
}
