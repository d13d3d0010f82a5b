/** Commits written down for the library's thread, read back by the library itself. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { open } from 'lmdb'
import t from 'tap'
import { openBatches } from '../../ipam/lmdb/batch.ts'
import type { Database } from '../../ipam/lmdb/environment.ts'
import { ownFolder } from '../support/folder.ts'

const folder = ownFolder(t)
const options = { encoding: 'json', overlappingSync: false, noSubdir: false } as const
const db: Database = open<unknown, string>(join(folder, 'db'), options)
t.teardown(() => db.close())
const batches = openBatches(db)

const commit = (writes: ReadonlyMap<string, unknown>): Promise<unknown> =>
  new Promise((resolve) => {
    const batch = batches.begin()
    for (const [key, value] of writes) batch.add(key, value)
    batches.commit(batch.end(), resolve)
  })

const all = (): Map<string, unknown> =>
  new Map([...db.getRange({})].map(({ key, value }) => [key, value]))

/** Short and long, of any characters but those that the library escapes. */
const key = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 150 })
  .filter((text) => [...text].every((each) => each >= ' ') && Buffer.byteLength(text) < 1900)
const value = fc.oneof(
  { weight: 5, arbitrary: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }) },
  { weight: 2, arbitrary: fc.jsonValue().filter((found) => found !== undefined) },
  // Some of them longer than a chunk.
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 150_000 }).map((size) => 'ä'.repeat(size)) },
)

t.test('what was added is there, and nothing else', async (t) => {
  const model = new Map<string, unknown>()
  const property = fc.asyncProperty(fc.dictionary(key, value, { maxKeys: 60 }), async (writes) => {
    const entries = new Map(Object.entries(writes))
    assert.equal(await commit(entries), undefined)
    for (const [name, one] of entries) {
      if (one === undefined) model.delete(name)
      else model.set(name, JSON.parse(JSON.stringify(one)))
    }
    db.resetReadTxn()
    assert.deepEqual(all(), model)
  })
  const run = await fc.check(property, { numRuns: process.env['TRIVIUM_LONG'] === '1' ? 500 : 25 })
  t.notOk(run.failed, run.failed ? String(fc.defaultReportMessage(run)) : 'read back')
})

t.test('thousands of records, in several chunks, and their sizes', async (t) => {
  const name = (n: number): string => `many/${String(n).padStart(100, '0')}`
  const batch = batches.begin()
  for (let n = 0; n < 5000; n++) batch.add(name(n), { n, text: 'x'.repeat(n % 700) })
  batch.add('many/absent', undefined)
  const end = batch.end()
  t.ok(end.chunks.length > 10, `${end.chunks.length} chunks`)
  t.equal(end.sizes.length, 5001)
  t.equal(end.sizes[0], name(0).length + JSON.stringify({ n: 0, text: '' }).length)
  t.equal(end.removes, true)
  t.equal(await new Promise((resolve) => batches.commit(end, resolve)), undefined)
  db.resetReadTxn()
  const found = [...db.getRange({ start: 'many/', end: 'many0' })]
  t.equal(found.length, 5000)
  t.strictSame(
    found.filter(({ key, value }, n) => key !== name(n) || Object(value).text.length !== n % 700),
    [],
  )
})
