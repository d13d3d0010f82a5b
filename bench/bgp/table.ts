/**
 * Figures of all rounds as one table: medians, and what they are to BIRD's.
 */
import { renderTable } from '../../src/cli/output.ts'
import { summarize } from '../harness.ts'
import type { Figures } from './scenarios.ts'

/** Of one daemon in one scenario. */
export interface Line {
  readonly what: string
  readonly daemon: string
  readonly rounds: number
  /** Medians. */
  readonly figures: Figures
  /** To the peer's medians. */
  readonly ratios: Figures
  /** Why there are no figures. */
  readonly problem?: string
}

export interface Found {
  readonly lines: readonly Line[]
  /** What each scenario is. */
  readonly about: Readonly<Record<string, string>>
  readonly peer: string
}

/** By row and daemon, what was found in each round. */
export type Collected = ReadonlyMap<string, ReadonlyMap<string, readonly (Figures | string)[]>>

export function linesOf(collected: Collected, peer: string): readonly Line[] {
  return [...collected].flatMap(([what, byDaemon]) => {
    const base = medians(byDaemon.get(peer) ?? [])
    return [...byDaemon].map(([daemon, rounds]): Line => {
      const figures = medians(rounds)
      const ratios: Record<string, number> = {}
      for (const [name, value] of Object.entries(figures)) {
        const theirs = base[name]
        const isOther = daemon !== peer && theirs !== undefined && theirs > 0
        if (isOther && value !== undefined) ratios[name] = value / theirs
      }
      const problem = rounds.find((round) => typeof round === 'string')
      const line = { what, daemon, rounds: rounds.length, figures, ratios }
      return problem === undefined ? line : { ...line, problem }
    })
  })
}

function medians(rounds: readonly (Figures | string)[]): Figures {
  const good = rounds.filter((round) => typeof round !== 'string')
  const names = new Set(good.flatMap((round) => Object.keys(round)))
  return Object.fromEntries(
    [...names].map((name) => {
      const values = good.flatMap((round) => round[name] ?? [])
      return [name, summarize(values).medianMs]
    }),
  )
}

const NONE = ''
const seconds = (value: number | undefined): string =>
  value === undefined ? NONE : value.toFixed(value < 1 ? 3 : 2).padStart(6)
const bytes = (value: number | undefined): string =>
  value === undefined ? NONE : Math.round(value).toLocaleString('en').padStart(7)
const times = (value: number | undefined): string =>
  value === undefined ? NONE : `${value.toFixed(value < 10 ? 2 : 0).padStart(4)} x`

export function textTable({ lines, about, peer }: Found): string {
  const columns = [
    { title: 'WHAT', value: ({ what }: Line) => what },
    { title: 'DAEMON', value: ({ daemon }: Line) => daemon },
    { title: 'ROUNDS', value: ({ rounds }: Line) => rounds },
    { title: 'TIME s', value: ({ figures, problem }: Line) => problem ?? seconds(figures.seconds) },
    { title: '', value: ({ ratios }: Line) => times(ratios.seconds) },
    { title: 'CPU s', value: ({ figures }: Line) => seconds(figures.cpuSeconds) },
    { title: '', value: ({ ratios }: Line) => times(ratios.cpuSeconds) },
    { title: 'BYTES', value: ({ figures }: Line) => bytes(figures.bytes) },
    { title: '', value: ({ ratios }: Line) => times(ratios.bytes) },
  ]
  const ofNode = lines.flatMap(({ what, daemon, figures: { heapBytes, arrayBytes } }) =>
    heapBytes === undefined || arrayBytes === undefined
      ? []
      : [`${what}: of ${daemon}'s, heap${bytes(heapBytes)}, array buffers${bytes(arrayBytes)}.`],
  )
  const words = Object.entries(about).map(([name, text]) => `${name}: ${text}.`)
  return `${renderTable(lines, columns)}
TIME: from the first octet sent. CPU: of the daemon until it is quiet; beside "churn" and
"idle" its share of a second. BYTES: what its memory (PSS) grew by, a route or session. Medians;
ratios are to ${peer}'s.
${ofNode.join('\n')}
${words.join('\n')}
`
}

/** For the docs: a row a scenario, a column a daemon. */
export function markdownTable({ lines, peer }: Found): string {
  const daemons = [...new Set(lines.map(({ daemon }) => daemon))]
  const whats = [...new Set(lines.map(({ what }) => what))]
  const cell = (what: string, daemon: string): string => {
    const line = lines.find((each) => each.what === what && each.daemon === daemon)
    if (line === undefined) return ''
    if (line.problem !== undefined) return 'failed'
    const { figures, ratios } = line
    const time = figures.seconds === undefined ? [] : [`${seconds(figures.seconds).trim()} s`]
    const ratio = ratios.seconds === undefined ? [] : [times(ratios.seconds).trim()]
    const cpu =
      figures.cpuSeconds === undefined ? [] : [`CPU ${seconds(figures.cpuSeconds).trim()}`]
    const memory = figures.bytes === undefined ? [] : [`${bytes(figures.bytes).trim()} B`]
    return [...time, ...ratio, ...cpu, ...memory].join(', ')
  }
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return `${[
    row(['', ...daemons]),
    row(['', ...daemons].map(() => '---')),
    ...whats.map((what) => row([what, ...daemons.map((daemon) => cell(what, daemon))])),
  ].join('\n')}\n\nTimes are to ${peer}'s.\n`
}
