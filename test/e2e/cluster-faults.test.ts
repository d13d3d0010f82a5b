/** A cluster of three members of etcd that lose their leader, their history, and a node. */
import { cpSync, rmSync } from 'node:fs'
import t from 'tap'
import { inNetns, run } from '../../src/lab/exec.ts'
import type { LabNode, LabPod } from '../../src/lab/lab.ts'
import { ipsOf, settle, skip } from '../support/e2e.ts'
import { etcdMissing } from '../support/etcd.ts'
import { blocksOf, type EtcdLab, etcdLab } from '../support/etcd-lab.ts'

const long = process.env['TRIVIUM_LONG'] === '1' ? undefined : 'TRIVIUM_LONG=1 runs it'
const missing = skip === false ? (etcdMissing() ?? long) : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(400_000)

/** ADDs at once, each until it succeeds. @returns every address. */
async function storm({ lab }: EtcdLab, nodes: readonly LabNode[], each: number): Promise<string[]> {
  const pods: LabPod[] = []
  for (const node of nodes) for (let n = 0; n < each; n++) pods.push(await lab.addPod(node))
  const found: string[] = []
  const waiting = pods.values()
  const worker = async (): Promise<void> => {
    for (const pod of waiting) {
      await settle(async () => {
        const answer = await lab.cni('ADD', pod)
        if (answer.status === 0) found.push(...ipsOf(JSON.parse(answer.stdout) as never))
        return answer.status === 0 ? [] : [answer.stdout]
      }, 60_000)
    }
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  return found
}

t.test('the leader is killed in a storm of ADDs; a node is cut off; an old snapshot', async (t) => {
  const pools = ['10.42.0.0/24,block=29']
  const cluster = await etcdLab(t, { nodes: 3, members: 3, mode: 'route', pools })
  const { nodes, etcd, places } = cluster
  const agents = await Promise.all(nodes.map((node) => cluster.start(node)))
  const all = await storm(cluster, nodes, 1)
  for (const each of etcd.members) await each.kill()
  for (const each of etcd.members) cpSync(each.data, `${each.data}.old`, { recursive: true })
  for (const each of etcd.members) each.start()
  await etcd.healthy()

  const leader = await leaderOf(places)
  const [during] = await Promise.all([storm(cluster, nodes, 8), etcd.members[leader]!.kill()])
  all.push(...during)
  t.equal(new Set(all).size, 27, 'no address twice, none missing, while the leader is killed')
  etcd.members[leader]!.start()
  await etcd.healthy()

  await cluster.cut(nodes[0]!)
  const cutOff = await Promise.all([1, 2, 3].map(() => tryAdd(cluster, nodes[0]!)))
  all.push(...cutOff.flat(), ...(await storm(cluster, nodes.slice(1), 6)))
  await cluster.mend(nodes[0]!)
  all.push(...(await storm(cluster, nodes, 1)))
  t.equal(new Set(all).size, all.length, 'no address twice while a node is cut off')

  const before = await owners(cluster, nodes[0]!)
  for (const each of etcd.members) await each.kill()
  for (const each of etcd.members) {
    rmSync(each.data, { recursive: true, force: true })
    cpSync(`${each.data}.old`, each.data, { recursive: true })
  }
  for (const each of etcd.members) each.start()
  await etcd.healthy()
  all.push(...(await storm(cluster, nodes, 6)))
  t.equal(new Set(all).size, all.length, 'no address twice after an old snapshot')
  t.ok(
    agents.every((agent) => agent.log().includes('fell-back')),
    'every agent has noticed',
  )
  const after = await owners(cluster, nodes[0]!)
  const changed = Object.keys(before).filter((cidr) => before[cidr] !== after[cidr])
  t.same(changed, [], 'every block is whose it was')
})

async function tryAdd({ lab }: EtcdLab, node: LabNode): Promise<readonly string[]> {
  const answer = await lab.cni('ADD', await lab.addPod(node))
  return answer.status === 0 ? ipsOf(JSON.parse(answer.stdout) as never) : []
}

/** Which node has which block, as one node knows it once it stays so. */
async function owners(cluster: EtcdLab, node: LabNode): Promise<Readonly<Record<string, string>>> {
  const blocks = await blocksOf(cluster, node, (found) => found.length > 0)
  return Object.fromEntries(blocks.map((block) => [String(block['cidr']), String(block['node'])]))
}

/** Index of the member that leads: the one that says so of itself. */
async function leaderOf(places: EtcdLab['places']): Promise<number> {
  const ask =
    'exec 3<>/dev/tcp/$0/2379 && printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3 && cat <&3'
  for (const [index, { netns, ip }] of places.entries()) {
    const { stdout } = await run(inNetns(netns, ['bash', '-c', ask, ip]))
    if (/^etcd_server_is_leader 1$/m.test(stdout)) return index
  }
  throw new Error('No member leads')
}
