/**
 * The findings as one HTML file, laid out as the simulator's reports are.
 */
import { card, escaped, page, plot, reproduction, table } from '../../simulator/report/page.ts'
import { adviceOf } from './advice.ts'
import { ratioChart } from './charts.ts'
import { type Findings, MEASURES, type RoadFigures } from './figures.ts'
import type { Facts, Ground } from './roads.ts'
import { digits, percent, rangeWords, ratioWords } from './words.ts'

const GROUNDS: Readonly<Record<Ground, string>> = {
  ip: 'anything that carries IP',
  l2: 'one L2 network, or a fabric that hears of the blocks',
  segment: 'one segment; its switches learn every pod',
}

/** Where and by what a report came to be. */
export interface Origin {
  readonly command: string
  /** ISO 8601, to the day. */
  readonly date: string
  /** Machine, kernel, Node and commit. */
  readonly machine: Readonly<Record<string, string>>
}

export function htmlReport(findings: Findings, origin: Origin): string {
  const { command, date, machine } = origin
  const lines = Object.entries({ date, ...machine }).map(([key, value]) => `${key}: ${value}`)
  return page(
    'The roads',
    [
      '<h1>Which road for a packet?</h1>',
      `<p class="about">Two nodes on one machine, pod to pod (IPv4), beside a bare veth pair: ${findings.rounds} rounds, in each of which every road had its turn. ${escaped(Object.values(machine).slice(0, 1).join())}, Linux ${escaped(machine['kernel'] ?? '')}, ${escaped(date)}.</p>`,
      card(
        'Which road when',
        'Made of the figures below and of what each road needs; two roads are told apart only where one was better in every round.',
        adviceOf(findings)
          .map((sentence) => `<p>${escaped(sentence)}</p>`)
          .join('\n'),
      ),
      ...chartCards(findings),
      card(
        'All figures',
        `Medians of ${findings.rounds} rounds, least and most beside them. Others used ${percent(findings.othersBusy.median)} of the processors between the turns.`,
        figureTable(findings),
      ),
      card(
        'What each road needs',
        'Facts, not measurements, but for the MTU.',
        factTable(findings),
      ),
      card('How it was measured', '', methods()),
      reproduction('On the same machine and kernel; figures vary as the spread says.', {
        command,
        text: lines.join('\n'),
      }),
    ],
    'trivium bench',
  )
}

function chartCards(findings: Findings): readonly string[] {
  const [more, less] = [true, false].map((isMoreBetter) =>
    MEASURES.filter((measure) => measure.isMoreBetter === isMoreBetter),
  )
  const hint =
    'Median of the ratios to bare veth in the same round; the line through a bar goes from the least to the most.'
  return [
    card(
      'How much goes through',
      `More is better. ${hint}`,
      plot(ratioChart('more', findings, more ?? [])),
    ),
    card(
      'What it costs',
      `Less is better. ${hint}`,
      plot(ratioChart('less', findings, less ?? [])),
    ),
  ]
}

function figureTable({ measured, unmeasured }: Findings): string {
  const heads = [
    'Measure',
    'Road',
    '+Median',
    '+Least',
    '+Most',
    'Unit',
    '+To veth',
    '+Least to most',
  ]
  const rows = MEASURES.flatMap(({ name, title, unit }) =>
    measured.map(({ road, figures }, index) => {
      const { value, ratio } = figures[name]
      const numbers = [value.median, value.min, value.max].map((each) => escaped(digits(each)))
      const range = ratio === undefined ? '' : rangeWords(ratio)
      const what = index === 0 ? escaped(title) : ''
      return [what, escaped(road.name), ...numbers, unit, ratioWords(figures[name]), range]
    }),
  )
  const left = unmeasured.map(
    ({ road, reason }) =>
      `<p class="hint">${escaped(road.name)} was not measured: ${escaped(reason)}.</p>`,
  )
  return table(heads, rows) + left.join('')
}

function factTable({ measured, unmeasured }: Findings): string {
  const known: readonly (readonly [RoadFigures['road'], string])[] = [
    ...measured.map(({ road, mtuBytes }) => [road, String(mtuBytes)] as const),
    ...unmeasured.map(({ road }) => [road, '-'] as const),
  ]
  const rows = known.map(([road, mtu]) => [
    escaped(road.name),
    escaped(road.about),
    road.facts === undefined ? '' : escaped(groundWords(road.facts)),
    road.facts === undefined ? '' : String(road.facts.objectsPerPeer),
    escaped(mtu),
  ])
  return table(['Road', 'What it is', 'Between nodes', '+Objects a peer', '+MTU'], rows, 'wrap')
}

function groundWords({ ground, leastKernel, guardInPod }: Facts): string {
  const kernel = leastKernel === undefined ? '' : `; Linux ${leastKernel}`
  const guard = guardInPod === undefined ? '' : '; its guard is void for pods with NET_ADMIN'
  return `${GROUNDS[ground]}${kernel}${guard}`
}

const methods = (): string =>
  table(
    ['Measure', 'What'],
    [
      ...MEASURES.map(({ title, about }) => [escaped(title), escaped(about)]),
      [
        'Processors',
        'Streams: sender and receiver have one each. Small messages: both share one, so that the road’s own work is measured and not how a hypervisor wakes another processor. All of them come before other programs (nice −20).',
      ],
      [
        'No wire',
        'Nodes are namespaces and the underlay a bridge: no NIC segments, sums or takes a tunnel apart. What a road costs a processor shows, what a NIC saves does not.',
      ],
    ],
    'wrap',
  )
