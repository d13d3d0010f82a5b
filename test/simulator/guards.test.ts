/**
 * Tunnels of both flavours, direct peers, and networks that are closed to each
 * other: what a packet meets, and what is missed when a guard is gone.
 */
import t from 'tap'
import { checkReachability } from '../../simulator/checkers/reachability.ts'
import { EVENT } from '../../simulator/clock.ts'
import type { Delivery } from '../../simulator/delivery.ts'
import { forward } from '../../simulator/forward.ts'
import type { Flow } from '../../simulator/guards.ts'
import { lookUp } from '../../simulator/lookup.ts'
import type { SimPod } from '../../simulator/node.ts'
import { runScenario } from '../../simulator/run.ts'
import { Cluster } from '../../simulator/world.ts'
import { prng } from '../../src/prng.ts'
import { injectionContract } from '../contract/injected.ts'
import { mustPrefix, smallScenario } from './support.ts'

const TWO_NETWORKS = `
pools:
  - { cidr: 10.42.0.0/20, network: blue }
  - { cidr: 10.44.0.0/20, network: red }
  - { cidr: fd42::/112, network: blue }
  - { cidr: fd44::/112, network: red }
allow: [{ from: blue, to: red }]
modes:
  - vxlan
  - { mode: vxlan, flavour: lightweight }
  - { mode: vxlan, crossSubnet: true }
  - { mode: vxlan, flavour: lightweight, crossSubnet: true, masquerade: false }
  - route
  - vlan`

function twoNetworks(): ReturnType<typeof smallScenario> {
  return smallScenario(TWO_NETWORKS, ['pools', 'modes'])
}

t.test('pairs of one network meet, of two only as opened, by every road', async (t) => {
  const { modes } = runScenario(twoNetworks())
  t.strictSame(
    modes.map(({ label }) => label),
    [
      'vxlan',
      'vxlan lightweight',
      'vxlan direct',
      'vxlan lightweight direct unmasked',
      'route blocks',
      'vlan',
    ],
  )
  for (const { label, checks, reachability } of modes) {
    t.strictSame(
      checks.flatMap(({ findings }) => findings),
      [],
      label,
    )
    // 18 pods, half of them blue: both halves to themselves, and blue to red.
    const opened = label === 'vlan' ? 0 : 9 * 9
    t.equal(reachability.pairs, 2 * 9 * 8 + opened, label)
    t.equal(reachability.delivered, reachability.pairs, label)
    t.equal(reachability.closed, 2 * 9 * 9 - opened, label)
  }
})

t.test('an opening by port lets those ports through, and nothing else', async (t) => {
  const ports = TWO_NETWORKS.replace('to: red }', 'to: red, ports: [tcp/443, udp/53] }')
  const scenario = smallScenario(ports, ['pools', 'modes'])
  for (const { label, checks, reachability } of runScenario(scenario).modes) {
    t.strictSame(
      checks.flatMap(({ findings }) => findings),
      [],
      label,
    )
    const opened = label === 'vlan' ? 0 : 9 * 9
    t.equal(reachability.pairs, 2 * 9 * 8 + opened, label)
    t.equal(reachability.delivered, reachability.pairs, label)
  }
  const cluster = full(0, scenario)
  const by = (protocol: Flow['protocol'], port: number): string =>
    reason(send(cluster, 0, 5, { protocol, port }))
  t.equal(by('tcp', 443), 'delivered')
  t.equal(by('udp', 53), 'delivered')
  t.match(by('udp', 443), /closed to each other/)
  t.match(by('tcp', 444), /closed to each other/)
  t.match(reason(send(cluster, 0, 5)), /closed to each other/)
  const back: Flow = { protocol: 'tcp', port: 443 }
  t.match(reason(send(cluster, 5, 0, back)), /closed to each other/, 'in one direction')

  // A node that lets everything through is a finding.
  const { kernel } = cluster.nodes[0]!
  const [pair] = kernel.elements('reach_port4')
  const key = pair!.key.split(' . ').slice(0, 2).join(' . ')
  kernel.apply({ kind: 'add', object: { kind: 'nft-element', set: 'reach4', key } })
  for (const node of [1, 2, 3, 4, 5]) {
    cluster.nodes[node]!.kernel.apply({
      kind: 'add',
      object: { kind: 'nft-element', set: 'reach4', key },
    })
  }
  t.match(
    checkReachability(cluster, prng(1)).check.findings[0],
    /pod 0 reaches pod \d+ by more than the open ports/,
  )
})

/** The mode's cluster, quiet, with three pods a node: blue, red, blue, … */
function full(mode: number, scenario = twoNetworks()): Cluster {
  const cluster = new Cluster(scenario, scenario.modes[mode]!)
  for (const { index } of cluster.nodes) cluster.engine.post(5000, EVENT.start, index, 0)
  cluster.engine.run(() => cluster.isQuiet, 60e6)
  for (let pod = 0; pod < 18; pod++) {
    cluster.podsUnderWay++
    cluster.engine.post(pod * 1000, EVENT.podAdd, Math.floor(pod / 3), pod)
  }
  cluster.engine.run(() => cluster.isQuiet, 60e6)
  return cluster
}

const podOf = (cluster: Cluster, id: number): SimPod => {
  const pod = cluster.pods().find((each) => each.id === id)
  if (pod === undefined) throw new Error(`no pod ${id}`)
  return pod
}

function send(cluster: Cluster, from: number, to: number, flow?: Flow): Delivery {
  const [ip] = podOf(cluster, to).attachment.ips
  return forward(cluster.world(), podOf(cluster, from), ip!, flow)
}

const reason = (delivery: Delivery): string =>
  delivery.kind === 'lost' ? delivery.reason : delivery.kind

function drop(cluster: Cluster, node: number, key: string): void {
  const { kernel } = cluster.nodes[node]!
  const object = kernel.get(key)
  if (object === undefined) throw new Error(`no ${key}`)
  kernel.apply({ kind: 'remove', object })
}

injectionContract(t, 'simulated', ({ to, port, vni, without }) => {
  const cluster = full(0)
  const source = podOf(cluster, 0)
  if (without !== undefined) drop(cluster, 0, `nft-chain ${without}`)
  const tunnels = [...source.node.kernel.objects()].flatMap((object) =>
    object.kind === 'link' && object.link.type === 'vxlan' ? [object.link] : [],
  )
  const [tunnel] = tunnels
  const flow = {
    protocol: 'udp',
    port: tunnel!.port + (port === 'tunnel' ? 0 : 1),
    ...(vni === undefined ? {} : { vni: vni === 'tunnel' ? tunnel!.vni : 77 }),
  } as const
  // Node 4 is in the other rack, behind the router.
  const { underlayIps } = cluster.nodes[to === 'own' ? 0 : 4]!.record
  return underlayIps.map((ip) => forward(cluster.world(), source, ip, flow).kind === 'delivered')
})

t.test('the road: in a rack directly, between racks through the tunnel', async (t) => {
  const cluster = full(3)
  const { kernel } = cluster.nodes[0]!
  const road = (node: number): string => {
    const hop = lookUp(kernel, podOf(cluster, node * 3).attachment.ips[0]!, true)
    return hop.kind === 'out' ? `${hop.link} ${hop.encapDst ?? 'direct'}` : hop.kind
  }
  t.strictSame([1, 2, 3, 4, 5].map(road), [
    'eth0 direct',
    'eth0 direct',
    'trvx.2 100.64.1.2',
    'trvx.1 100.64.1.3',
    'trvx.2 100.64.1.4',
  ])
  t.strictSame(cluster.nodes[0]!.record.underlayPrefixes, [
    mustPrefix('100.64.0.0/24'),
    mustPrefix('fd64::/64'),
  ])
  t.equal(reason(send(cluster, 0, 8)), 'delivered')
  t.equal(reason(send(cluster, 0, 10)), 'delivered')
})

t.test('each guard is asked', async (t) => {
  const cluster = full(1)
  const [blue0, red0] = [0, 1]
  // On another node: pod 10 is blue, 9 is red.
  t.equal(reason(send(cluster, blue0, 10)), 'delivered')
  t.equal(reason(send(cluster, blue0, 9)), 'delivered', 'opened')
  t.match(reason(send(cluster, red0, 10)), /node-0000: .* closed to each other/)

  const web: Flow = { protocol: 'tcp', port: 443 }
  const { kernel } = cluster.nodes[3]!
  const opening = 'reach_port4 10.44.0.0/20 . 10.42.0.0/20 . tcp . 443'
  for (const node of [cluster.nodes[0]!, cluster.nodes[3]!]) {
    const key = opening.slice(opening.indexOf(' ') + 1)
    node.kernel.apply({ kind: 'add', object: { kind: 'nft-element', set: 'reach_port4', key } })
  }
  t.equal(reason(send(cluster, red0, 10, web)), 'delivered', 'one port')
  t.match(reason(send(cluster, red0, 10, { ...web, port: 80 })), /closed/)
  t.match(reason(send(cluster, red0, 10)), /closed/)

  drop(cluster, 3, 'vni trvx.1 1')
  t.match(reason(send(cluster, blue0, 10)), /node-0003: trvx\.1 does not take VNI 1/)
  kernel.apply({ kind: 'add', object: { kind: 'vni', link: 'trvx.1', vni: 1 } })
  drop(cluster, 3, 'nft-element nodes4 100.64.0.2')
  t.match(reason(send(cluster, blue0, 10)), /node-0003: 100\.64\.0\.2 is no node, .* VNI 1/)
  drop(cluster, 3, 'nft-chain tunnel')
  t.equal(reason(send(cluster, blue0, 10)), 'delivered', 'no chain, no guard')
  drop(cluster, 3, 'nft-element tunnelled4 trvx.1 . 10.42.0.0/20')
  t.match(reason(send(cluster, blue0, 10)), /node-0003: .* is not of the network of trvx\.1/)

  const { hostLink = '', ips } = podOf(cluster, blue0).attachment
  drop(cluster, 0, `nft-element pods4 ${hostLink} . ${ips[0]}`)
  t.match(reason(send(cluster, blue0, 10)), /node-0000: .* is not an address of trv/)
})

t.test('a tunnel that is too small, and a route without its tunnel', async (t) => {
  const cluster = full(1)
  const { kernel } = cluster.nodes[0]!
  const underlay = kernel.link('eth0')!
  kernel.apply({ kind: 'change', from: underlay, to: { ...underlay, mtuBytes: 1499 } })
  t.match(reason(send(cluster, 0, 10)), /1500 bytes do not fit through eth0/, '36 bytes in front')
  kernel.apply({ kind: 'change', from: { ...underlay, mtuBytes: 1499 }, to: underlay })
  t.equal(reason(send(cluster, 0, 10)), 'delivered')
  for (const object of kernel.snapshot().values()) {
    if (object.kind !== 'route' || object.encapVni === undefined) continue
    const { encapVni: _vni, encapDst: _dst, ...bare } = object
    kernel.apply({ kind: 'change', from: object, to: bare })
  }
  t.match(reason(send(cluster, 0, 10)), /names no tunnel for trvx\.1/)
})

t.test('the checker sees a network that stands open', async (t) => {
  const cluster = full(0)
  t.ok(checkReachability(cluster, prng(1)).check.passed)
  for (const { index } of cluster.nodes) drop(cluster, index, 'nft-chain isolate')
  const { check } = checkReachability(cluster, prng(1))
  t.match(check.findings[0], /pod \d+ reaches pod \d+ in a closed network/)
})

t.test("what the host sets on a pair's other end, the pod has", async (t) => {
  const cluster = full(0)
  const pod = podOf(cluster, 0)
  const { kernel } = pod.node
  const from = kernel.link(pod.attachment.hostLink ?? '')!
  t.equal(from.peerMtuBytes, 1450)
  kernel.apply({ kind: 'change', from, to: { ...from, peerMtuBytes: 1400 } })
  t.equal(pod.kernel.link('eth0')?.mtuBytes, 1400)
})
