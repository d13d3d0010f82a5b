/**
 * No address twice, shown on a real etcd and real stores: snapshots restored by its own
 * tools, disks put back and copied, wall clocks that jump, certificates, IPv6.
 */
import { cpSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import type { LabNode } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import { added, builtCli, endpointOf, errorOf, ipsOf, settle, skip } from '../support/e2e.ts'
import { etcdMissing } from '../support/etcd.ts'
import { type EtcdLab, etcdLab } from '../support/etcd-lab.ts'

const long = process.env['TRIVIUM_LONG'] === '1' ? undefined : 'TRIVIUM_LONG=1 runs it'
const missing = skip === false ? (etcdMissing() ?? long) : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}
t.setTimeout(300_000)

/** ADDs one after the other, each until it succeeds. @returns their addresses. */
async function pods({ lab }: EtcdLab, node: LabNode, count: number): Promise<string[]> {
  const found: string[] = []
  for (let n = 0; n < count; n++) {
    const pod = await lab.addPod(node)
    const left = await settle(async () => {
      const answer = await lab.cni('ADD', pod)
      if (answer.status === 0) found.push(...ipsOf(JSON.parse(answer.stdout) as never))
      return answer.status === 0 ? [] : [answer.stdout]
    }, 60_000)
    if (left.length > 0) throw new Error(`no address on ${node.name}: ${left}`)
  }
  return found
}

const unique = (all: readonly string[]): boolean => new Set(all).size === all.length

const ETCDCTL = '/usr/bin/etcdctl'
const noCtl = existsSync(ETCDCTL) ? false : `no ${ETCDCTL} (Debian: etcd-client)`

t.test('a snapshot as etcdctl saves and restores it, under agents', { skip: noCtl }, async (t) => {
  const cluster = await etcdLab(t, { nodes: 2, mode: 'route', pools: ['10.42.0.0/25,block=29'] })
  const { nodes, etcd, places, lab } = cluster
  const agents = await Promise.all(nodes.map((node) => cluster.start(node)))
  const all = [...(await pods(cluster, nodes[0]!, 1)), ...(await pods(cluster, nodes[1]!, 1))]
  const file = join(lab.dir, 'snapshot')
  const [place] = places
  const [member] = etcd.members
  const ctl = (...args: string[]): Promise<string> =>
    must(inNetns(place!.netns, ['env', 'ETCDCTL_API=3', ETCDCTL, ...args]))
  const endpoint = ['--endpoints', `http://${member!.client}`]
  const clusterId = async (): Promise<unknown> =>
    JSON.parse(await ctl(...endpoint, 'endpoint', 'status', '-w', 'json'))[0].Status.header
      .cluster_id
  const before = await clusterId()
  await ctl(...endpoint, 'snapshot', 'save', file)
  all.push(...(await pods(cluster, nodes[0]!, 14)), ...(await pods(cluster, nodes[1]!, 9)))
  await member!.kill()
  rmSync(member!.data, { recursive: true, force: true })
  const peer = `http://${place!.ip}:2380`
  const as = ['--name', 'm0', '--initial-cluster', `m0=${peer}`, '--data-dir', member!.data]
  await ctl('snapshot', 'restore', file, ...as, '--initial-advertise-peer-urls', peer)
  member!.start()
  await etcd.healthy()
  t.equal(await clusterId(), before, 'its cluster id is the same')
  all.push(...(await pods(cluster, nodes[1]!, 12)), ...(await pods(cluster, nodes[0]!, 9)))
  t.equal(all.length, 46)
  t.ok(unique(all), 'no address twice')
  t.ok(
    agents.every((agent) => agent.log().includes('fell-back')),
    'every agent has noticed',
  )
})

t.test('an older copy of the store is put back while etcd is away', async (t) => {
  const cluster = await etcdLab(t, { nodes: 1, mode: 'route', pools: ['10.42.0.0/25,block=29'] })
  const { nodes, etcd, lab } = cluster
  const [node] = nodes
  const store = cluster.storeOf(node!)
  const first = await cluster.start(node!)
  const all = await pods(cluster, node!, 2)
  await first.kill()
  cpSync(store, `${store}.old`, { recursive: true })
  const second = await cluster.start(node!)
  all.push(...(await pods(cluster, node!, 9)))
  await new Promise((resolve) => setTimeout(resolve, 1500)) // a sign of life since
  await second.kill()
  await etcd.members[0]!.kill()
  rmSync(store, { recursive: true })
  cpSync(`${store}.old`, store, { recursive: true })
  t.match(
    errorOf(await lab.cni('ADD', await lab.addPod(node!))),
    { code: 11, msg: /its store is an older copy/ },
    'nor without an agent',
  )
  await cluster.start(node!)
  const early = await lab.cni('ADD', await lab.addPod(node!))
  t.match(
    errorOf(early),
    { code: 11, msg: /not heard yet from etcd/ },
    'nothing before etcd is heard',
  )
  etcd.members[0]!.start()
  await etcd.healthy()
  all.push(...(await pods(cluster, node!, 8)))
  t.equal(all.length, 19)
  t.ok(unique(all), 'no address twice')
})

t.test('of a copied disk the machine that came later ends, and says why', async (t) => {
  const cluster = await etcdLab(t, { nodes: 2, mode: 'route' })
  const { lab, nodes, url } = cluster
  const [first, other] = nodes
  await cluster.start(first!)
  const all = await pods(cluster, first!, 2)
  cpSync(cluster.storeOf(first!), join(lab.dir, 'copy'), { recursive: true })
  const boot = join(lab.dir, 'boot-id')
  writeFileSync(boot, '11111111-2222-3333-4444-555555555555\n')
  const args = ['--node', 'n1', '--underlay', 'eth0', '--cluster', url]
  const where = ['--store', `lmdb:${join(lab.dir, 'copy')}`, '--socket', other!.socketPath]
  const agent = [...builtCli(), 'agent', ...args, ...where, '--state-dir', join(lab.dir, 'twin')]
  const mount = `mount --bind ${boot} /proc/sys/kernel/random/boot_id && exec "$@"`
  const twin = await run(
    inNetns(other!.netns, ['unshare', '-m', 'sh', '-c', mount, 'sh', ...agent]),
    { timeoutMs: 60_000 },
  )
  t.equal(twin.status, 1, 'it ends')
  t.match(twin.stderr, /Cannot be node n1: an agent with this machine's id and a copy of its store/)
  all.push(...(await pods(cluster, first!, 3)))
  t.ok(unique(all), 'the first goes on')
})

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'
const noFake = existsSync(FAKETIME) ? false : `no ${FAKETIME} (Debian: faketime)`

t.test('the wall clock of the agents jumps by days, both ways', { skip: noFake }, async (t) => {
  const dial = join('/run', `trv-faketime-${process.pid}`)
  t.teardown(() => rmSync(dial, { force: true }))
  const set = (offset: string): void => writeFileSync(dial, `${offset}\n`)
  set('+0d')
  const env = ['FAKETIME_NO_CACHE=1', 'DONT_FAKE_MONOTONIC=1', `FAKETIME_TIMESTAMP_FILE=${dial}`]
  const prefix = ['env', `LD_PRELOAD=${FAKETIME}`, ...env]
  const options = { nodes: 2, mode: 'route', pools: ['10.42.0.0/25,block=29'] } as const
  const cluster = await etcdLab(t, { ...options, prefix, leaseSeconds: 10 })
  const { nodes, lab } = cluster
  await Promise.all(nodes.map((node) => cluster.start(node)))
  const all = await pods(cluster, nodes[0]!, 2)
  for (const offset of ['+1d', '-1d', '+0d']) {
    set(offset)
    const now = await must([...prefix, 'date', '+%s'])
    const days = Math.round((Number(now) - Date.now() / 1000) / 86_400)
    t.equal(days, Number(offset.slice(0, -1)), `the clock is ${offset}`)
    for (const node of nodes) all.push(...(await pods(cluster, node, 6)))
  }
  t.equal(all.length, 38)
  t.ok(unique(all), 'no address twice')
  // The lease is by another clock: a day more does not end it, nor a day less make it last.
  await cluster.cut(nodes[0]!)
  set('+1d')
  set('-1d')
  await new Promise((resolve) => setTimeout(resolve, 11_000))
  const late = await lab.cni('ADD', await lab.addPod(nodes[0]!))
  t.match(errorOf(late), { code: 11, msg: /the lease is 10 s/ })
})

t.test('etcd and its clients show certificates', async (t) => {
  const cluster = await etcdLab(t, { nodes: 2, mode: 'route', tls: true })
  const { nodes, etcd } = cluster
  t.match(cluster.url, /^etcds:/)
  const agents = await Promise.all(nodes.map((node) => cluster.start(node)))
  const all = [...(await pods(cluster, nodes[0]!, 3)), ...(await pods(cluster, nodes[1]!, 3))]
  await etcd.members[0]!.kill()
  all.push(...(await pods(cluster, nodes[0]!, 2)))
  etcd.members[0]!.start()
  await etcd.healthy()
  all.push(...(await pods(cluster, nodes[1]!, 2)))
  t.ok(unique(all) && all.length === 10)
  t.notOk(agents.some((agent) => agent.log().includes('PRIVATE KEY')))
})

for (const [what, pools] of [
  ['IPv6 alone', ['fd42::/112,block=122']],
  ['both families', ['10.42.0.0/24,block=29', 'fd42::/112,block=125']],
] as const) {
  t.test(`${what}: etcd goes away and comes back, a store is lost`, async (t) => {
    const underlay = what === 'IPv6 alone' ? (6 as const) : undefined
    const cluster = await etcdLab(t, { nodes: 2, mode: 'vxlan', pools, underlay })
    const { lab, nodes, etcd } = cluster
    const agents = await Promise.all(nodes.map((node) => cluster.start(node)))
    const all = [...(await pods(cluster, nodes[0]!, 4)), ...(await pods(cluster, nodes[1]!, 4))]
    await etcd.members[0]!.kill()
    all.push(...(await pods(cluster, nodes[0]!, 1)))
    await agents[0]!.kill()
    rmSync(cluster.storeOf(nodes[0]!), { recursive: true })
    etcd.members[0]!.start()
    await etcd.healthy()
    await cluster.start(nodes[0]!)
    all.push(...(await pods(cluster, nodes[0]!, 4)))
    t.ok(unique(all), 'no address twice')
    t.equal(all.length, 13 * pools.length)
    const last = [await lab.addPod(nodes[0]!), await lab.addPod(nodes[1]!)]
    const results = [await added(lab, last[0]!), await added(lab, last[1]!)]
    const reached = await pingAll(last.map((pod, index) => endpointOf(pod, results[index]!)))
    t.same(
      reached.filter(({ ok }) => !ok),
      [],
      'each reaches each',
    )
  })
}
