/**
 * What commands that run scenarios share: where reports go, the progress bar, and
 * which errors are the user's.
 *
 * @module
 */
import { SingleBar } from 'cli-progress'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { EngineChoice } from '../../simulator/engine.ts'
import type { RunTasks } from '../../simulator/other-seeds.ts'
import type { RunResult } from '../../simulator/run.ts'
import { isTriviumError, TriviumError } from '../errors.ts'
import { EXIT, print, whole } from './common.ts'
import { type OutputFormat, outputOption } from './output.ts'

/** Of the options below. */
export interface ReportFlags {
  readonly seed?: number
  readonly output: OutputFormat | 'csv'
  readonly html?: string
  readonly csv?: string
  readonly yes?: boolean
  readonly engine: EngineChoice
  readonly seeds: number
  readonly threads?: number
}

/** What one run says of the next is nothing; ten say how far chance goes. */
const SEEDS = 10
const SEEDS_MAX = 1000
const THREADS_MAX = 1024
/** From here on a wait is announced. */
const LONG_MS = 10_000

export const threadsOption = (): Option =>
  new Option('--threads <number>', 'at once; as many as processors without it').argParser(
    whole(1, THREADS_MAX),
  )

export function withReportOptions(command: Command): Command {
  return command
    .option('--seed <number>', "in place of the scenario's seed", parseSeed)
    .option(
      '--seeds <number>',
      'under so many seeds, from that one on: mean and 95 % interval of what varies; 1 is one run',
      whole(1, SEEDS_MAX),
      SEEDS,
    )
    .addOption(threadsOption())
    .option(
      '--html <path>',
      'write a report with plots: one file, no script, nothing from elsewhere',
    )
    .option('--csv <folder>', 'write every table there as CSV')
    .addOption(
      new Option(
        '--engine <name>',
        'exact: a kernel a node; scaled: up to 20000 nodes, until all pods are known; auto: by the size',
      )
        .choices(['auto', 'exact', 'scaled'])
        .default('auto'),
    )
    .option('--yes', 'run it also when it needs more memory than Node gives a process')
    .addOption(outputOption(['csv']))
}

interface Terminal {
  readonly progress: (done: number, what: string) => void
  /** Prints, with the bar out of the way. */
  readonly write: (text: string) => void
}

/** Shows how far `work` is, on a terminal, and turns its answer into an exit status. */
export async function simulate(work: (terminal: Terminal) => Promise<0 | 1>): Promise<void> {
  let bar: SingleBar | undefined
  const progress: Terminal['progress'] = (done, what) => {
    if (!process.stderr.isTTY) return
    bar ??= startBar()
    bar.update(done, { what })
  }
  const write: Terminal['write'] = (text) => {
    bar?.stop()
    bar = undefined
    print(text)
  }
  try {
    const status = await work({ progress, write })
    if (status !== 0) process.exitCode = EXIT.failed
  } catch (thrown) {
    const isInput = isTriviumError(thrown) && ['BAD_CONFIG', 'NOT_FOUND'].includes(thrown.code)
    throw isInput ? new TriviumError('USAGE', thrown.message, thrown.details, thrown) : thrown
  } finally {
    bar?.stop()
  }
}

/** Runs on threads. @param threads Undefined: as many as are worth while. */
export function wholeRunner(threads: number | undefined): RunTasks<RunResult> {
  return async (tasks, bytes, onResult) => {
    if (tasks.length === 0) return
    const { runWhole } = await import('./sim-pool.ts')
    const { signal } = new AbortController()
    await runWhole({ threads, signal })(tasks, bytes, onResult)
  }
}

/** Runs other seeds on threads, and says before when that will take long. */
export function otherSeedsRunner({ seeds, threads }: ReportFlags): RunTasks<RunResult> {
  const began = performance.now()
  return async (tasks, bytes, onResult) => {
    const { threadsFor } = await import('./sim-pool.ts')
    const atOnce = Math.min(threadsFor(bytes, threads), tasks.length)
    const left = ((performance.now() - began) * (seeds - 1)) / atOnce
    if (left > LONG_MS) {
      const what = `${seeds - 1} more seeds will take about ${waitWords(left)}`
      process.stderr.write(`${what}; --seeds 1 runs one alone\n`)
    }
    await wholeRunner(atOnce)(tasks, bytes, onResult)
  }
}

const waitWords = (ms: number): string =>
  ms < 90_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`

function startBar(): SingleBar {
  const bar = new SingleBar({
    format: '{bar} {percentage} %  {what}',
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  })
  bar.start(1, 0, { what: '' })
  return bar
}

function parseSeed(text: string): number {
  const seed = Number(text)
  if (/^\d+$/.test(text) && seed < 2 ** 32) return seed
  throw new InvalidArgumentError(`wanted a whole number from 0 to ${2 ** 32 - 1}`)
}
