/**
 * `trivium sim compare`: the same pods and events in each mode, side by side.
 *
 * @module
 */
import { Command, InvalidArgumentError } from 'commander'
import { hasRoom } from '../sim-memory.ts'
import { otherSeedsRunner, type ReportFlags, simulate, withReportOptions } from '../sim-report.ts'

const EXAMPLES = `
FILE is a path, or the name of a built-in scenario. A scenario of one mode is compared in all of them:
vxlan, vxlan-lightweight, vxlan-direct, route-blocks, route-racks, route-racks-contiguous, route-32, vlan.
Short: lightweight, direct, blocks, racks, contiguous, hosts.

Examples:
  trivium sim compare first                          the scenario's modes: a column each, the best of a row marked
  trivium sim compare racks.yaml --modes vxlan,blocks,hosts
  trivium sim compare first --nodes 20,40,80         how pressure grows with nodes; racks stay as full as they are
  trivium sim compare first --html compare.html      the same, with plots
  trivium sim compare first --seeds 1                one seed: quicker, and nothing said about chance
  trivium sim compare first -o csv                   one row a mode and measure, for a data frame

Exit status:
  0  ran, and every checker passed; a table that overflows is a finding, not a failure
  1  a checker failed
  2  the scenario or the command line makes no sense
`

interface CompareFlags extends ReportFlags {
  readonly modes?: readonly string[]
  readonly nodes?: readonly number[]
}

export function simCompareCommand(scenariosDir: string): Command {
  const command = new Command('compare')
    .argument('<file>', 'scenario file, or the name of a built-in one')
    .description('modes side by side: a row a measure, a column a mode')
    .option('--modes <names>', "in place of the scenario's, between commas", parseNames)
    .option('--nodes <numbers>', "in place of the scenario's, between commas", parseNodes)
  return withReportOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((file: string, flags: CompareFlags) => compare(file, flags, scenariosDir))
}

async function compare(file: string, flags: CompareFlags, scenariosDir: string): Promise<void> {
  const { compareScenarioFile } = await import('../../../simulator/main.ts')
  await simulate((terminal) =>
    compareScenarioFile({
      ...flags,
      file,
      scenariosDir,
      runTasks: otherSeedsRunner(flags),
      ...terminal,
      mayUse: (bytes) => hasRoom(`comparison of ${file}`, bytes, flags.yes === true),
    }),
  )
}

const parseNames = (text: string): readonly string[] =>
  text.split(',').filter((name) => name.trim() !== '')

function parseNodes(text: string): readonly number[] {
  return text.split(',').map((part) => {
    const nodes = Number(part)
    if (/^\s*\d+\s*$/.test(part) && Number.isSafeInteger(nodes) && nodes > 0) return nodes
    throw new InvalidArgumentError('wanted whole numbers from 1 on, like 50,100,200')
  })
}
