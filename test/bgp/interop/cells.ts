/**
 * Runs cells of the matrix, some at a time.
 *
 * @module
 */
import { bird } from './bird.ts'
import { exabgp } from './exabgp.ts'
import { frr } from './frr.ts'
import { gobgp } from './gobgp.ts'
import type { Row } from './rows.ts'
import type { Implementation } from './spec.ts'
import { trivium } from './trivium.ts'

export const DAEMONS: readonly Implementation[] = [bird, frr, gobgp, exabgp]
export const IMPLEMENTATIONS: readonly Implementation[] = [trivium, ...DAEMONS]

export interface Cell {
  readonly row: string
  readonly daemon: string
  /** `lacks`: the daemon cannot do it, for the reason that is given. */
  readonly result: 'pass' | 'fail' | 'lacks'
  readonly reason?: string
  readonly seconds: number
}

async function runCell(us: Implementation, them: Implementation, row: Row): Promise<Cell> {
  const cell = { row: row.name, daemon: them.name }
  if (row.isOurs === true && us !== trivium) {
    return { ...cell, result: 'lacks', reason: 'a row about our own speaker', seconds: 0 }
  }
  const missing = (row.needs ?? []).map((need) => them.lacks[need]).find((why) => why !== undefined)
  if (missing !== undefined) return { ...cell, result: 'lacks', reason: missing, seconds: 0 }
  const start = performance.now()
  const seconds = (): number => Math.round((performance.now() - start) / 100) / 10
  try {
    await row.run(us, them, bird)
    return { ...cell, result: 'pass', seconds: seconds() }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { ...cell, result: 'fail', reason, seconds: seconds() }
  }
}

/** All cells of some daemons and rows, `jobs` at a time; `told` hears of each as it ends. */
export async function runCells(
  us: Implementation,
  daemons: readonly Implementation[],
  rows: readonly Row[],
  jobs: number,
  told: (cell: Cell) => void = () => {},
): Promise<readonly Cell[]> {
  const left = rows.flatMap((row) => daemons.map((daemon) => ({ row, daemon })))
  const cells: Cell[] = []
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const cell = await runCell(us, next.daemon, next.row)
      cells.push(cell)
      told(cell)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return cells
}
