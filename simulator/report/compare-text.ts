/**
 * A comparison for a terminal: measures as rows, modes as columns, the best value
 * of each row marked with a star.
 *
 * @module
 */

import { counted } from '../../src/words.ts'
import { type CompareResult, largestOf, largestSeeds } from '../compare.ts'
import { firstPods } from '../timeline/workload.ts'
import { aligned, type Column } from './align.ts'
import { compareRows, compareSentence, pressureWords } from './compare-words.ts'
import { traceLines } from './engine-words.ts'
import { seedsText } from './seeds-report.ts'
import { count, podsWords } from './words.ts'

/** @param wide With details. */
export function compareText(compared: CompareResult, wide: boolean): string {
  const { modes, scenario, passed } = largestOf(compared)
  const { others = [] } = compared.runs.at(-1) ?? {}
  const size = `${counted(scenario.nodes, 'node', count)}, ${podsWords(scenario)}`
  const columns: readonly Column[] = [
    { title: size },
    ...modes.map(({ label }) => ({ title: `${label}  `, right: true })),
  ]
  const lines: (readonly string[])[] = []
  let group = ''
  for (const row of compareRows(modes, wide)) {
    if (row.group !== group) lines.push([row.group])
    group = row.group
    const cells = row.cells.map(({ words, isBest }) => `${words}${isBest ? ' *' : '  '}`)
    lines.push([`  ${row.title}`, ...cells])
  }
  const failed = modes.flatMap(({ label, checks }) =>
    checks.filter((check) => !check.passed).map(({ name, findings }) => [label, name, ...findings]),
  )
  return [
    ...sweepLines(compared),
    ...aligned(columns, lines),
    '',
    '* the best of its row',
    ...compared.skipped.map(({ label, reason }) => `left out: ${label}: ${reason}`),
    passed ? 'checks: all passed' : 'checks: FAILED',
    ...failed.map((words) => `  ${words.join(': ')}`),
    ...traceLines(largestOf(compared)),
    '',
    ...(others.length === 0 ? [] : [seedsText(largestSeeds(compared), wide)]),
    compareSentence(compared),
    '',
  ].join('\n')
}

/** The fullest table over nodes; nothing when there is one size. */
function sweepLines({ runs }: CompareResult): readonly string[] {
  const [first] = runs
  if (first === undefined || runs.length === 1) return []
  const columns: readonly Column[] = [
    { title: 'NODES', right: true },
    { title: 'PODS', right: true },
    ...first.result.modes.map(({ label }) => ({ title: label, right: true })),
  ]
  const rows = runs.map(({ nodes, result }) => [
    count(nodes),
    count(firstPods(result.scenario)),
    ...result.modes.map(pressureWords),
  ])
  return ['fullest switch table (! no room left)', ...aligned(columns, rows), '']
}
