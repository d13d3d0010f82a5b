/**
 * The gate around LMDB's writers: one at a time, and the event loop goes on. A
 * second opening of its file stands for another process.
 */
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockByte } from 'netlink-ts/live'
import t from 'tap'
import { openGate } from '../../ipam/lmdb/gate.ts'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { answerOf, until } from '../contract/store.ts'
import { ownFolder } from '../support/folder.ts'

const folder = ownFolder(t)

/** Another process that is inside; the function it returns lets it leave. */
function occupy(path: string): () => void {
  const fd = openSync(path, 'a')
  lockByte(fd, 0n)
  return () => closeSync(fd)
}

t.test('whoever is outside waits, and the event loop goes on', async (t) => {
  const path = join(folder, 'waits')
  const gate = openGate(path, 'pool')
  t.teardown(() => gate.close())
  const leave = occupy(path)
  const done: string[] = []
  for (const name of ['a', 'b']) {
    gate.request(
      (leave) => {
        done.push(`${name} inside`)
        leave(() => done.push(`${name} outside`))
      },
      () => done.push(`${name} refused`),
    )
  }
  await sleep(30)
  t.strictSame(done, [], 'nobody is inside, and this timer fired')
  leave()
  await until(() => done.length === 4)
  t.strictSame(done, ['a inside', 'a outside', 'b inside', 'b outside'])
})

t.test('commits that follow each other leave others their turn', async (t) => {
  const path = join(folder, 'turns')
  const store = openLmdbStore(path, { patience: 'pool' })
  t.teardown(() => store.close())
  let done = 0
  let isOver = false
  let waiting = 0
  // While one commit is written, there are bodies for the next.
  const feed = (): void => {
    if (isOver) return
    if (waiting < 200) {
      waiting++
      void answerOf(store, (tx) => tx.put(`row/${done % 1000}`, done)).then(() => {
        waiting--
        done++
      })
    }
    setImmediate(feed)
  }
  t.teardown(() => {
    isOver = true
  })
  feed()
  await until(() => done > 500)
  const other = openGate(join(path, 'writers.lock'), 'pool', 5000)
  t.teardown(() => other.close())
  for (let turn = 0; turn < 3; turn++) {
    const before = done
    await new Promise<void>((resolve, reject) => {
      other.request(
        (leave) => leave(resolve),
        () => reject(new Error('never inside')),
      )
    })
    await until(() => done > before)
  }
  isOver = true
  await until(() => waiting === 0)
})

t.test('who waits for too long is refused, and comes in later', async (t) => {
  const path = join(folder, 'late')
  const gate = openGate(path, 'pool', 30)
  t.teardown(() => gate.close())
  const leave = occupy(path)
  const told: string[] = []
  const ask = (name: string): void =>
    gate.request(
      (leave) => leave(() => told.push(`${name} was inside`)),
      () => told.push(`${name} was refused`),
    )
  ask('a')
  await until(() => told.length === 1)
  leave()
  await sleep(10)
  ask('b')
  await until(() => told.length === 2)
  t.strictSame(told, ['a was refused', 'b was inside'])
  const others = occupy(path)
  t.pass('and leaves it free')
  others()
})

t.test('a gate that is closed while a thread waits keeps nobody out', async (t) => {
  const path = join(folder, 'closed')
  const gate = openGate(path, 'pool', 10)
  const leave = occupy(path)
  let refused = false
  gate.request(
    () => t.fail('it was closed'),
    () => {
      refused = true
    },
  )
  await until(() => refused)
  gate.close()
  leave()
  await sleep(20)
  occupy(path)()
  t.pass('the next one came in')
})

t.test('transactions wait for a process that writes, reads do not', async (t) => {
  const path = join(folder, 'store')
  const store = openLmdbStore(path, { patience: 'pool' })
  t.teardown(() => store.close())
  const leave = occupy(join(path, 'writers.lock'))
  let committed = false
  const writing = answerOf(store, (tx) => tx.put('row/a', 1)).then(() => {
    committed = true
  })
  await sleep(30)
  t.notOk(committed)
  t.equal(
    store.read((r) => r.get('row/a')),
    undefined,
  )
  leave()
  await writing
  t.equal(
    store.read((r) => r.get('row/a')),
    1,
  )
})
