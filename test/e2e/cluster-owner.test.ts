/** Administration in a cluster, from any node: requests to owners, pools that drain. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import type { LabNode } from '../../src/lab/lab.ts'
import { added, builtCli, ip, ipsOf, settle, skip } from '../support/e2e.ts'
import { etcdMissing } from '../support/etcd.ts'
import { blocksOf, type EtcdLab, etcdLab } from '../support/etcd-lab.ts'

const missing = skip === false ? etcdMissing() : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(180_000)
const long = process.env['TRIVIUM_LONG'] === '1' ? false : 'TRIVIUM_LONG=1 runs it'

/** `trivium ARGS` on the node, with its own store. */
const onStore = (
  cluster: EtcdLab,
  node: LabNode,
  ...args: readonly string[]
): Promise<Finished> => {
  const store = ['--store', `lmdb:${cluster.storeOf(node)}`]
  return run(inNetns(node.netns, [...builtCli(), ...args, ...store]))
}

/** Addresses of the node's attachments, by its own store. */
async function heldBy(cluster: EtcdLab, node: LabNode): Promise<readonly string[]> {
  const file = join(cluster.lab.dir, `${node.name}.export`)
  rmSync(file, { force: true })
  await onStore(cluster, node, 'ipam', 'export', '--network', 'pods', file)
  const text = readFileSync(file, 'utf8').replaceAll('\\', '')
  return [...text.matchAll(/"ips":\["([^"]+)"/g)].map(([, found = '']) => found).sort()
}

t.test(
  "another node's addresses: its agent is asked, looks, and does it or says why not",
  async (t) => {
    const cluster = await etcdLab(t, { mode: 'route' })
    const { lab, nodes, url } = cluster
    const [n1, n2] = nodes
    const [, agent] = await Promise.all(nodes.map((node) => cluster.start(node)))
    const living = await lab.addPod(n2!)
    const [kept = ''] = ipsOf(await added(lab, living))
    const dead = await lab.addPod(n2!)
    const [lost = ''] = ipsOf(await added(lab, dead))
    const late = await lab.addPod(n2!)
    const [waits = ''] = ipsOf(await added(lab, late))
    await settle(async () => {
      const shown = await run(
        inNetns(n1!.netns, [...builtCli(), 'ipam', 'show', '--ip', waits, '--store', url]),
      )
      return shown.stdout.includes('is in use') ? [] : ['not mirrored yet']
    })
    const release = (address: string, ...more: readonly string[]): Promise<Finished> =>
      onStore(cluster, n1!, 'ipam', 'release', '--ip', address, '--yes', ...more)

    const refused = await release(kept)
    t.equal(refused.status, 1)
    t.match(refused.stdout, /refused +release .*link trv\w+ is there: its pod may live/)
    for (const pod of [dead, late]) await lab.removePod(pod)
    if (long === false) {
      const found = await onStore(cluster, n1!, 'ipam', 'check', '--at', 'n2')
      t.equal(found.status, 1, `findings: ${found.stderr}`)
      t.equal(found.stdout.match(/namespace-gone/g)?.length, 2, 'n2 has looked at its own kernel')
    }
    const done = await release(lost)
    t.equal(done.status, 0, `${done.stdout}${done.stderr}`)
    t.match(done.stdout, /done +release/)
    t.same(await heldBy(cluster, n2!), [kept, waits].sort(), "n2's own store says so")

    await agent!.kill()
    const silent = await release(waits, '--timeout', '2')
    t.equal(silent.status, 1)
    t.match(
      silent.stderr,
      /Cannot ask node n2: its agent did not answer within 2 s; nothing was changed/,
    )
    t.match(silent.stderr, /trivium node delete n2 --force/)
    const kept2 = await run(
      inNetns(n1!.netns, [...builtCli(), 'node', 'delete', 'n2', '--store', url]),
    )
    t.match(
      kept2.stderr,
      /Cannot delete node n2: it holds \d pods, and its last sign of life is of \d{4}-/,
    )
    await cluster.start(n2!)
    await added(lab, await lab.addPod(n2!))
    t.ok((await heldBy(cluster, n2!)).includes(waits), 'and it is not done later')
    if (long === false) {
      const mended = await onStore(cluster, n1!, 'ipam', 'repair', '--at', 'n2', '--yes')
      t.equal(mended.status, 0, `${mended.stdout}${mended.stderr}`)
      t.notOk((await heldBy(cluster, n2!)).includes(waits), 'asked again, it is')
    }
  },
)

t.test('a pool is left and deleted from any node', { skip: long }, async (t) => {
  const pools = ['10.42.0.0/24,block=28']
  const cluster = await etcdLab(t, { mode: 'vxlan', pools })
  const { lab, nodes } = cluster
  const [n1] = nodes
  const times = { beatMs: 500, reassertMs: 3000, retryMsMax: 500, idleMs: 500 }
  const options = ['--cluster-times', JSON.stringify(times)]
  await Promise.all(nodes.map((node) => cluster.start(node, ...options)))
  const pods = await Promise.all(nodes.map((node) => lab.addPod(node)))
  for (const pod of pods) await added(lab, pod)
  const must = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await onStore(cluster, n1!, 'ipam', ...args)
    t.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }
  await must('configure', '--cooldown', '1')
  await must('pool', 'create', '10.43.0.0/24,block=28')
  await must('pool', 'drain', '10.42.0.0/24')
  const early = await onStore(cluster, n1!, 'ipam', 'pool', 'delete', '10.42.0.0/24', '--yes')
  t.match(early.stderr, /Cannot delete pool 10.42.0.0\/24: 2 addresses in use/)
  for (const pod of pods) await lab.cni('DEL', pod)
  await must('pool', 'drain', '10.42.0.0/24', '--wait', '60')
  t.match(await must('pool', 'delete', '10.42.0.0/24', '--yes'), /10.42.0.0\/24 +deleted/)
  for (const node of nodes) {
    const blocks = await blocksOf(cluster, node, (all) =>
      all.every(({ cidr }) => String(cidr).startsWith('10.43.')),
    )
    t.ok(blocks.length >= 2, `${node.name} knows the others only`)
    const [address] = ipsOf(await added(lab, await lab.addPod(node)))
    t.match(address, /^10\.43\.0\./)
  }
  const left = await settle(async () => {
    const routes = await ip(n1!.netns, '-4', 'route', 'show')
    const links = await ip(n1!.netns, '-4', 'addr', 'show')
    return /10\.42\.0\./.test(routes + links) ? [routes + links] : []
  })
  t.same(left, [], 'the kernel has followed: no route and no tunnel endpoint of it')
})
