/**
 * A comparison in words: the sentence at its end, and cells of its tables.
 *
 * @module
 */

import { counted } from '../../src/words.ts'
import { type CompareResult, largestOf } from '../compare.ts'
import type { ModeResult } from '../run.ts'
import type { Scenario } from '../scenario.ts'
import { bestOf, cellOf, type Measure, measuresOf, standOf } from './measures.ts'
import { count, fullest, percent, podsWords, SHORT_ROLES, TABLE_NAMES } from './words.ts'

/** One row of a comparison: a cell a mode. */
export interface CompareRow {
  readonly group: string
  readonly title: string
  readonly cells: readonly { readonly words: string; readonly isBest: boolean }[]
}

/** @param wide With details. */
export function compareRows(modes: readonly ModeResult[], wide: boolean): readonly CompareRow[] {
  const asked = measuresOf(modes).filter(({ isDetail }) => wide || !isDetail)
  return asked.map((measure): CompareRow => {
    const best = bestOf(measure, modes)
    return {
      group: measure.group,
      title: measure.title,
      cells: modes.map((mode, index) => ({
        words: measure.name === 'holds' ? standWords(mode) : cellWords(measure, mode),
        isBest: best[index] === true,
      })),
    }
  })
}

/** A table that never fills is not unknown. */
function cellWords(measure: Measure, mode: ModeResult): string {
  return measure.name === 'first_overflow.pods' && mode.firstOverflow === undefined
    ? 'none'
    : cellOf(measure, mode)
}

const standWords = (mode: ModeResult): string =>
  standOf(mode) === 'OVERFLOW' ? 'NO' : standOf(mode)

/** What a table over nodes holds of one mode, e.g. `16 % spine LPM`. */
export function pressureWords(mode: ModeResult | undefined): string {
  const figure = mode === undefined ? undefined : fullest(mode)
  if (figure?.pressure === undefined) return '-'
  const mark = figure.pressure > 1 ? ' !' : ''
  return `${percent(figure.pressure)} ${SHORT_ROLES[figure.role]} ${TABLE_NAMES[figure.table]}${mark}`
}

/**
 * One sentence: which modes hold with how much of what, and which table of which
 * mode overflows at which pod.
 */
export function compareSentence(compared: CompareResult): string {
  const { scenario, modes } = largestOf(compared)
  const by = (stand: ReturnType<typeof standOf>): readonly ModeResult[] =>
    modes.filter((mode) => standOf(mode) === stand)
  const share = ({ tables }: ModeResult): number =>
    Math.max(0, ...tables.map(({ role, pressure }) => (role === 'node' ? 0 : (pressure ?? 0))))
  const holding = [...by('holds')].sort((a, b) => share(a) - share(b))
  const parts = [
    ...(holding.length === 0 ? ['no mode is known to hold'] : [holdWords(holding)]),
    ...by('OVERFLOW').map(overflowWords),
    ...by('unknown').map(({ label }) => `of ${label} nobody knows: no public size of its tables`),
  ]
  return `On ${switchName(scenario)} with ${counted(scenario.nodes, 'node', count)} and ${podsWords(scenario)}: ${parts.join('; ')}.`
}

function holdWords(modes: readonly ModeResult[]): string {
  const clauses = modes.map((mode, index) => {
    const figure = fullest(mode)
    const verb = index === 0 ? ' holds' : ''
    if (figure?.pressure === undefined) return `${mode.label}${verb}`
    const what = `${SHORT_ROLES[figure.role]} ${TABLE_NAMES[figure.table]}`
    return `${mode.label}${verb} with ${percent(figure.pressure)} of ${what}`
  })
  return clauses.join(', ')
}

function overflowWords({ label, firstOverflow }: ModeResult): string {
  if (firstOverflow === undefined) return label
  const { role, table, pods } = firstOverflow
  return `${label} overflows the ${SHORT_ROLES[role]} ${TABLE_NAMES[table]} table at pod ${count(pods)}`
}

/** The profile, or that these are somebody's own numbers. */
export function switchName({ switch: choice }: Scenario): string {
  return 'profile' in choice ? choice.profile : 'switches of these sizes'
}
