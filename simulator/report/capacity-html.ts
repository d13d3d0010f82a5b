/**
 * The answer as one HTML file: the table, what to change, and pressure over nodes.
 *
 * @module
 */

import type { CapacityAnswer } from '../capacity/answer.ts'
import { pressureCurve } from '../capacity/curve.ts'
import { leastRacks, NODES_LIMIT } from '../capacity/shape.ts'
import { RUN_HEADS, runRows } from './capacity-runs.ts'
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
import { type NodesLine, nodesChart } from './nodes-chart.ts'
import { card, escaped, page, plot, quoted, table } from './page.ts'
import { count } from './words.ts'

/** @param command What was asked, so that it can be asked again. */
export function capacityHtml(answer: CapacityAnswer, command: string): string {
  const { question, remarks } = answer
  const [title = '', ...more] = questionWords(question)
  const words = more.map((line) => `<p class="about">${escaped(line)}</p>`)
  const sources = remarks.map(
    ({ text, source }) =>
      `<p>${escaped(grouped(text))}.<br><span class="about">${quoted(source)}</span></p>`,
  )
  return page(question.title, [
    '<h1>Which mode holds, and up to where?</h1>',
    `<p class="answer">${escaped(title)}</p>`,
    ...words,
    card('Modes', 'At the asked size, and the largest size that holds.', modesTable(answer)),
    runsCard(answer),
    plotCard(answer),
    adviceCard(answer),
    sources.length === 0
      ? ''
      : card('Worth knowing', 'Said by others, not counted.', sources.join('\n')),
    card('Reproduce it', 'The same version says the same.', `<pre>${quoted(command)}</pre>`),
  ])
}

function modesTable({ modes }: CapacityAnswer): string {
  const heads = [
    'mode',
    'holds',
    '+up to nodes',
    '+pods',
    'breaks first',
    'pressure now',
    'second limit',
  ]
  return table(
    heads,
    modes.map((mode) => [
      escaped(mode.label),
      `<span class="${mode.holds ? 'good' : 'bad'}">${holdsWord(mode)}</span>`,
      ...upToWords(mode).map(escaped),
      escaped(breaksWords(mode)),
      escaped(pressureWords(mode)),
      escaped(nextWords(mode)),
    ]),
    'dense wrap',
  )
}

function runsCard(answer: CapacityAnswer): string {
  if (answer.runs === undefined) return ''
  const rows = runRows(answer).map((row) => row.map(escaped))
  const hint =
    'Where an engine takes the mode and the size, it was run, too: its tables are held to the count, and it knows times (virtual). Last pod, heard: from the arrival of the last pod until everything, or every switch, knows it. Gap: from a change in a kernel to the hardware of a switch.'
  return card('Counted and run', hint, table(RUN_HEADS, rows, 'dense wrap'))
}

function adviceCard({ advised, advice }: CapacityAnswer): string {
  if (advised?.breaks === undefined) return ''
  const hint = `${advised.label}: ${boundWords(advised.breaks)}. Each change alone, best first.`
  const rows = advice.map((each) => [
    escaped(changeWords(each)),
    `<span class="${each.holds ? 'good' : 'bad'}">${each.holds ? 'yes' : 'NO'}</span>`,
    escaped(effectWords(each)),
    escaped(reachWords(each)),
  ])
  const body =
    rows.length === 0
      ? '<p>No single change lets it go further.</p>'
      : table(['change', 'holds', 'what it gives', 'how far'], rows, 'dense wrap')
  return card('What to change', escaped(hint), body)
}

function plotCard({ question, modes }: CapacityAnswer): string {
  const { shape, growth } = question
  const known = modes.filter(({ refusal }) => refusal === undefined)
  const curves = pressureCurve(
    shape,
    growth,
    known.map(({ mode }) => mode),
    sizesOf(shape.nodes, Math.max(2, leastRacks(shape))),
  )
  const lines = curves.map(({ label, points }) => ({
    label,
    points: points.flatMap(({ nodes, worst }) =>
      worst === undefined ? [] : [{ nodes, pressure: worst.pressure }],
    ),
  }))
  const chart = nodesChart('nodes', joined(lines), [
    { nodes: shape.nodes, name: `${count(shape.nodes)} nodes` },
  ])
  if (chart === undefined) return ''
  const hint = 'The fullest table, of switches and of node kernels. Above the line it overflows.'
  return card('Pressure over nodes', hint, plot(chart))
}

/** Modes that cannot be told apart share a line. */
function joined(lines: readonly NodesLine[]): readonly NodesLine[] {
  const byPoints = new Map<string, NodesLine>()
  for (const line of lines) {
    const key = line.points.map(({ pressure }) => pressure).join(' ')
    const same = byPoints.get(key)
    byPoints.set(
      key,
      same === undefined ? line : { ...same, label: `${same.label}, ${line.label}` },
    )
  }
  return [...byPoints.values()]
}

/** Ten times as many as asked for, each about an eighth more than the one before. */
function sizesOf(nodes: number, least: number): readonly number[] {
  const most = Math.min(NODES_LIMIT, Math.max(5000, nodes * 10))
  const sizes: number[] = []
  for (let size = least; size < most; size = Math.max(size + 1, Math.floor((size * 9) / 8))) {
    sizes.push(size)
  }
  return [...sizes, most]
}
