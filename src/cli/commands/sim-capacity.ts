/**
 * `trivium sim capacity`: which mode holds, up to where, what breaks first, what to change.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from 'commander'
import { collect, whole } from '../common.ts'
import { type OutputFormat, outputOption } from '../output.ts'
import { simulate, threadsOption, wholeRunner } from '../sim-report.ts'

const HELP = `
Counts how full every table gets: the planners are asked what a node, a pod, a block and a peer
cost, and the rest is arithmetic. So a million nodes take no longer than ten.

Where an engine takes the mode and the size, it is run, too (--engine auto): the exact one up to 60
nodes and 2 000 pods, the scaled one up to 2 000 nodes and 150 000 pods; larger ones are counted alone. --verify
runs up to 12 000 nodes and 1 000 000 pods, and the limits that were found with one node more. A run
says times, and its tables must be the counted ones: a difference is shown, and exit status 1.

FILE is a scenario, or the name of a built-in one: its nodes, racks, pools, modes, fabric and
switches. Without it: 1000 nodes in racks of 40, 110 pods a node, trident3-default, every node
talks to all others. Flags take the place of either.

Racks: --nodes-per-rack makes more racks with more nodes; --racks alone keeps them as many.

What has an end: switch tables (trivium sim profiles), neighbours that a node's kernel learns
(gc_thresh3), addresses (a spare block a node included), VLAN ids. Sizes that nobody published
are said to be unknown, and are no limit.

Examples:
  trivium sim capacity                                         a usual cluster, every mode
  trivium sim capacity --racks 20 --nodes-per-rack 40 --pods 60 --profile tomahawk-default
  trivium sim capacity --host 20000 --lpm 20000 --mac 32768    your own table sizes
  trivium sim capacity --mode route-32 -o wide                 one mode, its second limit, kernels
  trivium sim capacity first --nodes 5000                      a built-in scenario, larger
  trivium sim capacity --families 46 --html capacity.html      with a plot of pressure over nodes
  trivium sim capacity --nodes 5000 -o json                    for a program
  trivium sim capacity --pods 30 --verify                      run the limits, too: minutes
  trivium sim capacity --engine count                          the count alone, at once

Exit status:
  0  answered; a mode that does not hold is a finding, not a failure
  1  a run gave other tables than the count: a fault of this program
  2  the scenario or the command line makes no sense
`

/** No answer looks further; see the simulator's `NODES_LIMIT`. */
const NODES_MAX = 1_000_000
const ENTRIES_MAX = 10_000_000

type CapacityEngine = import('../../../simulator/capacity/run.ts').CapacityEngine
type CapacityFormat = OutputFormat | 'csv'
type Flags = import('../../../simulator/capacity/question.ts').QuestionFlags & {
  readonly output: CapacityFormat
  readonly html?: string
  readonly engine: CapacityEngine
  readonly verify?: boolean
  readonly threads?: number
}

/** As the simulator's `CAPACITY_ENGINES`, which loads only when somebody simulates. */
const ENGINES: readonly CapacityEngine[] = ['auto', 'count', 'exact', 'scaled']

export function simCapacityCommand(scenariosDir: string): Command {
  return new Command('capacity')
    .argument('[file]', 'scenario file, or the name of a built-in one')
    .description('which mode holds, up to where, what breaks first, what to change')
    .option('--nodes <number>', 'nodes that are asked for', whole(1, NODES_MAX))
    .option(
      '--racks <number>',
      'racks; without --nodes-per-rack they stay as many',
      whole(1, NODES_MAX),
    )
    .option('--nodes-per-rack <number>', 'nodes of a full rack', whole(1, 10_000))
    .option('--pods <number>', 'pods a node', whole(1, 10_000))
    .option('--profile <name>', 'what every switch is; see trivium sim profiles')
    .option(
      '--host <number>',
      'host entries of your own switches; with --lpm and --mac',
      whole(1, ENTRIES_MAX),
    )
    .option('--lpm <number>', 'prefixes, IPv4 and IPv6 each', whole(1, ENTRIES_MAX))
    .option('--mac <number>', 'MAC entries', whole(1, ENTRIES_MAX))
    .option('--pool <cidr>', 'addresses of pods, repeatable', collect)
    .option('--block-length <number>', 'of IPv4; IPv6 blocks hold as many addresses', whole(16, 32))
    .addOption(new Option('--families <which>', 'of pods').choices(['4', '6', '46']))
    .addOption(
      new Option('--fabric <kind>', 'how switches are joined').choices([
        'leaf-spine',
        'three-tier',
      ]),
    )
    .option('--spines <number>', 'of each data centre, leaf-spine', whole(1, 64))
    .option('--groups <number>', 'groups of racks of each data centre, three-tier', whole(1, 1000))
    .option('--aggregations <number>', 'of each group', whole(1, 64))
    .option('--cores <number>', 'of each data centre, three-tier', whole(1, 64))
    .option('--data-centers <number>', 'racks are spread over so many', whole(1, 16))
    .option('--talk <whom>', 'none, all, or how many other nodes each node sends to', talk)
    .option('--gc-thresh3 <number>', 'neighbours a kernel learns, a family', whole(1, ENTRIES_MAX))
    .option(
      '--mode <name>',
      'only this one, repeatable: vxlan, vxlan-lightweight, vxlan-direct, route-blocks, route-racks, route-racks-contiguous, route-static, route-32, vlan',
      collect,
    )
    .addOption(
      new Option('--engine <name>', 'what the answer is run by, beside the count')
        .choices(ENGINES)
        .default('auto'),
    )
    .option('--verify', 'run also the limits that were found, and larger sizes')
    .addOption(threadsOption())
    .option(
      '--html <path>',
      'write the answer with a plot: one file, no script, nothing from elsewhere',
    )
    .addOption(outputOption(['csv']))
    .addHelpText('after', HELP)
    .action((file: string | undefined, flags: Flags) => run(file, flags, scenariosDir))
}

async function run(file: string | undefined, flags: Flags, scenariosDir: string): Promise<void> {
  // The simulator loads only when somebody simulates.
  const { answerCapacity } = await import('../../../simulator/main.ts')
  const { output, html, engine, verify = false, threads, ...asked } = flags
  const command = ['trivium', ...process.argv.slice(2)].join(' ')
  await simulate((terminal) =>
    answerCapacity({
      ...{ file, flags: asked, output, engine, verify, command, scenariosDir },
      ...(html && { html }),
      runTasks: wholeRunner(threads),
      ...terminal,
    }),
  )
}

function talk(text: string): 'none' | 'all' | number {
  if (text === 'none' || text === 'all') return text
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= NODES_MAX) return Number(text)
  throw new InvalidArgumentError(`found ${text}, wanted none, all or a number of nodes`)
}
