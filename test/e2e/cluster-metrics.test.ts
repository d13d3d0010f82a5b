/** What an agent in a cluster tells of it: its metrics and doctor, with etcd and without. */
import { join } from 'node:path'
import t from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { added, builtCli, settle, skip } from '../support/e2e.ts'
import { etcdMissing } from '../support/etcd.ts'
import { etcdLab } from '../support/etcd-lab.ts'

const missing = skip === false ? etcdMissing() : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(120_000)

t.test('a node in a cluster', async (t) => {
  const cluster = await etcdLab(t, { nodes: 1, mode: 'route', leaseSeconds: 600 })
  const { lab, nodes, etcd, storeOf } = cluster
  const [node] = nodes
  if (node === undefined) throw new Error('there is a node')
  const socket = join(lab.dir, 'metrics.sock')
  await cluster.start(node, '--metrics', `unix:${socket}`)
  const script = `require('http').get({ socketPath: '${socket}', path: '/metrics' }, (r) => r.pipe(process.stdout))`
  const page = (): Promise<string> => must([process.execPath, '-e', script])
  const samples = async (): Promise<Readonly<Record<string, number>>> => {
    const found = [...(await page()).matchAll(/^trivium_cluster_(\w+) (\S+)$/gm)]
    return Object.fromEntries(found.map(([, name, value]) => [name, Number(value)]))
  }
  const store = ['--store', `lmdb:${storeOf(node)}`]
  const trivium = (...args: readonly string[]) => run(inNetns(node.netns, [...builtCli(), ...args]))
  const doctor = (): ReturnType<typeof trivium> =>
    trivium('doctor', '--node', node.name, '--socket', node.socketPath, ...store)

  await added(lab, await lab.addPod(node))
  const left = await settle(async () => {
    const { mirror_pending_records: pending } = await samples()
    return pending === 0 ? [] : [`${pending} are not mirrored`]
  })
  t.strictSame(left, [], 'what an ADD wrote goes up')
  const now = await samples()
  t.match(now, { connected: 1, requests: 0 })
  const { lease_left_seconds: lease = 0 } = now
  t.ok(lease > 300 && lease <= 600, `the lease has ${lease} s left`)
  for (const name of Object.keys(now)) {
    t.match(await page(), new RegExp(`# HELP trivium_cluster_${name} .+\\n# TYPE .+ gauge\\n`))
  }
  t.match((await doctor()).stdout, /^ok +cluster +etcd was heard of, the lease has \d+ min/m)
  const at = ['--node', node.name, '--socket', node.socketPath]
  for (const url of [`lmdb:${storeOf(node)}`, cluster.url]) {
    const checked = await trivium('ipam', 'check', '--store', url, ...at)
    t.equal(checked.status, 0, `${url}: ${checked.stdout}${checked.stderr}`)
  }
  const file = join(lab.dir, 'a.backup')
  await cluster.on(node, 'ipam', 'backup', file, ...store)
  const restored = await trivium('ipam', 'restore', file, '--yes', ...store)
  t.equal(restored.status, 1)
  t.match(restored.stderr, /the store is of a node in a cluster, wanted the cluster's/)

  await etcd.members[0]?.kill()
  t.strictSame(
    await settle(async () => ((await samples())['connected'] === 0 ? [] : ['still there'])),
    [],
  )
  await added(lab, await lab.addPod(node))
  t.ok(((await samples())['mirror_pending_records'] ?? 0) > 1, 'an ADD without etcd waits to go up')
})
