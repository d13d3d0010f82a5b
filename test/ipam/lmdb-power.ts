/**
 * Commits what `powerStep` says, one step after the other or some at once, and
 * tells of each answer in the file that RECORD_WRITES names: `A` and the step.
 */
import { appendFileSync } from 'node:fs'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import type { Key, Tx } from '../../ipam/store.ts'
import { type Prng, prng } from '../../src/prng.ts'
import { answerOf } from '../contract/store.ts'

/** What a step does to the rows, as a map says it too. */
export interface Rows {
  put(key: string, value: unknown): void
  remove(key: string): void
}

/** The number of the step is in the rows, so that they say how far they have come. */
export function powerStep(rows: Rows, seed: string, step: number): void {
  const random = prng(`${seed} ${step}`)
  for (let n = random.below(8); n >= 0; n--) {
    const key = `row/${random.below(200)}`
    if (random.below(3) === 0) rows.remove(key)
    else rows.put(key, 'x'.repeat(random.below(random.below(12) === 0 ? 9000 : 300)))
  }
  rows.put('row/step', step)
}

async function main(path: string, seed: string, steps: number): Promise<void> {
  const random: Prng = prng(seed)
  const log = process.env['RECORD_WRITES'] ?? ''
  let store = openLmdbStore(path, { patience: 'pool' })
  for (let step = 1; step <= steps; ) {
    const some = Math.min(1 + random.below(4), steps - step + 1)
    const all = Array.from({ length: some }, async (_, n) => {
      const own = step + n
      await answerOf(store, (tx: Tx) =>
        powerStep(
          {
            put: (key, value) => tx.put(key as Key<unknown>, value),
            remove: (key) => tx.remove(key),
          },
          seed,
          own,
        ),
      )
      appendFileSync(log, `A ${own}\n`)
    })
    await Promise.all(all)
    step += some
    if (random.below(6) > 0) continue
    store.close()
    store = openLmdbStore(path, { patience: random.below(2) === 0 ? 'pool' : 'blocks' })
  }
  store.close()
}

if (process.argv[2] !== undefined && process.env['RECORD_WRITES'] !== undefined) {
  const [, , path = '', seed = '', steps = '0'] = process.argv
  await main(path, seed, Number(steps))
}
