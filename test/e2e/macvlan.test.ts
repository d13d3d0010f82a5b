/**
 * VLAN mode with macvlans, untagged: pods hang on the uplink itself.
 *
 * ```
 *   pod  pod  trvm.0        pod  trvm.0
 *     \   |   /               \  /
 *    [ eth0 n1 ]            [ eth0 n2 ]     a machine
 *         |                      |             |
 *         +-------- switch ------+-------------+
 * ```
 *
 * Tagged ones need a kernel with 802.1Q: vlan-tagged.test.ts.
 */
import '../support/on-disk.ts'
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { createLab, type Lab, type LabAgent, type LabNode, type LabPod } from '../../src/lab/lab.ts'
import { type Endpoint, ping, pingAll } from '../../src/lab/reach.ts'
import { arpAnswers } from '../support/arp-answers.ts'
import {
  added,
  addedInTime,
  builtCli,
  cli,
  dumps,
  endpointOf,
  errorOf,
  ip,
  ipJson,
  ipsOf,
  type Result,
  resultOf,
  settle,
  skip,
} from '../support/e2e.ts'

const FLAGS = ['--mode', 'vlan', '--vlan', '0', '--attachment', 'macvlan']
const POOLS = ['--pool', '10.60.0.0/16', '--pool', 'fd60::/112']
/** The first node's own, on its macvlan. */
const OWN = ['10.60.0.0', 'fd60::'] as const

interface World {
  readonly lab: Lab
  readonly nodes: readonly [LabNode, LabNode]
  readonly agents: LabAgent[]
}

async function world(t: Test): Promise<World> {
  const lab = await createLab({ nodes: 2, trivium: builtCli(), underlayMtuBytes: 1500 })
  t.teardown(() => lab.destroy())
  const nodes = lab.nodes as readonly [LabNode, LabNode]
  await lab.install(nodes[0], '--name', 'pods', ...FLAGS, ...POOLS)
  await lab.install(nodes[1], '--name', 'pods')
  // One after the other: the first node has the first block.
  const agents = [await lab.startAgent(nodes[0]), await lab.startAgent(nodes[1])]
  for (const node of nodes) t.strictSame(await settle(() => shimLacks(node)), [])
  const first = async (): Promise<readonly string[]> => {
    const set = ['nft', 'list', 'set', 'inet', 'trivium', 'nodes4']
    const { stdout } = await run(inNetns(nodes[0].netns, set))
    return stdout.includes(nodes[1].underlayIps[0] ?? '') ? [] : ['n1 does not know n2']
  }
  t.strictSame(await settle(first), [])
  return { lab, nodes, agents }
}

/** What the node's own macvlan lacks, but for its addresses' very values. */
async function shimLacks({ netns }: LabNode): Promise<readonly string[]> {
  const { status, stdout } = await run(inNetns(netns, ['ip', '-j', 'addr', 'show', 'trvm.0']))
  if (status !== 0) return ['no trvm.0']
  const [link] = JSON.parse(stdout)
  const own = link.addr_info.filter((each: { scope: string }) => each.scope === 'global')
  const filter = await must(inNetns(netns, ['cat', '/proc/sys/net/ipv4/conf/trvm.0/arp_filter']))
  return [
    ...(link.flags.includes('UP') ? [] : ['it is down']),
    ...(own.length === 2 ? [] : [`it has ${own.length} addresses`]),
    ...(filter.trim() === '1' ? [] : ['it answers ARP for all']),
  ]
}

/** As Kubernetes names a pod. */
const named = ({ containerId }: LabPod) => ({
  CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${containerId};K8S_POD_UID=u`,
})

const pair = async (
  lab: Lab,
  node: LabNode,
): Promise<{ readonly pod: LabPod; readonly result: Result; readonly end: Endpoint }> => {
  const pod = await lab.addPod(node)
  const result = await addedInTime(lab, pod, named(pod))
  return { pod, result, end: endpointOf(pod, result) }
}

const linksIn = async (netns: string): Promise<readonly string[]> =>
  (await ipJson(netns, 'link', 'show')).map(({ ifname }) => String(ifname))

t.test('pods on the uplink', { skip, timeout: 240_000 }, async (t) => {
  const { lab, nodes, agents } = await world(t)
  const [node, other] = nodes
  const before = await dumps(lab)
  const machine = await lab.addHost()
  await ip(machine.netns, 'addr', 'add', '10.60.255.1/16', 'dev', 'eth0')
  await ip(machine.netns, 'addr', 'add', 'fd60::ff01/112', 'dev', 'eth0', 'nodad')
  const [one, far] = [await pair(lab, node), await pair(lab, other)]
  let two = await pair(lab, node)
  const ends = [one.end, two.end, far.end]

  await t.test('everybody reaches everybody', async (t) => {
    const outside = { name: 'machine', netns: machine.netns, ips: ['10.60.255.1', 'fd60::ff01'] }
    const failed = (await pingAll([...ends, outside])).filter(({ ok }) => !ok)
    t.strictSame(failed, [])
    const [link] = await ipJson(one.pod.netns, 'link', 'show', 'eth0')
    t.match(link, {
      linkinfo: { info_kind: 'macvlan', info_data: { mode: 'bridge' } },
      mtu: 1500,
      address: one.result.interfaces[0]?.mac,
      ifalias: new RegExp(`^trivium pods ${one.pod.containerId} eth0 [0-9]+$`),
    })
    t.equal(one.result.interfaces.length, 1, 'the result names no end on the node')
  })

  await t.test('the node reaches its own pods, and they it', async (t) => {
    for (const [index, own] of OWN.entries()) {
      for (const { end } of [one, two]) {
        const to = end.ips[index] ?? ''
        t.ok((await ping(node.netns, to)).ok, `the node reaches ${to}`)
        t.ok((await ping(end.netns, own)).ok, `${to} reaches the node's ${own}`)
        const [way] = await ipJson(node.netns, 'route', 'get', to)
        t.match(way, { dev: 'trvm.0', prefsrc: own }, 'from an address of its own there')
      }
    }
    const underlay = node.underlayIps[0] ?? ''
    await ip(one.pod.netns, 'route', 'add', `${underlay}/32`, 'dev', 'eth0')
    t.ok((await ping(one.pod.netns, underlay)).ok, "ARP for the uplink's address is answered, too")
    await ip(one.pod.netns, 'route', 'del', `${underlay}/32`)
  })

  await t.test("the uplink's address has one MAC on the segment", async (t) => {
    const [eth0] = await ipJson(node.netns, 'link', 'show', 'eth0')
    for (const address of [node.underlayIps[0] ?? '', OWN[0]]) {
      const macs = await arpAnswers(machine.netns, 'eth0', address)
      t.strictSame(macs, [String(eth0?.['address'])], address)
    }
  })

  await t.test('only its own pods get a word in through its macvlan', async (t) => {
    const [shim] = await ipJson(node.netns, 'link', 'show', 'trvm.0')
    const mac = String(shim?.['address'])
    const neigh = [OWN[0], 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent']
    await ip(machine.netns, 'neigh', 'replace', ...neigh)
    t.notOk((await ping(machine.netns, OWN[0])).ok, 'a machine beside it does not')
    await ip(far.pod.netns, 'neigh', 'replace', ...neigh)
    t.notOk((await ping(far.pod.netns, OWN[0])).ok, "another node's pod does not")
    await ip(two.pod.netns, 'neigh', 'replace', ...neigh)
    t.ok((await ping(two.pod.netns, OWN[0])).ok, 'one of its own does')
    await ip(machine.netns, 'neigh', 'del', OWN[0], 'dev', 'eth0')
  })

  await t.test('CHECK tells what is wrong', async (t) => {
    const { pod, result } = two
    const asked = { prevResult: result }
    const check = async () => lab.cni('CHECK', pod, asked)
    t.equal((await check()).status, 0)
    const inPod = (...args: readonly string[]) => ip(pod.netns, ...args)
    await inPod('link', 'set', 'eth0', 'type', 'macvlan', 'mode', 'private')
    t.match(errorOf(await check()), { code: 103, msg: /"mode":"private".*"mode":"bridge"/ })
    await inPod('link', 'set', 'eth0', 'type', 'macvlan', 'mode', 'bridge')
    await inPod('link', 'set', 'eth0', 'down')
    t.match(errorOf(await check()), { code: 103, msg: /interface eth0 in the pod: it is down/ })
    await inPod('link', 'set', 'eth0', 'up')
    await inPod('addr', 'add', `${ipsOf(result)[1]}/112`, 'dev', 'eth0', 'nodad')
    t.equal((await check()).status, 0, 'put right again')

    // The same link on another node's uplink: nothing inside the pod tells.
    const mac = result.interfaces[0]?.mac ?? ''
    await inPod('link', 'del', 'eth0')
    const twin = [
      'link',
      'eth0',
      'name',
      'twin',
      'address',
      mac,
      'type',
      'macvlan',
      'mode',
      'bridge',
    ]
    await ip(other.netns, 'link', 'add', ...twin)
    await ip(other.netns, 'link', 'set', 'twin', 'netns', pod.netns, 'name', 'eth0')
    await inPod('link', 'set', 'eth0', 'up')
    await inPod('addr', 'add', `${ipsOf(result)[0]}/16`, 'dev', 'eth0')
    await inPod('addr', 'add', `${ipsOf(result)[1]}/112`, 'dev', 'eth0', 'nodad')
    t.match(errorOf(await check()), {
      code: 103,
      msg: /a link that is not the node's, wanted eth0/,
    })
    t.equal((await lab.cni('DEL', pod)).status, 0)
    t.strictSame(await linksIn(pod.netns), ['lo'], 'DEL knows it by its MAC')
    const again = await addedInTime(lab, pod, named(pod))
    two = { pod, result: again, end: endpointOf(pod, again) }
  })

  await t.test('the agent keeps what leads to pods', async (t) => {
    const reaches = async (): Promise<readonly string[]> => {
      const lost = await Promise.all(one.end.ips.map((each) => ping(node.netns, each)))
      return [...(await shimLacks(node)), ...(lost.every(({ ok }) => ok) ? [] : ['no answer'])]
    }
    const faults = [
      ['ip', 'link', 'del', 'trvm.0'],
      ['ip', 'route', 'del', `${one.end.ips[0]}/32`, 'proto', '84'],
      ['ip', 'addr', 'del', `${OWN[0]}/32`, 'dev', 'trvm.0'],
      ['ip', 'addr', 'del', `${OWN[1]}/128`, 'dev', 'trvm.0'],
      ['nft', 'delete', 'table', 'inet', 'trivium'],
      ['sysctl', '-qw', 'net.ipv4.conf.trvm/0.arp_filter=0'],
    ]
    for (const fault of faults) {
      await must(inNetns(node.netns, fault))
      t.strictSame(await settle(reaches, 30_000), [], fault.join(' '))
    }
  })

  await t.test('how pods hang on the uplink does not change under them', async (t) => {
    for (const flags of [
      ['--attachment', 'bridge', '--vlan', '9'],
      ['--vlan', '9'],
      ['--mode', 'route'],
    ]) {
      const answer = await cli('network', 'set', 'pods', ...flags, '--store', lab.storeUrl)
      t.equal(answer.status === 0, false, flags.join(' '))
      t.match(answer.stderr, /3 pods attached \(2 on node n1: .*; 1 on node n2: /)
      for (const { pod } of [one, two, far]) t.match(answer.stderr, `shop/${pod.containerId}`)
    }
  })

  await t.test('records come back from the pods themselves', async (t) => {
    for (const agent of agents.splice(0)) await agent.stop()
    rmSync(lab.storeUrl.replace(/^lmdb:/, ''), { recursive: true })
    agents.push(...(await Promise.all(nodes.map((each) => lab.startAgent(each)))))
    t.match(agents[0]?.log(), /"event":"rebuilt","pods":2/)
    t.match(agents[1]?.log(), /"event":"rebuilt","pods":1/)
    const fresh = await pair(lab, node)
    const known = new Set([one, two, far].flatMap(({ end }) => end.ips))
    for (const each of fresh.end.ips) t.notOk(known.has(each), `${each} is given once`)
    t.equal((await lab.cni('DEL', fresh.pod)).status, 0)
    for (const own of one.end.ips) t.ok((await ping(node.netns, own)).ok)
    for (const node of nodes) t.strictSame(await settle(() => shimLacks(node)), [])
  })

  await t.test('DEL leaves nothing', async (t) => {
    await lab.removePod(far.pod)
    for (const { pod } of [one, two, far]) {
      t.equal((await lab.cni('DEL', pod)).status, 0)
      t.equal((await lab.cni('DEL', pod)).status, 0, 'twice')
      if (pod !== far.pod) t.strictSame(await linksIn(pod.netns), ['lo'])
    }
    const left = async (): Promise<readonly string[]> => compareDumps(before, await dumps(lab))
    t.strictSame(await settle(left), [])
  })
})

t.test('DEL in bad times', { skip, timeout: 120_000 }, async (t) => {
  const { lab, nodes, agents } = await world(t)
  const [node] = nodes

  await t.test('a namespace that has lost its name', async (t) => {
    const { pod } = await pair(lab, node)
    const holder = spawn('nsenter', [`--net=${pod.netnsPath}`, 'sleep', '600'])
    t.teardown(() => holder.kill('SIGKILL'))
    const links = async (): Promise<string> =>
      must(['nsenter', '-t', String(holder.pid), '-n', 'ip', '-o', 'link'])
    t.strictSame(await settle(async () => (/eth0/.test(await links()) ? [] : ['not in it'])), [])
    await lab.removePod(pod)
    t.equal((await lab.cni('DEL', pod)).status, 0)
    t.notMatch(await links(), /eth0/)
  })

  await t.test('killed between two messages: a link without alias', async (t) => {
    const { pod } = await pair(lab, node)
    await ip(pod.netns, 'link', 'set', 'eth0', 'alias', '')
    t.equal((await lab.cni('DEL', pod)).status, 0)
    t.strictSame(await linksIn(pod.netns), ['lo'])
    t.equal(ipsOf(await added(lab, pod)).length, 2, 'ADD again')
    t.equal((await lab.cni('DEL', pod)).status, 0)
  })

  await t.test("another pod's namespace at the same path", async (t) => {
    const [pod, bystander] = [(await pair(lab, node)).pod, await pair(lab, node)]
    await must(['umount', pod.netnsPath])
    await must(['mount', '--bind', bystander.pod.netnsPath, pod.netnsPath])
    t.equal((await lab.cni('DEL', pod)).status, 0)
    t.strictSame(await linksIn(bystander.pod.netns), ['lo', 'eth0'], 'the other pod keeps its link')
    t.equal((await lab.cni('DEL', bystander.pod)).status, 0)
  })

  await t.test('without an agent', async (t) => {
    for (const agent of agents.splice(0)) await agent.kill()
    const env = { TRIVIUM_NO_AGENT: '1' }
    const pod = await lab.addPod(node)
    const result = resultOf(await lab.cni('ADD', pod, {}, env))
    for (const each of ipsOf(result)) t.ok((await ping(node.netns, each)).ok, `${each} is reached`)
    t.equal((await lab.cni('CHECK', pod, { prevResult: result }, env)).status, 0)
    t.equal((await lab.cni('DEL', pod, {}, env)).status, 0)
    t.strictSame(await linksIn(pod.netns), ['lo'])
  })

  await t.test('the uplink is gone', async (t) => {
    const env = { TRIVIUM_NO_AGENT: '1' }
    const pod = await lab.addPod(node)
    resultOf(await lab.cni('ADD', pod, {}, env))
    await ip(node.netns, 'link', 'del', 'eth0')
    t.strictSame(await linksIn(pod.netns), ['lo'], 'the kernel took the pod along')
    t.equal((await lab.cni('DEL', pod, {}, env)).status, 0)
    const show = ['ipam', 'show', '-o', 'json', '--store', lab.storeUrl]
    for (const { ipsInUse } of JSON.parse(await lab.trivium(...show))) t.equal(ipsInUse, 0)
  })
})
