/**
 * The command line: wiring only.
 *
 * @module
 */
import { Command, CommanderError } from 'commander'
import { asTriviumError } from '../errors.ts'
import { VERSION } from '../version.ts'
import { agentCommand } from './commands/agent.ts'
import { bgpCommand } from './commands/bgp.ts'
import { completionCommand } from './commands/completion.ts'
import { conformanceCommand } from './commands/conformance.ts'
import { doctorCommand } from './commands/doctor.ts'
import { explainCommand } from './commands/explain.ts'
import { installCommand, uninstallCommand } from './commands/install.ts'
import { ipamCommand } from './commands/ipam.ts'
import { networkCommand } from './commands/network.ts'
import { nodeCommand } from './commands/node.ts'
import { quickstartCommand } from './commands/quickstart.ts'
import { simCommand } from './commands/sim.ts'
import { uplinkCommand } from './commands/uplink.ts'
import { EXIT } from './common.ts'

const EXAMPLES = `
Examples:
  trivium install --pool 10.42.0.0/16             put the plugin and a network in place
  trivium agent --node n1 --underlay eth0         run this node's agent
  trivium network show                            networks, modes and pools
  trivium ipam show --show-blocks                 who owns which block, how full it is
  trivium explain default/web default/db          why A cannot reach B
  trivium doctor                                  what is wrong with this node
  trivium sim run first                           which table overflows first?

Exit status:
  0  done
  1  failed: the error says what and why
  2  the command line makes no sense
`

/** Builds the whole command tree. */
export function program(): Command {
  const root = new Command('trivium')
    .description('Pod networking by tunnel, route or VLAN over one address store')
    .version(VERSION)
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(trivium --help shows examples)')
  const commands = [
    installCommand(),
    uninstallCommand(),
    agentCommand(),
    networkCommand(),
    nodeCommand(),
    bgpCommand(),
    uplinkCommand(),
    ipamCommand(),
    explainCommand(),
    doctorCommand(),
    conformanceCommand(),
    simCommand(),
    quickstartCommand(),
    completionCommand(),
  ]
  for (const command of commands) root.addCommand(command)
  return withExitOverride(root)
}

/** Subcommands do not inherit it. */
function withExitOverride(command: Command): Command {
  command.exitOverride()
  for (const each of command.commands) withExitOverride(each)
  return command
}

/** Runs one command line and returns its exit status. */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(argv)
    return Number(process.exitCode ?? EXIT.ok)
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage
    const error = asTriviumError(thrown)
    const details = error.details === '' ? '' : `\n  ${error.details}`
    process.stderr.write(`trivium: ${error.message}${details}\n`)
    if (
      error.code === 'INTERNAL' &&
      error.cause instanceof Error &&
      process.env['TRIVIUM_DEBUG'] === '1'
    ) {
      process.stderr.write(`${error.cause.stack}\n`)
    }
    return error.code === 'USAGE' ? EXIT.usage : EXIT.failed
  }
}
