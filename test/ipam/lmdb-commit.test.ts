/** A commit in a pool thread: in which order things happen, and what comes of it when they do not. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import type { Key, Store } from '../../ipam/store.ts'
import { answerOf } from '../contract/store.ts'
import { ownFolder } from '../support/folder.ts'
import { heapIsDamaged } from './lmdb-writers.ts'

const folder = ownFolder(t)
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const row = (name: string): Key<number> => `row/${name}`
const rows = (store: Store): string[] =>
  store.read((reader) => [...reader.range('row/')].map(([key]) => key))

/** As many of them are longer than what shares a commit. */
const [LONG_BODIES, LONG_BODY_MS] = [8, 4]

const library = join(folder, 'held-sync.so')
const compiled = spawnSync(
  process.env['CC'] ?? 'gcc',
  ['-shared', '-fPIC', '-o', library, here('held-sync.c'), '-ldl'],
  { stdio: 'ignore' },
)
const skip = compiled.status !== 0 && 'no C compiler: CC or gcc'

interface Held {
  readonly path: string
  readonly log: string
  readonly process: ChildProcess
  /** Its first line. */
  readonly line: Promise<string>
  readonly ended: Promise<readonly unknown[]>
}

/** Starts lmdb-held.ts on a store of its own. */
function held(t: Test, what: string, more: NodeJS.ProcessEnv = {}): Held {
  const [path, log] = [join(folder, what), join(folder, `${what}.events`)]
  writeFileSync(log, '')
  const args = ['--conditions=trivium-source', '--import', 'tsx', here('lmdb-held.ts'), path, what]
  const env = { ...process.env, LD_PRELOAD: library, HELD_SYNC: log, ...more }
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout! })
  const line = once(lines, 'line').then(([text]) => text as string)
  return { path, log, process: child, line, ended: once(child, 'exit') }
}

/** The store holds just these rows, and takes another one. */
async function isWhole(t: Test, path: string, wanted: readonly string[]): Promise<void> {
  const store = openLmdbStore(path, { patience: 'pool' })
  t.strictSame(rows(store), wanted)
  await answerOf(store, (tx) => tx.put(row('next'), 1))
  t.strictSame(rows(store), [...wanted, 'row/next'].sort())
  store.close()
}

t.test('who is answered is on disk, and the event loop goes on before', { skip }, async (t) => {
  const child = held(t, 'order')
  const { during, order, after } = JSON.parse(await child.line)
  t.strictSame(during, { before: 1, done: ['first decided', 'sync'] }, 'reads are of before')
  const moments = ['first decided', 'sync', 'meta', 'first committed', 'second decided']
  const places = moments.map((moment) => order.indexOf(moment))
  t.strictSame(
    order.filter((event: string) => event.startsWith('first') || event === 'meta').slice(0, 3),
    ['first decided', 'meta', 'first committed'],
  )
  t.ok(!places.includes(-1) && order.indexOf('sync') < order.indexOf('meta'), order.join(', '))
  t.strictSame(order.slice(-4).sort(), ['meta', 'second committed', 'second decided', 'sync'])
  t.strictSame(order.at(-1), 'second committed')
  t.strictSame(after, [1, 1])
  t.strictSame(await child.ended, [0, null])
})

t.test('bodies run on top of what is being written, and end after it', { skip }, async (t) => {
  const child = held(t, 'ahead')
  const found = JSON.parse(await child.line)
  t.strictSame(found.during, { done: ['first decided', 'sync'] }, 'nobody reads it yet')
  t.strictSame(found.outcomes, ['committed', 'committed'])
  t.strictSame(found.seen, [1, 1], 'both saw the first')
  t.strictSame(found.after, [1, 1, 1])
  t.strictSame(await child.ended, [0, null])
})

t.test('... and fail with it', { skip: skip || heapIsDamaged }, async (t) => {
  const child = held(t, 'lost')
  const found = JSON.parse(await child.line)
  t.strictSame(found.outcomes, ['failed', 'committed'])
  t.strictSame(found.seen, [1, null], 'what the second saw never was')
  t.strictSame(found.after, [null, null, 1])
  t.strictSame(await child.ended, [0, null])
  await isWhole(t, child.path, ['row/before', 'row/third'])
})

t.test('a process that exits in the middle of a commit ends it first', { skip }, async (t) => {
  const child = held(t, 'exit')
  await child.line
  await sleep(50)
  t.equal(child.process.exitCode, null, 'it waits for the thread')
  rmSync(`${child.log}.hold`)
  t.strictSame(await child.ended, [0, null])
  await isWhole(t, child.path, ['row/first'])
})

t.test('one that exits before its thread begins, too', { skip }, async (t) => {
  const fifo = join(folder, 'queued.events.fifo')
  spawnSync('mkfifo', [fifo])
  const child = held(t, 'queued', { UV_THREADPOOL_SIZE: '1' })
  await child.line
  await sleep(100)
  writeFileSync(fifo, '')
  t.strictSame(await child.ended, [0, null])
  await isWhole(t, child.path, ['row/first'])
})

t.test(
  'one that is killed there has written nothing and is in nobody’s way',
  { skip },
  async (t) => {
    const child = held(t, 'stand')
    await child.line
    child.process.kill('SIGKILL')
    t.strictSame(await child.ended, [null, 'SIGKILL'])
    t.notOk(readFileSync(child.log, 'utf8').includes('committed'))
    await isWhole(t, child.path, [])
  },
)

for (const patience of ['pool', 'blocks'] as const) {
  const title = `after one that was killed before it could say what it wrote: ${patience}`
  t.test(title, { skip }, async (t) => {
    // Open before: who opens when nobody else is there looks at the file itself.
    const store = openLmdbStore(join(folder, 'late'), { patience })
    t.teardown(() => store.close())
    const count = (): Promise<number> =>
      answerOf(store, (tx) => {
        const next = (tx.get(row('count')) ?? 0) + 1
        tx.put(row('count'), next)
        return next
      })
    const before = await count()
    const child = held(t, 'late')
    await child.line
    child.process.kill('SIGKILL')
    t.strictSame(await child.ended, [null, 'SIGKILL'])
    t.notOk(readFileSync(child.log, 'utf8').includes('committed'))
    t.equal(await count(), before + 2, 'its count is not lost')
  })
}

t.test(
  'a sync that fails takes the commit back, and a later one goes through',
  { skip: skip || heapIsDamaged },
  async (t) => {
    const child = held(t, 'sync')
    const found = JSON.parse(await child.line)
    const refused = `Cannot write store ${child.path}: Input/output error`
    t.strictSame(found, [refused, refused, 'committed'])
    t.strictSame(await child.ended, [0, null])
    await isWhole(t, child.path, ['row/2', 'row/before'])
  },
)

t.test(
  'after a failure that LMDB takes for fatal nobody stands still',
  { skip: skip || heapIsDamaged },
  async (t) => {
    const child = held(t, 'meta')
    const found = JSON.parse(await child.line)
    const begin = `Cannot write store ${child.path}: LMDB could not begin a transaction`
    t.strictSame(found, [`Cannot write store ${child.path}: Input/output error`, begin, begin])
    t.strictSame(await child.ended, [0, null], 'it ends')
    await isWhole(t, child.path, ['row/before'])
  },
)

t.test('two stores of one process on one path take turns', async (t) => {
  const path = join(folder, 'two')
  const counter: Key<number> = 'counter'
  const stores = [1, 2, 3].map(() => openLmdbStore(path, { patience: 'pool' }))
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, n) => {
      await sleep(n % 7)
      return answerOf(stores[n % stores.length]!, (tx) => {
        const next = (tx.get(counter) ?? 0) + 1
        tx.put(counter, next)
        return next
      })
    }),
  )
  t.equal(new Set(answers).size, 300, 'every answer is another')
  for (const store of stores) store.close()
})

t.test('bodies that write nothing, for longer than share a commit', async (t) => {
  const store = openLmdbStore(join(folder, 'nothing'), { patience: 'pool' })
  t.teardown(() => store.close())
  const longBody = (): void => {
    for (const endMs = performance.now() + LONG_BODY_MS; performance.now() < endMs; );
  }
  const refused = Array.from({ length: LONG_BODIES }, () => answerOf(store, longBody))
  const written = answerOf(store, (tx) => tx.put(row('last'), 1))
  await Promise.all([...refused, written])
  t.strictSame(rows(store), ['row/last'])

  const first = answerOf(store, (tx) => tx.put(row('first'), 1))
  const onTop = Array.from({ length: LONG_BODIES }, () => answerOf(store, longBody))
  await Promise.all([first, ...onTop, answerOf(store, (tx) => tx.remove(row('last')))])
  t.strictSame(rows(store), ['row/first'])
})
