/**
 * The time line of a failure: the share of watched pairs without a way, below it
 * what switches have not written yet, and above it what broke and for how long.
 *
 * @module
 */
import type { ModeResult } from '../run.ts'
import type { FaultOutcome, TimePoint } from '../timeline/result.ts'
import {
  axisName,
  draw,
  FAINT,
  GRID,
  legendOf,
  lineStyles,
  textWidth,
  valueAxis,
  WIDTH,
} from './draw.ts'
import { quoted } from './page.ts'
import { count } from './words.ts'

const LEFT = 76
const RIGHT = 36
const PLOT_HEIGHT = 230
const QUEUE_HEIGHT = 90
const LANE = 18
/** More names than fit are in the table below the plot. */
const LANES_MAX = 8

/** Something that was broken from one moment to another. */
export interface Span {
  readonly name: string
  readonly fromMs: number
  /** Undefined: to the end. */
  readonly toMs: number | undefined
}

/** @returns undefined when no mode has a time line. */
export function timelineChart(modes: readonly ModeResult[]): string | undefined {
  const lines = modes.flatMap(({ label, timeline }, index) =>
    timeline === undefined || timeline.points.length === 0 ? [] : [{ label, index, ...timeline }],
  )
  const [first] = lines
  if (first === undefined) return undefined
  const untilMs = Math.max(1, ...lines.map((line) => line.untilMs))
  const names = lines.map(({ label }) => label)
  const key = legendOf(names, 'line')
  const legendEnd = key.height
  const marks = lanesOf(spansOf(first.faults), untilMs)
  const lanes = Math.max(0, ...marks.map(({ lane }) => lane + 1))
  const top = legendEnd + lanes * LANE + 16
  const hasQueue = lines.some(({ points }) => points.some(({ queued }) => queued > 0))
  const queueTop = top + PLOT_HEIGHT + 44
  const bottom = hasQueue ? queueTop + QUEUE_HEIGHT : top + PLOT_HEIGHT
  const share = lines.map(({ label, index, points }) => ({
    name: label,
    ...lineStyles(index),
    step: 'end',
    showSymbol: points.length < 40,
    data: points.map((point) => [seconds(point.atMs), lostShare(point)]),
  }))
  const queue = lines.map(({ index, points }) => ({
    ...lineStyles(index),
    step: 'end',
    showSymbol: false,
    xAxisIndex: 1,
    yAxisIndex: 1,
    data: points.map(({ atMs, queued }) => [seconds(atMs), queued]),
  }))
  const grids = [
    { left: LEFT, right: RIGHT, top, height: PLOT_HEIGHT, outerBoundsMode: 'none' },
    ...(hasQueue
      ? [{ left: LEFT, right: RIGHT, top: queueTop, height: QUEUE_HEIGHT, outerBoundsMode: 'none' }]
      : []),
  ]
  const xAxes = grids.map((_, gridIndex) => ({
    ...valueAxis(),
    gridIndex,
    min: 0,
    max: seconds(untilMs),
    ...(gridIndex === grids.length - 1 ? axisName('seconds', 30) : {}),
    axisLabel: { color: FAINT, fontSize: 12, showMaxLabel: false },
    axisLine: { show: true, lineStyle: { color: GRID } },
  }))
  const yAxes = [
    {
      ...valueAxis(),
      ...axisName('pairs without a way', 56),
      min: 0,
      axisLabel: {
        color: FAINT,
        fontSize: 12,
        formatter: (value: number) => `${round(value * 100)} %`,
      },
    },
    ...(hasQueue
      ? [
          {
            ...valueAxis(),
            ...axisName('writes waiting', 56),
            gridIndex: 1,
            min: 0,
            splitNumber: 2,
            axisLabel: { color: FAINT, fontSize: 12, formatter: (value: number) => count(value) },
          },
        ]
      : []),
  ]
  return draw(
    'timeline',
    bottom + 48,
    {
      grid: grids,
      xAxis: xAxes,
      yAxis: yAxes,
      series: [...share, ...(hasQueue ? queue : [])],
    },
    key.svg + marks.map((mark) => markOf(mark, { untilMs, top: legendEnd + 12, bottom })).join(''),
  )
}

const seconds = (ms: number): number => ms / 1000
const round = (value: number): number => Math.round(value * 100) / 100
const lostShare = ({ lost, pairs }: TimePoint): number => (pairs === 0 ? 0 : lost / pairs)

/** What follows the name of what broke, and of what is mended. */
const STATE = / (?:down|away|cut off|(up|back|joined again))$/

/** `X down` and the `X up` after it are one span; so are `away` and `back`. */
export function spansOf(faults: readonly FaultOutcome[]): readonly Span[] {
  const spans: { subject: string; name: string; fromMs: number; toMs: number | undefined }[] = []
  for (const { what, atMs } of faults) {
    const subject = what.replace(STATE, '')
    const isMended = STATE.exec(what)?.[1] !== undefined
    const open = spans.find((span) => span.toMs === undefined && span.subject === subject)
    if (!isMended) spans.push({ subject, name: what, fromMs: atMs, toMs: undefined })
    else if (open !== undefined) open.toMs = atMs
  }
  return spans
}

interface Mark extends Span {
  readonly lane: number
  /** Undefined: no room for its name. */
  readonly text: { readonly x: number; readonly words: string } | undefined
}

const xOf = (ms: number, untilMs: number): number =>
  LEFT + ((WIDTH - LEFT - RIGHT) * Math.min(ms, untilMs)) / untilMs

/** Each name beside the start of its bar, in the first lane with room. */
function lanesOf(spans: readonly Span[], untilMs: number): readonly Mark[] {
  const ends: number[] = []
  return spans.map((span): Mark => {
    const width = textWidth(span.name, 12) + 10
    const start = xOf(span.fromMs, untilMs)
    const end = xOf(span.toMs ?? untilMs, untilMs)
    // Near the right edge the name stands before the bar.
    const isBefore = start + width > WIDTH
    const from = isBefore ? start - width : start
    const to = Math.max(end, isBefore ? start : start + width)
    let lane = ends.findIndex((taken) => taken + 6 < from)
    if (lane === -1) lane = ends.length
    if (lane >= LANES_MAX) return { ...span, lane: LANES_MAX - 1, text: undefined }
    ends[lane] = to
    return { ...span, lane, text: { x: isBefore ? from + 2 : start + 4, words: span.name } }
  })
}

interface Frame {
  readonly untilMs: number
  readonly top: number
  readonly bottom: number
}

/** A bar for how long, its name on it, and a line down through the plots. */
function markOf({ fromMs, toMs, lane, text }: Mark, { untilMs, top, bottom }: Frame): string {
  const y = top + lane * LANE
  const [from, to] = [xOf(fromMs, untilMs), xOf(toMs ?? untilMs, untilMs)].map(at) as [
    number,
    number,
  ]
  const line = (x: number, dash: string): string =>
    `<path d="M${x} ${y}L${x} ${bottom}" stroke="var(--limit)" stroke-width="1" stroke-dasharray="${dash}" opacity="0.65"/>`
  const bar = `<rect x="${from}" y="${y - 1}" width="${Math.max(2, at(to - from))}" height="${LANE - 3}" fill="var(--limit)" opacity="0.16"/>`
  const words =
    text === undefined
      ? ''
      : `<text x="${at(text.x)}" y="${y + 11}" fill="var(--ink)" font-size="12">${quoted(text.words)}</text>`
  return `<g>${bar}${line(from, '5 3')}${toMs === undefined ? '' : line(to, '1 4')}${words}</g>`
}

const at = (value: number): number => Math.round(value * 10) / 10
