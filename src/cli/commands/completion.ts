/**
 * `trivium completion`.
 *
 * @module
 */
import { Argument, Command } from 'commander'
import { print } from '../common.ts'
import { completionScript, SHELLS, type Shell } from '../completion.ts'

const HELP = `
Examples:
  source <(trivium completion bash)
  trivium completion bash > /etc/bash_completion.d/trivium
  trivium completion zsh > /usr/share/zsh/vendor-completions/_trivium
  trivium completion fish > /etc/fish/completions/trivium.fish
`

export function completionCommand(): Command {
  const command = new Command('completion')
  return command
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .description('print what makes a shell complete commands and options')
    .addHelpText('after', HELP)
    .action((shell: Shell) => print(completionScript(command.parent ?? command, shell)))
}
