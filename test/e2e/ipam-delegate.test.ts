/**
 * `trivium-ipam` under Debian's bridge, macvlan, ipvlan, vlan and ptp, driven
 * by libcni: addresses, pings, CHECK, and every address back at the end.
 */
import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import type { LabNode, LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import { cnitoolOn, skipChains } from '../support/cnitool.ts'
import type { Conflist } from '../support/conflists.ts'
import { type DelegateWorld, delegateWorld, under } from '../support/delegate.ts'
import { dumps, inUse, ipsOf, type Json, type Result, resultOf } from '../support/e2e.ts'

interface Main {
  readonly network: 'lan' | 'far'
  /** Over the list of docs/chains.md for that network. */
  readonly plugin: Json & { readonly type: string }
  /** Pods on one node; a VLAN id is taken once a master. */
  readonly pods: 1 | 2
  /** Pods of two nodes reach each other. */
  readonly crosses: boolean
  /** Pods reach the gateway, wherever it is. */
  readonly leaves: boolean
  /** The node reaches its own pods. */
  readonly fromNode: boolean
  /** Lines of a dump that the plugin leaves behind. */
  readonly stays?: RegExp
}

const BRIDGE = { type: 'bridge', bridge: 'cni0', isDefaultGateway: true }

const MAINS: readonly Main[] = [
  {
    network: 'lan',
    plugin: BRIDGE,
    pods: 2,
    crosses: false,
    leaves: true,
    fromNode: true,
    stays: /cni0|10\.77\.0\.1"|fd77::(1|\/112)"/,
  },
  {
    network: 'lan',
    plugin: { type: 'macvlan' },
    pods: 2,
    crosses: true,
    leaves: true,
    fromNode: false,
  },
  {
    network: 'lan',
    plugin: { type: 'ipvlan' },
    pods: 2,
    crosses: true,
    leaves: true,
    fromNode: false,
  },
  {
    network: 'lan',
    plugin: { type: 'vlan', vlanId: 5 },
    pods: 1,
    crosses: true,
    leaves: false,
    fromNode: false,
  },
  {
    network: 'far',
    plugin: { type: 'ptp' },
    pods: 2,
    crosses: true,
    leaves: true,
    fromNode: true,
    // The agent's, of the spare block that comes with a node's first pod.
    stays: /protocol="84"/,
  },
]

const VERSIONS = ['0.3.1', '0.4.0', '1.0.0'] as const
const FINE = { status: 0, stdout: '', stderr: '' }

t.test('trivium-ipam as a delegate', { skip: skipChains }, async (t) => {
  const world = await delegateWorld(t)
  for (const main of MAINS) {
    const { type } = main.plugin
    await t.test(`${type}: pods`, { skip: lacks(type) }, (t) => checkPods(t, world, main))
  }
  await t.test('results by version', (t) => checkVersions(t, world))
  await t.test('many at once on both nodes', (t) => checkConcurrency(t, world))
  await t.test('an ADD that fails gives its addresses back', (t) => checkFailures(t, world))
})

/** Why the kernel cannot run the plugin; false when it can. */
function lacks(type: string): string | false {
  if (type !== 'ipvlan' && type !== 'vlan') return false
  const netns = `trv-lacks-${process.pid}`
  const detail = type === 'vlan' ? ['id', '5'] : []
  const ip = (...args: readonly string[]): number | null => spawnSync('ip', args).status
  ip('netns', 'add', netns)
  ip('-n', netns, 'link', 'add', 'low0', 'type', 'veth', 'peer', 'name', 'low1')
  const upper = ['link', 'low0', 'name', 'up0', 'type', type, ...detail]
  const status = ip('-n', netns, 'link', 'add', ...upper)
  ip('netns', 'del', netns)
  return status === 0 ? false : `this kernel has no ${type}`
}

interface Placed {
  readonly pod: LabPod
  readonly node: LabNode
  readonly result: Result
}

async function checkPods(t: Test, world: DelegateWorld, main: Main): Promise<void> {
  const { lab, nodes, gateways } = world
  const { network } = main
  const [before, used] = [await dumps(lab), await inUse(lab)]
  const place = async (node: LabNode): Promise<readonly Placed[]> => {
    const placed: Placed[] = []
    const tool = cnitoolOn(node, lab)
    tool.put(under(world, network, node, main.plugin))
    for (let count = 0; count < main.pods; count++) {
      const pod = await lab.addPod(node)
      const result = resultOf(await tool.call('add', network, pod))
      placed.push({ pod, node, result })
      t.match(result.ips, [
        { address: gateways[network].v4.address, gateway: gateways[network].v4.ip },
        { address: gateways[network].v6.address, gateway: gateways[network].v6.ip },
      ])
      t.match(result.routes, [
        { dst: '0.0.0.0/0', gw: gateways[network].v4.ip },
        { dst: '::/0', gw: gateways[network].v6.ip },
      ])
      t.strictSame(await tool.call('check', network, pod), FINE, 'CHECK')
    }
    return placed
  }
  const placed = (await Promise.all(nodes.map(place))).flat()
  const ips = placed.flatMap(({ result }) => ipsOf(result))
  t.equal(new Set(ips).size, 4 * main.pods, 'addresses are unique over both nodes')
  t.equal(await inUse(lab), used + ips.length)
  await checkPings(t, world, main, placed)
  const remove = async ({ pod, node }: Placed): Promise<void> => {
    const tool = cnitoolOn(node, lab)
    t.strictSame(await tool.call('del', network, pod), FINE, 'DEL')
    t.strictSame(await tool.call('del', network, pod), FINE, 'a second DEL')
    await lab.removePod(pod)
  }
  await Promise.all(placed.map(remove))
  t.equal(await inUse(lab), used, 'all addresses are back')
  const left = compareDumps(before, await dumps(lab))
  t.strictSame(
    left.filter((line) => main.stays?.test(line) !== true),
    [],
    'nothing is left',
  )
}

async function checkPings(
  t: Test,
  { gateways }: DelegateWorld,
  main: Main,
  placed: readonly Placed[],
): Promise<void> {
  const [first, ...others] = placed
  if (first === undefined) return
  const reached = others.filter(({ node }) => main.crosses || node === first.node)
  const { v4, v6 } = gateways[main.network]
  const targets = reached.flatMap(({ result }) => ipsOf(result))
  const reach = async (netns: string, ip: string, who: string): Promise<void> => {
    t.ok((await ping(netns, ip)).ok, `${who} reaches ${ip}`)
  }
  const outside = main.leaves ? [v4.ip, v6.ip] : []
  const own = main.fromNode ? ipsOf(first.result) : []
  await Promise.all([
    ...[...targets, ...outside].map((ip) => reach(first.pod.netns, ip, 'a pod')),
    ...own.map((ip) => reach(first.node.netns, ip, 'its node')),
  ])
}

async function checkVersions(t: Test, world: DelegateWorld): Promise<void> {
  const { lab, nodes } = world
  const [node] = nodes
  const tool = cnitoolOn(node, lab)
  for (const cniVersion of VERSIONS) {
    tool.put({ ...under(world, 'lan', node, BRIDGE), cniVersion })
    const pod = await lab.addPod(node)
    const result = resultOf(await tool.call('add', 'lan', pod))
    t.equal(result.cniVersion, cniVersion)
    const typed = cniVersion !== '1.0.0'
    t.match(result.ips, [
      { interface: 2, ...(typed ? { version: '4' } : {}) },
      { interface: 2, ...(typed ? { version: '6' } : {}) },
    ])
    t.strictSame(await tool.call('del', 'lan', pod), FINE)
  }
}

async function checkConcurrency(t: Test, world: DelegateWorld): Promise<void> {
  const { lab, nodes } = world
  const used = await inUse(lab)
  const calls = nodes.flatMap((node) => {
    const tool = cnitoolOn(node, lab)
    tool.put(under(world, 'lan', node, { type: 'macvlan' }))
    return Array.from({ length: 4 }, async () => ({ tool, pod: await lab.addPod(node) }))
  })
  const pods = await Promise.all(calls)
  const results = await Promise.all(pods.map(({ tool, pod }) => tool.call('add', 'lan', pod)))
  const ips = results.flatMap((result) => ipsOf(resultOf(result)))
  t.equal(new Set(ips).size, 16, 'eight pods, sixteen addresses')
  const ends = await Promise.all(pods.map(({ tool, pod }) => tool.call('del', 'lan', pod)))
  t.strictSame(
    ends,
    pods.map(() => FINE),
  )
  t.equal(await inUse(lab), used, 'all addresses are back')
}

/** The main plugin has its addresses already when its own work fails. */
async function checkFailures(t: Test, world: DelegateWorld): Promise<void> {
  const { lab, nodes } = world
  const [node] = nodes
  const tool = cnitoolOn(node, lab)
  const used = await inUse(lab)
  const fails = async (list: Conflist, pod: LabPod, why: RegExp): Promise<void> => {
    tool.put(list)
    const { status, stderr } = await tool.call('add', list.name, pod)
    t.equal(status, 1)
    t.match(stderr, why)
    t.equal(await inUse(lab), used, 'no address is lost')
    t.strictSame(await tool.call('del', list.name, pod), FINE, 'DEL')
  }
  const taken = await lab.addPod(node)
  const { ip } = world
  await ip(taken.netns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other')
  await fails(under(world, 'far', node, { type: 'ptp' }), taken, /already exists/)
  await ip(node.netns, 'link', 'add', 'busy0', 'type', 'bridge')
  await ip(node.netns, 'addr', 'add', '10.77.9.9/16', 'dev', 'busy0')
  const busy = { ...BRIDGE, bridge: 'busy0' }
  await fails(under(world, 'lan', node, busy), await lab.addPod(node), /already has an IP address/)
  await ip(node.netns, 'link', 'del', 'busy0')

  const bare = under(world, 'bare', node, BRIDGE)
  const refusal = /Cannot serve bridge with isDefaultGateway: pool 10\.79\.0\.0\/24 .* no gateway/
  await fails(bare, await lab.addPod(node), refusal)
  await fails({ ...bare, plugins: [{ type: 'portmap' }] }, await lab.addPod(node), /portmap/)
}
