/**
 * What Debian's `tuning` changes in a pod stays, the pod is reachable with it,
 * and CHECK of the whole chain agrees, or says what is wrong.
 */
import t from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { ping } from '../../src/lab/reach.ts'
import { type CallOptions, cnitoolOn, skipChains } from '../support/cnitool.ts'
import {
  cluster,
  ip,
  ipJson,
  ipsOf,
  type Json,
  resultOf,
  settle,
  snapshot,
  warm,
} from '../support/e2e.ts'

const MAC = '02:00:00:00:00:77'
const OF_TRIVIUM = { capabilities: { mac: true } }
const CHOSEN: CallOptions = { capabilities: { mac: MAC } }
const FINE = { status: 0, stdout: '', stderr: '' }

interface Case {
  readonly name: string
  readonly trivium?: Json
  readonly tuning: Json
  readonly options?: CallOptions
  /** Of the pod's interface, as `ip -d -j link` has it. */
  readonly link: Json
}

const CASES: readonly Case[] = [
  {
    name: 'a smaller MTU, flags and a sysctl of the interface',
    tuning: {
      mtu: 1300,
      promisc: true,
      allmulti: true,
      sysctl: { 'net.ipv4.conf.eth0.arp_filter': '1' },
    },
    link: { mtu: 1300, promiscuity: 1, allmulti: 1 },
  },
  {
    name: 'a MAC that trivium gave, behind tuning without one',
    trivium: OF_TRIVIUM,
    tuning: { mtu: 1400 },
    options: CHOSEN,
    link: { address: MAC, mtu: 1400 },
  },
]

t.test('tuning behind trivium', { skip: skipChains }, async (t) => {
  const { lab, nodes } = await cluster(t, { nodes: 1 })
  const [node] = nodes
  if (node === undefined) throw new Error('a cluster has a node')
  await warm(lab)
  const tool = cnitoolOn(node, lab)
  const own = { type: 'trivium', store: lab.storeUrl, socket: node.socketPath }
  const chain = (tuning: Json, trivium: Json = {}): void =>
    tool.put({
      cniVersion: '1.0.0',
      name: 'pods',
      plugins: [
        { ...own, ...trivium },
        { ...tuning, type: 'tuning' },
      ],
    })
  const inside = async (netns: string): Promise<Json> => {
    const [eth0 = {}] = await ipJson(netns, 'link', 'show', 'eth0')
    return eth0
  }
  let masquerade = true
  /** Makes the agent look at everything, and waits until it has. */
  const looked = async (): Promise<void> => {
    masquerade = !masquerade
    const flag = masquerade ? '--masquerade' : '--no-masquerade'
    await lab.trivium('network', 'set', 'pods', flag, '--store', lab.storeUrl)
    const left = await settle(async () => {
      const has = (await snapshot(lab)).some((line) =>
        /element inet trivium masquerade4/.test(line),
      )
      return has === masquerade ? [] : ['the set is as it was']
    })
    if (left.length > 0) throw new Error(`The agent did not look: ${left.join()}`)
  }

  for (const { name, trivium, tuning, options, link } of CASES) {
    await t.test(name, async (t) => {
      chain(tuning, trivium)
      const pod = await lab.addPod(node)
      const before = await snapshot(lab)
      const result = resultOf(await tool.call('add', 'pods', pod, options))
      await looked()
      await looked()
      t.match(await inside(pod.netns), link, 'stays through rounds of the agent')
      for (const ip of ipsOf(result)) t.ok((await ping(node.netns, ip)).ok, `answers on ${ip}`)
      t.strictSame(await tool.call('check', 'pods', pod, options), FINE, 'CHECK')
      t.strictSame(await tool.call('del', 'pods', pod, options), FINE, 'DEL')
      t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing is left')
    })
  }

  await t.test('a MAC that tuning changes', async (t) => {
    chain({ mac: MAC })
    const pod = await lab.addPod(node)
    const before = await snapshot(lab)
    const result = resultOf(await tool.call('add', 'pods', pod))
    t.match(result.interfaces, [{}, { name: 'eth0', mac: MAC }])
    const [v4 = '', v6 = ''] = ipsOf(result)
    t.ok((await ping(node.netns, v6)).ok, 'IPv6 goes on: the gateway is an address of the host end')
    t.notOk((await ping(node.netns, v4)).ok, 'nobody answers for the gateway of IPv4')
    // By hand, as a chained script could.
    const entry = ['169.254.1.1', 'lladdr', '02:74:72:69:76:01', 'nud', 'permanent', 'dev', 'eth0']
    await ip(pod.netns, 'neigh', 'replace', ...entry)
    t.ok((await ping(node.netns, v4)).ok, 'with its neighbour entry it does')
    await ip(pod.netns, 'neigh', 'del', ...entry.slice(0, 1), 'dev', 'eth0')
    const { status, stderr } = await tool.call('check', 'pods', pod)
    t.equal(status, 1, 'CHECK refuses')
    t.match(stderr, /its MAC was changed .* to 02:00:00:00:00:77, and the kernel dropped/)
    t.match(stderr, /belongs to trivium, not to tuning/)
    t.strictSame(await tool.call('del', 'pods', pod), FINE, 'DEL')
    t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing is left')
  })
})
