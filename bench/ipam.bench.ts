/**
 * The store and the allocator: on disk, by the CNI plugin beside host-local, in a
 * large cluster.
 *
 *     TRIVIUM_BENCH_IPAM=commits npm run bench -- ipam     one part only
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bench, compare, type Report, type Row, type Verdict } from './harness.ts'
import { commits } from './ipam-commits.ts'

const ROUNDS_MAX = 7

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const dir = mkdtempSync(join(tmpdir(), 'trv-bench-ipam-'))
  const rounds = Math.min(samples, ROUNDS_MAX)
  const only = process.env['TRIVIUM_BENCH_IPAM']
  const rows: Row[] = []
  const verdicts: Verdict[] = []
  const part = async (
    name: string,
    work: () => Promise<{ rows: readonly Row[]; verdicts: readonly Verdict[] }>,
  ): Promise<void> => {
    if (only !== undefined && only !== name) return
    say(name)
    const told = await work()
    rows.push(...told.rows)
    verdicts.push(...told.verdicts)
  }
  try {
    await part('commits', async () => {
      const { samples: all, verdicts } = await commits(dir, rounds)
      return { rows: compare(all, undefined), verdicts }
    })
    return { bench: 'IPAM', rows, verdicts, notes: [] }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

export const bench: Bench = {
  about: 'the store and the allocator: on disk, beside host-local, in a large cluster',
  unable: () => undefined,
  run: ({ samples, say }) => run(samples, say),
}
