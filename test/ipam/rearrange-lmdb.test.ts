/** Restore, split, merge and resize on disk do what they do in memory. */
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { type Image, wholeImage } from '../../ipam/backup/image.ts'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import type { Tx } from '../../ipam/mod.ts'
import { applyPools, type PoolsPlan } from '../../ipam/rearrange/plan.ts'
import { planMerge, planResize, planSplit } from '../../ipam/rearrange/requests.ts'
import { restoreInto } from '../../src/live/restore.ts'
import { transact } from '../../src/live/transact.ts'
import type { Prefix } from '../../src/net/mod.ts'
import { ownFolder } from '../support/folder.ts'
import { checkInvariants } from './invariants.ts'
import { everything, LIFE_NODES, life, lifeStart, live } from './random-life.ts'
import { smallStore } from './small-store.ts'

const ROUNDS = process.env['TRIVIUM_LONG'] === '1' ? 300 : 15
const POOL = '10.1.0.0/26' as Prefix
const HALVES = ['10.1.0.0/27', '10.1.0.32/27'] as Prefix[]

const CHANGES: readonly ((tx: Tx) => PoolsPlan)[] = [
  (tx) => planSplit(tx, POOL, 2, 90_000),
  (tx) => planMerge(tx, HALVES, 90_000),
  (tx) => planResize(tx, POOL, { blockLength: 30 }, 90_000),
  (tx) => planResize(tx, POOL, { cidr: HALVES[0] as Prefix }, 90_000),
]

const HEADER = { trivium: 'backup', version: 1, layout: 2, madeMs: 1 } as const

/** What it came to: refusals are the same, too. */
const outcome = (tx: Tx, change: (tx: Tx) => PoolsPlan): string => {
  try {
    const plan = change(tx)
    if (plan.obstacles.length > 0) return JSON.stringify(plan.obstacles)
    applyPools(tx, plan)
    return 'done'
  } catch (thrown) {
    return (thrown as Error).message
  }
}

t.test('on disk as in memory', async (t) => {
  const folder = ownFolder(t)
  const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31)
  const lives = fc.sample(life(40), { numRuns: ROUNDS, seed })
  const outcomes = new Set<string>()
  for (const [round, events] of lives.entries()) {
    const memory = smallStore()
    memory.run((tx) => {
      lifeStart(tx)
      live(tx, events, 1)
    })
    const pairs = new Map(memory.run((tx) => [...wholeImage(tx)]))
    const image: Image = { header: HEADER, pairs }
    const disk = openLmdbStore(join(folder, `store${round}`))
    try {
      const trial = await restoreInto(disk, image, { look: undefined, nowMs: 1, dryRun: true })
      if (trial.kept || disk.read(everything) !== '[]') t.fail('a trial changes nothing')
      const restored = await restoreInto(disk, image, { look: undefined, nowMs: 1 })
      if (!restored.kept) t.fail('it is kept', { restored, seed })
      for (const change of CHANGES) {
        const wanted = memory.run((tx) => outcome(tx, change))
        const found = await transact(disk, (tx) => outcome(tx, change))
        outcomes.add(found.slice(0, 4))
        if (found !== wanted) t.equal(found, wanted, `FC_SEED=${seed}`)
      }
      const [found, wanted] = [disk.read(everything), memory.run(everything)]
      if (found !== wanted) t.equal(found, wanted, `FC_SEED=${seed}`)
      disk.read((reader) => checkInvariants(reader, LIFE_NODES))
    } finally {
      disk.close()
    }
  }
  t.ok(outcomes.has('done'), `${ROUNDS} lives, outcomes ${[...outcomes].join(' ')}`)
})
