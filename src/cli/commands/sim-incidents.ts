/**
 * `trivium sim incidents`: what was reported in public beside what the simulator says of it.
 *
 * @module
 */
import { Command } from 'commander'
import { type OutputFormat, outputOption } from '../output.ts'
import { simulate } from '../sim-report.ts'

const HELP = `
Each incident is a file: what was reported and where, the question that is put to the
simulator, and the rule by which its answer is judged. Nothing in the simulator is made for
one of them. The verdict follows from the rules:

  reproduced  every figure is as the rule wants it
  partly      some are
  not         none is, or nothing can be asked: then the reason is said

NAME is a built-in one, or the path of a file of yours. With names, or -o wide, every figure
of each is shown.

Examples:
  trivium sim incidents                       all; takes minutes
  trivium sim incidents --quick               those that are answered in seconds
  trivium sim incidents neighbours-1018       one, with its figures and rules
  trivium sim incidents --quick -o json       for a program
  trivium sim incidents -o csv                a row a figure

Exit status:
  0  answered; an incident that is not reproduced is a finding, not a failure
  2  a name or a file makes no sense
`

interface Flags {
  readonly quick?: boolean
  readonly output: OutputFormat | 'csv'
}

/** @param incidentsDir Folder of the built-in ones. */
export function simIncidentsCommand(incidentsDir: string): Command {
  return new Command('incidents')
    .argument('[names...]', 'incidents, or files of your own')
    .description('what was reported in public, beside what the simulator says of it')
    .option('--quick', 'only those that are answered in seconds')
    .addOption(outputOption(['csv']))
    .addHelpText('after', HELP)
    .action(async (names: readonly string[], { quick = false, output }: Flags) => {
      const { reportIncidents } = await import('../../../simulator/main.ts')
      await simulate(async (terminal) => {
        await reportIncidents({ names, quick, output, incidentsDir, ...terminal })
        return 0
      })
    })
}
