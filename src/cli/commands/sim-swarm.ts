/**
 * `trivium sim swarm`: many seeds, each with faults and pods of its own making.
 *
 * @module
 */
import { Command } from 'commander'
import { whole } from '../common.ts'
import { simulate } from '../sim-report.ts'

const EXAMPLES = `
FILE is a path, or the name of a built-in scenario, with a key "swarm". Each seed takes some kinds
of faults and leaves others out; what happens is decided by the seed alone.

Examples:
  trivium sim swarm swarm                            ten seeds of the built-in scenario "swarm"
  trivium sim swarm racks.yaml --seeds 200           two hundred of your own
  trivium sim swarm racks.yaml --from 41 --seeds 1   one of them again
  trivium sim run racks.yaml --seed 41 --seeds 1     the same seed, with its whole report

Columns: faults; pods that came and went; seconds without a way, summed over the watched pairs, in
the worst mode; checks; kinds of faults that the seed took.

Exit status:
  0  every checker passed with every seed
  1  a checker failed: it stops there, and says how to see it again
  2  the scenario or the command line makes no sense
`
const SEEDS_MAX = 1_000_000

interface SwarmFlags {
  readonly seeds: number
  readonly from?: number
}

export function simSwarmCommand(scenariosDir: string): Command {
  return new Command('swarm')
    .argument('<file>', 'scenario file with a key "swarm", or the name of a built-in one')
    .description('many seeds with faults of their own making, until a checker fails')
    .option('--seeds <number>', 'how many', whole(1, SEEDS_MAX), 10)
    .option('--from <seed>', "the first one, in place of the scenario's", whole(0, 2 ** 32 - 1))
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, flags: SwarmFlags) => {
      const { swarmScenarioFile } = await import('../../../simulator/main.ts')
      await simulate((terminal) => swarmScenarioFile({ ...flags, file, scenariosDir, ...terminal }))
    })
}
