/**
 * A comparison as one HTML file: the sentence, the table, and the pictures of the
 * largest run.
 *
 * @module
 */
import { type CompareResult, largestOf, largestSeeds } from '../compare.ts'
import { firstPods } from '../timeline/workload.ts'
import { type CompareRow, compareRows, compareSentence, pressureWords } from './compare-words.ts'
import { seedSentence } from './engine-words.ts'
import { chartCards, introduction, profileSource, verdictCard } from './html.ts'
import { measuredLines, nodesChart } from './nodes-chart.ts'
import { card, escaped, type Origin, page, plot, reproduction, table } from './page.ts'
import { seedsCard } from './seeds-report.ts'
import { count } from './words.ts'

export function compareHtml(compared: CompareResult, origin: Origin): string {
  const result = largestOf(compared)
  const { scenario, modes } = result
  const skipped = compared.skipped.map(
    ({ label, reason }) => `<p class="hint">Left out: ${escaped(label)}: ${escaped(reason)}</p>`,
  )
  return page(scenario.name, [
    ...introduction(scenario, `${scenario.name}: modes side by side`),
    `<p class="answer">${escaped(compareSentence(compared))}</p>`,
    `<div class="verdicts">\n${modes.map(verdictCard).join('\n')}\n</div>`,
    ...sweepCards(compared),
    card(
      'Side by side',
      'The same pods and events in each mode. A tick: the best of its row. Times are virtual.',
      compareTable(
        compareRows(modes, true),
        modes.map(({ label }) => label),
      ) + skipped.join(''),
    ),
    seedsCard(largestSeeds(compared)),
    ...chartCards(result),
    reproduction(seedSentence(result), origin, profileSource(scenario)),
  ])
}

function sweepCards({ runs }: CompareResult): readonly string[] {
  const [first] = runs
  if (first === undefined || runs.length === 1) return []
  const chart = nodesChart(
    'sweep',
    measuredLines(runs.map(({ nodes, result }) => ({ nodes, modes: result.modes }))),
    [],
    runs.map(({ nodes }) => nodes),
  )
  const heads = ['+Nodes', '+Pods', ...first.result.modes.map(({ label }) => `+${escaped(label)}`)]
  const rows = runs.map(({ nodes, result }) => [
    count(nodes),
    count(firstPods(result.scenario)),
    ...result.modes.map((mode) => escaped(pressureWords(mode))),
  ])
  const body = `${chart === undefined ? '' : plot(chart)}${table(heads, rows, 'dense')}`
  const hint =
    'Run, not calculated: the fullest switch table at each number of nodes. Rings: between which sizes a table is full, as if it filled evenly.'
  return [card('Over numbers of nodes', hint, body)]
}

/** Groups as rows of their own; the best of a row is marked. */
function compareTable(rows: readonly CompareRow[], labels: readonly string[]): string {
  const heads = ['Measure', ...labels.map(escaped)]
  const head = heads.map((title, index) => `<th${index === 0 ? '' : ' class="n"'}>${title}</th>`)
  const lines: string[] = []
  let group = ''
  for (const row of rows) {
    if (row.group !== group) {
      lines.push(`<tr class="group"><td colspan="${heads.length}">${escaped(row.group)}</td></tr>`)
    }
    group = row.group
    const cells = row.cells.map(({ words, isBest }) => {
      const tone = isBest ? ' best' : words === 'NO' ? ' bad' : ''
      return `<td class="n${tone}">${escaped(words)}</td>`
    })
    lines.push(`<tr><td>${escaped(row.title)}</td>${cells.join('')}</tr>`)
  }
  return `<div class="scroll"><table class="dense"><thead><tr>${head.join('')}</tr></thead><tbody>\n${lines.join('\n')}\n</tbody></table></div>`
}
