/** A pod by reservation moves from node to node with its address and MAC, as routes, links and pings tell. */
import t, { type Test } from 'tap'
import { inNetns, run } from '../../src/lab/exec.ts'
import type { Lab, LabNode, LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  cli,
  cluster,
  converged,
  dumps,
  errorOf,
  ipJson,
  ipsOf,
  type Json,
  ownRoutes,
  settle,
  skip,
  TRIVIUM,
} from '../support/e2e.ts'

const IP = '10.43.0.5'
const KUBE = {
  CNI_ARGS:
    'IgnoreUnknown=1;K8S_POD_NAMESPACE=db;K8S_POD_NAME=db-0;K8S_POD_INFRA_CONTAINER_ID=a;K8S_POD_UID=1',
}
/** In a process of its own, which may not claim. */
const NO_AGENT = { ...KUBE, TRIVIUM_NO_AGENT: '1' }

interface Scene {
  readonly lab: Lab
  /** On the third node, with an address of its node's block. */
  readonly client: LabPod
}

/** The route to the address on a node: the link and the gateway, by iproute2. */
async function wayTo(node: LabNode): Promise<Json> {
  const route = (await ownRoutes(node)).find(({ dst }) => dst === IP) ?? {}
  const { dev, gateway } = route
  return { dev: String(dev).replace(/^trv[0-9a-f]{11}$/, 'the pod'), gateway }
}

const settled = async (t: Test, node: LabNode, wanted: Json): Promise<void> => {
  const differs = async (): Promise<readonly string[]> => {
    const found = JSON.stringify(await wayTo(node))
    return found === JSON.stringify(wanted) ? [] : [found]
  }
  t.strictSame(await settle(differs), [], `${node.name} has ${JSON.stringify(wanted)}`)
}

/** Where node's peers send packets for it. */
const gatewayTo = async (mode: string, node: LabNode): Promise<Json> => {
  if (mode === 'route') return { dev: 'eth0', gateway: node.underlayIps[0] }
  const [tunnel] = await ipJson(node.netns, 'addr', 'show', 'type', 'vxlan')
  const [end] = (tunnel?.['addr_info'] ?? []) as readonly Json[]
  return { dev: tunnel?.['ifname'], gateway: end?.['local'] }
}

/** ADD on a node, and what everybody knows of it then. */
async function comes(
  t: Test,
  { lab, client }: Scene,
  mode: string,
  node: LabNode,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly pod: LabPod; readonly mac: unknown }> {
  const pod = await lab.addPod(node)
  const result = await added(lab, pod, {}, env)
  t.strictSame(ipsOf(result), [IP], `its address on ${node.name}`)
  const [link] = await ipJson(pod.netns, 'link', 'show', 'dev', 'eth0')
  t.equal(result.interfaces.find(({ sandbox }) => sandbox)?.mac, link?.['address'])
  await settled(t, node, { dev: 'the pod', gateway: undefined })
  const gateway = await gatewayTo(mode, node)
  for (const peer of lab.nodes.filter((other) => other !== node)) await settled(t, peer, gateway)
  t.ok((await ping(client.netns, IP)).ok, 'a client elsewhere reaches it')
  return { pod, mac: link?.['address'] }
}

async function moves(t: Test, scene: Scene, mode: string): Promise<void> {
  const { lab } = scene
  const [n1, n2] = lab.nodes as [LabNode, LabNode]
  const first = await comes(t, scene, mode, n1, KUBE)
  const early = await lab.addPod(n2)
  const refused = errorOf(await lab.cni('ADD', early, {}, KUBE))
  t.match(refused, { code: 11, msg: /held by pod db\/db-0, container .* on node n1/ })
  t.equal((await lab.cni('DEL', first.pod)).status, 0)
  const alone = errorOf(await lab.cni('ADD', early, {}, NO_AGENT))
  t.match(alone, { code: 11, msg: /may not claim it now/ })
  const second = await comes(t, scene, mode, n2, KUBE)
  t.equal(second.mac, first.mac, 'the same MAC')
  t.equal((await lab.cni('DEL', first.pod)).status, 0, 'a late DEL')
  await settled(t, n1, await gatewayTo(mode, n2))
  t.ok((await ping(scene.client.netns, IP)).ok, 'takes nothing from the new holder')
  t.equal((await lab.cni('DEL', second.pod)).status, 0)
  const left = async (): Promise<readonly string[]> =>
    (await dumps(lab)).filter((line) => line.includes(IP))
  t.strictSame(await settle(left), [], 'nothing stays on any node')
  for (const pod of [first.pod, second.pod, early]) await lab.removePod(pod)
}

t.test('a floating address', { skip }, async (t) => {
  const pools = ['10.42.0.0/24,block=28', '10.43.0.0/29,floating']
  const { lab, nodes } = await cluster(t, { pools, nodes: 3, mode: 'vxlan' })
  const store = ['--store', lab.storeUrl]
  const client = await lab.addPod(nodes[2] as LabNode)
  await added(lab, client)
  await converged(lab)
  t.equal((await cli('ipam', 'reserve', IP, '--pod', 'db/db-0', ...store)).status, 0)
  await t.test('by tunnel', (t) => moves(t, { lab, client }, 'vxlan'))
  t.equal((await cli('network', 'set', 'pods', '--mode', 'route', ...store)).status, 0)
  await t.test('by route', (t) => moves(t, { lab, client }, 'route'))
  const place = ['--node', 'n1', '--socket', nodes[0]?.socketPath ?? '', ...store]
  const checked = await run(inNetns(nodes[0]?.netns ?? '', [...TRIVIUM, 'ipam', 'check', ...place]))
  t.strictSame([checked.status, checked.stdout], [0, 'nothing is wrong (node n1)\n'])
})
