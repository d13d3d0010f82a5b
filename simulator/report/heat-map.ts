/**
 * A figure over two things that change: a field a pair of values, darker for more.
 *
 * Fields keep their colors in a dark theme, and so does what is written in them. The scale
 * is ColorBrewer's PuBu (Harrower and Brewer, 2003), which color-blind people can read.
 *
 * @module
 */
import { HeatmapChart } from 'echarts/charts'
import { VisualMapContinuousComponent } from 'echarts/components'
import { use } from 'echarts/core'
import { axisName, draw, FAINT, FONT, INK, textWidth, WIDTH } from './draw.ts'
import { quoted } from './page.ts'

use([HeatmapChart, VisualMapContinuousComponent])

/** One side of the map. */
export interface HeatSide {
  readonly title: string
  readonly values: readonly string[]
}

export interface HeatCell {
  /** Places in the lists of both sides. */
  readonly x: number
  readonly y: number
  readonly value: number
  /** Written in it, a line each. */
  readonly words: readonly string[]
}

export interface HeatMap {
  readonly x: HeatSide
  readonly y: HeatSide
  readonly cells: readonly HeatCell[]
  /** What the lightest and the darkest color stand for; of several maps the same. */
  readonly least: number
  readonly most: number
  /** The same in words. */
  readonly range: readonly [least: string, most: string]
}

const COLORS = ['#f1eef6', '#bdc9e1', '#74a9cf', '#2b8cbe', '#045a8d'] as const
/** From here on a field is dark. */
const DARK = 0.6
const ROW = 46
const TOP = 34
const BOTTOM = 58
const RIGHT = 16
const LABEL_MAX = 24
/** Narrower fields have no room for words. */
const FIELD_MIN = 44

/** @param name Prefix of the ids in the SVG. */
export function heatMap(name: string, { x, y, cells, least, most, range }: HeatMap): string {
  const widest = Math.max(...y.values.map((value) => textWidth(short(value), 12)), 40)
  const left = Math.ceil(widest) + 44
  const field = (WIDTH - left - RIGHT) / x.values.length
  return draw(
    name,
    TOP + y.values.length * ROW + BOTTOM,
    {
      grid: { left, right: RIGHT, top: TOP, bottom: BOTTOM },
      xAxis: side(x, 30),
      // Read from the top down, as a table is.
      yAxis: { ...side(y, widest + 20), inverse: true },
      visualMap: { show: false, min: least, max: most, inRange: { color: [...COLORS] } },
      series: [
        {
          type: 'heatmap',
          silent: true,
          itemStyle: { borderColor: 'var(--card)', borderWidth: 2 },
          data: cells.map((cell) => ({
            value: [cell.x, cell.y, cell.value],
            label: {
              show: field >= FIELD_MIN,
              formatter: cell.words.join('\n'),
              fontSize: field < 70 ? 10 : 12,
              lineHeight: 15,
              color: (cell.value - least) / (most - least) >= DARK ? '#fff' : '#1b2430',
            },
          })),
        },
      ],
    },
    scale(range),
  )
}

const short = (words: string): string =>
  words.length <= LABEL_MAX ? words : `${words.slice(0, LABEL_MAX - 1)}…`

const side = ({ title, values }: HeatSide, gap: number): object => ({
  type: 'category',
  data: values.map(short),
  splitArea: { show: false },
  axisLine: { show: false },
  axisTick: { show: false },
  axisLabel: { color: INK, fontSize: 12, interval: 0 },
  ...axisName(short(title), gap),
})

/** The colors from the least to the most, above the fields. */
function scale([least, most]: HeatMap['range']): string {
  const [width, height] = [22, 12]
  const start = WIDTH - RIGHT - textWidth(most, 12) - 8 - COLORS.length * width
  const boxes = COLORS.map(
    (color, index) =>
      `<rect x="${start + index * width}" y="8" width="${width}" height="${height}" fill="${color}"/>`,
  )
  const text = (at: number, anchor: string, words: string): string =>
    `<text x="${at}" y="18.5" text-anchor="${anchor}" fill="${FAINT}" font-size="12">${quoted(words)}</text>`
  const ends = [text(start - 8, 'end', least), text(WIDTH - RIGHT, 'end', most)]
  return `<g font-family="${FONT}">${boxes.join('')}${ends.join('')}</g>`
}
