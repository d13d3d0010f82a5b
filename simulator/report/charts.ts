/**
 * How full tables get, as bars and over pods.
 *
 * @module
 */
import { SWITCH_ROLES } from '../fabric-device.ts'
import { NODE_TABLES } from '../measure.ts'
import { SWITCH_TABLES } from '../profiles.ts'
import type { ModeResult, RunResult } from '../run.ts'
import {
  apart,
  axisName,
  capacityLine,
  colorOf,
  draw,
  FAINT,
  GRID,
  INK,
  legendOf,
  lineStyles,
  ringAt,
  shareLabels,
  textWidth,
  thinned,
  valueAxis,
} from './draw.ts'
import { count, fullest, percent, SHORT_ROLES, TABLE_NAMES } from './words.ts'

/** A bar, or the heading of the bars below it. */
interface Bar {
  readonly name: string
  readonly share: number | undefined
  /** Undefined: a heading. */
  readonly mode: number | undefined
}

/** How full each switch table gets: a group a table, a bar a mode that uses it, and the line of the capacity. */
export function pressureChart({ modes }: RunResult): string {
  const bars = barsOf(modes)
  const largest = Math.max(1, ...bars.map(({ share }) => share ?? 0))
  const step = [0.2, 0.5, 1, 2, 5, 10].find((each) => largest / each <= 8) ?? Math.ceil(largest / 6)
  // Modes of several networks have long names.
  const widest = Math.max(...bars.map(({ name }) => textWidth(name, 13)), 120)
  return draw('pressure', 46 + bars.length * 21, {
    grid: { left: Math.min(420, widest + 24), right: 64, top: 24, bottom: 22 },
    xAxis: {
      ...valueAxis(),
      max: Math.ceil(largest / step) * step,
      interval: step,
      axisLabel: shareLabels(),
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: bars.map(({ name, mode }) => ({
        value: name,
        textStyle: { color: INK, fontWeight: mode === undefined ? 700 : 400 },
      })),
      axisLabel: { fontSize: 13, interval: 0, width: 400, overflow: 'truncate' },
      axisLine: { lineStyle: { color: GRID } },
      axisTick: { show: false },
    },
    series: [
      {
        type: 'bar',
        barWidth: 14,
        label: {
          show: true,
          position: 'right',
          color: INK,
          fontSize: 12,
          formatter: ({ value }: { readonly value: number | null }) =>
            value === null ? '' : percent(value),
        },
        data: bars.map(({ share, mode }) => ({
          value: share ?? null,
          itemStyle: { color: colorOf(mode ?? 0), borderRadius: [0, 3, 3, 0] },
        })),
        markLine: capacityLine('xAxis'),
      },
    ],
  })
}

/** The fullest table of each mode while pods are added. */
export function growthChart({ modes }: RunResult): string {
  const all = Math.max(1, ...modes.flatMap(({ samples }) => samples.map(({ pods }) => pods)))
  const fullAt = modes.map(({ firstOverflow: first }) =>
    first === undefined || first.role === 'node' ? undefined : first.pods,
  )
  const told = apart(fullAt, (one, other) => Math.abs(one - other) > all / 14)
  const series = modes.flatMap((mode, index) => {
    const figure = fullest(mode)
    if (figure?.capacity === undefined) return []
    const { capacity } = figure
    const points = mode.samples.map(({ pods, entries }) => [
      pods,
      (entries[`${figure.role} ${figure.table}`] ?? 0) / capacity,
    ])
    return {
      name: `${mode.label}: ${SHORT_ROLES[figure.role]} ${TABLE_NAMES[figure.table]}${fullWords(mode)}`,
      ...lineStyles(index),
      showSymbol: true,
      showAllSymbol: false,
      data: thinned(points),
      ...(index === 0 ? { markLine: capacityLine('yAxis') } : {}),
      ...ringAt(fullAt[index], index, told[index] === true),
    }
  })
  const names = series.map(({ name }) => name)
  const key = legendOf(names, 'line')
  const top = key.height + 24
  const option = {
    grid: { left: 64, right: 76, top, bottom: 52 },
    xAxis: { ...valueAxis(), ...axisName('pods added', 32), axisLabel: counts() },
    yAxis: { ...valueAxis(), min: 0, axisLabel: shareLabels() },
    series,
  }
  return draw('growth', top + 340, option, key.svg)
}

/** What the fullest node's kernel holds. */
export function kernelChart({ modes }: RunResult): string {
  const names = modes.map(({ label }) => label)
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
      // Above each other's bars long numbers of many modes would meet.
      rotate: modes.length > 4 ? 90 : 0,
      ...(modes.length > 4 ? { align: 'left', verticalAlign: 'middle' } : {}),
      formatter: ({ value }: { readonly value: number }) => count(value),
    },
    data: NODE_TABLES.map(
      (table) => mode.tables.find((figure) => figure.table === table)?.demandPeak ?? 0,
    ),
  }))
  const key = legendOf(names, 'bar')
  const top = key.height + 36
  const option = {
    grid: { left: 64, right: 36, top, bottom: 36 },
    xAxis: {
      type: 'category',
      data: NODE_TABLES.map((table) => TABLE_NAMES[table]),
      axisLabel: { color: INK, fontSize: 13 },
      axisLine: { lineStyle: { color: FAINT } },
      axisTick: { show: false },
    },
    yAxis: { ...valueAxis(), ...axisName('entries', 46), axisLabel: counts() },
    series,
  }
  return draw('kernel', top + 270, option, key.svg)
}

const counts = (): object => ({
  color: FAINT,
  fontSize: 12,
  formatter: (value: number) => count(value),
})

function barsOf(modes: readonly ModeResult[]): readonly Bar[] {
  const bars: Bar[] = []
  for (const role of SWITCH_ROLES) {
    for (const table of SWITCH_TABLES) {
      const own = modes.flatMap(({ label, tables }, mode): Bar[] => {
        const figure = tables.find((each) => each.role === role && each.table === table)
        return figure?.pressure === undefined ? [] : [{ name: label, share: figure.pressure, mode }]
      })
      if (own.length === 0) continue
      const name = `${SHORT_ROLES[role]} ${TABLE_NAMES[table]}`
      bars.push({ name, share: undefined, mode: undefined }, ...own)
    }
  }
  return bars
}

const fullWords = ({ firstOverflow: first }: ModeResult): string =>
  first === undefined || first.role === 'node' ? '' : `, full at pod ${count(first.pods)}`
