/**
 * Asking before something is destroyed.
 *
 * @module
 */
import { createInterface } from 'node:readline/promises'
import { Option } from 'commander'
import { TriviumError } from '../errors.ts'

/** `--yes`, the same for every command that asks. */
export const yesOption = (): Option => new Option('--yes', 'do it without asking')

/**
 * Whether to go on. The plan has been printed by now.
 *
 * @throws {TriviumError} USAGE where nobody can be asked.
 */
export async function confirm(question: string, yes: boolean | undefined): Promise<boolean> {
  if (yes === true) return true
  if (!process.stdin.isTTY) {
    throw new TriviumError(
      'USAGE',
      `Cannot ask "${question}": standard input is no terminal, wanted a terminal or --yes`,
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}
