/**
 * `trivium quickstart`: the whole path on this machine, in throw-away nodes.
 *
 * @module
 */
import { realpathSync } from 'node:fs'
import { Command } from 'commander'
import { quickstart } from '../quickstart.ts'

export function quickstartCommand(): Command {
  return new Command('quickstart')
    .description(
      'show everything once on this machine: two nodes, pods, pings, a simulation (needs root)',
    )
    .addHelpText(
      'after',
      '\nNothing is left behind but the report, whose path is printed. Exit status 0: every check held.\n',
    )
    .action(async () => {
      const script = realpathSync(process.argv[1] ?? '')
      process.exitCode = await quickstart([process.execPath, ...process.execArgv, script])
    })
}
