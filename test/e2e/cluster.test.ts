/** Nodes whose blocks come from a real etcd: what they do while it is there, away, killed, cut off. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { inNetns, run } from '../../src/lab/exec.ts'
import type { Lab, LabNode, LabPod } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import {
  added,
  addedInTime,
  builtCli,
  type CniError,
  endpointOf,
  errorOf,
  ipsOf,
  settle,
  skip,
} from '../support/e2e.ts'
import { etcdMissing } from '../support/etcd.ts'
import { blocksOf, type EtcdLab, etcdLab, wipe } from '../support/etcd-lab.ts'

const missing = skip === false ? etcdMissing() : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(180_000)
const NEWEST = { cniVersion: '1.1.0' }

t.test(
  'two nodes with a store each: blocks from etcd, and pods that reach each other',
  async (t) => {
    const cluster = await etcdLab(t)
    const { lab, nodes } = cluster
    await Promise.all(nodes.map((node) => cluster.start(node)))
    const pods = await Promise.all(
      [nodes[0]!, nodes[1]!, nodes[0]!].map((node) => lab.addPod(node)),
    )
    const results = await Promise.all(pods.map((pod) => added(lab, pod)))
    t.equal(new Set(results.flatMap(ipsOf)).size, 3, 'three addresses')
    for (const node of nodes) {
      const blocks = await blocksOf(cluster, node, (found) => found.length === 4)
      t.same(
        new Set(blocks.map((block) => block['node'])),
        new Set(['n1', 'n2']),
        `${node.name} knows both nodes' blocks, a spare one each`,
      )
    }
    for (const node of nodes) {
      const store = ['--store', `lmdb:${cluster.storeOf(node)}`]
      const check = await run(
        inNetns(node.netns, [...builtCli(), 'ipam', 'check', '--node', node.name, ...store]),
      )
      t.equal(check.status, 0, `nothing is wrong with ${node.name}: ${check.stdout}`)
    }
    const reached = await pingAll(pods.map((pod, index) => endpointOf(pod, results[index]!)))
    t.same(
      reached.filter(({ ok }) => !ok),
      [],
      'each reaches each',
    )
  },
)

t.test(
  'etcd away: ADD and DEL go on until the blocks are full; then code 11; then on',
  async (t) => {
    // Seven usable addresses in the first block, eight in each other.
    const cluster = await etcdLab(t, { nodes: 1, mode: 'route', pools: ['10.42.0.0/26,block=29'] })
    const { lab, etcd } = cluster
    const [node] = cluster.nodes
    await cluster.start(node!)
    const first = await podOn(lab, node!)
    await blocksOf(cluster, node!, (found) => found.length === 2)
    await etcd.members[0]!.kill()
    const pods: LabPod[] = []
    let refusal: CniError | undefined
    for (let n = 0; n < 20 && refusal === undefined; n++) {
      const pod = await lab.addPod(node!)
      const answer = await lab.cni('ADD', pod)
      if (answer.status === 0) pods.push(pod)
      else refusal = errorOf(answer)
    }
    t.equal(pods.length, 14, 'what two blocks of eight have, without the tunnel and the first pod')
    t.match(refusal, { code: 11, msg: /etcd/ }, 'then the same request may succeed later')
    const status = await lab.cni('STATUS', first, NEWEST)
    t.match(errorOf(status), { code: 50 }, 'and STATUS says so')
    const gone = pods.pop()!
    t.equal((await lab.cni('DEL', gone)).status, 0, 'DEL needs no etcd')
    t.equal(
      (await lab.cni('STATUS', first, NEWEST)).status,
      0,
      "room again: etcd is nobody's concern",
    )
    await added(lab, await lab.addPod(node!))
    etcd.members[0]!.start()
    await etcd.healthy()
    // The member is there before the agent has looked again.
    await addedInTime(lab, await lab.addPod(node!))
    t.ok((await blocksOf(cluster, node!, (found) => found.length > 2)).length > 2, 'a block more')
  },
)

t.test('a store that was wiped: the addresses are known from mirror and kernel', async (t) => {
  const cluster = await etcdLab(t, { nodes: 1, mode: 'route' })
  const { lab } = cluster
  const [node] = cluster.nodes
  const agent = await cluster.start(node!)
  const before: string[] = []
  for (let n = 0; n < 3; n++) before.push(...ipsOf(await added(lab, await lab.addPod(node!))))
  t.same(await attachedIn(cluster, cluster.url, node!, 3), before.sort(), 'the mirror has them')
  await agent.kill()
  wipe(cluster, node!)
  rmSync(join(dirname(node!.socketPath), 'cluster.json'), { force: true })
  await cluster.start(node!)
  const after = ipsOf(await added(lab, await lab.addPod(node!)))
  t.notOk(before.includes(after[0]!), 'a new pod has none of them')
  const known = await attachedIn(cluster, `lmdb:${cluster.storeOf(node!)}`, node!, 4)
  t.same(known, [...before, ...after].sort(), 'its store has them again')
})

t.test(
  'a second machine with the name of a node is refused, and the node is not harmed',
  async (t) => {
    const cluster = await etcdLab(t, { nodes: 2, mode: 'route' })
    const { lab, nodes, on, url } = cluster
    await cluster.start(nodes[0]!)
    await podOn(lab, nodes[0]!)
    const id = join(lab.dir, 'machine-id')
    writeFileSync(id, 'ffffffffffffffffffffffffffffffff\n')
    const args = ['--node', 'n1', '--underlay', 'eth0', '--cluster', url]
    const where = [
      '--store',
      `lmdb:${cluster.storeOf(nodes[1]!)}`,
      '--socket',
      nodes[1]!.socketPath,
    ]
    const agent = [...builtCli(), 'agent', ...args, ...where, '--state-dir', join(lab.dir, 'twin')]
    const mount = `mount --bind ${id} /etc/machine-id && exec "$@"`
    const twin = await run(
      inNetns(nodes[1]!.netns, ['unshare', '-m', 'sh', '-c', mount, 'sh', ...agent]),
      { timeoutMs: 60_000 },
    )
    t.equal(twin.status, 1, 'it ends')
    t.match(twin.stderr, /Cannot be node n1: another machine is.*node delete n1 --force/s)
    await podOn(lab, nodes[0]!)
    await on(nodes[1]!, 'node', 'delete', 'n1', '--force', '--store', url)
    const left = await settle(async () => {
      const answer = await lab.cni('ADD', await lab.addPod(nodes[0]!))
      return answer.status !== 0 && answer.stdout.includes('was deleted') ? [] : [answer.stdout]
    })
    t.same(left, [], 'a node that was deleted while it has pods gives no address')
  },
)

/** A pod with its network. */
async function podOn(lab: Lab, node: LabNode): Promise<LabPod> {
  const pod = await lab.addPod(node)
  await added(lab, pod)
  return pod
}

/** Addresses that the store says are in use on the node, once there are `count`. */
async function attachedIn(
  { on, lab }: EtcdLab,
  store: string,
  node: LabNode,
  count: number,
): Promise<readonly string[]> {
  let found: string[] = []
  await settle(async () => {
    const file = join(lab.dir, 'export.json')
    rmSync(file, { force: true })
    await on(node, 'ipam', 'export', '--network', 'pods', '--store', store, file)
    const text = readFileSync(file, 'utf8').replaceAll('\\', '')
    found = [...text.matchAll(/"ips":\["([^"]+)"/g)].map(([, ip = '']) => ip)
    return found.length === count ? [] : ['not yet']
  })
  return found.sort()
}
