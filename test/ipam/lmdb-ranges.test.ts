/** Ranges that are remembered are those of the store, whoever committed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import type { Key, KeyRange, Store } from '../../ipam/store.ts'
import { answerOf } from '../contract/store.ts'
import { ownFolder } from '../support/folder.ts'
import { emptyTally, tell } from '../support/tally.ts'

const RANGES: readonly KeyRange<number>[] = ['a/', 'a/x/', 'b/', 'empty/']
const KEYS: readonly Key<number>[] = ['a/1', 'a/x/1', 'a/x/2', 'b/1', 'b/2', 'c/1']

interface Doing {
  /** The store that reads, or another on the same files, as of another process. */
  readonly by: 'own' | 'other'
  /** undefined removes. */
  readonly writes: readonly { readonly key: Key<number>; readonly value: number | undefined }[]
  readonly isRead: boolean
}

const doing: fc.Arbitrary<Doing> = fc.record({
  by: fc.constantFrom('own', 'own', 'other'),
  writes: fc.array(
    fc.record({
      key: fc.constantFrom(...KEYS),
      value: fc.option(fc.nat(9), { nil: undefined }),
    }),
    { maxLength: 3 },
  ),
  isRead: fc.boolean(),
})

let paths = 0
const folder = ownFolder(t)
let remembered = 0
const tally = emptyTally()

const read = (store: Store, range: KeyRange<number>): Iterable<readonly [Key<number>, number]> =>
  store.read((reader) => reader.range(range))

const inRange = (
  model: ReadonlyMap<string, number>,
  range: string,
): (readonly [string, number])[] => [...model].filter(([key]) => key.startsWith(range)).sort()

async function play(patience: 'blocks' | 'pool', doings: readonly Doing[]): Promise<void> {
  const path = join(folder, `store.${paths++}`)
  const own = openLmdbStore(path, { patience })
  const other = openLmdbStore(path)
  const model = new Map<string, number>()
  const before = new Map<string, unknown>()
  try {
    for (const { by, writes, isRead } of doings) {
      tally.commands++
      await answerOf(by === 'own' ? own : other, (tx) => {
        // As the transactions before left them, whoever made those.
        for (const key of KEYS) assert.equal(tx.get(key), model.get(key), key)
        for (const range of RANGES) assert.deepEqual([...tx.range(range)], inRange(model, range))
        for (const { key, value } of writes) {
          if (value === undefined) tx.remove(key)
          else tx.put(key, value)
        }
      })
      for (const { key, value } of writes) {
        if (value === undefined) model.delete(key)
        else model.set(key, value)
      }
      if (!isRead) continue
      for (const range of RANGES) {
        const found = read(own, range)
        assert.deepEqual([...found], inRange(model, range), range)
        if (before.get(range) === found) remembered++
        before.set(range, found)
      }
    }
  } finally {
    own.close()
    other.close()
  }
}

for (const patience of ['blocks', 'pool'] as const) {
  t.test(`remembered ranges, ${patience}`, async (t) => {
    const property = fc.asyncProperty(fc.array(doing, { minLength: 10, maxLength: 30 }), (doings) =>
      play(patience, doings),
    )
    const run = await fc.check(property, { numRuns: 15 })
    t.notOk(run.failed, 'are those of the store', {
      found: run.failed ? fc.defaultReportMessage(run) : 'none',
    })
  })
}

t.test('they are remembered', async (t) => {
  t.ok(remembered > 100, `${remembered} times`)
  tell(t, 'remembered ranges', tally)
})
