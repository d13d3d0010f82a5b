/**
 * The exact engine: how long a cold cluster takes until every agent has begun,
 * every pod is there and all is quiet.
 *
 * Each turn is a process of its own and runs what users run: one bundle. The
 * clock starts with the process. There is no peer; the target is the ratio.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { must } from '../src/lab/exec.ts'
import { type Bench, compare, interleave, type Report, summarize, type Variant } from './harness.ts'

const ROOT = join(import.meta.dirname, '..')
const ENTRY = join(import.meta.dirname, 'sim-cluster', 'cold.ts')
const PODS_PER_NODE = 30
const MODES = ['vxlan', 'route'] as const
/** For the target, and to show how it grows. */
const NODES = [300, 100] as const
/** Seconds for the first of `NODES`. */
const TARGET_S = 5
const SAMPLES_PER_ROUND = 27
/** On a machine that has other things to do. */
const PATIENCE_MS = 600_000

interface Seconds {
  readonly wall: number
  readonly cpu: number
}

/** What the child prints. */
interface Turn {
  readonly full: Seconds
  readonly whole: Seconds
  readonly events: number
  readonly kernelOperations: number
  readonly traceHash: string
  readonly podsAdded: number
  readonly passed: boolean
}

interface Size {
  readonly mode: (typeof MODES)[number]
  readonly nodes: number
}

/** The times are the defaults: a hundred pods a second, a repair round every ten seconds. */
const scenarioOf = ({ mode, nodes }: Size): string =>
  JSON.stringify({
    nodes,
    podsPerNode: PODS_PER_NODE,
    racks: 10,
    pools: [{ cidr: '10.42.0.0/16', blockLength: 26 }],
    modes: [mode],
    switch: { profile: 'trident3-default' },
  })

const nameOf = ({ mode, nodes }: Size): string =>
  `${mode}, ${nodes} nodes, ${(nodes * PODS_PER_NODE).toLocaleString('en')} pods`

async function turn(bundle: string, size: Size): Promise<Turn> {
  const command = [process.execPath, bundle, scenarioOf(size)]
  const printed = await must(command, { timeoutMs: PATIENCE_MS })
  const found = JSON.parse(printed) as Turn
  if (!found.passed || found.podsAdded !== size.nodes * PODS_PER_NODE) {
    throw new Error(`Cannot trust ${nameOf(size)}: a checker failed, or pods are missing`)
  }
  return found
}

function variant(bundle: string, size: Size, turns: Map<string, Turn>): Variant {
  const name = nameOf(size)
  return {
    name,
    async run() {
      const found = await turn(bundle, size)
      const before = turns.get(name)
      if (before !== undefined && before.traceHash !== found.traceHash) {
        throw new Error(`Cannot trust ${name}: trace ${found.traceHash}, then ${before.traceHash}`)
      }
      turns.set(name, found)
      return {
        'to full, wall': found.full.wall * 1000,
        'to full, processors': found.full.cpu * 1000,
        'whole run, wall': found.whole.wall * 1000,
      }
    },
  }
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const dir = mkdtempSync(join(tmpdir(), 'simcluster-'))
  try {
    const bundle = join(dir, 'cold.cjs')
    await bundleInto(bundle)
    const sizes = NODES.flatMap((nodes) => MODES.map((mode): Size => ({ mode, nodes })))
    const turns = new Map<string, Turn>()
    const rounds = Math.ceil(samples / SAMPLES_PER_ROUND)
    say(`${rounds} rounds of ${sizes.map(nameOf).join('; ')}`)
    const variants = sizes.map((size) => variant(bundle, size, turns))
    const found = await interleave(variants, { rounds, warmUp: 0 })
    const load = loadavg().map((each) => each.toFixed(1))
    return {
      bench: 'sim-cluster: the exact engine, cold, from the start of the process',
      rows: compare(found, undefined),
      notes: [
        ...sizes.flatMap((size) => noteOf(size, found.get(nameOf(size)) ?? [], turns)),
        `Load of the machine at the end: ${load.join(' ')}.`,
      ],
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function noteOf(
  size: Size,
  samples: readonly Readonly<Record<string, number>>[],
  turns: ReadonlyMap<string, Turn>,
): readonly string[] {
  const name = nameOf(size)
  const found = turns.get(name)
  if (found === undefined) return []
  const median = (what: string): number =>
    summarize(samples.map((sample) => sample[what] ?? Number.NaN)).medianMs / 1000
  const [wall, cpu] = [median('to full, wall'), median('to full, processors')]
  const share = wall / TARGET_S
  const verdict = `, ${share.toFixed(2)} of the ${TARGET_S} s wanted${share > 1 ? ': MISSED' : ''}`
  const operations = found.kernelOperations.toLocaleString('en')
  return [
    `${name}: ${wall.toFixed(2)} s, of processors ${cpu.toFixed(2)} s${size.nodes === NODES[0] ? verdict : ''}`,
    `  its whole run: ${found.events.toLocaleString('en')} events, ${operations} operations in kernels, trace ${found.traceHash}`,
  ]
}

const bundleInto = (outfile: string): Promise<unknown> =>
  build({
    absWorkingDir: ROOT,
    entryPoints: [ENTRY],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    conditions: ['trivium-source'],
    minifySyntax: true,
    logLevel: 'warning',
  })

export const bench: Bench = {
  about: 'the exact engine: 300 nodes and 9,000 pods from a cold start',
  unable: () => undefined,
  run: ({ samples, say }) => run(samples, say),
}
