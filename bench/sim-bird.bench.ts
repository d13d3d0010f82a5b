/**
 * The simulator's speakers beside BIRD 2 on the same random networks: how long after an
 * event the last router's choice is final. Latencies of sessions are made packet by packet
 * (sim-bird/delay.c); some networks are measured without any, too.
 *
 * Every third network is for calibrating a daemon's profile; the errors are those of the
 * others.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { daemonNamed } from '../simulator/bgp/daemons.ts'
import { renderTable } from '../src/cli/output.ts'
import { must } from '../src/lab/exec.ts'
import type { Bench, Report } from './harness.ts'
import { type Errors, errorsOf, LIMIT, medianOf, signedError } from './sim-bird/errors.ts'
import { KINDS } from './sim-bird/events.ts'
import { type Measured, measureNetwork, type NetworkMeasured } from './sim-bird/measure.ts'

const SOURCE = join(import.meta.dirname, 'sim-bird', 'delay.c')
/** Networks of each sort at most. */
const NETWORKS_MAX = 60
const NETWORKS_WITHOUT_LATENCY = 6
const REPEATS = 3
/** They wait most of the time. */
const AT_ONCE = 6
/** Every so many-th network is for calibrating. */
const CALIBRATED = 3
/** What is over sooner has met no latency: two commands one after the other take as long. */
const LEAST_MS = 4
const WORST = 12

interface Findings {
  readonly measured: readonly Measured[]
  readonly withoutLatency: readonly Measured[]
  readonly lateness: readonly number[]
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const scratch = mkdtempSync(join(tmpdir(), 'sim-bird-'))
  try {
    const delay = join(scratch, 'delay')
    await must(['cc', '-O2', '-Wall', '-o', delay, SOURCE])
    const count = Math.min(NETWORKS_MAX, samples)
    const [first = 1] = (process.env['TRIVIUM_BENCH_SIM_BIRD'] ?? '1').split(',').map(Number)
    const without = Math.min(NETWORKS_WITHOUT_LATENCY, Math.ceil(count / CALIBRATED))
    const options = { daemon: daemonNamed('bird'), scratch, delay, repeats: REPEATS }
    const far = await networks(first, count, (seed) => measure(seed, true))
    const near = await networks(first, without, (seed) => measure(seed, false))
    async function measure(
      seed: number,
      hasLatency: boolean,
    ): Promise<NetworkMeasured | undefined> {
      const found = await measureNetwork(seed, { ...options, hasLatency })
      say(`network ${seed}${hasLatency ? '' : ' without latency'}: ${found ? 'done' : 'left out'}`)
      return found
    }
    return report({
      measured: far.flatMap(({ measured }) => measured),
      withoutLatency: near.flatMap(({ measured }) => measured),
      lateness: [1, 2].map((place) => medianOf(far.map(({ lateness }) => lateness[place] ?? 0))),
    })
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** So many networks from a seed on, some at once. */
async function networks(
  first: number,
  count: number,
  measure: (seed: number) => Promise<NetworkMeasured | undefined>,
): Promise<readonly NetworkMeasured[]> {
  const found: NetworkMeasured[] = []
  let [seed, begun] = [first, 0]
  const worker = async (): Promise<void> => {
    while (begun < count) {
      begun++
      const one = await measure(seed++)
      if (one === undefined) begun--
      else found.push(one)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return found
}

const isCompared = ({ difference, theirsMs, oursMs }: Measured): boolean =>
  difference === undefined && Math.max(medianOf(theirsMs), medianOf(oursMs)) >= LEAST_MS
const isForCalibrating = ({ seed }: Measured): boolean => seed % CALIBRATED === 0

function report(findings: Findings): Report {
  const { measured, withoutLatency } = findings
  const compared = measured.filter(isCompared)
  const judged = compared.filter((each) => !isForCalibrating(each))
  const errors = errorsOf(judged)
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
  const verdict = (what: string, value: number) => ({
    what,
    ours: percent(value),
    beside: `${errors.count} events of networks that nothing was calibrated on`,
    target: `<= ${100 * LIMIT} %`,
    isMet: value <= LIMIT,
  })
  return {
    bench: 'sim-bird: from an event to the last choice, simulated and with BIRD 2',
    rows: [],
    verdicts: [
      verdict('error, median', errors.median),
      verdict('error, 99th percentile', errors.p99),
    ],
    notes: [
      `${measured.length} events, each ${REPEATS} times: ${judged.length} judged, ${compared.length - judged.length} for calibrating`,
      `left out: ${measured.filter(({ difference }) => difference !== undefined).length} with other choices in the end, ${measured.filter((each) => each.difference === undefined && !isCompared(each)).length} over in less than ${LEAST_MS} ms`,
      `packets were ${findings.lateness[0]} µs late (median), ${findings.lateness[1]} µs (99th percentile)`,
      `without latency: ${withoutLatency.length} events`,
    ],
    findings,
  }
}

interface Line extends Errors {
  readonly what: string
}

function linesOf({ measured, withoutLatency }: Findings): readonly Line[] {
  const compared = measured.filter(isCompared)
  const judged = compared.filter((each) => !isForCalibrating(each))
  const near = withoutLatency.filter(({ difference }) => difference === undefined)
  const groups: [string, readonly Measured[]][] = [
    ...KINDS.map((kind): [string, readonly Measured[]] => [
      kind,
      judged.filter((each) => each.kind === kind),
    ]),
    ['all', judged],
    ['(for calibrating)', compared.filter(isForCalibrating)],
    ['(without latency)', near],
  ]
  return groups.flatMap(([what, of]) => (of.length === 0 ? [] : [{ what, ...errorsOf(of) }]))
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1)

const COLUMNS: readonly { readonly title: string; readonly value: (line: Line) => string }[] = [
  { title: 'EVENT', value: ({ what }) => what },
  { title: 'COUNT', value: ({ count }) => String(count) },
  { title: 'OURS ms', value: ({ oursMs }) => ms(oursMs) },
  { title: 'BIRD ms', value: ({ theirsMs }) => ms(theirsMs) },
  { title: 'RATIO', value: ({ oursMs, theirsMs }) => (oursMs / theirsMs).toFixed(3) },
  { title: 'ERROR median', value: ({ median }) => percent(median) },
  { title: 'p90', value: ({ p90 }) => percent(p90) },
  { title: 'p99', value: ({ p99 }) => percent(p99) },
  { title: 'WITHIN 20 %', value: ({ within }) => percent(within) },
  { title: 'BIAS', value: ({ bias }) => percent(bias) },
  { title: 'SPREAD', value: ({ spread }) => percent(spread) },
]

/** The events that are furthest off. */
function worstOf({ measured }: Findings): readonly string[] {
  return measured
    .filter((each) => isCompared(each) && !isForCalibrating(each))
    .sort((left, right) => Math.abs(signedError(right)) - Math.abs(signedError(left)))
    .slice(0, WORST)
    .map(({ seed, kind, oursMs, theirsMs }) => {
      const list = (values: readonly number[]): string => values.map(ms).join(', ')
      return `network ${seed}, ${kind}: ours ${list(oursMs)}; BIRD ${list(theirsMs)}`
    })
}

function textOf(given: Report): string {
  const findings = given.findings as Findings
  const verdicts = (given.verdicts ?? []).map(
    ({ what, ours, target, isMet }) => `${what}: ${ours}, ${target}: ${isMet ? 'ok' : 'missed'}`,
  )
  return [
    renderTable(linesOf(findings), COLUMNS),
    ...verdicts,
    ...given.notes,
    '',
    'furthest off:',
    ...worstOf(findings),
    '',
  ].join('\n')
}

function markdownOf(given: Report): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    row(COLUMNS.map(({ title }) => title.toLowerCase())),
    row(COLUMNS.map(() => '---')),
    ...linesOf(given.findings as Findings).map((line) =>
      row(COLUMNS.map(({ value }) => value(line))),
    ),
    '',
  ].join('\n')
}

function unable(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  if (!existsSync('/usr/sbin/bird')) return 'no BIRD (Debian: bird2)'
  if (!existsSync('/dev/net/tun')) return 'no TUN devices'
  try {
    execFileSync('cc', ['--version'])
    return undefined
  } catch {
    return 'there is no C compiler (Debian: gcc)'
  }
}

export const bench: Bench = {
  about: 'simulated BGP beside BIRD: from an event to the last choice',
  unable,
  run: ({ samples, say }) => run(samples, say),
  formats: { text: textOf, markdown: markdownOf },
}
