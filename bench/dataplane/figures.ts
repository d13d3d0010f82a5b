/**
 * From turns to figures: what each road did in each round, beside what bare veth
 * did in the same round.
 */
import { BARE, ROADS, type Road } from './roads.ts'

export interface Measure {
  readonly name: MeasureName
  /** In tables and charts. */
  readonly title: string
  readonly unit: string
  readonly isMoreBetter: boolean
  readonly about: string
}

export type MeasureName = 'tcp' | 'udp' | 'roundTrip' | 'transactions' | 'connections' | 'cpu'

export const MEASURES: readonly Measure[] = [
  {
    name: 'tcp',
    title: 'TCP',
    unit: 'Gbit/s',
    isMoreBetter: true,
    about: 'one stream of iperf3; payload that arrived',
  },
  {
    name: 'udp',
    title: 'UDP',
    unit: 'Gbit/s',
    isMoreBetter: true,
    about: 'iperf3 without a limit, datagrams of 1 400 bytes; what arrived',
  },
  {
    name: 'transactions',
    title: 'transactions',
    unit: '/s',
    isMoreBetter: true,
    about: 'one byte there and back on each of 16 TCP connections',
  },
  {
    name: 'connections',
    title: 'connections',
    unit: '/s',
    isMoreBetter: true,
    about: 'connect, one byte there and back, reset; 16 at once',
  },
  {
    name: 'roundTrip',
    title: 'round trip',
    unit: 'µs',
    isMoreBetter: false,
    about: 'UDP, 64 bytes, one message at a time; the median of a turn',
  },
  {
    name: 'cpu',
    title: 'processor time a gigabit',
    unit: 'ms',
    isMoreBetter: false,
    about:
      'of sender, receiver and softirq threads while the TCP stream ran; what the kernel forwards for them is in it',
  },
]

/** What one road did in one round, by measure, in the measure's unit. */
export type Turn = Readonly<Record<MeasureName, number>>

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Figure {
  readonly value: Spread
  /** Of this road to bare veth, round by round; undefined for bare veth itself. */
  readonly ratio: Spread | undefined
  /** By round. */
  readonly values: readonly number[]
}

export interface RoadFigures {
  readonly road: Road
  /** MTU of the pod's end, read from it. */
  readonly mtuBytes: number
  readonly figures: Readonly<Record<MeasureName, Figure>>
}

export interface Unmeasured {
  readonly road: Road
  readonly reason: string
}

/** What a run of the bench knows, in the order of `ROADS`. */
export interface Findings {
  readonly rounds: number
  /** Share of the processors that others used while nothing of ours ran, 0 to 1. */
  readonly othersBusy: Spread
  readonly measured: readonly RoadFigures[]
  readonly unmeasured: readonly Unmeasured[]
}

/** What the live side brings home. */
export interface Raw {
  readonly turns: ReadonlyMap<string, readonly Turn[]>
  readonly mtuBytes: ReadonlyMap<string, number>
  readonly othersBusy: readonly number[]
  /** Why a road was not measured, by its id. */
  readonly lacks: ReadonlyMap<string, string>
}

/** @throws {RangeError} There are no rounds, or bare veth is missing. */
export function findingsOf({ turns, mtuBytes, othersBusy, lacks }: Raw): Findings {
  const base = turns.get(BARE)
  if (base === undefined) throw new RangeError('Cannot compare without bare veth')
  const measured = ROADS.flatMap((road): RoadFigures[] => {
    const own = turns.get(road.id)
    if (own === undefined) return []
    const figures = MEASURES.map(({ name }) => [
      name,
      figureOf(valuesOf(own, name), road.id === BARE ? undefined : valuesOf(base, name)),
    ])
    return [{ road, mtuBytes: mtuBytes.get(road.id) ?? 0, figures: Object.fromEntries(figures) }]
  })
  const unmeasured = ROADS.flatMap((road): Unmeasured[] => {
    const reason = lacks.get(road.id)
    return reason === undefined ? [] : [{ road, reason }]
  })
  return { rounds: base.length, othersBusy: spreadOf(othersBusy), measured, unmeasured }
}

const valuesOf = (turns: readonly Turn[], name: MeasureName): readonly number[] =>
  turns.map((turn) => turn[name])

function figureOf(values: readonly number[], base: readonly number[] | undefined): Figure {
  const ratio =
    base === undefined
      ? undefined
      : spreadOf(values.map((value, round) => value / (base[round] ?? Number.NaN)))
  return { value: spreadOf(values), ratio, values }
}

/** @throws {RangeError} There are no values, or one is no number. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((left, right) => left - right)
  const [min, max] = [sorted[0], sorted.at(-1)]
  if (min === undefined || max === undefined || !values.every(Number.isFinite)) {
    throw new RangeError(`Cannot tell the spread of [${values.join(', ')}]`)
  }
  const half = (sorted.length - 1) / 2
  const median = ((sorted[Math.floor(half)] ?? min) + (sorted[Math.ceil(half)] ?? max)) / 2
  return { median, min, max }
}

/** Rounds that may say the opposite without being believed. */
const exceptions = (rounds: number): number => Math.floor(rounds / 16)
/**
 * With fewer, chance would be believed too often: of two equal roads one is ahead in all of
 * seven rounds once in 64 measures, and there are six of these.
 */
export const ROUNDS_MIN = 7

/**
 * Whether `one` was better than `other` in every round (of 16 in all but one), so that it is no
 * chance of a busy machine: a sign test over rounds, which have the same minute.
 */
export function isClearlyBetter(one: RoadFigures, other: RoadFigures, measure: Measure): boolean {
  const [left, right] = [one.figures[measure.name].values, other.figures[measure.name].values]
  if (left.length < ROUNDS_MIN) return false
  const opposed = left.filter((value, round) => {
    const theirs = right[round] ?? Number.NaN
    return !(measure.isMoreBetter ? value > theirs : value < theirs)
  })
  return opposed.length <= exceptions(left.length)
}

/** By how much the median of `one` is better than that of `other`: 0.1 for a tenth more, or less time. */
export function lead(one: RoadFigures, other: RoadFigures, measure: Measure): number {
  const { name, isMoreBetter } = measure
  const [left, right] = [one.figures[name].value.median, other.figures[name].value.median]
  return isMoreBetter ? left / right - 1 : 1 - left / right
}

/** The median of `one` beside that of `other`: -0.2 for a fifth less, whichever is better. */
export const difference = (one: RoadFigures, other: RoadFigures, { name }: Measure): number =>
  one.figures[name].value.median / other.figures[name].value.median - 1

/** How dear a road is beside bare veth: the geometric mean of all measures, each so that more is dearer. */
export function costOf({ figures }: RoadFigures): number {
  const logs = MEASURES.map(({ name, isMoreBetter }) => {
    const ratio = figures[name].ratio?.median ?? 1
    return Math.log(isMoreBetter ? 1 / ratio : ratio)
  })
  return Math.exp(logs.reduce((sum, each) => sum + each, 0) / logs.length)
}
