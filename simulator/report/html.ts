/**
 * A run's report as one HTML file.
 *
 * @module
 */

import { counted } from '../../src/words.ts'
import { isCounted } from '../capacity/modes.ts'
import { topologyOf } from '../fabric-plan.ts'
import type { TableFigure } from '../measure.ts'
import { profileNamed } from '../profiles.ts'
import type { ModeResult, RunResult } from '../run.ts'
import type { Scenario } from '../scenario.ts'
import { BGP_COLUMNS, bgpRows } from './bgp.ts'
import { growthChart, kernelChart, pressureChart } from './charts.ts'
import { colorOf } from './draw.ts'
import { countOrDash, pairsOf, seedSentence } from './engine-words.ts'
import { curvesOf, nodesChart } from './nodes-chart.ts'
import { card, escaped, type Origin, page, plot, reproduction, table } from './page.ts'
import { seedsCard } from './seeds-report.ts'
import { timelineChart } from './timeline-chart.ts'
import { failedNames, topologyPicture } from './topology-picture.ts'
import {
  capacityOf,
  count,
  duration,
  percent,
  podsWords,
  ROLE_NAMES,
  sentenceOf,
  TABLE_NAMES,
  verdictOf,
} from './words.ts'

/** @param others The same under other seeds. */
export function htmlReport(
  result: RunResult,
  origin: Origin,
  others: readonly RunResult[] = [],
): string {
  const { scenario, modes } = result
  return page(scenario.name, [
    ...introduction(scenario, `${scenario.name}: which mode holds?`),
    `<div class="verdicts">\n${modes.map(verdictCard).join('\n')}\n</div>`,
    seedsCard([result, ...others]),
    ...chartCards(result),
    card(
      'All figures',
      'Entries are what was asked for at the peak; held is what was in the table.',
      figureTable(modes),
    ),
    card(
      'Time and work',
      'Virtual time: what a clock in the cluster would have shown.',
      timeTable(modes),
    ),
    bgpCard(modes),
    faultCard(modes),
    workloadCard(modes),
    card(
      'Checks',
      'Run beside the cluster; one that fails is a fault of the product, an overflow is a finding.',
      checkTable(modes),
    ),
    reproduction(seedSentence(result), origin, profileSource(scenario)),
  ])
}

/** Title and size of a scenario. */
export function introduction(scenario: Scenario, title: string): readonly string[] {
  const { about, nodes, podsPerNode, racks } = scenario
  const each = podsPerNode === 0 ? '' : `${counted(podsPerNode, 'pod', count)} each: `
  const size = `${counted(nodes, 'node', count)} in ${counted(racks, 'rack', count)}, ${each}${podsWords(scenario)}`
  return [
    `<h1>${escaped(title)}</h1>`,
    about === '' ? '' : `<p class="about">${escaped(about)}</p>`,
    `<p class="about">${escaped(size)}, ${switchWords(scenario)}.</p>`,
  ]
}

/** Every picture of a run. */
export function chartCards(result: RunResult): readonly string[] {
  const { modes } = result
  const timeline = timelineChart(modes)
  return [
    card(
      'How full switch tables get',
      'The fullest device of each kind, at its peak. Past the dashed line, entries were refused.',
      plot(pressureChart(result)),
    ),
    card(
      'While pods are added',
      'The fullest switch table of each mode, as a share of what it can hold. A flat line does not care about pods.',
      plot(growthChart(result)),
    ),
    nodesCard(result),
    timeline === undefined
      ? ''
      : card(
          modes.some(({ timeline: line }) => (line?.faults.length ?? 0) > 0)
            ? 'While things break'
            : 'While pods come and go',
          'The share of watched pairs of pods that had no way, and below it what else changed; virtual time, counted from when all first pods were there. Bars above the plot: what was broken, and for how long.',
          plot(timeline),
        ),
    fabricCard(result),
    card(
      'What a node pays',
      'Entries in the kernel of the fullest node. Linux gives these tables no fixed size; each entry costs time to program and memory.',
      plot(kernelChart(result)),
    ),
  ]
}

/** How far each mode would go, by arithmetic. */
function nodesCard({ scenario, modes }: RunResult): string {
  if (scenario.podsPerNode === 0) return ''
  const lines = curvesOf(scenario, modes.map(({ mode }) => mode).filter(isCounted))
  const here = { nodes: scenario.nodes, name: `this run: ${count(scenario.nodes)}` }
  const chart = nodesChart('nodes', lines, [here])
  if (chart === undefined) return ''
  const hint = `Calculated, not run: the fullest table with more nodes of ${count(scenario.podsPerNode)} pods, in racks as full as these, as if pools were large enough. Rings: where a table is full, in nodes.`
  return card('How far each mode goes', hint, plot(chart))
}

/** A picture a mode; the one with the fullest switch is unfolded. */
function fabricCard({ scenario, modes }: RunResult): string {
  const topology = topologyOf(scenario)
  const pressureOf = ({ fabric }: ModeResult): number =>
    Math.max(...fabric.devices.map(({ pressure }) => pressure ?? 0))
  const most = Math.max(...modes.map(pressureOf))
  const first = modes.findIndex((mode) => pressureOf(mode) === most)
  const pictures = modes.map((mode, index) => {
    const failed = failedNames(mode.timeline?.faults ?? [])
    const open = index === first ? ' open' : ''
    const svg = topologyPicture(topology, mode.fabric, failed)
    return `<details${open}><summary>${escaped(mode.label)}</summary>${plot(svg)}</details>`
  })
  const hint =
    'Each switch with its fullest table at its peak, before the pods left. Point at a switch or a link for its name and numbers.'
  return card('The fabric', hint, pictures.join('\n'))
}

function switchWords({ switch: choice }: Scenario): string {
  if ('profile' in choice) {
    return `on switches of profile ${escaped(choice.profile)} (${escaped(profileNamed(choice.profile)?.asic ?? '')})`
  }
  return `on switches that hold ${count(choice.host)} host, ${count(choice.lpm)} LPM and ${count(choice.mac)} MAC entries`
}

export function profileSource({ switch: choice }: Scenario): string {
  const source = 'profile' in choice ? profileNamed(choice.profile)?.source : undefined
  return source === undefined ? '' : `<p class="hint">Table sizes: ${escaped(source)}</p>`
}

export function verdictCard(mode: ModeResult, index: number): string {
  const failed = mode.checks.filter(({ passed }) => !passed).length
  const [head, ...rest] = sentenceOf(mode).split(/; |: /)
  const hue = colorOf(index)
  const tone = mode.firstOverflow === undefined ? 'good' : 'bad'
  const checks = failed === 0 ? '' : `<strong class="bad">${failed} checks failed</strong>`
  return `<div class="verdict" style="--hue:${hue}"><b>${escaped(mode.label)}</b><strong class="${tone}">${escaped(head ?? '')}</strong>${checks}<span>${escaped(rest.join('; '))}</span></div>`
}

function figureTable(modes: readonly ModeResult[]): string {
  const rows = modes.flatMap((mode) =>
    mode.tables.map((figure, index) => figureRow(index === 0 ? mode.label : '', figure)),
  )
  const heads = [
    'Mode',
    'Device',
    'Table',
    '+Entries',
    '+Held',
    '+Capacity',
    '+Pressure',
    'Verdict',
  ]
  return table(heads, rows)
}

function figureRow(label: string, figure: TableFigure): readonly string[] {
  const { role, devices, pressure, firstOverflow } = figure
  const verdict = verdictOf(figure)
  const tone = verdict === 'OVERFLOW' ? 'bad' : verdict === 'tight' ? 'warn' : ''
  const when = firstOverflow === undefined ? '' : ` at pod ${count(firstOverflow.pods)}`
  return [
    escaped(label),
    `${ROLE_NAMES[role]} &times;${devices}`,
    TABLE_NAMES[figure.table],
    count(figure.demandPeak),
    count(figure.entriesPeak),
    capacityOf(figure),
    pressure === undefined ? '-' : escaped(percent(pressure)),
    `<span class="${tone}">${verdict}${when}</span>`,
  ]
}

function timeTable(modes: readonly ModeResult[]): string {
  const heads = ['Mode', '+Cold start', '+All pods', '+Last pod', '+Kernel operations', '+Events']
  const rows = modes.map((mode) => [
    escaped(mode.label),
    duration(mode.coldStartMs),
    duration(mode.podsMs),
    duration(mode.tailMs),
    countOrDash(mode.kernelOperations),
    countOrDash(mode.events),
    pairsOf(mode),
    mode.traceHash === undefined ? '-' : `<code>${mode.traceHash}</code>`,
  ])
  return table([...heads, '+Pairs reached', 'Trace'], rows)
}

function bgpCard(modes: readonly ModeResult[]): string {
  const rows = bgpRows(modes).map((row) => row.map(escaped))
  if (rows.length === 0) return ''
  const heads = BGP_COLUMNS.map(({ title, right }) => {
    const words = title === 'BGP' ? title : title[0] + title.slice(1).toLowerCase()
    return right === true ? `+${words}` : words
  })
  const hint =
    'Every node and switch runs the speaker of the product. Up and learned: when the last session came up, and when a speaker chose another path for the last time.'
  return card('BGP', hint, table(heads, rows, 'dense'))
}

function faultCard(modes: readonly ModeResult[]): string {
  const rows = modes.flatMap(({ label, timeline }) =>
    (timeline?.faults ?? []).map((fault, index) => [
      index === 0 ? escaped(label) : '',
      escaped(fault.what),
      duration(fault.atMs),
      count(fault.podsLost),
      count(fault.lostAtOnce),
      fault.settledMs === undefined ? '-' : duration(fault.settledMs),
      count(fault.lostAfter),
      fault.pairSeconds.toFixed(1),
    ]),
  )
  if (rows.length === 0) return ''
  const heads = ['Mode', 'What', '+At', '+Pods lost', '+Pairs lost at once', '+Settled after']
  const hint =
    'Pairs are the watched ones. Settled: no agent, switch or link had anything left to do about it; a dash: the next fault came first. Pair-seconds: for how long pairs had no way, summed up.'
  const all = table([...heads, '+Pairs lost then', '+Pair-seconds'], rows, 'dense')
  return card('What broke', hint, all + holeTable(modes))
}

function holeTable(modes: readonly ModeResult[]): string {
  const rows = modes.flatMap(({ label, timeline }) => {
    if (timeline === undefined) return []
    const { affected, watched, pairSeconds, maxMs, worst } = timeline.blackHoles
    return [
      [
        escaped(label),
        `${count(affected)} of ${count(watched)}`,
        pairSeconds.toFixed(1),
        duration(maxMs),
        escaped(worst ?? '-'),
      ],
    ]
  })
  const heads = ['In all', '+Pairs affected', '+Pair-seconds', '+Longest', 'Which']
  return `<p></p>${table(heads, rows, 'dense')}`
}

function workloadCard(modes: readonly ModeResult[]): string {
  const rows = modes.flatMap(({ label, timeline }) => {
    const work = timeline?.workload
    if (work === undefined || work.added + work.removed === 0) return []
    return [
      [
        escaped(label),
        count(work.added),
        count(work.removed),
        count(work.refused),
        count(work.retried),
        duration(work.addMedianMs),
        duration(work.addMaxMs),
        count(work.strandedPeak),
        count(work.strandedEnd),
      ],
    ]
  })
  if (rows.length === 0) return ''
  const heads = ['Mode', '+Added', '+Removed', '+Refused', '+Tried again', '+ADD, median']
  const more = ['+ADD, longest', '+Stranded, peak', '+Stranded, at the end']
  const hint =
    'Pods that the workload asked for. ADD: from the request to the links. Stranded: addresses in the store of pods that are no more.'
  return card('Pods at work', hint, table([...heads, ...more], rows, 'dense'))
}

function checkTable(modes: readonly ModeResult[]): string {
  const names = [...new Set(modes.flatMap(({ checks }) => checks.map(({ name }) => name)))]
  const rows = names.map((name) => [
    escaped(name),
    ...modes.map(({ checks }) => {
      const check = checks.find((candidate) => candidate.name === name)
      if (check === undefined) return '-'
      const scope = escaped(check.scope)
      if (check.passed) return `<span class="good">passed</span> <span class="hint">${scope}</span>`
      return `<span class="bad">FAILED</span> ${escaped(check.findings.join('; '))}`
    }),
  ])
  return table(['Check', ...modes.map(({ label }) => escaped(label))], rows)
}
