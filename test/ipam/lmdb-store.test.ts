/** The store on disk: the contract, several processes, and processes that are killed. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { createNetwork, keys, parseNetworkSpec } from '../../ipam/mod.ts'
import { prng } from '../../src/prng.ts'
import { answerOf, outcomeOf, storeContract, until } from '../contract/store.ts'
import { layoutContract } from '../contract/store-layout.ts'
import { ownFolder } from '../support/folder.ts'
import { tell } from '../support/tally.ts'
import { checkInvariants } from './invariants.ts'
import { answers, bookErrors, startWriter, writerProgram } from './lmdb-writers.ts'

const KILLS = process.env['TRIVIUM_LONG'] === '1' ? 100 : 6
const SEED = process.env['FC_SEED'] ?? String(Date.now())
const NODES = ['n1', 'n2', 'n3', 'n4']

// A life is a second, mostly the start of a process; more on a busy machine.
const LIVES_MS_MAX = 60_000 + KILLS * 5000
t.setTimeout(LIVES_MS_MAX + 60_000)

let stores = 0
const folder = ownFolder(t)
const freshPath = (): string => join(folder, `store.${stores++}`)

storeContract(t, 'lmdb', () => openLmdbStore(freshPath()))
storeContract(t, 'lmdb in the pool', () => openLmdbStore(freshPath(), { patience: 'pool' }))

t.test('what was committed is there after closing and opening again', async (t) => {
  const path = freshPath()
  const first = openLmdbStore(path)
  await answerOf(first, (tx) => tx.put(keys.sequence('n1'), 7))
  first.close()
  const second = openLmdbStore(path)
  t.equal(
    second.read((r) => r.get(keys.sequence('n1'))),
    7,
  )
  second.close()
})

t.test('two stores on one path see each other', async (t) => {
  const path = freshPath()
  const [left, right] = [openLmdbStore(path), openLmdbStore(path)]
  await answerOf(left, (tx) => tx.put(keys.sequence('n1'), 1))
  t.equal(
    right.read((r) => r.get(keys.sequence('n1'))),
    1,
    'in the same turn',
  )
  left.close()
  await answerOf(right, (tx) => tx.put(keys.sequence('n1'), 2))
  t.equal(
    right.read((r) => r.get(keys.sequence('n1'))),
    2,
    'and lives on',
  )
  right.close()
})

t.test('a commit of another process is read in the same turn', async (t) => {
  const path = freshPath()
  const store = openLmdbStore(path)
  await answerOf(store, (tx) => tx.put(keys.sequence('n1'), 1))
  const read = () => store.read((r) => r.get(keys.sequence('n1')))
  t.equal(read(), 1)
  const script = `
    const db = require('lmdb').open(process.argv[1], { encoding: 'json', overlappingSync: false, noSubdir: false })
    db.transactionSync(() => void db.putSync('sequence/n1', 2))
  `
  const { status, stderr } = spawnSync(process.execPath, ['-e', script, path], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  t.equal(read(), 2)
  store.close()
})

t.test('the poll is silent while nothing happens', async (t) => {
  const store = openLmdbStore(freshPath(), { pollMs: 5 })
  let calls = 0
  store.watch(() => calls++)
  await answerOf(store, (tx) => tx.put(keys.sequence('n1'), 1))
  await until(() => calls > 0)
  const before = calls
  await sleep(60)
  t.equal(calls, before)
  store.close()
})

t.test('only root may read it', async (t) => {
  const path = freshPath()
  openLmdbStore(path).close()
  t.equal(statSync(path).mode & 0o777, 0o700)
  for (const file of readdirSync(path)) t.equal(statSync(join(path, file)).mode & 0o777, 0o600)
})

t.test('opening what is not there', async (t) => {
  const path = freshPath()
  for (const options of [{ readOnly: true }, { mustExist: true }]) {
    t.throws(() => openLmdbStore(path, options), {
      code: 'NOT_FOUND',
      message: `Cannot open store ${path}: there is none, wanted a directory with data.mdb`,
    })
  }
  t.notOk(existsSync(path), 'makes nothing')
  t.throws(() => openLmdbStore('/dev/null/store'), { code: 'STORE', message: '/dev/null/store' })
})

t.test('a store that was opened to read', async (t) => {
  const path = freshPath()
  const writer = openLmdbStore(path)
  const store = openLmdbStore(path, { readOnly: true })
  await answerOf(writer, (tx) => tx.put(keys.sequence('n1'), 1))
  t.equal(
    store.read((r) => r.get(keys.sequence('n1'))),
    1,
  )
  t.match(await outcomeOf(store, () => 1), { kind: 'failed', error: { code: 'STORE' } })
  store.close()
  writer.close()
})

layoutContract(t, 'lmdb', () => {
  const path = freshPath()
  return {
    open: async () => openLmdbStore(path),
    async close(store) {
      store.close()
      await sleep(20)
    },
  }
})

t.test('who only reads changes no layout', async (t) => {
  const path = freshPath()
  const old = openLmdbStore(path)
  await answerOf(old, (tx) => tx.put(keys.schema, 1))
  old.close()
  await sleep(20)
  const looker = openLmdbStore(path, { readOnly: true })
  t.equal(
    looker.read((r) => r.get(keys.schema)),
    1,
  )
  looker.close()
})

t.test('grows past its first size', async (t) => {
  const store = openLmdbStore(freshPath())
  const text = 'x'.repeat(4000)
  for (let part = 0; part < 10; part++) {
    await answerOf(store, (tx) => {
      for (let n = 0; n < 200; n++) tx.put(`big/${part}/${n}`, text)
    })
  }
  t.equal(
    store.read((r) => [...r.range('big/')].length),
    2000,
  )
  store.close()
})

for (const patience of ['blocks', 'pool']) {
  t.test(`a full disk fails the request, and the process goes on (${patience})`, async (t) => {
    // A limit on the size of files stands in for the disk; it needs no root.
    const file = fileURLToPath(new URL('lmdb-full.ts', import.meta.url))
    const limited = `ulimit -f 1600; exec "$0" --conditions=trivium-source --import tsx "$@"`
    const args = ['-c', limited, process.execPath, file, freshPath(), patience]
    const { status, stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' })
    t.equal(status, 0, stderr)
    const { refused, committed, rows } = JSON.parse(stdout)
    t.equal(refused, 'STORE')
    t.ok(committed > 3, `${committed} transactions fit`)
    t.equal(rows, committed, 'what was answered is there')
  })
}

t.test('four processes, killed at random', { timeout: LIVES_MS_MAX }, async (t) => {
  const random = prng(SEED)
  const path = freshPath()
  const store = openLmdbStore(path)
  const spec = { name: 'pods', mode: 'route', pools: [{ cidr: '10.42.0.0/22', blockLength: 28 }] }
  await answerOf(store, (tx) => createNetwork(tx, parseNetworkSpec(spec, 1)))
  let changes = 0
  store.watch(() => changes++)

  const book = answers()
  const program = await writerProgram(folder)
  const writers = NODES.map((node) => startWriter({ path, node, life: 0, program }, book))
  t.teardown(() => {
    for (const writer of writers) writer.process.kill('SIGKILL')
  })
  await Promise.all(writers.map(({ ready }) => ready))
  for (let life = 1; life <= KILLS; life++) {
    await sleep(20 + random.below(200))
    const index = random.below(writers.length)
    writers[index]!.process.kill('SIGKILL')
    await writers[index]!.ended
    store.read((reader) => checkInvariants(reader, NODES))
    writers[index] = startWriter({ path, node: NODES[index]!, life, program }, book)
    await writers[index]!.ready
  }
  await sleep(100)
  for (const writer of writers) writer.process.kill('SIGKILL')
  await Promise.all(writers.map(({ ended }) => ended))

  store.read((reader) => checkInvariants(reader, NODES))
  t.pass(`invariants hold after ${KILLS + NODES.length} kills (FC_SEED=${SEED})`)
  t.strictSame(
    store.read((reader) => bookErrors(reader, book, NODES)),
    [],
    'every answer given is on disk, and nothing released came back',
  )
  t.ok(book.allocations > 100, `${book.allocations} allocations were made`)
  t.ok(changes > 10, `${changes} commits of other processes were seen`)
  const faults = KILLS + NODES.length
  tell(t, 'four processes', { commands: book.allocations + book.released.length, faults })
  store.close()
})

t.test('a commit of another process is seen in milliseconds', async (t) => {
  const path = freshPath()
  const store = openLmdbStore(path)
  const spec = { name: 'pods', mode: 'route', pools: [{ cidr: '10.42.0.0/16' }] }
  await answerOf(store, (tx) => createNetwork(tx, parseNetworkSpec(spec, 1)))
  const program = await writerProgram(folder)
  const writer = startWriter({ path, node: 'n1', life: 0, program }, answers())
  t.teardown(() => writer.process.kill('SIGKILL'))
  let seen = false
  store.watch(() => {
    seen ||= store.read((r) => [...r.range(keys.attachments('n1'))].length > 0)
  })
  await writer.ready
  await until(() => seen)
  t.ok(seen)
  writer.process.kill('SIGKILL')
  await writer.ended
  store.close()
})
