/**
 * The simulator's engine against ns-3 and SimPy: the hold model, which is what
 * an event queue is asked all day. The three programs are in sim-engine/.
 *
 * Every turn is a process of its own. All count their own thread's processor
 * time, and all must end with the same hash over the order of events, which all
 * fold alike. Of ns-3's schedulers, each shows what it can do once; the best
 * takes part. A row without a queue shows what no queue can be faster than.
 *
 * Peers that are missing are installed through apt as root on Debian, and said
 * so before; TRIVIUM_NO_APT=1 leaves them out.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { must } from '../src/lab/exec.ts'
import { type Bench, compare, interleave, type Report, type Row, type Variant } from './harness.ts'

const FOLDER = join(import.meta.dirname, 'sim-engine')
const PYTHON = '/usr/bin/python3'
const NS3_HEADER = '/usr/include/ns3/core-module.h'
const SIZES = [1_000, 10_000, 100_000, 1_000_000] as const
/** What each scheduler can be asked for within a minute. */
const SCHEDULERS: Readonly<Record<string, number>> = {
  Map: 1_000_000,
  Heap: 1_000_000,
  PriorityQueue: 1_000_000,
  Calendar: 10_000,
  List: 1_000,
}
const WARM = 200_000
const TIMED = 2_000_000
/** Of an interpreter's events a tenth is enough, and still takes longest. */
const TIMED_SIMPY = 200_000
const SAMPLES_PER_ROUND = 16
const ROUNDS_MIN = 3
const TO_NS3_MIN = 4
const TO_SIMPY_MIN = 20
const OURS = 'engine'
const SIMPY = 'SimPy'
const BARE = 'no queue: generator, handlers, trace'
/** Turns at this size take seconds. */
const LONG_SIZE = 1_000_000

/** Hashes after warm-up and end, and the time between. */
interface Turn {
  readonly hashes: string
  /** For a million events. */
  readonly ms: number
}

async function turn(
  command: readonly string[],
  pending: number,
  [warm, timed]: readonly [warm: number, timed: number],
): Promise<Turn> {
  const printed = await must([...command, String(pending), String(warm), String(timed)])
  const [warmHash, hash, ns] = printed.trim().split(' ')
  return { hashes: `${warmHash} ${hash}`, ms: Number(ns) / timed }
}

const ours = [process.execPath, ...process.execArgv, join(FOLDER, 'hold.ts')]
const simpy = [PYTHON, join(FOLDER, 'hold.py')]
const countsOf = (pending: number): readonly [number, number] => [Math.max(WARM, pending), TIMED]
const whatOf = (pending: number): string => `1e6 events, ${pending.toLocaleString('en')} pending`
const rateOf = (ms: number): string => `${(1000 / ms).toFixed(2)} M/s`

/** A turn that must leave the events in the order of `hashes`. */
function variant(
  name: string,
  command: readonly string[],
  pending: number,
  counts: readonly [number, number],
  hashes: string,
): Variant {
  return {
    name,
    async run() {
      const { hashes: found, ms } = await turn(command, pending, counts)
      if (found !== hashes) {
        throw new Error(`Cannot trust ${name} at ${pending} pending: order ${found}, not ${hashes}`)
      }
      return { [whatOf(pending)]: ms }
    },
  }
}

/** What is left of the model without a queue; its order is its own. */
function bareVariant(pending: number, counts: readonly [number, number]): Variant {
  return {
    name: BARE,
    async run() {
      const [program = '', ...args] = ours
      const words = [...args, String(pending), ...counts.map(String), 'none']
      const [, , ns] = (await must([program, ...words])).trim().split(' ')
      return { [whatOf(pending)]: Number(ns) / counts[1] }
    },
  }
}

/** The fastest of ns-3's schedulers, and a line about all of them. */
async function bestScheduler(
  binary: string,
  pending: number,
): Promise<{ readonly best: string; readonly note: string }> {
  const found: { readonly name: string; readonly ms: number }[] = []
  for (const [name, most] of Object.entries(SCHEDULERS)) {
    if (pending > most) continue
    const { ms } = await turn([binary, name], pending, [WARM, WARM])
    found.push({ name, ms })
  }
  found.sort((left, right) => left.ms - right.ms)
  const all = found.map(({ name, ms }) => `${name} ${rateOf(ms)}`).join(', ')
  return {
    best: found[0]?.name ?? 'Map',
    note: `ns-3 at ${pending.toLocaleString('en')} pending, one short turn each: ${all}`,
  }
}

async function atSize(
  pending: number,
  binary: string | undefined,
  rounds: number,
): Promise<{ readonly rows: readonly Row[]; readonly notes: readonly string[] }> {
  const counts = countsOf(pending)
  const { hashes } = await turn(ours, pending, counts)
  const variants = [
    variant(OURS, ours, pending, counts, hashes),
    bareVariant(pending, [WARM, TIMED]),
  ]
  const notes: string[] = []
  let ns3: string | undefined
  if (binary !== undefined) {
    const { best, note } = await bestScheduler(binary, pending)
    ns3 = `ns-3 ${best}`
    notes.push(note)
    variants.push(variant(ns3, [binary, best], pending, counts, hashes))
  }
  if (simpyMissing() === undefined) {
    const few = [WARM, TIMED_SIMPY] as const
    const short = await turn(ours, pending, few)
    variants.push(variant(SIMPY, simpy, pending, few, short.hashes))
  }
  const rows = compare(await interleave(variants, { rounds, warmUp: 0 }), ns3)
  return { rows, notes: [...notes, verdictOf(pending, rows)] }
}

function verdictOf(pending: number, rows: readonly Row[]): string {
  const medianOf = (name: string): number =>
    rows.find(({ variant }) => variant === name)?.medianMs ?? Number.NaN
  const engineMs = medianOf(OURS)
  const bareMs = medianOf(BARE)
  const peers = rows.filter(({ variant }) => variant !== OURS && variant !== BARE)
  const ratios = peers.map(({ variant, medianMs }) => {
    const ratio = medianMs / engineMs
    const wanted = variant === SIMPY ? TO_SIMPY_MIN : TO_NS3_MIN
    const missed = ratio < wanted ? ': MISSED' : ''
    const most = `${(medianMs / bareMs).toFixed(1)} without a queue`
    return `${variant} ${rateOf(medianMs)}, ${ratio.toFixed(1)} times that (wanted ${wanted}${missed}; ${most})`
  })
  const own = `${OURS} ${rateOf(engineMs)}, its queue ${(engineMs - bareMs).toFixed(0)} of ${engineMs.toFixed(0)} ns an event`
  return `${pending.toLocaleString('en')} pending: ${[own, ...ratios].join('; ')}`
}

function ns3Missing(): string | undefined {
  const missing = [
    ...(existsSync(NS3_HEADER) ? [] : ['libns3-dev']),
    ...(existsSync('/usr/bin/g++') ? [] : ['g++']),
  ]
  return missing.length === 0 ? undefined : missing.join(' ')
}

function simpyMissing(): string | undefined {
  try {
    execFileSync(PYTHON, ['-c', 'import simpy'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'python3-simpy3'
  }
}

/** Installs what is missing, where that is allowed; no service is among it. */
function install(say: (text: string) => void): void {
  const missing = [ns3Missing() ?? [], simpyMissing() ?? []].flat().join(' ').split(' ')
  const packages = missing.filter((name) => name !== '')
  const isAllowed = process.getuid?.() === 0 && process.env['TRIVIUM_NO_APT'] !== '1'
  if (packages.length === 0 || !isAllowed || !existsSync('/usr/bin/apt-get')) return
  say(`apt-get install -y ${packages.join(' ')} (ns-3 takes 57 MB)`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...words: string[]): void => {
    const { status } = spawnSync('apt-get', ['-qq', ...words], {
      env,
      stdio: ['ignore', 'ignore', 2],
    })
    if (status !== 0) say(`apt-get ${words[0]} exited ${status}`)
  }
  apt('update')
  apt('install', '-y', '--no-install-recommends', ...packages)
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  install(say)
  for (const [peer, missing] of [
    ['ns-3', ns3Missing()],
    [SIMPY, simpyMissing()],
  ]) {
    if (missing !== undefined) say(`without ${peer}: apt-get install -y ${missing}`)
  }
  const dir = mkdtempSync(join(tmpdir(), 'simbench-'))
  try {
    const binary = ns3Missing() === undefined ? join(dir, 'ns3') : undefined
    if (binary !== undefined) {
      say('compiling the ns-3 side')
      const source = join(FOLDER, 'ns3.cpp')
      await must(['g++', '-O3', '-std=c++17', '-o', binary, source, '-lns3-core'])
    }
    const rounds = Math.max(ROUNDS_MIN, Math.ceil(samples / SAMPLES_PER_ROUND))
    const results = []
    for (const pending of SIZES) {
      const times = pending >= LONG_SIZE ? Math.min(rounds, ROUNDS_MIN) : rounds
      say(`${pending.toLocaleString('en')} pending: ${times} rounds`)
      results.push(await atSize(pending, binary, times))
    }
    const load = loadavg().map((each) => each.toFixed(1))
    return {
      bench:
        'sim-engine: hold model, timers set anew and cancelled (processor time of a million events)',
      rows: results.flatMap(({ rows }) => rows),
      notes: [
        ...results.flatMap(({ notes }) => notes),
        'All left the events in the same order, equal ticks first come first served, and folded the same trace of it.',
        `Load of the machine at the end: ${load.join(' ')}.`,
      ],
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

export const bench: Bench = {
  about: "the simulator's engine against ns-3 and SimPy",
  unable: () => (existsSync('/proc/thread-self/schedstat') ? undefined : 'needs Linux'),
  run: ({ samples, say }) => run(samples, say),
}
