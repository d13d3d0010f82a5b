/** The store on a real etcd: the contract, several clients, and members that go. */
import t from 'tap'
import { type EtcdStore, openEtcdStore } from '../../ipam/etcd-store.ts'
import { storeContract } from '../contract/store.ts'
import { etcdMissing, startEtcd } from '../support/etcd.ts'

const missing = etcdMissing()
if (missing !== undefined) {
  t.comment(`skipped: ${missing}`)
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(120_000)
const one = await startEtcd(t.testdir())
t.teardown(() => one.end())

let prefixes = 0
async function opened(url = one.url(`test/${prefixes++}`)): Promise<EtcdStore> {
  const store = openEtcdStore(url)
  await store.ready()
  return store
}

storeContract(t, 'etcd', () => opened())
