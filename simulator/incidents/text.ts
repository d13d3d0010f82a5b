/**
 * Incidents beside what was reported of them, as text, for programs and as the page
 * docs/incidents.md has them.
 *
 * @module
 */

import { aligned } from '../report/align.ts'
import { valueWords } from '../report/measures.ts'
import type { Expectation } from './file.ts'
import type { Check, Figure, Judged } from './judge.ts'

/** @param details Also every figure of each. */
export function incidentsText(judged: readonly Judged[], details: boolean): string {
  const table = aligned(
    titled('INCIDENT', 'REPORTED', 'SIMULATED', 'VERDICT', 'REPORT'),
    judged.map(rowOf),
  )
  const parts = [table.join('\n'), countsOf(judged)]
  if (details) parts.push(...judged.map(detailsOf))
  return `${parts.join('\n\n')}\n`
}

const titled = (...titles: readonly string[]) => titles.map((title) => ({ title }))

function rowOf({ incident, checks, verdict }: Judged): readonly string[] {
  const [first] = checks
  const [link = ''] = incident.links
  const reported = first === undefined ? incident.reported : reportedWords(first.expectation)
  const simulated = first === undefined ? '-' : simulatedWords(first)
  return [incident.name, reported, simulated, verdict, link]
}

/** `3 reproduced, 2 partly, 1 not`. */
export function countsOf(judged: readonly Judged[]): string {
  const words = { reproduced: 'reproduced', partly: 'partly', not: 'not reproduced' } as const
  return (['reproduced', 'partly', 'not'] as const)
    .map((verdict) => [judged.filter((each) => each.verdict === verdict).length, verdict] as const)
    .filter(([many]) => many > 0)
    .map(([many, verdict]) => `${many} ${words[verdict]}`)
    .join(', ')
}

function detailsOf({ incident, checks, verdict }: Judged): string {
  const { name, about, links, reported, because } = incident
  const lines = [
    `${name}: ${verdict}`,
    `  ${about}`,
    `  reported: ${reported} (${links.join(', ')})`,
  ]
  if (checks.length > 0) {
    const titles = titled('WHAT', 'REPORTED', 'SIMULATED', 'RULE', 'HOLDS')
    lines.push('', ...aligned(titles, checks.map(checkRow)).map((line) => `  ${line}`))
  }
  const missing = checks.flatMap(({ expectation }) => expectation.missing ?? [])
  for (const why of [...(because === undefined ? [] : [because]), ...missing]) {
    lines.push('', `  ${why}`)
  }
  return lines.join('\n')
}

const checkRow = (check: Check): readonly string[] => {
  const { expectation, simulated, holds } = check
  const place = [expectation.at, expectation.mode].filter(
    (each) => each !== undefined && each !== '',
  )
  const where = place.length === 0 ? '' : ` (${place.join(', ')})`
  return [
    `${expectation.what}${where}`,
    figureWords(expectation.reported, expectation),
    expectation.missing === undefined ? figureWords(simulated, expectation) : 'not modelled',
    typeof expectation.reported === 'string' ? 'same' : expectation.rule,
    holds === undefined ? '-' : holds ? 'yes' : 'no',
  ]
}

const reportedWords = (expectation: Expectation): string =>
  `${figureWords(expectation.reported, expectation)} ${expectation.what}`

function simulatedWords({ expectation, simulated }: Check): string {
  if (expectation.missing !== undefined) return '-'
  return figureWords(simulated, expectation)
}

const figureWords = (figure: Figure, { unit }: Pick<Expectation, 'unit'>): string =>
  typeof figure === 'string' ? figure : valueWords(figure, unit)

/** For programs. */
export function incidentsData(judged: readonly Judged[]): unknown {
  return judged.map(({ incident, checks, verdict }) => ({
    incident: incident.name,
    about: incident.about,
    links: incident.links,
    reported: incident.reported,
    verdict,
    ...(incident.because === undefined ? {} : { because: incident.because }),
    checks: checks.map(({ expectation, simulated, holds }) => ({
      ...expectation,
      ...(simulated === undefined ? {} : { simulated }),
      ...(holds === undefined ? {} : { holds }),
    })),
  }))
}

/** A row a figure. */
export function incidentsCsv(judged: readonly Judged[]): string {
  const head = [
    'incident',
    'verdict',
    'what',
    'at',
    'mode',
    'reported',
    'simulated',
    'rule',
    'holds',
    'link',
  ]
  const rows = judged.flatMap(({ incident, checks, verdict }) => {
    const link = incident.links[0] ?? ''
    if (checks.length === 0) {
      return [[incident.name, verdict, '', '', '', incident.reported, '', '', '', link]]
    }
    return checks.map(({ expectation: each, simulated, holds }) => [
      incident.name,
      verdict,
      each.what,
      each.at ?? '',
      each.mode ?? '',
      each.reported ?? '',
      simulated ?? '',
      each.rule,
      holds === undefined ? '' : holds ? 1 : 0,
      link,
    ])
  })
  return [head, ...rows].map((row) => `${row.map(csvCell).join(',')}\n`).join('')
}

function csvCell(value: string | number): string {
  const text = String(value)
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
