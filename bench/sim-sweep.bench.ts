/**
 * A sweep of 100 points of 1 000 nodes and 30 000 pods under ten seeds, simulator/sweeps/thousand.yaml, as
 * people run it: `trivium sim sweep` on all processors. By default a shard of it, every 37th run, and the
 * whole extrapolated, which the verdict says; with TRIVIUM_LONG=1 all of it.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { must } from '../src/lab/exec.ts'
import { type Bench, compare, type Report, type Sample } from './harness.ts'

const ROOT = join(import.meta.dirname, '..')
const CLI = join(ROOT, 'dist', 'cli.cjs')
const FILE = join(ROOT, 'simulator', 'sweeps', 'thousand.yaml')
const RUNS = 1000
/** Shares no factor with the ten seeds of a point, so that a part has all kinds of points and seeds. */
const PARTS = 37
const WALL_MS_MAX = 15 * 60_000
const THREADS = 2
const isWhole = process.env['TRIVIUM_LONG'] !== undefined

interface Line {
  readonly engine: string
  readonly failed: readonly string[]
}

/** Results that the command kept. */
function linesIn(folder: string): readonly Line[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line))
}

async function run(): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'trivium-bench-sweep-'))
  const part = isWhole ? [] : ['--shard', `0/${PARTS}`]
  const args = [FILE, '--out', folder, '--threads', String(THREADS), ...part]
  try {
    const began = performance.now()
    await must([process.execPath, CLI, 'sim', 'sweep', ...args])
    return reportOf(performance.now() - began, linesIn(folder))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function reportOf(ms: number, lines: readonly Line[]): Report {
  const failed = lines.filter((line) => line.failed.length > 0).length
  const scaled = lines.filter(({ engine }) => engine === 'scaled').length
  if (lines.length === 0 || failed > 0) throw new Error(`Cannot trust a sweep: ${failed} failed`)
  const whole = (ms * RUNS) / lines.length
  const what = `100 points x 1 000 nodes x 30 000 pods x 10 seeds on ${THREADS} threads`
  const samples: ReadonlyMap<string, readonly Sample[]> = new Map([
    ['scaled engine', [{ 'a run, of all threads': ms / lines.length }]],
  ])
  const how = isWhole ? 'all runs' : `extrapolated from ${lines.length} of ${RUNS} runs`
  return {
    bench: `sim-sweep: ${what}`,
    rows: compare(samples, undefined),
    verdicts: [
      {
        what: `${what}, ${how}`,
        ours: `${(whole / 60_000).toFixed(1)} min`,
        beside: '-',
        target: `<= ${WALL_MS_MAX / 60_000} min`,
        isMet: whole <= WALL_MS_MAX,
      },
    ],
    notes: [
      `${lines.length} runs in ${(ms / 1000).toFixed(1)} s, ${scaled} of them by the scaled engine; ${availableParallelism()} processors`,
    ],
  }
}

export const bench: Bench = {
  about: 'a sweep of 1 000 runs of 1 000 nodes: a part; TRIVIUM_LONG=1 for all',
  unable: () => (existsSync(CLI) ? undefined : 'there is no dist/, use: npm run build'),
  run,
}
