/**
 * The store and the allocator: on disk, by the CNI plugin beside host-local, in a
 * large cluster.
 *
 *     TRIVIUM_BENCH_IPAM=commits npm run bench -- ipam     one part only
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { must } from '../src/lab/exec.ts'
import { etcdMissing } from '../test/support/etcd.ts'
import { unable } from './cni.bench.ts'
import { type Bench, compare, type Report, type Row, type Sample, type Verdict } from './harness.ts'
import { calls } from './ipam-calls.ts'
import { etcd } from './ipam-etcd.ts'
import { away } from './ipam-etcd-away.ts'
import { large } from './ipam-large.ts'

const ROUNDS_MAX = 7
const ROOT = join(import.meta.dirname, '..')
const PATIENCE_MS = 600_000

interface Part {
  readonly rows: readonly Row[]
  readonly verdicts: readonly Verdict[]
  readonly notes?: readonly string[]
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const dir = mkdtempSync(join(tmpdir(), 'trv-bench-ipam-'))
  const rounds = Math.min(samples, ROUNDS_MAX)
  const only = process.env['TRIVIUM_BENCH_IPAM']
  const rows: Row[] = []
  const verdicts: Verdict[] = []
  const notes: string[] = []
  const part = async (name: string, work: () => Promise<Part>): Promise<void> => {
    if (only !== undefined && only !== name) return
    say(name)
    const told = await work()
    rows.push(...told.rows)
    verdicts.push(...told.verdicts)
    notes.push(...(told.notes ?? []))
  }
  try {
    await part('commits', async () => {
      const { samples: all, verdicts } = await commits(dir, rounds)
      return { rows: compare(new Map(all), undefined), verdicts }
    })
    await part('calls', async () => {
      const { samples: all, peer, verdicts } = await calls(samples)
      return { rows: compare(all, peer), verdicts }
    })
    await part('large', async () => {
      const { samples: all, ...rest } = await large(dir, rounds, say)
      return { rows: all.flatMap((each) => compare(each, undefined)), ...rest }
    })
    const missing = etcdMissing()
    if (missing !== undefined) notes.push(`Without etcd: ${missing}.`)
    else {
      await part('etcd', async () => {
        const { samples: all, peer, ...rest } = await etcd(dir, rounds)
        return { rows: compare(all, peer), ...rest }
      })
      await part('etcd-away', async () => {
        const { samples: all, peer, ...rest } = await away(dir, rounds)
        return { rows: compare(all, peer), ...rest }
      })
    }
    return { bench: 'IPAM', rows, verdicts, notes }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** What `ipam-commits-main.ts` prints. */
interface Commits {
  readonly samples: readonly (readonly [string, readonly Sample[]])[]
  readonly verdicts: readonly Verdict[]
}

async function commits(dir: string, rounds: number): Promise<Commits> {
  const outfile = join(dir, 'commits.cjs')
  await build({
    absWorkingDir: ROOT,
    entryPoints: [join(import.meta.dirname, 'ipam-commits-main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    conditions: ['trivium-source'],
    external: ['koffi', 'lmdb'],
    logLevel: 'error',
  })
  const command = [process.execPath, outfile, dir, String(rounds)]
  const env = { ...process.env, NODE_PATH: join(ROOT, 'node_modules') }
  return JSON.parse(await must(command, { env, timeoutMs: PATIENCE_MS })) as Commits
}

export const bench: Bench = {
  about: 'the store and the allocator: on disk, beside host-local, in a large cluster',
  unable,
  run: ({ samples, say }) => run(samples, say),
}
