/**
 * The findings as tables for a terminal, and as the small table of the docs.
 */
import { renderTable } from '../../src/cli/output.ts'
import { adviceOf } from './advice.ts'
import {
  type Findings,
  MEASURES,
  type Measure,
  type RoadFigures,
  type Unmeasured,
} from './figures.ts'
import { digits, percent, rangeWords, ratioWords } from './words.ts'

const WIDTH = 100

export function textReport(findings: Findings): string {
  return [
    'To bare veth of the same round, medians',
    '',
    matrix(findings),
    'Figures',
    '',
    figureTable(findings),
    ...MEASURES.map(({ title, about }) => `${title}: ${about}.`),
    `Others used ${percent(findings.othersBusy.median)} of the processors between the turns.`,
    '',
    'Which road when',
    '',
    ...adviceOf(findings).map((sentence) => `${wrapped(sentence)}\n`),
  ].join('\n')
}

/** A row a road, a column a measure. */
function matrix({ measured, unmeasured }: Findings): string {
  type Line = { readonly name: string; readonly cells: readonly string[] }
  const lines: Line[] = [
    ...measured.map(({ road, figures, mtuBytes }) => ({
      name: road.name,
      cells: [...MEASURES.map(({ name }) => ratioWords(figures[name])), String(mtuBytes)],
    })),
    ...unmeasured.map(({ road, reason }) => ({ name: road.name, cells: [reason] })),
  ]
  const titles = [...MEASURES.map(({ title }) => shortTitle(title)), 'MTU']
  return renderTable(lines, [
    { title: 'ROAD', value: ({ name }) => name },
    ...titles.map((title, index) => ({
      title,
      value: ({ cells }: Line) => cells[index] ?? '',
    })),
  ])
}

const shortTitle = (title: string): string =>
  title.replace('processor time a gigabit', 'CPU/Gbit').toUpperCase()

function figureTable({ measured }: Findings): string {
  const rows = MEASURES.flatMap((measure) =>
    measured.map((figures) => ({ measure, figures, figure: figures.figures[measure.name] })),
  )
  type Row = (typeof rows)[number]
  const cell = (pick: (row: Row) => string) => pick
  return renderTable(rows, [
    { title: 'MEASURE', value: cell(({ measure }) => measure.title) },
    { title: 'ROAD', value: cell(({ figures }) => figures.road.name) },
    { title: 'MEDIAN', value: cell(({ figure }) => digits(figure.value.median)) },
    { title: 'MIN', value: cell(({ figure }) => digits(figure.value.min)) },
    { title: 'MAX', value: cell(({ figure }) => digits(figure.value.max)) },
    { title: 'UNIT', value: cell(({ measure }) => measure.unit) },
    { title: 'TO VETH', value: cell(({ figure }) => ratioWords(figure)) },
    {
      title: 'MIN TO MAX',
      value: cell(({ figure: { ratio } }) => (ratio === undefined ? '' : rangeWords(ratio))),
    },
  ])
}

/** The matrix in Markdown, with the spread, for the docs. */
export function markdownTable({ measured, unmeasured }: Findings): string {
  const heads = ['road', ...MEASURES.map(({ title }) => title), 'MTU']
  const cellOf = ({ figures }: RoadFigures, { name }: Measure): string => {
    const { ratio, value } = figures[name]
    const measure = MEASURES.find((each) => each.name === name)
    return ratio === undefined
      ? `${digits(value.median)} ${measure?.unit ?? ''}`
      : `${ratio.median.toFixed(2)} (${rangeWords(ratio)})`
  }
  const rows = [
    ...measured.map((each) => [
      each.road.name,
      ...MEASURES.map((measure) => cellOf(each, measure)),
      String(each.mtuBytes),
    ]),
    ...unmeasured.map(({ road, reason }: Unmeasured) => [road.name, reason]),
  ]
  const line = (cells: readonly string[]): string =>
    `| ${heads.map((_, at) => cells[at] ?? '').join(' | ')} |`
  return [line(heads), `|${heads.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

function wrapped(sentence: string): string {
  const lines: string[] = ['']
  for (const word of sentence.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && last.length + word.length >= WIDTH) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines.join('\n')
}
