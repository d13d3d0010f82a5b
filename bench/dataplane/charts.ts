/**
 * The roads beside bare veth, as bars with their spread.
 */
import {
  axisName,
  colorOf,
  draw,
  FAINT,
  GRID,
  INK,
  LIMIT,
  textWidth,
  valueAxis,
} from '../../simulator/report/draw.ts'
import type { Findings, Measure, Spread } from './figures.ts'
import { timesWords } from './words.ts'

/** A bar, or the heading of the bars below it. */
interface Bar {
  readonly name: string
  /** Undefined: a heading. */
  readonly ratio: Spread | undefined
  readonly road: number
}

const ROW = 22
/** The line of bare veth has its name above the plot. */
const TOP = 30
const BOTTOM = 52
/** For the column of ratios. */
const RIGHT = 76

/** One scale for all `measures`, which must be better in the same direction. */
export function ratioChart(name: string, findings: Findings, measures: readonly Measure[]): string {
  const bars = barsOf(findings, measures)
  const widest = Math.max(...bars.map((bar) => textWidth(bar.name, 13)))
  const names = bars.map((_, index) => String(index))
  const label = {
    color: INK,
    fontSize: 13,
    formatter: (index: string) => {
      const bar = bars[Number(index)]
      return bar?.ratio === undefined ? `{head|${bar?.name ?? ''}}` : bar.name
    },
    rich: { head: { fontWeight: 700, fontSize: 13, color: INK } },
  }
  // In a column of their own: beside its bar a number would meet the line of bare veth.
  const told = {
    color: INK,
    fontSize: 12,
    formatter: (index: string) => {
      const ratio = bars[Number(index)]?.ratio
      return ratio === undefined ? '' : timesWords(ratio.median)
    },
  }
  return draw(name, TOP + bars.length * ROW + BOTTOM, {
    grid: { left: widest + 16, right: RIGHT, top: TOP, bottom: BOTTOM },
    xAxis: {
      ...valueAxis(),
      ...axisName('times bare veth', 30),
      min: 0,
      axisLabel: { color: FAINT, fontSize: 12 },
    },
    yAxis: [
      { ...rows(names), axisLabel: { ...label, interval: 0 } },
      { ...rows(names), position: 'right', axisLabel: { ...told, interval: 0 } },
    ],
    series: [barSeries(bars), ...whiskers(bars)],
  })
}

const rows = (names: readonly string[]): object => ({
  type: 'category',
  inverse: true,
  data: names,
  axisLine: { lineStyle: { color: GRID } },
  axisTick: { show: false },
})

const barSeries = (bars: readonly Bar[]): object => ({
  type: 'bar',
  barWidth: 13,
  data: bars.map(({ ratio, road }) => ({
    value: ratio?.median ?? null,
    itemStyle: { color: colorOf(road), borderRadius: [0, 3, 3, 0] },
  })),
  markLine: {
    silent: true,
    symbol: 'none',
    lineStyle: { color: LIMIT, width: 2, type: [6, 4] },
    label: {
      show: true,
      formatter: 'bare veth',
      color: LIMIT,
      fontSize: 12,
      fontWeight: 600,
      position: 'start',
      distance: 6,
    },
    data: [{ xAxis: 1 }],
  },
})

/** From the least to the most of all rounds. */
const whiskers = (bars: readonly Bar[]): readonly object[] =>
  bars.flatMap(({ ratio }, index) => {
    if (ratio === undefined) return []
    return [
      {
        type: 'line',
        silent: true,
        z: 5,
        symbol: 'rect',
        symbolSize: [2, 9],
        itemStyle: { color: INK },
        lineStyle: { color: INK, width: 2 },
        data: [ratio.min, ratio.max].map((value) => [value, String(index)]),
      },
    ]
  })

function barsOf({ measured }: Findings, measures: readonly Measure[]): readonly Bar[] {
  return measures.flatMap(({ name, title }): Bar[] => [
    { name: title, ratio: undefined, road: 0 },
    ...measured.flatMap(({ road, figures }, index): Bar[] => {
      const { ratio } = figures[name]
      return ratio === undefined ? [] : [{ name: road.name, ratio, road: index - 1 }]
    }),
  ])
}
