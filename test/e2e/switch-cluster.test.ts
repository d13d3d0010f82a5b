/**
 * A network of a cluster changes its road: nodes with a store each hear of it, and of
 * each other, through etcd, which goes away in the middle; so does an agent.
 */
import t from 'tap'
import type { LabNode } from '../../src/lab/lab.ts'
import { type RunningPod, reaches } from '../support/dataplane.ts'
import { addedInTime, ipsOf, settle, skip } from '../support/e2e.ts'
import { etcdMissing } from '../support/etcd.ts'
import { type EtcdLab, etcdLab } from '../support/etcd-lab.ts'
import { echoTraffic } from '../support/traffic.ts'

const missing = skip === false ? etcdMissing() : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

const LOST_MAX = 10

t.test('etcd goes away in the middle, an agent is killed, a node joins', async (t) => {
  const cluster = await etcdLab(t, { nodes: 3 })
  const [first, second, third] = cluster.nodes
  if (first === undefined || second === undefined || third === undefined)
    throw new Error('no nodes')
  const agents = [await cluster.start(first), await cluster.start(second)]
  const pods = [await podOn(cluster, first), await podOn(cluster, second)]
  const where = ['--store', `lmdb:${cluster.storeOf(first)}`]
  const set = (mode: string) =>
    cluster.on(first, 'network', 'set', 'pods', '--mode', mode, ...where)
  const [etcd] = cluster.etcd.members
  t.strictSame(await settle(() => reaches(pods, pods, true)), [], 'they reach each other')
  const traffic = await echoTraffic(t, pods)

  await set('route')
  await etcd?.kill()
  await agents[1]?.kill()
  agents[1] = await cluster.start(second)
  etcd?.start()
  await cluster.etcd.healthy()
  t.strictSame(await settle(() => onTheirWay(cluster, first), 60_000), [], 'all have followed')

  await set('vxlan')
  await agents[0]?.kill()
  agents[0] = await cluster.start(first)
  t.strictSame(await settle(() => onTheirWay(cluster, first), 60_000), [], 'and back')
  const lost = await traffic.stop()
  t.comment(`lost ${lost.map((each) => each.lost).join(' ')} of ${lost[0]?.sent} each`)
  t.strictSame(
    lost.filter((each) => each.lost > LOST_MAX || each.sent < 10),
    [],
    'echoes go on',
  )

  await cluster.start(third)
  const pod = await podOn(cluster, third)
  t.strictSame(await onTheirWay(cluster, first), [], 'who joins was never anywhere else')
  t.strictSame(await settle(() => reaches([...pods, pod], [pod], true)), [], 'and is reached')
})

async function podOn({ lab }: EtcdLab, node: LabNode): Promise<RunningPod> {
  const pod = await lab.addPod(node)
  const result = await addedInTime(lab, pod)
  const ips = ipsOf(result)
  const [v4 = ''] = ips
  return { name: `pods@${node.name}`, lab: pod, netns: pod.netns, node, result, v4, v6: '', ips }
}

async function onTheirWay(cluster: EtcdLab, node: LabNode): Promise<readonly string[]> {
  const text = await cluster.on(node, 'network', 'show', '-o', 'json', '--store', cluster.url)
  const [network] = JSON.parse(text) as { readonly notYet?: readonly string[] }[]
  return network?.notYet ?? []
}
