/**
 * Many processes open one store, write a little and end, beside one that lives
 * on: no answer is lost, none is given twice, and the counters agree.
 *
 * lmdb goes back to an old snapshot when somebody opens while another commits.
 * By itself that hits one opening in thousands; a preloaded pause at the place
 * makes it nearly every one, so that a short run can tell.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { allocate, createNetwork, keys, parseNetworkSpec, release } from '../../ipam/mod.ts'
import type { Store } from '../../ipam/store.ts'
import { prng } from '../../src/prng.ts'
import { answerOf } from '../contract/store.ts'
import { ownFolder } from '../support/folder.ts'
import { checkInvariants } from './invariants.ts'
import { type Answers, answers, bookErrors, startWriter, writerProgram } from './lmdb-writers.ts'

const LONG = process.env['TRIVIUM_LONG'] === '1'
const SEED = process.env['FC_SEED'] ?? String(Date.now())
/** Each writer is a node of its own; `home` is the process that lives on. */
const NODES = ['home', ...Array.from({ length: 20 }, (_, n) => `w${n}`)]

t.setTimeout(LONG ? 3_600_000 : 120_000)
const folder = ownFolder(t)
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

interface Load {
  /** Processes at a time, and how many one after the other in each place. */
  readonly writers: number
  readonly lives: number
  /** Openings of each process. */
  readonly rounds: number
  /** Whether one at random is killed now and then. */
  readonly kills: boolean
  readonly env?: NodeJS.ProcessEnv | undefined
}

async function freshStore(path: string): Promise<Store> {
  const store = openLmdbStore(path, { patience: 'pool' })
  const spec = { name: 'pods', mode: 'route', pools: [{ cidr: '10.42.0.0/16', blockLength: 26 }] }
  await answerOf(store, (tx) => createNetwork(tx, parseNetworkSpec(spec, 1)))
  return store
}

/** Writes and reads like an agent until it is told to stop. */
async function liveOn(store: Store, book: Answers, isOver: () => boolean): Promise<void> {
  for (let round = 0; !isOver(); round++) {
    const containerId = `home-${round}`
    const key = { network: 'pods', containerId, ifname: 'eth0' }
    const request = { key, node: 'home', netns: '', mayClaim: true, nowMs: 1, bootId: '' }
    const made = await answerOf(store, (tx) => allocate(tx, request))
    if (made.kind === 'refused') book.troubles.push(made.message)
    const seen = store.read((reader) => reader.get(keys.attachment('home', key)))
    if (seen === undefined) book.troubles.push(`${containerId} was not to be read`)
    const gone = await answerOf(store, (tx) => release(tx, 'home', key))
    if (gone === undefined) book.troubles.push(`${containerId} was not to be released`)
    book.released.push(containerId)
    await sleep(1)
  }
}

async function underLoad(t: Test, name: string, program: string, load: Load): Promise<void> {
  const path = join(folder, name)
  const store = await freshStore(path)
  const book = answers()
  let changes = 0
  store.watch(() => changes++)
  let over = false
  const living = liveOn(store, book, () => over)
  const random = prng(SEED)
  const place = async (node: string): Promise<void> => {
    for (let life = 0; life < load.lives; life++) {
      const { rounds, env = process.env } = load
      const writer = startWriter({ path, node, life, rounds, program, env }, book)
      const doomed = load.kills && random.below(3) === 0
      const timer = setTimeout(() => doomed && writer.process.kill('SIGKILL'), random.below(300))
      const status = await writer.ended
      clearTimeout(timer)
      if (status !== 0 && !doomed) book.troubles.push(`${node} ended with status ${status}`)
    }
  }
  await Promise.all(NODES.slice(1, load.writers + 1).map(place))
  over = true
  await living
  store.read((reader) => checkInvariants(reader, NODES))
  t.strictSame(
    store.read((reader) => bookErrors(reader, book, NODES)),
    [],
    'store and book agree',
  )
  t.ok(
    book.allocations > 0 && changes > 0,
    `${book.allocations} allocations, ${changes} changes seen`,
  )
  store.close()
}

/** The environment that makes the fault likely; undefined without a C compiler. */
function slowOpening(): NodeJS.ProcessEnv | undefined {
  const library = join(folder, 'slow-open.so')
  const args = ['-shared', '-fPIC', '-o', library, here('slow-open.c'), '-ldl']
  const { status } = spawnSync(process.env['CC'] ?? 'gcc', args, { stdio: 'ignore' })
  return status === 0 ? { ...process.env, LD_PRELOAD: library } : undefined
}

t.test(`opening under load (FC_SEED=${SEED})`, async (t) => {
  const program = await writerProgram(folder)
  const env = slowOpening()
  await t.test(
    'each opening slow',
    { skip: env === undefined && 'no C compiler: CC or gcc' },
    async (t) => {
      const rounds = LONG ? 300 : 15
      await underLoad(t, 'slow', program, {
        writers: 5,
        lives: 1,
        rounds,
        kills: false,
        ...{ env },
      })
    },
  )
  await t.test('processes that live for one opening, some killed', async (t) => {
    const load = { writers: LONG ? 20 : 6, lives: LONG ? 50 : 3, rounds: 1, kills: true }
    await underLoad(t, 'short', program, load)
  })
  await t.test('thousands of openings', { skip: !LONG && 'TRIVIUM_LONG=1' }, async (t) => {
    await underLoad(t, 'many', program, { writers: 20, lives: 2, rounds: 600, kills: false })
  })
})
