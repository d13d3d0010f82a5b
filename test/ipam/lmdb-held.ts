/**
 * A process whose syncs are held by held-sync.c: what goes on meanwhile, as one
 * line of JSON. The argument says what it does.
 */
import {
  appendFileSync,
  existsSync,
  open as openFile,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import type { Key } from '../../ipam/store.ts'
import { asTriviumError } from '../../src/errors.ts'
import { answerOf, outcomeOf, until } from '../contract/store.ts'

const [path = '', what = ''] = process.argv.slice(2)
const LOG = process.env['HELD_SYNC'] ?? ''
const row = (name: string): Key<number> => `row/${name}`
const events = (): string[] => readFileSync(LOG, 'utf8').trim().split('\n')
const note = (event: string): void => appendFileSync(LOG, `${event}\n`)
const hold = (): void => writeFileSync(`${LOG}.hold`, '')
const letGo = (): void => rmSync(`${LOG}.hold`)

const store = openLmdbStore(path, { patience: 'pool' })
const read = (name: string): number | undefined => store.read((reader) => reader.get(row(name)))

/** One transaction whose moments are noted among the events; resolves when it is done. */
function noted(name: string): Promise<void> {
  return new Promise((resolve) => {
    store.transact(
      (tx) => tx.put(row(name), 1),
      ({ kind }) => {
        note(`${name} ${kind}`)
        resolve()
      },
      () => note(`${name} decided`),
    )
  })
}

/** A commit is under way and stands still in the sync. */
async function underWay(): Promise<void> {
  writeFileSync(LOG, '')
  hold()
  void noted('first')
  await until(() => events().includes('sync') && events().includes('first decided'))
}

/** The order of events, and what is read while nothing is durable. */
async function order(): Promise<unknown> {
  await answerOf(store, (tx) => tx.put(row('before'), 1))
  await underWay()
  const second = noted('second')
  await sleep(20)
  const during = { before: read('before'), first: read('first'), done: events().sort() }
  letGo()
  await second
  return { during, order: events(), after: [read('first'), read('second')] }
}

/** What was seen by a body that ran while another's writes stood still in the sync. */
const seen: (number | undefined)[] = []
function onTop(name: string): Promise<string> {
  return outcomeOf(store, (tx) => {
    seen.push(tx.get(row('first')))
    tx.put(row(name), 1)
  }).then(({ kind }) => kind)
}

/** Bodies run on top of a commit that is under way; the disk takes it, or fails. */
async function ahead(fails: boolean): Promise<unknown> {
  await answerOf(store, (tx) => tx.put(row('before'), 1))
  await underWay()
  const second = onTop('second')
  await until(() => seen.length === 1)
  const during = { first: read('first'), second: read('second'), done: events().sort() }
  if (fails) writeFileSync(`${LOG}.sync`, '')
  letGo()
  const outcomes = [await second]
  if (fails) {
    rmSync(`${LOG}.sync`)
    await sleep(1010)
  }
  outcomes.push(await onTop('third'))
  return { during, outcomes, seen, after: [read('first'), read('second'), read('third')] }
}

/** The disk fails while `event`, twice, and is well again; each transaction is after the pause. */
async function failing(event: string): Promise<unknown> {
  await answerOf(store, (tx) => tx.put(row('before'), 1))
  writeFileSync(`${LOG}.${event}`, '')
  const found: string[] = []
  for (let round = 0; round < 3; round++) {
    const outcome = await outcomeOf(store, (tx) => tx.put(row(`${round}`), 1))
    found.push(outcome.kind === 'committed' ? 'committed' : asTriviumError(outcome.error).message)
    if (round === 1) rmSync(`${LOG}.${event}`)
    if (round < 2) await sleep(1010)
  }
  return found
}

/** A commit is on disk, and nobody was told. */
async function late(): Promise<void> {
  writeFileSync(`${LOG}.late`, '')
  store.transact(
    (tx) => tx.put(row('count'), (tx.get(row('count')) ?? 0) + 1),
    () => note('committed'),
  )
  await until(() => events().includes('made'))
}

/** A commit that waits for a thread: the only one stands still at a FIFO. */
async function queued(): Promise<void> {
  openFile(`${LOG}.fifo`, () => {})
  void noted('first')
  await until(() => events().includes('first decided'))
}

async function main(): Promise<void> {
  if (what === 'order') console.log(JSON.stringify(await order()))
  if (what === 'ahead' || what === 'lost') {
    console.log(JSON.stringify(await ahead(what === 'lost')))
  }
  if (what === 'sync' || what === 'meta') console.log(JSON.stringify(await failing(what)))
  if (what === 'late') {
    await late()
    console.log('under way')
  }
  if (what === 'exit' || what === 'queued' || what === 'stand') {
    await (what === 'queued' ? queued() : underWay())
    console.log('under way')
    if (what !== 'stand') process.exit(0)
    while (existsSync(LOG)) await sleep(10)
  }
  store.close()
}

main()
