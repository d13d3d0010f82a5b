/**
 * The time line of a failure: the share of watched pairs without a way; below it
 * what switches have not written yet, pods and stranded addresses, where they
 * change; above it what broke and for how long.
 *
 * @module
 */
import type { ModeResult } from '../run.ts'
import type { FaultOutcome, TimelineResult, TimePoint } from '../timeline/result.ts'
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
const FIRST_HEIGHT = 230
const HEIGHT = 84
const GAP = 44
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

function lostShare({ lost, pairs }: TimePoint): number {
  return pairs === 0 ? 0 : lost / pairs
}

/** One plot of the several below each other. */
interface Panel {
  readonly name: string
  readonly value: (point: TimePoint) => number
  readonly words: (value: number) => string
}

const PANELS: readonly Panel[] = [
  { name: 'pairs without a way', value: lostShare, words: (share) => `${round(share * 100)} %` },
  { name: 'writes waiting', value: ({ queued }) => queued, words: count },
  { name: 'pods', value: ({ pods }) => pods, words: count },
  { name: 'stranded', value: ({ stranded }) => stranded, words: count },
]

interface Line extends TimelineResult {
  readonly label: string
  /** Of the mode. */
  readonly index: number
}

/** @returns undefined when no mode has a time line. */
export function timelineChart(modes: readonly ModeResult[]): string | undefined {
  const lines = modes.flatMap(({ label, timeline }, index): readonly Line[] =>
    timeline === undefined || timeline.points.length === 0 ? [] : [{ label, index, ...timeline }],
  )
  const [first] = lines
  if (first === undefined) return undefined
  const untilMs = Math.max(1, ...lines.map((line) => line.untilMs))
  const key = legendOf(
    modes.map(({ label }) => label),
    'line',
  )
  const marks = lanesOf(spansOf(first.faults), untilMs)
  const lanes = Math.max(0, ...marks.map(({ lane }) => lane + 1))
  const top = key.height + lanes * LANE + 16
  // The first one is what a failure is about; others only where something happens.
  const panels = PANELS.filter(({ value }, panel) => panel === 0 || changes(lines, value))
  const grids = panels.map((_, panel) => ({
    left: LEFT,
    right: RIGHT,
    top: panel === 0 ? top : top + FIRST_HEIGHT + GAP + (panel - 1) * (HEIGHT + GAP),
    height: panel === 0 ? FIRST_HEIGHT : HEIGHT,
    outerBoundsMode: 'none',
  }))
  const bottom = top + FIRST_HEIGHT + (panels.length - 1) * (HEIGHT + GAP)
  const option = {
    grid: grids,
    xAxis: grids.map((_, gridIndex) =>
      timeAxis(gridIndex, untilMs, gridIndex === grids.length - 1),
    ),
    yAxis: panels.map((panel, gridIndex) => panelAxis(panel, gridIndex)),
    series: panels.flatMap(({ value }, panel) =>
      lines.map(({ index, points }) => ({
        ...lineStyles(index),
        step: 'end',
        showSymbol: false,
        xAxisIndex: panel,
        yAxisIndex: panel,
        data: points.map((point) => [seconds(point.atMs), value(point)]),
      })),
    ),
  }
  const frame = { untilMs, top: key.height + 12, bottom }
  const over = key.svg + marks.map((mark) => markOf(mark, frame)).join('')
  return draw('timeline', bottom + 48, option, over)
}

function changes(lines: readonly Line[], value: Panel['value']): boolean {
  return lines.some(({ points }) => points.some((point) => value(point) !== value(points[0]!)))
}

const timeAxis = (gridIndex: number, untilMs: number, isLast: boolean): object => ({
  ...valueAxis(),
  gridIndex,
  min: 0,
  max: seconds(untilMs),
  ...(isLast ? axisName('seconds', 30) : {}),
  axisLabel: { color: FAINT, fontSize: 12, showMaxLabel: false },
  axisLine: { show: true, lineStyle: { color: GRID } },
})

const panelAxis = ({ name, words }: Panel, gridIndex: number): object => ({
  ...valueAxis(),
  ...axisName(name, 56),
  gridIndex,
  min: 0,
  ...(gridIndex === 0 ? {} : { splitNumber: 2 }),
  axisLabel: { color: FAINT, fontSize: 12, formatter: words },
})

const seconds = (ms: number): number => ms / 1000
const round = (value: number): number => Math.round(value * 100) / 100

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
