/** The store in memory keeps the contract, and takes its turns only from `defer`. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import type { Key } from '../../ipam/store.ts'
import { storeContract } from '../contract/store.ts'
import { holds } from '../support/property.ts'

storeContract(t, 'memory', () => memoryStore({ defer: setImmediate }))
storeContract(t, 'memory on microtasks', () => memoryStore({ defer: queueMicrotask }))

t.test('nothing happens but through defer, in order', async (t) => {
  const queue: (() => void)[] = []
  const store = memoryStore({ defer: (run) => queue.push(run) })
  const key: Key<number> = 'key'
  const log: string[] = []
  store.watch(() => log.push('changed'))
  store.transact(
    (tx) => tx.put(key, (tx.get(key) ?? 0) + 1),
    () => log.push('first'),
  )
  store.transact(
    (tx) => tx.put(key, (tx.get(key) ?? 0) + 1),
    () => log.push('second'),
  )
  t.strictSame(log, [])
  for (let run = queue.shift(); run !== undefined; run = queue.shift()) run()
  t.strictSame(log, ['first', 'second', 'changed'], 'two commits, one call')
  t.equal(
    store.read((r) => r.get(key)),
    2,
  )
})

t.test('a reader that changes a value is caught', async (t) => {
  const store = memoryStore({ defer: queueMicrotask })
  const key: Key<{ list: number[] }> = 'key'
  await new Promise((resolve) => store.transact((tx) => tx.put(key, { list: [1] }), resolve))
  t.throws(() => store.read((r) => r.get(key))?.list.push(2), TypeError)
})

/** What JavaScript has and JSON has not, or has in another way. */
const strange = fc.constantFrom<unknown>(
  -0,
  0.5,
  1e300,
  Number.NaN,
  undefined,
  null,
  new Date(0),
  { toJSON: () => 'itself' },
  JSON.parse('{"__proto__":{"a":1}}'),
  Object.assign([1], { toJSON: () => 'a list' }),
  () => 1,
)
const value = fc.oneof(
  strange,
  fc.anything({ withDate: true, withNullPrototype: true, withSparseArray: true }),
  fc.dictionary(fc.string(), fc.oneof(strange, fc.anything())),
)

holds(t, 'what is read is what JSON makes of it, to the last byte', value, (written) => {
  const steps: (() => void)[] = []
  const store = memoryStore({ defer: (run) => steps.push(run) })
  const key: Key<unknown> = 'key'
  let outcome: string | undefined
  store.transact(
    (tx) => tx.put(key, written),
    ({ kind }) => {
      outcome = kind
    },
  )
  for (const run of steps) run()
  const text = textOf(written)
  if (text === undefined) {
    assert.equal(outcome, 'failed')
    return
  }
  const read = store.read((reader) => reader.get(key))
  assert.equal(JSON.stringify(read), text)
  assert.deepEqual(read, JSON.parse(text))
  assertFrozen(read)
})

function textOf(written: unknown): string | undefined {
  try {
    return JSON.stringify(written)
  } catch {
    return undefined
  }
}

function assertFrozen(read: unknown): void {
  if (typeof read !== 'object' || read === null) return
  assert.ok(Object.isFrozen(read))
  for (const part of Object.values(read)) assertFrozen(part)
}
