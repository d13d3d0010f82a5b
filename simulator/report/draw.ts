/**
 * What every chart shares: ECharts without a browser, colors, dashes and symbols.
 *
 * Colors that follow the reader's theme are CSS variables of the page; modes
 * have colors that color-blind people can tell apart (Okabe and Ito, "Color
 * Universal Design", 2008), and each line also has a symbol and a dash of its own.
 *
 * @module
 */
import { BarChart, LineChart } from 'echarts/charts'
import { GridComponent, MarkLineComponent, MarkPointComponent } from 'echarts/components'
import { type EChartsCoreOption, init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { quoted } from './page.ts'
import { count } from './words.ts'

use([BarChart, LineChart, GridComponent, MarkLineComponent, MarkPointComponent, SVGRenderer])

export const WIDTH = 920
export const INK = 'var(--ink)'
export const FAINT = 'var(--faint)'
export const GRID = 'var(--grid)'
export const LIMIT = 'var(--limit)'

const MODE_COLORS = [
  '#0072B2',
  '#009E73',
  '#D55E00',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#8A8A8A',
  '#8F5BD6',
] as const
const MODE_DASHES = ['solid', [10, 5], [3, 3], [12, 4, 2, 4]] as const
const MODE_SYMBOLS = [
  'circle',
  'rect',
  'triangle',
  'diamond',
  'emptyCircle',
  'emptyRect',
  'emptyTriangle',
  'emptyDiamond',
] as const
// No quotes: ECharts does not escape them in an attribute.
export const FONT = 'system-ui, -apple-system, Roboto, Arial, sans-serif'

/** By a mode's place in its list. */
export const colorOf = (index: number): string => MODE_COLORS[index % MODE_COLORS.length]!
export const symbolOf = (index: number): string => MODE_SYMBOLS[index % MODE_SYMBOLS.length]!
const dashOf = (index: number): unknown => MODE_DASHES[index % MODE_DASHES.length]

/** Ticks of a logarithmic axis: 1, 2 and 5 of each power of ten. */
export function decadeTicks(min: number, max: number): readonly number[] {
  const ticks: number[] = []
  for (let power = 1; power <= max; power *= 10) {
    for (const step of [1, 2, 5]) ticks.push(step * power)
  }
  return ticks.filter((tick) => min <= tick && tick <= max)
}

/** A line with its color, dash and symbol. */
export const lineStyles = (index: number): object => ({
  type: 'line',
  symbol: symbolOf(index),
  symbolSize: 7,
  itemStyle: { color: colorOf(index) },
  lineStyle: { color: colorOf(index), width: 2.5, type: dashOf(index) },
})

/** Names with what their lines or bars look like, in as many rows as they need. */
export interface Legend {
  readonly svg: string
  /** Pixels from the top. */
  readonly height: number
}

const ROW = 24

/**
 * Drawn here because ECharts without a browser guesses widths too short, and names
 * then run into each other.
 */
export function legendOf(names: readonly string[], kind: 'line' | 'bar'): Legend {
  let [x, y] = [0, 4]
  const items = names.map((name, index) => {
    const width = 34 + textWidth(name, 13) + 16
    if (x > 0 && x + width > WIDTH) {
      x = 0
      y += ROW
    }
    const at = x
    x += width
    const key = kind === 'bar' ? barKey(at, y, index) : lineKey(at, y, index)
    return `<g>${key}<text x="${at + 34}" y="${y + 12.5}" fill="${INK}" font-size="13">${quoted(name)}</text></g>`
  })
  return { svg: `<g font-family="${FONT}">${items.join('')}</g>`, height: y + ROW }
}

const barKey = (x: number, y: number, index: number): string =>
  `<rect x="${x}" y="${y + 1}" width="26" height="14" rx="3" fill="${colorOf(index)}"/>`

function lineKey(x: number, y: number, index: number): string {
  const dash = dashOf(index)
  const dashes = Array.isArray(dash) ? ` stroke-dasharray="${dash.join(' ')}"` : ''
  const [left, middle, color] = [x + 13, y + 8, colorOf(index)]
  const symbol = symbolOf(index)
  const fill = symbol.startsWith('empty') ? '#fff' : color
  const path = SYMBOL_PATHS[symbol.replace('empty', '').toLowerCase()] ?? ''
  return `<path d="M${x} ${middle}h26" stroke="${color}" stroke-width="2.5"${dashes}/><path transform="translate(${left} ${middle})" d="${path}" fill="${fill}" stroke="${color}" stroke-width="2"/>`
}

/** Around their own middle. */
const SYMBOL_PATHS: Readonly<Record<string, string>> = {
  circle: 'M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z',
  rect: 'M-4 -4h8v8h-8Z',
  triangle: 'M0 -5L5 4H-5Z',
  diamond: 'M0 -5.5L5 0L0 5.5L-5 0Z',
}

/** About how wide a text gets, in pixels; rather too much than too little. */
export const textWidth = (text: string, fontSize: number): number => text.length * fontSize * 0.6

export const valueAxis = (): object => ({
  type: 'value',
  splitLine: { lineStyle: { color: GRID } },
  axisLine: { show: false },
  axisTick: { show: false },
})

/** What an axis counts, below or beside it. */
export const axisName = (name: string, gap: number): object => ({
  name,
  nameLocation: 'middle',
  nameGap: gap,
  nameTextStyle: { color: FAINT, fontSize: 12 },
})

export const shareLabels = (): object => ({
  color: FAINT,
  fontSize: 12,
  // The steps of a small axis are small, too.
  formatter: (value: number) => `${Number((value * 100).toPrecision(3))} %`,
})

export function capacityLine(axis: 'xAxis' | 'yAxis'): object {
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
      position: axis === 'xAxis' ? 'start' : 'end',
    },
    data: [{ [axis]: 1 }],
  }
}

/** Which of some places have no other before them that is too near to write beside. */
export function apart(
  places: readonly (number | undefined)[],
  areApart: (one: number, other: number) => boolean,
): readonly boolean[] {
  const told: number[] = []
  return places.map((place) => {
    if (place === undefined || !told.every((other) => areApart(place, other))) return false
    told.push(place)
    return true
  })
}

/** A ring where a line meets the capacity, with the number where there is room for it. */
export function ringAt(place: number | undefined, index: number, isTold: boolean): object {
  if (place === undefined) return {}
  return {
    markPoint: {
      silent: true,
      symbol: 'circle',
      symbolSize: 13,
      itemStyle: { color: 'transparent', borderColor: colorOf(index), borderWidth: 2.5 },
      label: {
        show: isTold,
        position: 'top',
        distance: 5,
        color: INK,
        fontSize: 12,
        fontWeight: 600,
        formatter: count(place),
      },
      data: [{ coord: [place, 1] }],
    },
  }
}

/** At most so many points, the last one always. */
export function thinned<Point>(points: readonly Point[], most = 20): readonly Point[] {
  const step = Math.max(1, Math.ceil(points.length / most))
  return points.filter((_, index) => index % step === 0 || index === points.length - 1)
}

/**
 * @param name Prefix of the ids in the SVG. ECharts numbers them by a counter of
 * the process, which would make a second report differ from the first.
 * @param over SVG that is drawn on top.
 */
export function draw(name: string, height: number, option: EChartsCoreOption, over = ''): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({ animation: false, textStyle: { fontFamily: FONT }, ...option })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return renumbered(svg, name)
    .replace(/^<svg width="\d+" height="\d+"/, '<svg role="img"')
    .replace(/<\/svg>\s*$/, `${over}</svg>`)
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
