/** The store in memory keeps the contract, and takes its turns only from `defer`. */
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import type { Key } from '../../ipam/store.ts'
import { storeContract } from '../contract/store.ts'

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
