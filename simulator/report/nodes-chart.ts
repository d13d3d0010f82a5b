/**
 * Pressure over nodes, a line a mode: where each meets the capacity.
 *
 * @module
 */
import { type PressureCurve, pressureCurve } from '../capacity/curve.ts'
import type { Growth } from '../capacity/shape.ts'
import type { ModeResult } from '../run.ts'
import type { Scenario, ScenarioMode } from '../scenario.ts'
import {
  apart,
  axisName,
  capacityLine,
  decadeTicks,
  draw,
  FAINT,
  legendOf,
  lineStyles,
  ringAt,
  valueAxis,
} from './draw.ts'
import { count, fullest } from './words.ts'

/** One mode: nodes and pressure, in the order of nodes. */
export interface NodesLine {
  readonly label: string
  readonly points: readonly { readonly nodes: number; readonly pressure: number }[]
}

/** What a reader may want to see on the axis beside the lines. */
export interface NodesMark {
  readonly nodes: number
  readonly name: string
}

/** Where people's clusters end. Source: Kubernetes, "Considerations for large clusters". */
const USUAL_MAX = 5000
const TOP_SHARE = 100
/** Below a tenth of a per cent nobody plans. */
const LEAST_SHARE = 0.0001
const LEFT = 86
const RIGHT = 76

/** What arithmetic says of a scenario's modes from one node to far more than it has. */
export function curvesOf(scenario: Scenario, modes: readonly ScenarioMode[]): readonly NodesLine[] {
  const nodesPerRack = Math.max(1, Math.ceil(scenario.nodes / scenario.racks))
  const isListed = scenario.fabric.kind === 'listed'
  const growth: Growth = isListed ? { kind: 'racks fixed' } : { kind: 'racks grow', nodesPerRack }
  const most = Math.max(USUAL_MAX, scenario.nodes * 10)
  return pressureCurve(scenario, growth, modes, spread(most)).map(linesOf)
}

const linesOf = ({ label, points }: PressureCurve): NodesLine => ({
  label,
  points: points.flatMap(({ nodes, worst }) =>
    worst === undefined ? [] : [{ nodes, pressure: worst.pressure }],
  ),
})

/** What runs of several sizes measured. */
export function measuredLines(
  runs: readonly { readonly nodes: number; readonly modes: readonly ModeResult[] }[],
): readonly NodesLine[] {
  const labels = [...new Set(runs.flatMap(({ modes }) => modes.map(({ label }) => label)))]
  return labels.map((label) => ({
    label,
    points: runs.flatMap(({ nodes, modes }) => {
      const mode = modes.find((each) => each.label === label)
      const pressure = mode === undefined ? undefined : fullest(mode)?.pressure
      return pressure === undefined ? [] : [{ nodes, pressure }]
    }),
  }))
}

/** Whole numbers up to `most`, each about an eighth more than the one before. */
function spread(most: number): readonly number[] {
  const numbers: number[] = []
  for (let nodes = 2; nodes < most; nodes = Math.max(nodes + 1, Math.floor((nodes * 9) / 8))) {
    numbers.push(nodes)
  }
  return [...numbers, most]
}

/**
 * Both axes are logarithmic: sizes and pressures lie far apart.
 *
 * @param ticks Of the axis of nodes; round numbers when they are not given.
 * @returns undefined: nothing is known.
 */
export function nodesChart(
  name: string,
  lines: readonly NodesLine[],
  marks: readonly NodesMark[],
  ticks?: readonly number[],
): string | undefined {
  const all = lines.flatMap(({ points }) => points)
  if (all.length === 0) return undefined
  const least = Math.min(...all.map(({ pressure }) => Math.max(pressure, LEAST_SHARE)))
  const most = Math.max(...all.map(({ pressure }) => pressure))
  const full = lines.map(({ points }) => fullAt(points))
  const names = lines.map(({ label }, index) => {
    const nodes = full[index]
    return nodes === undefined ? label : `${label}: full at ${count(nodes)}`
  })
  const key = legendOf(names, 'line')
  const top = key.height + 34
  const sizes = all.map(({ nodes }) => nodes)
  const [smallest, largest] = [Math.min(...sizes), Math.max(...sizes)]
  const customValues = ticks ?? decadeTicks(smallest, largest)
  // The axis is logarithmic: a factor is a distance.
  const room = farApart(largest / smallest)
  const told = apart(full, (one, other) => Math.max(one, other) / Math.min(one, other) > room)
  const series = lines.map(({ label, points }, index) => ({
    name: label,
    ...lineStyles(index),
    symbolSize: 6,
    showSymbol: points.length <= 12,
    data: points.map(({ nodes, pressure }) => [nodes, Math.max(pressure, LEAST_SHARE)]),
    ...(index === 0 ? { markLine: withMarks(marks) } : {}),
    ...ringAt(full[index], index, told[index] === true),
  }))
  const option = {
    grid: { left: LEFT, right: RIGHT, top, bottom: 52, outerBoundsMode: 'none' },
    xAxis: {
      ...valueAxis(),
      ...axisName('nodes', 32),
      type: 'log',
      min: smallest,
      max: largest,
      splitLine: { show: false },
      axisTick: { show: true, customValues, lineStyle: { color: FAINT } },
      axisLabel: {
        color: FAINT,
        fontSize: 12,
        customValues,
        formatter: (value: number) => count(Math.round(value)),
      },
    },
    yAxis: {
      ...valueAxis(),
      ...axisName('fullest table, share of its capacity', 62),
      type: 'log',
      min: decadeBelow(least),
      max: Math.min(TOP_SHARE, decadeAbove(Math.max(1, most))),
      axisLabel: { color: FAINT, fontSize: 12, formatter: shareOf },
    },
    series,
  }
  return draw(name, top + 390, option, key.svg)
}

function withMarks(marks: readonly NodesMark[]): object {
  const line = capacityLine('yAxis') as { readonly data: readonly object[] }
  return {
    ...line,
    data: [
      ...line.data,
      ...marks.map(({ nodes, name }) => ({
        xAxis: nodes,
        lineStyle: { color: FAINT, width: 1.5, type: [2, 3] },
        label: { formatter: name, color: FAINT, position: 'end', fontWeight: 400 },
      })),
    ],
  }
}

/** Nodes at which a line goes through the capacity, between its points as if it were straight. */
export function fullAt(points: NodesLine['points']): number | undefined {
  for (const [index, { nodes, pressure }] of points.entries()) {
    if (pressure <= 1) continue
    const before = points[index - 1]
    if (before === undefined) return undefined
    const share = (1 - before.pressure) / (pressure - before.pressure)
    return Math.floor(before.nodes + share * (nodes - before.nodes))
  }
  return undefined
}

/** The factor that is about a sixteenth of the way over so many times: two numbers have room. */
function farApart(span: number): number {
  let [low, high] = [1, Math.max(1, span)]
  for (let round = 0; round < 40; round++) {
    const middle = (low + high) / 2
    let power = 1
    for (let step = 0; step < 16; step++) power *= middle
    if (power < span) low = middle
    else high = middle
  }
  return high
}

function decadeBelow(value: number): number {
  let decade = 1
  while (decade > value && decade > LEAST_SHARE) decade /= 10
  return decade
}

function decadeAbove(value: number): number {
  let decade = 1
  while (decade < value) decade *= 10
  return decade
}

const shareOf = (share: number): string => `${count(Number((share * 100).toPrecision(2)))} %`
