/**
 * Charts as SVG text, drawn by ECharts without a browser.
 *
 * Colors that follow the reader's theme are CSS variables of the page; modes
 * have colors that color-blind people can tell apart (Okabe and Ito, "Color
 * Universal Design", 2008), and each line also has a symbol and a dash of its own.
 *
 * @module
 */
import { BarChart, LineChart } from 'echarts/charts'
import {
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  MarkPointComponent,
} from 'echarts/components'
import { type EChartsCoreOption, init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { SWITCH_ROLES } from '../fabric-device.ts'
import { NODE_TABLES } from '../measure.ts'
import type { ModeResult, RunResult } from '../run.ts'
import { count, fullest, percent, ROLE_NAMES, TABLE_NAMES } from './words.ts'

use([
  BarChart,
  LineChart,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  MarkPointComponent,
  SVGRenderer,
])

/** Switch tables, in the order of the chart. */
const CHARTED = ['host', 'host6', 'lpm', 'lpm6', 'mac', 'arp', 'ecmp', 'vtep'] as const
const WIDTH = 920
const MODE_COLORS = ['#0072B2', '#009E73', '#D55E00', '#CC79A7', '#E69F00', '#56B4E9'] as const
const MODE_DASHES = ['solid', [10, 5], [3, 3], [12, 4, 2, 4]] as const
const MODE_SYMBOLS = ['circle', 'rect', 'triangle', 'diamond'] as const
const INK = 'var(--ink)'
const FAINT = 'var(--faint)'
const GRID = 'var(--grid)'
const LIMIT = 'var(--limit)'
// No quotes: ECharts does not escape them in an attribute.
const FONT = 'system-ui, -apple-system, Roboto, Arial, sans-serif'

/** How full each switch table gets, a group a table, a bar a mode, with the line of the capacity. */
export function pressureChart({ modes }: RunResult): string {
  const rows = switchRows(modes)
  const largest = Math.max(1, ...rows.flatMap(({ shares }) => shares.map((share) => share ?? 0)))
  const series = modes.map(({ label }, index) => ({
    name: label,
    type: 'bar',
    barMaxWidth: 15,
    barGap: '25%',
    itemStyle: { color: colorOf(index), borderRadius: [0, 3, 3, 0] },
    label: {
      show: true,
      position: 'right',
      color: INK,
      fontSize: 11,
      formatter: ({ value }: { readonly value: number | null }) =>
        value === null ? '' : percent(value),
    },
    data: rows.map(({ shares }) => shares[index] ?? null),
    ...(index === 0 ? { markLine: capacityLine('xAxis') } : {}),
  }))
  const height = 90 + rows.length * (modes.length * 19 + 16)
  return draw('pressure', height, {
    legend: legend(modes),
    grid: { left: 130, right: 60, top: 62, bottom: 30 },
    xAxis: {
      type: 'value',
      max: Math.ceil((largest * 1.08) / 0.2) * 0.2,
      ...valueAxis(),
      axisLabel: shareLabels(),
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: rows.map(({ name }) => name),
      axisLabel: { color: INK, fontSize: 13 },
      axisLine: { lineStyle: { color: FAINT } },
      axisTick: { show: false },
    },
    series,
  })
}

/** The fullest table of each mode while pods are added. */
export function growthChart({ modes }: RunResult): string {
  const series = modes.flatMap((mode, index) => {
    const figure = fullest(mode)
    if (figure?.capacity === undefined) return []
    const { capacity } = figure
    const points = mode.samples.map(({ pods, entries }) => [
      pods,
      (entries[`${figure.role} ${figure.table}`] ?? 0) / capacity,
    ])
    return {
      name: `${mode.label}: ${ROLE_NAMES[figure.role]} ${TABLE_NAMES[figure.table]}`,
      type: 'line',
      symbol: symbolOf(index),
      symbolSize: 7,
      showSymbol: true,
      showAllSymbol: false,
      data: thinned(points),
      itemStyle: { color: colorOf(index) },
      lineStyle: { color: colorOf(index), width: 2.5, type: dashOf(index) },
      ...(index === 0 ? { markLine: capacityLine('yAxis') } : {}),
      ...overflowPoint(mode, index),
    }
  })
  const names = series.map(({ name }) => ({ name }))
  return draw('growth', 420, {
    legend: { ...legend([]), data: names, itemGap: 34, textStyle: { color: INK, fontSize: 12 } },
    grid: { left: 64, right: 36, top: 76, bottom: 52 },
    xAxis: {
      type: 'value',
      name: 'pods added',
      nameLocation: 'middle',
      nameGap: 32,
      nameTextStyle: { color: FAINT, fontSize: 12 },
      ...valueAxis(),
      axisLabel: { color: FAINT, fontSize: 12, formatter: (value: number) => count(value) },
    },
    yAxis: { type: 'value', min: 0, ...valueAxis(), axisLabel: shareLabels() },
    series,
  })
}

/** What the fullest node's kernel holds. */
export function kernelChart({ modes }: RunResult): string {
  const series = modes.map((mode, index) => ({
    name: mode.label,
    type: 'bar',
    barMaxWidth: 34,
    barGap: '20%',
    itemStyle: { color: colorOf(index), borderRadius: [3, 3, 0, 0] },
    label: {
      show: true,
      position: 'top',
      color: INK,
      fontSize: 11,
      formatter: ({ value }: { readonly value: number }) => count(value),
    },
    data: NODE_TABLES.map(
      (table) => mode.tables.find((figure) => figure.table === table)?.demandPeak ?? 0,
    ),
  }))
  return draw('kernel', 340, {
    legend: legend(modes),
    grid: { left: 64, right: 36, top: 66, bottom: 36 },
    xAxis: {
      type: 'category',
      data: NODE_TABLES.map((table) => TABLE_NAMES[table]),
      axisLabel: { color: INK, fontSize: 13 },
      axisLine: { lineStyle: { color: FAINT } },
      axisTick: { show: false },
    },
    yAxis: {
      type: 'value',
      ...valueAxis(),
      axisLabel: { color: FAINT, fontSize: 12, formatter: (value: number) => count(value) },
    },
    series,
  })
}

interface Row {
  readonly name: string
  /** Pressure a mode; undefined where the mode does not use the table. */
  readonly shares: readonly (number | undefined)[]
}

function switchRows(modes: readonly ModeResult[]): readonly Row[] {
  const rows: Row[] = []
  for (const role of SWITCH_ROLES) {
    for (const table of CHARTED) {
      const shares = modes.map(
        ({ tables }) =>
          tables.find((figure) => figure.role === role && figure.table === table)?.pressure,
      )
      if (shares.every((share) => share === undefined)) continue
      const name = `${role === 'tor' ? 'ToR' : role} ${TABLE_NAMES[table]}`
      rows.push({ name, shares })
    }
  }
  return rows
}

function overflowPoint({ firstOverflow, label }: ModeResult, index: number): object {
  if (firstOverflow === undefined) return {}
  return {
    markPoint: {
      silent: true,
      symbol: 'circle',
      symbolSize: 13,
      itemStyle: { color: 'transparent', borderColor: colorOf(index), borderWidth: 2.5 },
      label: {
        show: true,
        position: 'left',
        distance: 10,
        offset: [0, -12],
        color: INK,
        fontSize: 12,
        fontWeight: 600,
        formatter: `${label} is full at pod ${count(firstOverflow.pods)}`,
      },
      data: [{ coord: [firstOverflow.pods, 1] }],
    },
  }
}

function capacityLine(axis: 'xAxis' | 'yAxis'): object {
  return {
    silent: true,
    symbol: 'none',
    lineStyle: { color: LIMIT, width: 2, type: [6, 4] },
    label: {
      show: true,
      formatter: 'capacity',
      color: LIMIT,
      fontSize: 12,
      fontWeight: 600,
      position: axis === 'xAxis' ? 'start' : 'insideStartTop',
    },
    data: [{ [axis]: 1 }],
  }
}

/** At most some twenty symbols a line, the last one always. */
function thinned(points: readonly number[][]): readonly number[][] {
  const step = Math.max(1, Math.ceil(points.length / 20))
  return points.filter((_, index) => index % step === 0 || index === points.length - 1)
}

const legend = (modes: readonly { readonly label: string }[]): object => ({
  top: 4,
  left: 0,
  itemWidth: 26,
  itemGap: 18,
  textStyle: { color: INK, fontSize: 13 },
  data: modes.map(({ label }) => ({ name: label })),
})

const valueAxis = (): object => ({
  splitLine: { lineStyle: { color: GRID } },
  axisLine: { show: false },
  axisTick: { show: false },
})

const shareLabels = (): object => ({
  color: FAINT,
  fontSize: 12,
  formatter: (value: number) => `${Math.round(value * 100)} %`,
})

const colorOf = (index: number): string => MODE_COLORS[index % MODE_COLORS.length]!
const symbolOf = (index: number): string => MODE_SYMBOLS[index % MODE_SYMBOLS.length]!
const dashOf = (index: number): unknown => MODE_DASHES[index % MODE_DASHES.length]

/**
 * @param name Prefix of the ids in the SVG. ECharts numbers them by a counter of
 * the process, which would make a second report differ from the first.
 */
function draw(name: string, height: number, option: EChartsCoreOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({ animation: false, textStyle: { fontFamily: FONT }, ...option })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return renumbered(svg, name).replace(/^<svg width="\d+" height="\d+"/, '<svg role="img"')
}

/** Ids in the order in which they appear, and nothing that only a script or a pointer would use. */
function renumbered(svg: string, name: string): string {
  const seen = new Map<string, number>()
  const still = svg
    .replace(/ (?:ecmeta_\w+|class)="[^"]*"/g, '')
    .replace(/<style.*?<\/style>/gs, '')
  return still.replace(/zr\d+-([a-z]+)-?(\d+)/g, (id, kind: string) => {
    const number = seen.get(id) ?? seen.size
    seen.set(id, number)
    return `${name}-${kind}-${number}`
  })
}
