/**
 * The shell of the capacity question: reads the scenario, writes the answer.
 *
 * @module
 */
import { stringify } from 'yaml'
import { locate, readScenario, writeWhole } from '../main.ts'
import { answer, type CapacityAnswer } from './answer.ts'
import { capacityCsv, capacityData } from './data.ts'
import { type QuestionFlags, questionOf } from './question.ts'
import { capacityText } from './text.ts'

export interface CapacityOptions {
  /** A path, or the name of a built-in scenario; undefined: the defaults. */
  readonly file?: string | undefined
  readonly flags: QuestionFlags
  readonly output: 'text' | 'wide' | 'json' | 'yaml' | 'csv'
  /** What was asked, for the HTML report. */
  readonly command: string
  /** Where to write the HTML report. */
  readonly html?: string
  /** Folder of the built-in scenarios. */
  readonly scenariosDir: string
  readonly write: (text: string) => void
}

/**
 * Answers one question.
 *
 * @throws {TriviumError} NOT_FOUND or BAD_CONFIG for the file, USAGE for a flag.
 */
export async function answerFile(options: CapacityOptions): Promise<void> {
  const { file, flags, output, html, scenariosDir, write } = options
  const path = file === undefined ? undefined : await locate(file, scenariosDir)
  const read = path === undefined ? undefined : await readScenario(path)
  const given = answer(questionOf(flags, read?.scenario))
  write(textOf(given, output))
  if (html === undefined) return
  const { capacityHtml } = await import('./html.ts')
  await writeWhole(html, capacityHtml(given, options.command))
  if (output === 'text' || output === 'wide') write(`\nreport ${html}\n`)
}

function textOf(given: CapacityAnswer, output: CapacityOptions['output']): string {
  switch (output) {
    case 'text':
    case 'wide':
      return capacityText(given, output === 'wide')
    case 'json':
      return `${JSON.stringify(capacityData(given), null, 2)}\n`
    case 'yaml':
      return stringify(capacityData(given), { aliasDuplicateObjects: false })
    case 'csv':
      return capacityCsv(given)
  }
}
