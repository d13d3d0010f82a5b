/**
 * The exact engine with speakers: 300 nodes and their switches, cold start, until every
 * speaker knows every block. Each turn is a process of its own, sim-bgp/cold-start.ts,
 * and all turns of one kind must end with the same trace.
 */
import { join } from 'node:path'
import { must } from '../src/lab/exec.ts'
import { type Bench, compare, interleave, type Report, summarize, type Variant } from './harness.ts'

const PROGRAM = join(import.meta.dirname, 'sim-bgp', 'cold-start.ts')
const NODES = 300
const WALL_MS_MAX = 15_000
const ROUNDS_MIN = 3
const SAMPLES_PER_ROUND = 16
const WHAT = `cold start of ${NODES} nodes`
const SESSIONS = { '2 reflectors': 'reflectors', 'eBGP with switches': 'fabric' } as const

interface Turn {
  readonly ms: number
  readonly cpuMs: number
  readonly virtualMs: number
  readonly events: number
  readonly rssBytes: number
  readonly trace: string
  readonly bgp: {
    readonly speakers: number
    readonly sessions: number
    readonly established: number
    readonly messages: Readonly<Record<string, number>>
    readonly bytes: number
    readonly upMs: number
    readonly learnedMs: number
    readonly routes: number
    readonly tableBytes: number
  }
}

const count = (value: number): string => Math.round(value).toLocaleString('en')
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`

function wordsOf(name: string, { virtualMs, events, rssBytes, bgp }: Turn): string {
  const { update = 0, keepalive = 0 } = bgp.messages
  return [
    `${name}: ${count(bgp.established)} of ${count(bgp.sessions)} sessions of ${count(bgp.speakers)} speakers`,
    `virtual time: up after ${(bgp.upMs / 1000).toFixed(2)} s, all learned after ${(bgp.learnedMs / 1000).toFixed(2)} s, quiet after ${(virtualMs / 1000).toFixed(2)} s`,
    `${count(update)} UPDATEs, ${count(keepalive)} KEEPALIVEs, ${(bgp.bytes / 1e6).toFixed(1)} MB of messages, ${count(events)} events`,
    `${count(bgp.routes)} best paths in ${mb(bgp.tableBytes)} of tables, process at most ${mb(rssBytes)}`,
  ].join('; ')
}

async function run(samples: number): Promise<Report> {
  const turns = new Map<string, Turn[]>()
  const variants = Object.entries(SESSIONS).map(
    ([name, sessions]): Variant => ({
      name,
      async run() {
        const args = [...process.execArgv, PROGRAM, String(NODES), sessions]
        const turn: Turn = JSON.parse(await must([process.execPath, ...args]))
        const before = turns.get(name) ?? []
        if (before.some(({ trace }) => trace !== turn.trace)) {
          throw new Error(`Cannot trust ${name}: traces ${before[0]?.trace} and ${turn.trace}`)
        }
        turns.set(name, [...before, turn])
        return { [WHAT]: turn.ms, '… processor time': turn.cpuMs }
      },
    }),
  )
  const rounds = Math.max(ROUNDS_MIN, Math.ceil(samples / SAMPLES_PER_ROUND))
  const found = await interleave(variants, { rounds, warmUp: 0 })
  const ms = summarize((turns.get('2 reflectors') ?? []).map((turn) => turn.ms)).medianMs
  return {
    bench: `sim-bgp: ${WHAT} in virtual time, every one with the product's speaker`,
    rows: compare(found, undefined),
    verdicts: [
      {
        what: `${WHAT}, 2 reflectors, wall time`,
        ours: `${(ms / 1000).toFixed(1)} s`,
        beside: '-',
        target: `<= ${WALL_MS_MAX / 1000} s`,
        isMet: ms <= WALL_MS_MAX,
      },
    ],
    notes: [...turns].flatMap(([name, [turn]]) =>
      turn === undefined ? [] : [wordsOf(name, turn)],
    ),
  }
}

export const bench: Bench = {
  about: 'speakers in virtual time: 300 nodes, cold start',
  unable: () => undefined,
  run: ({ samples }) => run(samples),
}
