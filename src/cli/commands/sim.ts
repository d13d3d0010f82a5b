/**
 * `trivium sim`: which mode holds on which switches, and what is full first.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Command } from 'commander'
import { print } from '../common.ts'
import { type OutputFormat, outputOption } from '../output.ts'
import { hasRoom } from '../sim-memory.ts'
import { otherSeedsRunner, type ReportFlags, simulate, withReportOptions } from '../sim-report.ts'
import { simCapacityCommand } from './sim-capacity.ts'
import { simCompareCommand } from './sim-compare.ts'
import { simIncidentsCommand } from './sim-incidents.ts'
import { simReplayCommand } from './sim-replay.ts'
import { simSwarmCommand } from './sim-swarm.ts'
import { simSweepCommand } from './sim-sweep.ts'
import { simValidateCommand } from './sim-validate.ts'

const EXAMPLES = `
FILE is a path, or the name of a built-in scenario.

Examples:
  trivium sim run first                              the built-in scenario "first"
  trivium sim run first --html report.html           the same, with plots in one file
  trivium sim run racks.yaml --seed 7 -o json        your own, another seed, for a program
  trivium sim run first --seeds 1                    one seed alone: quicker, nothing said about chance
  trivium sim run first --seeds 30 --csv figures     thirty seeds, and every table as CSV
  trivium sim run huge.yaml --engine scaled          ten thousand nodes, a million pods: until all are known
  trivium sim compare first --html compare.html      the modes side by side
  trivium sim replay pods.json                       a real cluster's pods, through every mode
  trivium sim swarm swarm --seeds 50                 fifty seeds with faults of their own making
  trivium sim sweep grid.yaml --out results          a grid of values, ten seeds each, all processors
  trivium sim capacity --pods 60                     which mode holds, up to where, what to change
  trivium sim incidents --quick                      known incidents, reported beside simulated
  trivium sim validate                               simulated kernels against this one (root)
  trivium sim profiles                               switches whose table sizes are known
  trivium sim scenarios                              built-in scenarios
  trivium sim schema > scenario.schema.json          JSON Schema of scenario files, for editors

Exit status:
  0  ran, and every checker passed; a table that overflows is a finding, not a failure
  1  a checker failed
  2  the scenario or the command line makes no sense
`

const SCHEMA_HELP = `
Write it beside your scenarios and name it in their first line:
  trivium sim schema > scenario.schema.json
  # yaml-language-server: $schema=scenario.schema.json
`

/** @param scenariosDir Folder of the built-in scenarios; found beside the program when not given. */
export function simCommand(scenariosDir: string = builtInDir()): Command {
  return new Command('sim')
    .description('simulate a cluster: which mode holds, what is full first')
    .addHelpText('after', EXAMPLES)
    .addCommand(runCommand(scenariosDir))
    .addCommand(simCompareCommand(scenariosDir))
    .addCommand(simReplayCommand())
    .addCommand(simSwarmCommand(scenariosDir))
    .addCommand(simSweepCommand(scenariosDir))
    .addCommand(simCapacityCommand(scenariosDir))
    .addCommand(simIncidentsCommand(join(scenariosDir, '..', 'incidents')))
    .addCommand(simValidateCommand())
    .addCommand(profilesCommand())
    .addCommand(scenariosCommand(scenariosDir))
    .addCommand(schemaCommand())
}

function runCommand(scenariosDir: string): Command {
  const command = new Command('run')
    .argument('<file>', 'scenario file, or the name of a built-in one')
    .description('run one scenario in each of its modes')
  return withReportOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: ReportFlags) => run(file, flags, scenariosDir))
}

async function run(file: string, flags: ReportFlags, scenariosDir: string): Promise<void> {
  // The simulator and its plots load only when somebody simulates.
  const { memoryOfScenario, runScenarioFile } = await import('../../../simulator/main.ts')
  await simulate(async (terminal) => {
    const bytes = await memoryOfScenario(file, scenariosDir, flags.engine)
    if (!(await hasRoom(`scenario ${file}`, bytes, flags.yes === true))) return 0
    const runTasks = otherSeedsRunner(flags)
    return runScenarioFile({ ...flags, file, scenariosDir, runTasks, ...terminal })
  })
}

function profilesCommand(): Command {
  return new Command('profiles')
    .description('switches whose table sizes are known, with their source')
    .addOption(outputOption())
    .action(async ({ output }: { readonly output: OutputFormat }) => {
      const { SWITCH_PROFILES } = await import('../../../simulator/profiles.ts')
      const { renderRows } = await import('../output.ts')
      const size =
        (table: Table) =>
        ({ capacities }: Profile) =>
          capacities[table] ?? 'unknown'
      const columns = [
        { title: 'NAME', value: ({ name }: Profile) => name },
        { title: 'HOST', value: size('host') },
        { title: 'LPM', value: size('lpm') },
        { title: 'LPM IPV6', value: size('lpm6') },
        { title: 'MAC', value: size('mac') },
        { title: 'ASIC', value: ({ asic }: Profile) => asic },
        { title: 'HOST IPV6', value: hostIpv6, wide: true },
        { title: 'ARP', value: size('arp'), wide: true },
        { title: 'ECMP', value: size('ecmp'), wide: true },
        { title: 'VTEP', value: size('vtep'), wide: true },
        { title: 'LPM SHARED', value: isShared, wide: true },
        { title: 'SOURCE', value: ({ source }: Profile) => source, wide: true },
      ]
      print(renderRows(SWITCH_PROFILES, columns, output, 'no profiles'))
    })
}

type Profile = typeof import('../../../simulator/profiles.ts')['SWITCH_PROFILES'][number]
type Table = typeof import('../../../simulator/profiles.ts')['SWITCH_TABLES'][number]

/** Where it has no number of its own an IPv6 host takes two entries of the host table. */
const hostIpv6 = ({ capacities: { host, host6 } }: Profile): number | string =>
  host6 ?? (host === undefined ? 'unknown' : `${host / 2} shared`)

const isShared = ({ capacities: { sharedLpm } }: Profile): string =>
  sharedLpm === true ? 'yes' : 'no'

function scenariosCommand(scenariosDir: string): Command {
  return new Command('scenarios')
    .description('built-in scenarios, and what each shows')
    .addOption(outputOption())
    .action(async ({ output }: { readonly output: OutputFormat }) => {
      const { describedScenarios } = await import('../../../simulator/main.ts')
      const { renderRows } = await import('../output.ts')
      const scenarios = await describedScenarios(scenariosDir)
      type Row = (typeof scenarios)[number]
      const columns = [
        { title: 'NAME', value: ({ name }: Row) => name },
        { title: 'NODES', value: ({ nodes }: Row) => nodes },
        { title: 'PODS', value: ({ pods }: Row) => pods },
        { title: 'ABOUT', value: ({ about }: Row) => about },
        { title: 'MODES', value: ({ modes }: Row) => modes.join(', '), wide: true },
        { title: 'FILE', value: ({ file }: Row) => file, wide: true },
      ]
      print(renderRows(scenarios, columns, output, 'no scenarios'))
    })
}

function schemaCommand(): Command {
  return new Command('schema')
    .description('JSON Schema of scenario files, so that an editor completes and checks them')
    .addHelpText('after', SCHEMA_HELP)
    .action(async () => {
      const { scenarioJsonSchema } = await import('../../../simulator/schema.ts')
      print(`${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`)
    })
}

/** Beside the bundle after a build, in the source tree otherwise. */
function builtInDir(): string {
  const home = dirname(process.argv[1] ?? '.')
  const beside = join(home, 'scenarios')
  return existsSync(beside) ? beside : join(home, '..', 'simulator', 'scenarios')
}
