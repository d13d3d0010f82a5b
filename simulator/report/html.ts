/**
 * The report as one HTML file: no script, no font, no picture from elsewhere.
 * It follows the reader's light or dark theme.
 *
 * @module
 */
import type { TableFigure } from '../measure.ts'
import { profileNamed } from '../profiles.ts'
import type { ModeResult, RunResult } from '../run.ts'
import { growthChart, kernelChart, pressureChart } from './charts.ts'
import {
  capacityOf,
  count,
  duration,
  percent,
  ROLE_NAMES,
  sentenceOf,
  TABLE_NAMES,
  verdictOf,
} from './words.ts'

/** What a report says of where it came from. */
export interface Origin {
  /** The scenario file as it was read. */
  readonly text: string
  /** The command that makes the same report again. */
  readonly command: string
}

const STYLE = `
:root{--ink:#1b2430;--faint:#5c6a7a;--grid:#e3e8ee;--page:#f6f8fa;--card:#fff;--limit:#b3261e;--good:#0b6b4f;--warn:#8a5a00;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf1;--faint:#9aa8b8;--grid:#2c3744;--page:#10161d;--card:#18212b;--limit:#ff8a80;--good:#5fd0a5;--warn:#f0c060}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1020px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px}h2{font-size:19px;margin:0 0 4px}
p{margin:0 0 12px}.about{color:var(--faint);max-width:70ch}
.card{background:var(--card);border:1px solid var(--grid);border-radius:12px;padding:22px 26px;margin:20px 0}
.hint{color:var(--faint);font-size:14px;margin-bottom:14px}
.verdicts{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:14px;margin:24px 0 8px}
.verdict{background:var(--card);border:1px solid var(--grid);border-top:5px solid var(--hue);border-radius:12px;padding:14px 18px}
.verdict b{display:block;font-size:17px}.verdict strong{display:block;font-size:15px;margin:2px 0 4px}.verdict span{font-size:14px;color:var(--faint)}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--limit)}
svg{display:block;width:100%;height:auto}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th{text-align:left;color:var(--faint);font-weight:600;border-bottom:2px solid var(--grid);padding:6px 14px 6px 0;white-space:nowrap}
td{border-bottom:1px solid var(--grid);padding:5px 14px 5px 0;white-space:nowrap}
.n{text-align:right}tr.first td{border-top:2px solid var(--grid)}
pre{background:var(--page);border:1px solid var(--grid);border-radius:8px;padding:14px 16px;overflow-x:auto;font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;margin:8px 0 14px}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.92em}
`

const HUES = ['#0072B2', '#009E73', '#D55E00', '#CC79A7', '#E69F00', '#56B4E9'] as const

export function htmlReport(result: RunResult, origin: Origin): string {
  const { scenario, modes } = result
  const pods = scenario.nodes * scenario.podsPerNode
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(scenario.name)} - trivium sim</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(scenario.name)}: which mode holds?</h1>
<p class="about">${escaped(scenario.about)}</p>
<p class="about">${count(scenario.nodes)} nodes with ${count(scenario.podsPerNode)} pods each (${count(pods)} pods) in ${count(scenario.racks)} racks, ${switchWords(result)}.</p>
<div class="verdicts">
${modes.map(verdictCard).join('\n')}
</div>
${card(
  'How full switch tables get',
  'The fullest device of each kind, at its peak. Past the dashed line, entries were refused.',
  pressureChart(result),
)}
${card(
  'While pods are added',
  'The fullest switch table of each mode, as a share of what it can hold. A flat line does not care about pods.',
  growthChart(result),
)}
${card(
  'What a node pays',
  'Entries in the kernel of the fullest node. Linux gives these tables no fixed size; each entry costs time to program and memory.',
  kernelChart(result),
)}
${card('All figures', 'Entries are what was asked for at the peak; held is what was in the table.', figureTable(modes))}
${card('Time and work', 'Virtual time: what a clock in the cluster would have shown.', timeTable(modes))}
${outageCard(modes)}
${card('Checks', 'Run beside the cluster; one that fails is a fault of the product, an overflow is a finding.', checkTable(modes))}
<section class="card"><h2>Reproduce it</h2>
<p class="hint">Seed ${scenario.seed}, trace <code>${result.traceHash}</code>. The same version, scenario and seed give the same trace and this very file, byte for byte.</p>
<pre>${quoted(origin.command)}</pre>
<pre>${quoted(origin.text.trimEnd())}</pre>
${profileSource(result)}</section>
</main>
</body>
</html>
`
}

const card = (title: string, hint: string, body: string): string =>
  `<section class="card"><h2>${title}</h2><p class="hint">${hint}</p>${body}</section>`

function switchWords({ scenario: { switch: choice } }: RunResult): string {
  if ('profile' in choice) {
    return `on switches of profile ${escaped(choice.profile)} (${escaped(profileNamed(choice.profile)?.asic ?? '')})`
  }
  return `on switches that hold ${count(choice.host)} host, ${count(choice.lpm)} LPM and ${count(choice.mac)} MAC entries`
}

function profileSource({ scenario: { switch: choice } }: RunResult): string {
  const source = 'profile' in choice ? profileNamed(choice.profile)?.source : undefined
  return source === undefined ? '' : `<p class="hint">Table sizes: ${escaped(source)}</p>`
}

function verdictCard(mode: ModeResult, index: number): string {
  const failed = mode.checks.filter(({ passed }) => !passed).length
  const [head, ...rest] = sentenceOf(mode).split(/; |: /)
  const hue = HUES[index % HUES.length]
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
    count(mode.kernelOperations),
    count(mode.events),
    `${count(mode.reachability.delivered)} of ${count(mode.reachability.pairs)}`,
    `<code>${mode.traceHash}</code>`,
  ])
  return table([...heads, '+Pairs reached', 'Trace'], rows)
}

function outageCard(modes: readonly ModeResult[]): string {
  const rows = modes.flatMap(({ label, outages }) =>
    outages.map(({ what, atMs, pairs, lostAtOnce, convergedMs, lostAfter }, index) => [
      index === 0 ? escaped(label) : '',
      escaped(what),
      duration(atMs),
      `${count(lostAtOnce)} of ${count(pairs)}`,
      duration(convergedMs),
      count(lostAfter),
    ]),
  )
  if (rows.length === 0) return ''
  const heads = ['Mode', 'Failure', '+At', '+Pairs lost at once', '+Converged after']
  const hint = 'Pairs of pods whose packets are lost at once, and when every device knows.'
  return card('Failures', hint, table([...heads, '+Pairs lost then'], rows))
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

/** A head that starts with a plus leans to the right, with its cells. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const side = (index: number): string =>
    heads[index]?.startsWith('+') === true ? ' class="n"' : ''
  const cells = (row: readonly string[], tag: string): string =>
    row.map((cell, index) => `<${tag}${side(index)}>${cell}</${tag}>`).join('')
  const head = cells(
    heads.map((title) => title.replace(/^\+/, '')),
    'th',
  )
  const body = rows.map(
    (row) => `<tr${row[0] === '' ? '' : ' class="first"'}>${cells(row, 'td')}</tr>`,
  )
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
}

/** As it is, to be copied. */
const quoted = (text: string): string => text.replace(/[&<>"]/g, (mark) => ENTITIES[mark] ?? mark)

/** For reading: a number stays in one line. */
const escaped = (text: string): string => quoted(text).replace(/(?<=\d) (?=\d{3}|%)/g, '&nbsp;')
