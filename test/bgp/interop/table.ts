/**
 * The matrix as text: a line a row, a column a daemon, reasons below.
 *
 * @module
 */
import type { Cell } from './cells.ts'
import type { Row } from './rows.ts'
import type { Implementation } from './spec.ts'

type Named = Pick<Implementation, 'name'>

export function table(
  us: string,
  daemons: readonly Named[],
  rows: readonly Pick<Row, 'name' | 'says'>[],
  cells: readonly Cell[],
): string {
  const reasons: string[] = []
  const mark = (row: string, daemon: string): string => {
    const cell = cells.find((each) => each.row === row && each.daemon === daemon)
    if (cell?.reason === undefined) return cell?.result ?? ''
    const [first = ''] = cell.reason.split('\n')
    if (!reasons.includes(first)) reasons.push(first)
    return `${cell.result} ${reasons.indexOf(first) + 1}`
  }
  const head = [us, ...daemons.map(({ name }) => name), '']
  const body = rows.map(({ name, says }) => [
    name,
    ...daemons.map((daemon) => mark(name, daemon.name)),
    says,
  ])
  const widths = head.map((_, column) =>
    Math.max(...[head, ...body].map((line) => line[column]!.length)),
  )
  const lines = [head, ...body].map((line) =>
    line
      .map((word, column) => word.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  return `${[...lines, '', ...reasons.map((reason, index) => `${index + 1}  ${reason}`)].join('\n')}\n`
}
