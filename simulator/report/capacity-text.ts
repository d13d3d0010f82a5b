/**
 * The answer as text for a terminal.
 *
 * @module
 */

import type { CapacityAnswer } from '../capacity/answer.ts'
import type { ModeCapacity } from '../capacity/limit.ts'
import { aligned, type Column } from './align.ts'
import { runLines } from './capacity-runs.ts'
import {
  boundWords,
  breaksWords,
  changeWords,
  effectWords,
  grouped,
  holdsWord,
  nextWords,
  pressureWords,
  questionWords,
  reachWords,
  upToWords,
} from './capacity-words.ts'
import { count, SHORT_ROLES, TABLE_NAMES } from './words.ts'

const COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'HOLDS' },
  { title: 'UP TO NODES', right: true },
  { title: 'PODS', right: true },
  { title: 'BREAKS FIRST' },
  { title: 'PRESSURE NOW' },
]

const KERNEL_COLUMNS: readonly Column[] = [
  { title: 'MODE' },
  { title: 'LINKS', right: true },
  { title: 'ROUTES', right: true },
  { title: 'NEIGHBORS', right: true },
  { title: 'FDB', right: true },
  { title: 'LEARNED', right: true },
  { title: 'ROUTE MEMORY', right: true },
  { title: 'SECOND LIMIT' },
]

export function capacityText(answer: CapacityAnswer, wide: boolean): string {
  const { question, modes } = answer
  const parts = [
    questionWords(question),
    aligned(COLUMNS, modes.map(rowOf)),
    runLines(answer),
    ...(wide ? [aligned(KERNEL_COLUMNS, modes.map(kernelRow))] : []),
    adviceLines(answer),
    [...unknownLines(modes), ...answer.remarks.map(({ text, source }) => remark(text, source))],
  ]
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => `${line}\n`).join(''))
    .join('\n')
}

const rowOf = (mode: ModeCapacity): readonly string[] => [
  mode.label,
  holdsWord(mode),
  ...upToWords(mode),
  breaksWords(mode),
  pressureWords(mode),
]

function kernelRow(mode: ModeCapacity): readonly string[] {
  const { tables, fibBytes } = mode.demand
  const entries = (table: string): string => {
    const found = tables.find((each) => each.role === 'node' && each.table === table)
    return found === undefined ? '-' : count(found.entries)
  }
  const numbers = ['links', 'routes', 'neighbors', 'fdb', 'learned'].map(entries)
  return [mode.label, ...numbers, bytes(fibBytes), nextWords(mode)]
}

/** `1.2 MB`. */
const bytes = (size: number): string =>
  size < 1e6 ? `${(size / 1e3).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`

function adviceLines({ advised, advice }: CapacityAnswer): readonly string[] {
  if (advised?.breaks === undefined) return []
  const { label, holds, breaks } = advised
  const why = holds ? 'ends first' : 'does not hold'
  const title = `What to change: ${label} ${why}, ${boundWords(breaks)}`
  if (advice.length === 0) return [title, '  no single change lets it go further']
  return [
    title,
    ...aligned(
      [{ title: '  CHANGE' }, { title: 'HOLDS' }, { title: 'WHAT IT GIVES' }],
      advice.map((each) => [
        `  ${changeWords(each)}`,
        each.holds ? 'yes' : 'NO',
        `${effectWords(each)}; ${reachWords(each)}`,
      ]),
    ),
  ]
}

/** Tables whose size nobody published, with the most that any mode puts there. */
function unknownLines(modes: readonly ModeCapacity[]): readonly string[] {
  const most = new Map<string, number>()
  for (const { unknown } of modes) {
    for (const { role, table, entries } of unknown) {
      const name = `${SHORT_ROLES[role]} ${TABLE_NAMES[table]}`
      most.set(name, Math.max(most.get(name) ?? 0, entries))
    }
  }
  if (most.size === 0) return []
  const words = [...most].map(([name, entries]) => `${name} (${count(entries)} entries)`)
  return [`Sizes that no public page gives, so no limit: ${words.join(', ')}`]
}

const remark = (text: string, source: string): string => `${grouped(text)}. ${source}`
