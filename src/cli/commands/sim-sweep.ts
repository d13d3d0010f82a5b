/**
 * `trivium sim sweep`: a scenario over a grid of values and seeds, on all processors, in
 * parts that come together again.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from 'commander'
import type { EngineChoice } from '../../../simulator/engine.ts'
import { TriviumError } from '../../errors.ts'
import { whole } from '../common.ts'
import { type OutputFormat, outputOption } from '../output.ts'
import { programId, runFigures } from '../sim-pool.ts'
import { simulate, threadsOption } from '../sim-report.ts'

const EXAMPLES = `
FILE names a scenario, and what changes in it:

  base: first                        # a file beside this one, a built-in scenario, or its keys
  grid:                              # every combination
    nodes: [20, 40, 80]
    times.protocol: [ideal, frr, calico]
  points:                            # and these, one by one
    - { nodes: 160, racks: 8 }
  seeds: 10                          # each point under so many
  engine: auto                       # or exact, or scaled: up to 20000 nodes, until all pods are known

Examples:
  trivium sim sweep grid.yaml                            mean and 95 % interval of each point
  trivium sim sweep grid.yaml --out results              goes on where it was stopped
  trivium sim sweep grid.yaml --html report.html         with heat maps
  trivium sim sweep grid.yaml --figures cold_start,tor.host.entries
  trivium sim sweep grid.yaml --out part0 --shard 0/3    a third of the runs, on this machine
  trivium sim sweep merge part0 part1 part2 --out all    the whole again

Exit status:
  0    ran, and every checker passed; a table that overflows is a finding, not a failure
  1    a checker failed, or a run could not be made
  2    the sweep or the command line makes no sense
  130  stopped; with --out the same command goes on (143: by SIGTERM)
`

const MERGE_EXAMPLES = `
Folders are of one sweep, run by one program; runs that are missing or there twice are named.

Examples:
  trivium sim sweep merge part0 part1 part2              the report of the whole
  trivium sim sweep merge results --html report.html     of one folder, again
  trivium sim sweep merge part* --out all -o json        every figure, and one folder with all runs
  trivium sim sweep merge part0 --partial                what there is so far
`

/** As the simulator's, which loads only when somebody simulates. */
const ENGINES: readonly EngineChoice[] = ['auto', 'exact', 'scaled']
/** By the shell's custom: 128 and the signal's number. */
const STOPPED = { SIGINT: 130, SIGTERM: 143 } as const
const SHARDS_MAX = 10_000

interface Flags {
  readonly output: OutputFormat
  readonly html?: string
  readonly figures?: readonly string[]
  readonly out?: string
}

interface SweepFlags extends Flags {
  readonly seeds?: number
  readonly shard?: Shard
  readonly threads?: number
  readonly engine?: EngineChoice
}

interface Shard {
  readonly index: number
  readonly count: number
}

export function simSweepCommand(scenariosDir: string): Command {
  const command = new Command('sweep')
    .argument('<file>', 'sweep file: a scenario, a grid, seeds')
    .description('a scenario over a grid of values and seeds: mean and 95 % interval')
    .option('--seeds <number>', "in place of the file's", whole(1, 1000))
    .option('--out <folder>', 'keep results there; what is there is not run again')
    .option('--shard <I/N>', 'run this part of N, from 0 on; merge them afterwards', parseShard)
    .addOption(threadsOption())
    .addOption(
      new Option('--engine <name>', "in place of the file's: auto is by each point's size").choices(
        [...ENGINES],
      ),
    )
  return withReport(command)
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: SweepFlags) => sweep(file, flags, scenariosDir))
    .addCommand(mergeCommand())
}

const withReport = (command: Command): Command =>
  command
    .option('--figures <names>', 'measures to show, between commas', parseNames)
    .option('--html <path>', 'write a report with heat maps: one file, no script')
    .addOption(outputOption())

function mergeCommand(): Command {
  const command = new Command('merge')
    .argument('<folders...>', 'of trivium sim sweep --out')
    .description('bring the parts of a sweep together')
    .option('--out <folder>', 'write all results there')
    .option('--partial', 'report also when runs are missing')
  return withReport(command)
    .addHelpText('after', MERGE_EXAMPLES)
    .action(async (folders: readonly string[], _: unknown, command: Command) => {
      // Those that the parent has, too, were read by it.
      const flags = command.optsWithGlobals<SweepFlags & { readonly partial?: boolean }>()
      const alien = (['seeds', 'shard', 'threads', 'engine'] as const).find(
        (key) => flags[key] !== undefined,
      )
      if (alien !== undefined) {
        throw new TriviumError(
          'USAGE',
          `Cannot merge with --${alien}: nothing is run, wanted folders`,
        )
      }
      const { mergeFolders } = await import('../../../simulator/main.ts')
      await simulate(({ write }) => mergeFolders({ ...flags, folders, write, warn }))
    })
}

async function sweep(file: string, flags: SweepFlags, scenariosDir: string): Promise<void> {
  if (flags.shard !== undefined && flags.out === undefined) {
    const why = 'found no --out, wanted a folder for the part, to be merged with the others'
    throw new TriviumError('USAGE', `Cannot run a shard of ${file}: ${why}`)
  }
  const { sweepFile } = await import('../../../simulator/main.ts')
  const stopping = new AbortController()
  let stopped: keyof typeof STOPPED = 'SIGINT'
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signal === 'SIGTERM') stopped = signal
    stopping.abort()
  }
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  const runTasks = runFigures({ threads: flags.threads, signal: stopping.signal })
  try {
    await simulate(async (terminal) => {
      const program = programId()
      const end = await sweepFile({
        ...flags,
        ...{ file, scenariosDir, program, runTasks, ...terminal, warn },
      })
      if (end !== 'stopped') return end
      process.exitCode = STOPPED[stopped]
      return 0
    })
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

const warn = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

function parseShard(text: string): Shard {
  const [, first, second] = /^(\d{1,5})\/(\d{1,5})$/.exec(text) ?? []
  const [index, count] = [Number(first), Number(second)]
  if (index < count && count <= SHARDS_MAX) return { index, count }
  throw new InvalidArgumentError(`wanted I/N with I from 0 to N - 1, N at most ${SHARDS_MAX}: 0/3`)
}

const parseNames = (text: string): readonly string[] =>
  text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
