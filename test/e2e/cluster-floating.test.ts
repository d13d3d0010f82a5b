/** A floating address in a cluster on etcd: it moves with its pod, and only while etcd answers. */
import t from 'tap'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  addedInTime,
  errorOf,
  ipJson,
  ipsOf,
  ownRoutes,
  settle,
  skip,
} from '../support/e2e.ts'
import { etcdMissing } from '../support/etcd.ts'
import { etcdLab } from '../support/etcd-lab.ts'

const missing = skip === false ? etcdMissing() : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(180_000)
const IP = '10.43.0.5'
const KUBE = {
  CNI_ARGS:
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=db;K8S_POD_NAME=db-0;K8S_POD_INFRA_CONTAINER_ID=a;K8S_POD_UID=1',
}

t.test('two nodes with a store each', async (t) => {
  const pools = ['10.42.0.0/24,block=28', '10.43.0.0/29,floating']
  const cluster = await etcdLab(t, { pools, mode: 'route' })
  const { lab, etcd, on, url } = cluster
  const [n1, n2] = cluster.nodes as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]]
  await Promise.all([n1, n2].map((node) => cluster.start(node)))
  await on(n1, 'ipam', 'reserve', IP, '--pod', 'db/db-0', '--store', url)
  /** As a runtime that tries again after code 11. */
  const comes = async (node: typeof n1) => {
    const pod = await lab.addPod(node)
    const result = await addedInTime(lab, pod, KUBE)
    const [link] = await ipJson(pod.netns, 'link', 'show', 'dev', 'eth0')
    t.strictSame(ipsOf(result), [IP])
    return { pod, mac: link?.['address'] }
  }
  // The reservation comes by etcd; an ordinary address would do until then.
  await settle(async () => {
    const found = await on(n1, 'ipam', 'why', IP, '--store', `lmdb:${cluster.storeOf(n1)}`)
    return found.includes('db/db-0') ? [] : ['not yet']
  })
  const first = await comes(n1)
  const other = await lab.addPod(n2)
  const client = await lab.addPod(n2)
  await added(lab, client)
  const way = async (): Promise<readonly string[]> => {
    const found = (await ownRoutes(n2)).find(({ dst }) => dst === IP)
    return found?.['gateway'] === n1.underlayIps[0] ? [] : [JSON.stringify(found)]
  }
  t.strictSame(await settle(way), [], 'n2 has a route for it alone')
  t.ok((await ping(client.netns, IP)).ok, 'and reaches it')
  t.match(errorOf(await lab.cni('ADD', other, {}, KUBE)), { code: 11, msg: /node n1 has it/ })

  await etcd.members[0]!.kill()
  t.equal((await lab.cni('DEL', first.pod)).status, 0, 'DEL needs no etcd')
  const away = errorOf(await lab.cni('ADD', other, {}, KUBE))
  t.match(away, { code: 11 }, 'a fixed address elsewhere does')
  t.match(away.msg, /etcd does not answer/)
  etcd.members[0]!.start()
  await etcd.healthy()
  const second = await comes(n2)
  t.equal(second.mac, first.mac, 'the same MAC')
  t.equal((await lab.cni('DEL', first.pod)).status, 0, 'a late DEL takes nothing')
  t.ok((await ping(client.netns, IP)).ok)
})
