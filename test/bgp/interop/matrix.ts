/**
 * The matrix of BGP speakers: every row with every daemon, as a table and as JSON.
 *
 *     node --conditions=trivium-source --import tsx test/bgp/interop/matrix.ts [--us NAME] [--with NAME,…] [--rows NAME,…] [--jobs N] [--json FILE]
 *
 * `--us` takes a daemon for our side: so the harness is shown right without a speaker of ours.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { DAEMONS, IMPLEMENTATIONS, runCells } from './cells.ts'
import { ROWS } from './rows.ts'
import { table } from './table.ts'

const { values } = parseArgs({
  options: {
    us: { type: 'string', default: 'trivium' },
    with: { type: 'string', default: DAEMONS.map(({ name }) => name).join(',') },
    rows: { type: 'string', default: ROWS.map(({ name }) => name).join(',') },
    jobs: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
})
const chosen = <T extends { readonly name: string }>(
  all: readonly T[],
  names: string,
): readonly T[] =>
  names.split(',').map((name) => {
    const found = all.find((each) => each.name === name)
    if (found !== undefined) return found
    throw new Error(`There is no ${name}: ${all.map((each) => each.name).join(', ')}`)
  })

const [us] = chosen(IMPLEMENTATIONS, values.us)
const daemons = chosen(DAEMONS, values.with)
const rows = chosen(ROWS, values.rows)
const cells = await runCells(us!, daemons, rows, Number(values.jobs), (cell) => {
  const why = cell.reason === undefined ? '' : `: ${cell.reason}`
  process.stderr.write(`${cell.row} ${cell.daemon}: ${cell.result} (${cell.seconds} s)${why}\n`)
})
process.stdout.write(table(us!.name, daemons, rows, cells))
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(cells, null, 1)}\n`)
process.exitCode = cells.some(({ result }) => result === 'fail') ? 1 : 0
