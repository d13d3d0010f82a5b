/** A store on etcd that wants certificates, and shows one. */
import { join } from 'node:path'
import t from 'tap'
import { openEtcdStore } from '../../ipam/etcd-store.ts'
import { keys } from '../../ipam/mod.ts'
import { answerOf } from '../contract/store.ts'
import { certificates, etcdMissing, startEtcd } from '../support/etcd.ts'
import { ownFolder } from '../support/folder.ts'

const missing = etcdMissing()
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}
t.setTimeout(120_000)
const folder = ownFolder(t)
const tls = await certificates(join(folder, 'tls'), ['127.0.0.1'])
const others = await certificates(join(folder, 'others'), ['127.0.0.1'])
const etcd = await startEtcd(join(folder, 'etcd'), 1, [], tls)
t.teardown(() => etcd.end())

t.test('with ca, cert and key it is a store', async (t) => {
  const store = openEtcdStore(etcd.url('tls'))
  t.teardown(() => store.close())
  await store.ready()
  await answerOf(store, (tx) => tx.put(keys.sequence('n1'), 7))
  t.equal(
    store.read((reader) => reader.get(keys.sequence('n1'))),
    7,
  )
})

const refusals = [
  ['a server that another CA signed', { ca: others.ca }, /certificate/i],
  ['a client that another CA signed', { cert: others.cert, key: others.key }, /certificate|TLS/i],
] as const
for (const [what, other, why] of refusals) {
  t.test(`${what} is refused, and the message says so`, async (t) => {
    const { ca, cert, key } = { ...tls, ...other }
    const host = etcd.members[0]?.client
    const url = `etcds://${host}/tls?ca=${ca}&cert=${cert}&key=${key}`
    const store = openEtcdStore(url, { patienceMs: 1500 })
    t.teardown(() => store.close())
    const refusal = await store.ready().then(
      () => 'it came',
      (thrown: Error) => thrown.message,
    )
    t.match(refusal, why)
    t.notMatch(refusal, /BEGIN|PRIVATE/)
  })
}

t.test('a file that is not there is named', async (t) => {
  const url = `etcds://${etcd.members[0]?.client}/tls?ca=/no/such.pem`
  const store = openEtcdStore(url, { patienceMs: 1500 })
  t.teardown(() => store.close())
  await t.rejects(store.ready(), { code: 'STORE', message: /no\/such\.pem/ })
})
