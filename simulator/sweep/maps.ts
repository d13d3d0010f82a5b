/**
 * Heat maps of a sweep: which two things make the sides, and which maps there are.
 *
 * @module
 */
import type { HeatMap } from '../report/heat-map.ts'
import { valueWords } from '../report/measures.ts'
import { halfWords, holdsWords } from '../report/seeds-report.ts'
import type { MeasureHead, SweepRow, SweepSummary } from './summary.ts'

/** Maps of one figure. */
const MAPS_MAX = 12

/** Something that has several values in a sweep. */
interface Dimension {
  readonly title: string
  readonly values: readonly string[]
  readonly of: (row: SweepRow) => string | undefined
}

export interface NamedMap {
  /** What stays the same in it, e.g. `mode vxlan`; empty when nothing else changes. */
  readonly title: string
  readonly map: HeatMap
}

export interface FigureMaps {
  readonly measure: MeasureHead
  readonly maps: readonly NamedMap[]
  /** Maps that are left out. */
  readonly more: number
}

/** Maps of each figure that is shown; none of one that is the same everywhere, none of a sweep of one dimension. */
export function mapsOf(summary: SweepSummary): readonly FigureMaps[] {
  const [x, y, ...others] = dimensionsOf(summary)
  if (x === undefined || y === undefined) return []
  return summary.shown.flatMap((measure): FigureMaps[] => {
    const rows = summary.rows.filter(({ cells }) => cells.has(measure.name))
    const values = rows.map(({ cells }) => cells.get(measure.name)?.mean ?? 0)
    const least = values.reduce((low, value) => Math.min(low, value), values[0] ?? 0)
    const most = values.reduce((high, value) => Math.max(high, value), values[0] ?? 0)
    if (least === most) return []
    const slices = slicesOf(rows, others)
    const maps = [...slices].map(([title, own]): NamedMap => {
      const cells = cellsOf(own, measure, x, y)
      const range = [valueWords(least, measure.unit), valueWords(most, measure.unit)] as const
      return { title, map: { x, y, cells, least, most, range } }
    })
    return [{ measure, maps: maps.slice(0, MAPS_MAX), more: Math.max(0, maps.length - MAPS_MAX) }]
  })
}

/** Paths with several values in their order, and the modes, unless the points have one each. */
function dimensionsOf({ plan, rows }: SweepSummary): readonly Dimension[] {
  const label = ({ label }: SweepRow): string => label
  const isOwn = plan.points.some((_, point) => rows.filter((row) => row.point === point).length > 1)
  const mode: Dimension = { title: 'mode', of: label, values: distinct(rows, label) }
  const modes = isOwn ? [mode] : []
  const paths = plan.paths.map((title, place): Dimension => {
    const of = ({ settings }: SweepRow): string | undefined => settings[place]
    const values = distinct(rows, of)
    // A point of one mode: its name says more than the list that has it.
    const isMode = title === 'modes' && !isOwn && values.length === mode.values.length
    return isMode ? mode : { title, of, values }
  })
  return [...paths, ...modes].filter(({ values }) => values.length > 1)
}

const distinct = (
  rows: readonly SweepRow[],
  of: (row: SweepRow) => string | undefined,
): readonly string[] => [
  ...new Set(rows.map(of).filter((value): value is string => value !== undefined)),
]

function slicesOf(
  rows: readonly SweepRow[],
  others: readonly Dimension[],
): ReadonlyMap<string, readonly SweepRow[]> {
  const slices = new Map<string, SweepRow[]>()
  for (const row of rows) {
    const title = others.map(({ title: name, of }) => `${name} ${of(row) ?? '-'}`).join(', ')
    const slice = slices.get(title) ?? []
    slice.push(row)
    slices.set(title, slice)
  }
  return slices
}

function cellsOf(
  rows: readonly SweepRow[],
  { name, unit }: MeasureHead,
  x: Dimension,
  y: Dimension,
): HeatMap['cells'] {
  return rows.flatMap((row) => {
    const cell = row.cells.get(name)
    const [across, down] = [x.of(row), y.of(row)]
    if (cell === undefined || across === undefined || down === undefined) return []
    const { mean, half = 0 } = cell
    const spread = half === 0 ? [] : [`± ${halfWords(half, unit)}`]
    const words = name === 'holds' ? [holdsWords(cell)] : [valueWords(mean, unit), ...spread]
    return [{ x: x.values.indexOf(across), y: y.values.indexOf(down), value: mean, words }]
  })
}
