/**
 * Columns of text for a terminal.
 *
 * @module
 */

/** A column: its title and which side its cells lean to. */
export interface Column {
  readonly title: string
  readonly right?: boolean
}

/** A line of titles, then a line a row; two spaces between columns. */
export function aligned(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  )
  return [columns.map(({ title }) => title), ...rows].map((row) =>
    columns
      .map(({ right }, index) => {
        const cell = row[index] ?? ''
        return right === true ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!)
      })
      .join('  ')
      .trimEnd(),
  )
}
