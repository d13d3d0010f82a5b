/**
 * BGP of the scaled engine alone: 10 000 nodes that announce a million pods as /32s to two
 * reflectors, and a rack without its switch for five minutes; and the cold start of a full
 * mesh. Each turn is a process of its own, sim-scaled-bgp/run.ts.
 */
import { join } from 'node:path'
import { must } from '../src/lab/exec.ts'
import { type Bench, compare, interleave, type Report, summarize, type Variant } from './harness.ts'

const PROGRAM = join(import.meta.dirname, 'sim-scaled-bgp', 'run.ts')
const NODE_ARGS = ['--max-semi-space-size=256', '--max-old-space-size=9000']
const MS_MAX = 60_000
const RSS_MAX = 8e9
const SAMPLES_PER_ROUND = 64

interface Task {
  readonly name: string
  /** Nodes, racks, spines, pods, kind of sessions. */
  readonly words: readonly (string | number)[]
}

const TASKS: readonly Task[] = [
  { name: 'reflectors, 10 000 nodes', words: [10_000, 250, 8, 1_000_000, 'reflectors'] },
  { name: 'mesh, 800 nodes', words: [800, 20, 4, 0, 'mesh'] },
]

interface Phase {
  readonly name: string
  readonly ms: number
  readonly cpuMs: number
  readonly virtualMs: number
  readonly events: number
  readonly routes: number
  readonly updates: number
  readonly bytes: number
  readonly flocks: readonly number[]
  readonly tableBytes: number
  readonly rssBytes: number
}

const count = (value: number): string => Math.round(value).toLocaleString('en')

function wordsOf(task: string, phases: readonly Phase[]): readonly string[] {
  return phases.map((phase, index) => {
    const { name, ms, virtualMs, events, routes, updates, flocks, tableBytes, rssBytes } = phase
    const before = phases[index - 1]
    const perUpdate =
      (events - (before?.events ?? 0)) / Math.max(1, updates - (before?.updates ?? 0))
    return [
      `${task}, ${name}: ${((ms - (before?.ms ?? 0)) / 1000).toFixed(1)} s for ${(virtualMs / 1000).toFixed(1)} s of virtual time since the start`,
      `${count(updates)} UPDATEs so far, ${perUpdate.toFixed(4)} events of this phase an UPDATE`,
      `${count(routes)} best paths in ${flocks.length} shared tables, ${(tableBytes / Math.max(1, routes)).toFixed(4)} bytes a (speaker, prefix)`,
      `${(rssBytes / 1e9).toFixed(2)} GB`,
    ].join('; ')
  })
}

async function run(samples: number): Promise<Report> {
  const turns = new Map<string, readonly Phase[]>()
  const variants = TASKS.map(
    ({ name, words }): Variant => ({
      name,
      async run() {
        const args = [...process.execArgv, ...NODE_ARGS, PROGRAM, ...words.map(String)]
        const lines = (await must([process.execPath, ...args])).trim().split('\n')
        const phases: readonly Phase[] = lines.map((line) => JSON.parse(line))
        const last = phases.at(-1)
        const before = turns.get(name)?.at(-1)
        if (last === undefined || (before !== undefined && before.events !== last.events)) {
          throw new Error(`Cannot trust ${name}: ${before?.events} and ${last?.events} events`)
        }
        turns.set(name, phases)
        return { 'all phases': last.ms, '… processor time': last.cpuMs }
      },
    }),
  )
  const rounds = Math.max(1, Math.ceil(samples / SAMPLES_PER_ROUND))
  const found = await interleave(variants, { rounds, warmUp: 0 })
  return {
    bench:
      'sim-scaled-bgp: a million /32s over two reflectors, a rack away for five minutes; a full mesh',
    rows: compare(found, undefined),
    verdicts: TASKS.map(({ name }) => {
      const last = turns.get(name)?.at(-1)
      const ms = summarize([last?.ms ?? 0]).medianMs
      const rss = last?.rssBytes ?? 0
      return {
        what: name,
        ours: `${(ms / 1000).toFixed(1)} s, ${(rss / 1e9).toFixed(2)} GB`,
        beside: '-',
        target: `<= ${MS_MAX / 1000} s, ${RSS_MAX / 1e9} GB`,
        isMet: ms <= MS_MAX && rss <= RSS_MAX,
      }
    }),
    notes: [...turns].flatMap(([name, phases]) => wordsOf(name, phases)),
  }
}

export const bench: Bench = {
  about: 'BGP of the scaled engine: a million /32s over two reflectors, and a full mesh',
  unable: () => undefined,
  run: ({ samples }) => run(samples),
}
