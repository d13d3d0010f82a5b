/** The store on a real etcd: the contract, several clients, and members that go. */
import { cpSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd3 } from 'etcd3'
import t from 'tap'
import { checkIpam } from '../../ipam/check.ts'
import { type EtcdStore, type EtcdStoreOptions, openEtcdStore } from '../../ipam/etcd-store.ts'
import {
  allocate,
  createNetwork,
  keys,
  parseNetworkSpec,
  release,
  reserve,
  SCHEMA_VERSION,
} from '../../ipam/mod.ts'
import type { Key, KeyRange, Store, Tx } from '../../ipam/store.ts'
import type { Ip } from '../../src/net/mod.ts'
import { answerOf, outcomeOf, storeContract, until } from '../contract/store.ts'
import { layoutContract } from '../contract/store-layout.ts'
import { type EtcdCluster, etcdMissing, proxyTo, startEtcd } from '../support/etcd.ts'
import { ownFolder } from '../support/folder.ts'
import { checkInvariants } from './invariants.ts'

const missing = etcdMissing()
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(180_000)
/** Longer than an election and a start on a busy machine. */
const PATIENT = { patienceMs: 60_000 }
const SEES_MS_MAX = 20_000
const folder = ownFolder(t)
const one = await startEtcd(join(folder, 'one'))
t.teardown(() => one.end())

const NEWER = new RegExp(`layout ${SCHEMA_VERSION + 1}, wanted 1 to ${SCHEMA_VERSION}`)

let prefixes = 0
const freshUrl = (etcd = one): string => etcd.url(`test/${prefixes++}`)
async function opened(url = freshUrl(), options: EtcdStoreOptions = PATIENT): Promise<EtcdStore> {
  const store = openEtcdStore(url, options)
  await store.ready()
  return store
}

const counter: Key<number> = 'count/er'
const row = (name: string): Key<number> => `row/${name}`
const rows: KeyRange<number> = 'row/'
const increment = (tx: Tx): number => {
  const next = (tx.get(counter) ?? 0) + 1
  tx.put(counter, next)
  return next
}

storeContract(t, 'etcd', () => opened())
layoutContract(t, 'etcd', () => {
  const url = freshUrl()
  return {
    async open() {
      const store = openEtcdStore(url, PATIENT)
      await store.ready().catch((thrown: unknown) => {
        store.close()
        throw thrown
      })
      return store
    },
    close: async (store) => store.close(),
  }
})

t.test('several clients at once are as if one after the other', async (t) => {
  const url = freshUrl()
  const stores = await Promise.all([1, 2, 3, 4].map(() => opened(url)))
  t.teardown(() => stores.map((store) => store.close()))
  // A claim: the first that no range shows, as the allocator takes a block.
  const claim = (tx: Tx): string => {
    const taken = new Set([...tx.range(rows)].map(([key]) => key))
    let n = 0
    while (taken.has(row(`${n}`))) n++
    tx.put(row(`${n}`), 1)
    return row(`${n}`)
  }
  const claims = await Promise.all(
    stores.map(async (store) => {
      const own: string[] = []
      for (let n = 0; n < 15; n++) own.push(await answerOf(store, claim))
      return own
    }),
  )
  t.equal(new Set(claims.flat()).size, 60, 'nobody has what another has')
  const last = stores.at(-1)!
  await until(() => [...last.read((r) => r.range(rows))].length === 60, SEES_MS_MAX)
  t.equal([...last.read((r) => r.range(rows))].length, 60)
})

t.test('a range that lost a key is a conflict, too', async (t) => {
  const url = freshUrl()
  const [left, right] = [await opened(url), await opened(url)]
  t.teardown(() => [left, right].map((store) => store.close()))
  await answerOf(left, (tx) => [1, 2, 3].map((n) => tx.put(row(`${n}`), n)))
  // Two of three must stay, whoever takes one away: with a stale range none would.
  const takeOne = (which: number) => (tx: Tx) => {
    const there = [...tx.range(rows)].map(([key]) => key)
    if (there.length > 2) tx.remove(there[which]!)
  }
  for (let round = 0; round < 20; round++) {
    await Promise.all([answerOf(left, takeOne(0)), answerOf(right, takeOne(2))])
    const there = await answerOf(left, (tx) => [...tx.range(rows)].length)
    t.equal(there, 2, `round ${round}`)
    await answerOf(left, (tx) => [1, 2, 3].map((n) => tx.put(row(`${n}`), n)))
  }
})

t.test('four nodes allocate, release and reserve at once', async (t) => {
  const url = freshUrl()
  const nodes = ['n1', 'n2', 'n3', 'n4']
  const stores = await Promise.all(nodes.map(() => opened(url)))
  t.teardown(() => stores.map((store) => store.close()))
  const pools = [{ cidr: '10.1.0.0/25', blockLength: 30 }]
  const spec = { name: 'pods', mode: 'route', pools } as const
  await answerOf(stores[0]!, (tx) => createNetwork(tx, parseNetworkSpec(spec, 1)))
  await Promise.all(
    nodes.map(async (node, index) => {
      const store = stores[index]!
      const key = (n: number) => ({ network: 'pods', containerId: `${node}c${n}`, ifname: 'eth0' })
      for (let n = 0; n < 8; n++) {
        const nowMs = 100 + n
        const pod = { namespace: 'db', name: `${node}-${n}`, uid: 'u' }
        const asked = { node, netns: '', mayClaim: true, nowMs, bootId: 'b', pod }
        const ip = `10.1.0.${4 * (index + 20) + 1 + (n % 3)}` as Ip
        // Those of one node want what the others may have by then.
        if (n < 3) await outcomeOf(store, (tx) => reserve(tx, { network: 'pods', ip, pod, nowMs }))
        await answerOf(store, (tx) => allocate(tx, { key: key(n), ...asked }))
        if (n % 2 === 1) await answerOf(store, (tx) => release(tx, node, key(n - 1), nowMs))
      }
    }),
  )
  // Looked at outside: a body that ran before the last of the others was heard runs again.
  const [findings, held, past] = await answerOf(stores[0]!, (tx) => [
    checkIpam(tx),
    [...tx.range(keys.addresses('pods'))].length,
    [...tx.range(keys.networkHistory('pods'))].length,
  ])
  stores[0]!.read((reader) => checkInvariants(reader, nodes))
  t.strictSame(findings, [])
  t.equal(held, 16, 'four of eight on each node')
  t.equal(past, 16, 'and who had the others')
})

t.test('a store of a newer layout is refused, also when it becomes one', async (t) => {
  const url = freshUrl()
  const store = await opened(url)
  await answerOf(store, (tx) => tx.put(keys.schema, SCHEMA_VERSION + 1))
  const outcome = await outcomeOf(store, (tx) => tx.put(counter, 1))
  t.match(outcome, { kind: 'failed', error: { code: 'STORE', message: NEWER } })
  const late = openEtcdStore(url)
  await t.rejects(late.ready(), { code: 'STORE', message: NEWER })
  t.throws(() => late.read((r) => r.get(counter)), { code: 'STORE' })
  store.close()
  late.close()
})

t.test('a store that must exist is not made', async (t) => {
  const url = freshUrl()
  const store = openEtcdStore(url, { mustExist: true })
  await t.rejects(store.ready(), { code: 'NOT_FOUND' })
  store.close()
  const made = await opened(url)
  t.equal(await answerOf(made, (tx) => tx.get(keys.schema)), SCHEMA_VERSION)
  made.close()
})

t.test('nothing is left of a client that closed', async (t) => {
  const url = freshUrl()
  const store = await opened(url)
  await answerOf(store, increment)
  store.close()
  const raw = rawOf(one)
  t.teardown(() => raw.close())
  const prefix = `${new URL(url.replace('etcd:', 'http:')).pathname}/`
  const left = (): Promise<string[]> => raw.getAll().prefix(prefix).keys()
  for (let n = 0; n < 500 && (await left()).length > 2; n++) await sleep(10)
  t.strictSame((await left()).sort(), [`${prefix}count/er`, `${prefix}schema`])
})

t.test('nobody there: refused after the patience, reads too', async (t) => {
  const store = openEtcdStore('etcd://127.0.0.1:9/none', { patienceMs: 200 })
  t.throws(() => store.read(() => 1), { code: 'TRY_LATER' })
  await t.rejects(store.ready(), { code: 'TRY_LATER' })
  t.match(await outcomeOf(store, increment), { kind: 'failed', error: { code: 'TRY_LATER' } })
  store.close()
})

const rawOf = (etcd: EtcdCluster): Etcd3 =>
  new Etcd3({ hosts: etcd.members.map(({ client }) => `http://${client}`) })

t.test('an answer that was lost: what it told of is written once', async (t) => {
  const proxy = await proxyTo(one.members[0]!.client)
  t.teardown(() => proxy.close())
  const store = await opened(`etcd://${proxy.client}/test/lost`)
  t.teardown(() => store.close())
  const raw = rawOf(one)
  t.teardown(() => raw.close())
  t.equal(await answerOf(store, increment), 1)
  for (const wanted of [2, 3, 4]) {
    proxy.swallow()
    const pending = answerOf(store, increment)
    const there = (): Promise<string | null> => raw.get('/test/lost/count/er').string()
    for (let n = 0; n < 1000 && (await there()) !== `${wanted}`; n++) await sleep(5)
    proxy.cut()
    t.equal(await pending, wanted)
    t.equal(await there(), `${wanted}`)
  }
})

t.test('a request that comes late, after it was repeated, does nothing', async (t) => {
  const proxy = await proxyTo(one.members[0]!.client)
  t.teardown(() => proxy.close())
  const store = await opened(`etcd://${proxy.client}/test/late`)
  t.teardown(() => store.close())
  const put = (value: number) => answerOf(store, (tx) => tx.put(counter, value))
  const there = (): number | undefined => store.read((r) => r.get(counter))
  await put(1)
  proxy.hold()
  const pending = put(2)
  await sleep(50)
  proxy.cutHeld()
  await pending
  await put(3)
  proxy.release()
  // etcd has it now; what it makes of it comes before this one's end, or soon after.
  for (let n = 0; n < 20; n++) await answerOf(store, (tx) => tx.get(counter))
  await sleep(100)
  t.equal(there(), 3)
})

t.test('while it is away: reads go on, writes are refused; then they go on', async (t) => {
  const url = freshUrl()
  const store = await opened(url, { patienceMs: 300 })
  t.teardown(() => store.close())
  await answerOf(store, increment)
  await one.members[0]!.kill()
  const refused = await outcomeOf(store, increment)
  t.match(refused, { kind: 'failed', error: { code: 'TRY_LATER' } })
  t.equal(
    store.read((r) => r.get(counter)),
    1,
  )
  one.members[0]!.start()
  t.equal(await persisting(store, increment), 2)
})

t.test('a watcher hears what was written, compacted or not, while it was cut off', async (t) => {
  const url = freshUrl()
  const store = await opened(url)
  t.teardown(() => store.close())
  await answerOf(store, (tx) => [1, 2].map((n) => tx.put(row(`${n}`), n)))
  let calls = 0
  store.watch(() => calls++)
  await one.members[0]!.kill()
  one.members[0]!.start()
  const raw = rawOf(one)
  t.teardown(() => raw.close())
  const prefix = `${new URL(url.replace('etcd:', 'http:')).pathname}/`
  const write = async (): Promise<string> => {
    await raw.put(`${prefix}row/3`).value('3')
    await raw.delete().key(`${prefix}row/1`)
    const { header } = await raw.put(`${prefix}row/4`).value('4')
    return header.revision
  }
  const revision = await retried(write)
  await retried(() => raw.kv.compact({ revision, physical: true }))
  const names = (): string[] => [...store.read((r) => r.range(rows))].map(([key]) => key)
  await until(() => names().length === 3, SEES_MS_MAX)
  t.strictSame(names(), ['row/2', 'row/3', 'row/4'])
  await until(() => calls > 0)
  t.ok(calls > 0, 'told')
})

t.test('an older snapshot restored: the replica goes back with it', async (t) => {
  const url = freshUrl()
  const store = await opened(url)
  t.teardown(() => store.close())
  const [member] = one.members
  await answerOf(store, increment)
  await member!.kill()
  const [data, kept] = [member!.data, `${member!.data}.kept`]
  cpSync(data, kept, { recursive: true })
  member!.start()
  for (let n = 0; n < 5; n++) await answerOf(store, increment)
  await answerOf(store, (tx) => tx.put(row('lost'), 1))
  await member!.kill()
  renameSync(data, `${data}.newer`)
  renameSync(kept, data)
  member!.start()
  await until(() => store.read((r) => r.get(counter)) === 1, SEES_MS_MAX)
  t.equal(
    store.read((r) => r.get(counter)),
    1,
  )
  t.strictSame([...store.read((r) => r.range(rows))], [])
  t.equal(await answerOf(store, increment), 2)
})

t.test('three members: one is killed under load, then a second', async (t) => {
  const three = await startEtcd(join(folder, 'three'), 3)
  t.teardown(() => three.end())
  const url = freshUrl(three)
  const stores = await Promise.all([1, 2, 3].map(() => opened(url)))
  t.teardown(() => stores.map((store) => store.close()))
  const leader = await leaderOf(three)
  let written = 0
  const answers = await Promise.all(
    stores.map(async (store) => {
      const own: number[] = []
      for (let n = 0; n < 40; n++) {
        own.push(await answerOf(store, increment))
        if (++written === 30) await three.members[leader]!.kill()
      }
      return own
    }),
  )
  t.equal(new Set(answers.flat()).size, 120, 'every answer is another')
  t.equal(await answerOf(stores[0]!, (tx) => tx.get(counter)), 120, 'and none was written twice')
  three.members[leader]!.start()
  await three.healthy()

  const hasty = await opened(url, { patienceMs: 500 })
  t.teardown(() => hasty.close())
  await Promise.all([three.members[0]!.kill(), three.members[1]!.kill()])
  t.match(await outcomeOf(hasty, increment), { kind: 'failed', error: { code: 'TRY_LATER' } })
  t.equal(
    hasty.read((r) => r.get(counter)),
    120,
    'reads go on',
  )
  three.members[0]!.start()
  t.ok((await persisting(hasty, increment)) > 120)
})

/** Until etcd takes it. */
async function persisting<T>(store: Store, body: (tx: Tx) => T): Promise<T> {
  return await retried(() => answerOf(store, body))
}

async function retried<T>(work: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + SEES_MS_MAX
  for (;;) {
    try {
      return await work()
    } catch (thrown) {
      if (performance.now() > endMs) throw thrown
      await sleep(50)
    }
  }
}

async function leaderOf(etcd: EtcdCluster): Promise<number> {
  for (const [n, { client }] of etcd.members.entries()) {
    const raw = new Etcd3({ hosts: `http://${client}` })
    const { header, leader } = await raw.maintenance.status()
    raw.close()
    if (header.member_id === leader) return n
  }
  throw new Error('Cannot find the leader of etcd')
}
