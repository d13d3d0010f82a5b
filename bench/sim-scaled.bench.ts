/**
 * The scaled engine: cold start and first pods of 5 000 nodes and 150 000 pods in each mode
 * it knows, by timers and by BGP, and of 10 000 nodes and a million pods as /32s. Each turn is a process of its own,
 * sim-scaled/fill.ts, and all turns of one mode must end at the same moment after as many events.
 */
import { join } from 'node:path'
import { must } from '../src/lab/exec.ts'
import { type Bench, compare, interleave, type Report, summarize, type Variant } from './harness.ts'

const PROGRAM = join(import.meta.dirname, 'sim-scaled', 'fill.ts')
const RSS_MAX = 4e9
const ROUNDS_MIN = 1
const SAMPLES_PER_ROUND = 64

interface Task {
  readonly name: string
  readonly nodes: number
  readonly podsPerNode: number
  /** Pods come at so many a second; all must be there within an hour. */
  readonly rate: number
  readonly mode: object
  /** @default by timers */
  readonly routing?: object
  readonly msMax: number
}

const usual = { nodes: 5000, podsPerNode: 30, rate: 100, msMax: 20_000 }
const TASKS: readonly Task[] = [
  { ...usual, name: 'vxlan', mode: { mode: 'vxlan' } },
  { ...usual, name: 'vxlan lightweight', mode: { mode: 'vxlan', flavour: 'lightweight' } },
  { ...usual, name: 'vxlan direct', mode: { mode: 'vxlan', crossSubnet: true } },
  { ...usual, name: 'route blocks', mode: { mode: 'route' } },
  { ...usual, name: 'route /32', mode: { mode: 'route', announce: 'host' } },
  {
    ...{ ...usual, name: 'route /32, reflectors', mode: { mode: 'route', announce: 'host' } },
    routing: { protocol: 'bgp', sessions: 'reflectors' },
  },
  { ...usual, name: 'route static', mode: { mode: 'route', announce: 'static' } },
  { ...usual, name: 'vlan', mode: { mode: 'vlan' } },
  {
    ...{ name: 'route /32, a million', nodes: 10_000, podsPerNode: 100, rate: 1000 },
    ...{ mode: { mode: 'route', announce: 'host' }, msMax: 60_000 },
  },
]

interface Turn {
  readonly ms: number
  readonly coldMs: number
  readonly cpuMs: number
  readonly virtualMs: number
  /** As the exact engine would count them. */
  readonly events: number
  /** Switches that have one list. */
  readonly groups: number
  readonly notes: number
  readonly pods: number
  /** Of columns and queue. */
  readonly bytes: number
  readonly rssBytes: number
  readonly entries: number
  readonly stored: number
}

const count = (value: number): string => Math.round(value).toLocaleString('en')
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

function wordsOf(name: string, turn: Turn): string {
  const { groups, virtualMs, events, notes, bytes, rssBytes, entries, stored, pods, coldMs } = turn
  return [
    `${name}: ${count(pods)} pods after ${seconds(virtualMs)} of virtual time, ${count(events)} events as the exact engine counts them (${count(notes)} notes), cold start ${seconds(coldMs)}`,
    `${count(entries)} entries in tables of nodes and switches, ${count(stored)} stored (1 for ${count(entries / stored)}), ${(bytes / entries).toFixed(3)} bytes of columns an entry`,
    `${groups} groups of switches`,
    `process at most ${(rssBytes / 1e6).toFixed(0)} MB`,
  ].join('; ')
}

async function run(samples: number): Promise<Report> {
  const turns = new Map<string, Turn[]>()
  const variants = TASKS.map(
    ({ name, nodes, podsPerNode, rate, mode, routing = {} }): Variant => ({
      name,
      async run() {
        const words = [nodes, podsPerNode, rate].map(String)
        words.push(JSON.stringify(mode), JSON.stringify(routing))
        const args = [...process.execArgv, PROGRAM, ...words]
        const turn: Turn = JSON.parse(await must([process.execPath, ...args]))
        const [first = turn] = turns.get(name) ?? []
        if (first.virtualMs !== turn.virtualMs || first.events !== turn.events) {
          throw new Error(`Cannot trust ${name}: ${first.events} and ${turn.events} events`)
        }
        turns.set(name, [...(turns.get(name) ?? []), turn])
        return { 'cold start and pods': turn.ms, '… processor time': turn.cpuMs }
      },
    }),
  )
  const rounds = Math.max(ROUNDS_MIN, Math.ceil(samples / SAMPLES_PER_ROUND))
  const found = await interleave(variants, { rounds, warmUp: 0 })
  return {
    bench: 'sim-scaled: 5 000 nodes with 150 000 pods, and 10 000 with a million, in columns',
    rows: compare(found, undefined),
    verdicts: TASKS.map(({ name, msMax }) => {
      const all = turns.get(name) ?? []
      const ms = summarize(all.map((turn) => turn.ms)).medianMs
      const rss = all.reduce((most, { rssBytes }) => Math.max(most, rssBytes), 0)
      return {
        what: `${name}, cold start and pods`,
        ours: `${seconds(ms)}, ${(rss / 1e9).toFixed(2)} GB`,
        beside: '-',
        target: `<= ${msMax / 1000} s, ${RSS_MAX / 1e9} GB`,
        isMet: ms <= msMax && rss <= RSS_MAX,
      }
    }),
    notes: [...turns].flatMap(([name, [turn]]) =>
      turn === undefined ? [] : [wordsOf(name, turn)],
    ),
  }
}

export const bench: Bench = {
  about: 'the scaled engine: 5 000 nodes and 150 000 pods in each mode, and a million /32s',
  unable: () => undefined,
  run: ({ samples }) => run(samples),
}
