/**
 * `trivium bgp run` with BIRD, FRR, GoBGP and ExaBGP: rows of `test/bgp/interop/rows.ts`,
 * read from each daemon's own table. A row that a daemon cannot do says why, as data.
 *
 * ```
 *   [ours] ---- switch ---- [daemon]
 *                  |
 *               [BIRD]      third router of reflectors and ADD-PATH
 * ```
 *
 * TRIVIUM_LONG=1 runs every row; `test/bgp/interop/matrix.ts` prints them as a table.
 */
import { existsSync } from 'node:fs'
import t from 'tap'
import { DAEMONS, runCells } from '../bgp/interop/cells.ts'
import { ROWS } from '../bgp/interop/rows.ts'
import { table } from '../bgp/interop/table.ts'
import { trivium } from '../bgp/interop/trivium.ts'
import { builtCli, skip } from '../support/e2e.ts'

/** What differs most between daemons. */
const SHORT = new Set([
  ...['ipv6', 'communities', 'as4', 'reflector-ours', 'reflector-theirs'],
  ...['md5', 'restart-ours', 'restart-theirs'],
  ...['add-path-theirs', 'limit-ours', 'hold-theirs'],
])
/** More wait than they compute. */
const JOBS = 4

t.test('the matrix of BGP daemons', { skip }, async (t) => {
  builtCli()
  const isLong = process.env['TRIVIUM_LONG'] === '1'
  const rows = ROWS.filter(({ name }) => isLong || SHORT.has(name))
  const daemons = DAEMONS.filter(({ program }) => existsSync(program))
  const cells = await runCells(trivium, daemons, rows, JOBS)
  for (const daemon of DAEMONS) {
    t.test(daemon.name, { skip: daemons.includes(daemon) ? false : 'not installed' }, async (t) => {
      for (const cell of cells.filter((each) => each.daemon === daemon.name)) {
        const why = cell.result === 'lacks' ? ` (${cell.reason})` : ''
        t.not(cell.result, 'fail', `${cell.row}${why}`, { reason: cell.reason })
      }
    })
  }
  for (const line of table('trivium', daemons, rows, cells).split('\n')) t.comment(line)
})
