/**
 * How answers look: aligned tables for people, JSON and YAML for programs.
 *
 * @module
 */
import { Option } from 'commander'
import { stringify } from 'yaml'

export const OUTPUT_FORMATS = ['text', 'wide', 'json', 'yaml'] as const
export type OutputFormat = (typeof OUTPUT_FORMATS)[number]

/** `-o`, the same for every command. @param more Formats of this command alone. */
export function outputOption(more: readonly string[] = []): Option {
  return new Option('-o, --output <format>', 'how to print the answer')
    .choices([...OUTPUT_FORMATS, ...more])
    .default('text')
}

type Cell = string | number | bigint

/** One column of a table. */
export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => Cell
  /** Only with `-o wide`. */
  readonly wide?: boolean
}

/** Text columns to the left, numbers to the right; two spaces between. */
export function renderTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = rows.map((row) => columns.map(({ value }) => value(row)))
  // Not all as arguments of one call: a table of routes has more rows than a call may have arguments.
  const widths = columns.map(({ title }, column) =>
    cells.reduce((width, row) => Math.max(width, String(row[column]).length), title.length),
  )
  const isCount = (cell: Cell | undefined): boolean =>
    typeof cell === 'number' || typeof cell === 'bigint'
  const line = (values: readonly Cell[], isTitle = false): string =>
    values
      .map((value, column) => {
        const width = widths[column] ?? 0
        const right = isCount(isTitle ? cells[0]?.[column] : value)
        return right ? String(value).padStart(width) : String(value).padEnd(width)
      })
      .join('  ')
      .trimEnd()
  const lines = [
    line(
      columns.map(({ title }) => title),
      true,
    ),
    ...cells.map((row) => line(row)),
  ]
  return `${lines.join('\n')}\n`
}

/**
 * Renders rows in the asked format. JSON and YAML carry the whole rows, not the columns.
 *
 * @param whenEmpty What a person reads instead of an empty table.
 */
export function renderRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  format: OutputFormat,
  whenEmpty: string,
): string {
  if (format === 'json') return `${JSON.stringify(rows, undefined, 2)}\n`
  if (format === 'yaml') return stringify(rows)
  if (rows.length === 0) return `${whenEmpty}\n`
  return renderTable(
    rows,
    columns.filter(({ wide }) => wide !== true || format === 'wide'),
  )
}
