/**
 * What commands that run scenarios share: where reports go, the progress bar, and
 * which errors are the user's.
 *
 * @module
 */
import { SingleBar } from 'cli-progress'
import { type Command, InvalidArgumentError } from 'commander'
import { isTriviumError, TriviumError } from '../errors.ts'
import { EXIT } from './common.ts'
import { type OutputFormat, outputOption } from './output.ts'

/** Of the options below. */
export interface ReportFlags {
  readonly seed?: number
  readonly output: OutputFormat | 'csv'
  readonly html?: string
  readonly csv?: string
  readonly yes?: boolean
}

export function withReportOptions(command: Command): Command {
  return command
    .option('--seed <number>', "in place of the scenario's seed", parseSeed)
    .option(
      '--html <path>',
      'write a report with plots: one file, no script, nothing from elsewhere',
    )
    .option('--csv <folder>', 'write every table there as CSV')
    .option('--yes', 'run it also when it needs more memory than Node gives a process')
    .addOption(outputOption(['csv']))
}

type Progress = (done: number, what: string) => void

/** Shows how far `work` is, on a terminal, and turns its answer into an exit status. */
export async function simulate(work: (progress: Progress) => Promise<0 | 1>): Promise<void> {
  let bar: SingleBar | undefined
  try {
    const status = await work((done, what) => {
      if (!process.stderr.isTTY) return
      bar ??= startBar()
      bar.update(done, { what })
    })
    if (status !== 0) process.exitCode = EXIT.failed
  } catch (thrown) {
    const isInput = isTriviumError(thrown) && ['BAD_CONFIG', 'NOT_FOUND'].includes(thrown.code)
    throw isInput ? new TriviumError('USAGE', thrown.message, thrown.details, thrown) : thrown
  } finally {
    bar?.stop()
  }
}

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
