/** Every road's plan for small clusters, in iproute2 words. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { planNode } from '../../src/backend/plan.ts'
import { backends } from '../../src/backend/registry.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import { planAdd } from '../../src/cni/mod.ts'
import { owns, renderOp, renderState } from '../../src/kernel/mod.ts'
import { macFromName, parseIp } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { attachment, claims, network, networkView, node, POOL_4, POOL_6, viewOf } from './views.ts'

const DUAL = { pools: [POOL_4, POOL_6] }
const POD = attachment('c0ffee', ['10.42.0.7'])
const LINK = POD.hostLink ?? ''

/** The road itself; the nftables table is the same on every one, see firewall.test.ts. */
const planned = (view: ClusterView): readonly string[] =>
  renderState(planNode(view).desired)
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('nft '))

t.test('route: one route for a block of a peer', async (t) => {
  t.strictSame(planned(viewOf([networkView(network('route'), 3, [POD])], 3)), [
    `ip link add name ${LINK} address 02:74:72:69:76:01 mtu 1500 alias "trivium pods c0ffee eth0 1" up type veth peer name eth0`,
    'ip route add 10.42.0.128/26 via 192.0.2.2 dev eth0 proto 84',
    'ip route add 10.42.0.64/26 via 192.0.2.1 dev eth0 proto 84',
    `ip route add 10.42.0.7/32 dev ${LINK} proto 84`,
    'ip route add blackhole 10.42.0.0/26 proto 84',
    'sysctl -w net.ipv4.ip_forward=1',
  ])
})

t.test('route: a block follows the underlay of its own family', async (t) => {
  t.strictSame(planned(viewOf([networkView(network('route', DUAL), 2)], 2)), [
    'ip -6 route add blackhole fd42::/122 proto 84',
    'ip -6 route add fd42::40/122 via 2001:db8::1 dev eth0 proto 84',
    'ip route add 10.42.0.64/26 via 192.0.2.1 dev eth0 proto 84',
    'ip route add blackhole 10.42.0.0/26 proto 84',
    'sysctl -w net.ipv4.ip_forward=1',
    'sysctl -w net.ipv6.conf.all.forwarding=1',
  ])
})

t.test('vxlan: neighbour and forwarding entry for a peer, route for a block', async (t) => {
  const record = network('vxlan')
  const view = networkView(record, 2)
  const more = claims(record, 'n1', [1, 5])
    .slice(1)
    .map((claim) => ({ ...claim, first: false }))
  t.strictSame(planned(viewOf([{ ...view, claims: [...view.claims, ...more] }], 2)), [
    'bridge fdb add 02:1b:93:2c:d4:da dev trvx.1 dst 192.0.2.1 self permanent',
    'ip addr add 10.42.0.0/32 dev trvx.1',
    `ip link add name trvx.1 address ${node(0).vtepMac} mtu 1450 alias "trivium pods" up type vxlan id 1 dstport 8472 local 192.0.2.0 dev eth0 nolearning`,
    'ip neigh add 10.42.0.64 lladdr 02:1b:93:2c:d4:da dev trvx.1 nud permanent',
    'ip route add 10.42.0.64/26 via 10.42.0.64 dev trvx.1 proto 84 onlink',
    'ip route add 10.42.1.64/26 via 10.42.0.64 dev trvx.1 proto 84 onlink',
    'ip route add blackhole 10.42.0.0/26 proto 84',
    'sysctl -w net.ipv4.ip_forward=1',
  ])
})

t.test('vxlan: both families through one tunnel, one forwarding entry', async (t) => {
  const lines = planned(viewOf([networkView(network('vxlan', DUAL), 2)], 2))
  t.equal(lines.filter((line) => line.startsWith('bridge fdb')).length, 1)
  t.equal(lines.filter((line) => / neigh add /.test(line)).length, 2)
  t.ok(lines.includes('ip addr add fd42::/128 dev trvx.1 nodad'))
  t.ok(lines.includes('ip -6 route add fd42::40/122 via fd42::40 dev trvx.1 proto 84 onlink'))
})

t.test('vxlan: an underlay of IPv6 alone', async (t) => {
  const six = (index: number) => node(index, { underlayIps: [parseIp(`2001:db8::${index}`)] })
  const lines = planned(viewOf([networkView(network('vxlan'), 2)], 2, [six(0), six(1)]))
  t.ok(
    lines.some((line) => line.includes('mtu 1430') && line.includes('local 2001:db8::')),
    'a wider header',
  )
  t.ok(lines.includes('bridge fdb add 02:1b:93:2c:d4:da dev trvx.1 dst 2001:db8::1 self permanent'))
})

t.test('vlan: a bridge, the tagged underlay and the pods, no route', async (t) => {
  t.strictSame(planned(viewOf([networkView(network('vlan'), 3, [POD])], 3)), [
    `ip link add name ${LINK} address ${macFromName(LINK)} mtu 1500 master trvb.100 alias "trivium pods c0ffee eth0 1" up type veth peer name eth0`,
    'ip link add name trvb.100 mtu 1500 alias "trivium pods" up type bridge',
    'ip link add name trvl.100 mtu 1500 master trvb.100 alias "trivium pods" up link eth0 type vlan id 100',
  ])
})

t.test("vlan: a pod has its pool's prefix and gateway", async (t) => {
  const gateway = parseIp('10.42.0.1')
  const record = network('vlan', { pools: [{ ...POOL_4, gateway }] })
  const plan = backends.vlan.pod(POD, networkView(record, 1), viewOf([], 1))
  t.strictSame(plan.ips, [{ ip: '10.42.0.7', prefixLength: 16, gateway }])
  t.strictSame(plan.routes, [{ dst: '0.0.0.0/0', via: gateway }])
  const [link] = plan.node
  t.match(link, { kind: 'link', name: LINK, master: 'trvb.100' })
  const gone = attachment('c0ffee', ['10.43.0.7'])
  t.throws(() => backends.vlan.pod(gone, networkView(record, 1), viewOf([], 1)), {
    code: 'CONFLICT',
    message: 'Cannot place 10.43.0.7: no pool of the network holds it any more',
  })
})

const onMacvlans = (vlanId: number, pools = [POOL_4, POOL_6]) =>
  network('vlan', {
    pools,
    options: { vni: 1, vxlanPort: 8472, vlanId, attachment: 'macvlan' },
  })
const { hostLink: _none, ...bare } = attachment('c0ffee', ['10.42.0.7', 'fd42::7'])
const MACVLAN_POD = { ...bare, macvlan: true } as const

t.test("vlan with macvlans: the node's own, on the tagged underlay or on itself", async (t) => {
  const mac = (id: number) => macFromName(`n0/trvm.${id}`)
  const own = (id: number, parent: string) => [
    `ip -6 route add fd42::7/128 dev trvm.${id} proto 84`,
    `ip addr add 10.42.0.0/32 dev trvm.${id}`,
    `ip addr add fd42::/128 dev trvm.${id} nodad`,
    `ip link add name trvm.${id} address ${mac(id)} mtu 1500 alias "trivium pods" up link ${parent} type macvlan mode bridge`,
    `ip route add 10.42.0.7/32 dev trvm.${id} proto 84`,
    `sysctl -w net.ipv4.conf.trvm/${id}.arp_filter=1`,
  ]
  const view = (id: number) => viewOf([networkView(onMacvlans(id), 3, [MACVLAN_POD])], 3)
  t.strictSame(planned(view(0)), own(0, 'eth0'), 'untagged')
  const tagged =
    'ip link add name trvl.100 mtu 1500 alias "trivium pods" up link eth0 type vlan id 100'
  t.strictSame(planned(view(100)), [...own(100, 'trvl.100'), tagged].sort())
  const guards = renderState(planNode(view(100)).desired)
  t.match(guards, 'nft add element inet trivium pods4 { trvm.100 . 10.42.0.7 }')
  t.notMatch(guards, /element inet trivium (inside|masquerade|tunnels)/, 'it is not routed')
})

t.test('vlan with macvlans: a pod', async (t) => {
  const gateway = parseIp('10.42.0.1')
  const record = onMacvlans(100, [{ ...POOL_4, gateway }])
  const pod = { ...MACVLAN_POD, ips: [parseIp('10.42.0.7')] }
  const plan = backends.vlan.pod(pod, networkView(record, 1), viewOf([], 1))
  t.strictSame(plan.ips, [{ ip: '10.42.0.7', prefixLength: 16, gateway }])
  const { link, node: ways, pod: inside } = planAdd(plan, 'eth0')
  const mac = macFromName('pods/c0ffee/eth0')
  t.strictSame(
    link && renderOp(link),
    `ip link add name eth0 address ${mac} mtu 1500 down link trvl.100 type macvlan mode bridge`,
  )
  t.strictSame(ways.map(renderOp), [
    'nft add element inet trivium pods4 { trvm.100 . 10.42.0.7 }',
    'ip route add 10.42.0.7/32 dev trvm.100 proto 84',
  ])
  t.strictSame(inside.map(renderOp), [
    'ip link set dev eth0 alias "trivium pods c0ffee eth0 1" up',
    'ip addr add 10.42.0.7/16 dev eth0',
    'ip route add 0.0.0.0/0 via 10.42.0.1 dev eth0 proto 84',
  ])
})

t.test('ipam: nothing, and nothing in the way of other networks', async (t) => {
  const lan = networkView(network('ipam', { name: 'lan', pools: [POOL_6] }), 2, [])
  const alone = planNode(viewOf([lan], 2))
  t.strictSame([alone.desired.size, alone.complete, alone.problems], [0, true, []])
  const beside = planNode(viewOf([lan, networkView(network('route'), 2)], 2))
  t.ok(beside.complete)
  const text = renderState(beside.desired)
  t.notMatch(text, /element inet trivium (inside6|masquerade6)/, 'it is not routed')
  t.match(text, '10.42.0.64/26 via 192.0.2.1')
  t.throws(() => backends.ipam.pod(POD, lan, viewOf([lan], 1)), {
    code: 'BAD_CONFIG',
    message: 'Cannot make a link in network lan: its mode is ipam, which hands out addresses only',
  })
})

t.test('problems: a peer that cannot be reached harms nobody else', async (t) => {
  const lame = node(1, { underlayIps: [] })
  for (const mode of ['vxlan', 'route'] as const) {
    const plan = planNode(viewOf([networkView(network(mode), 3)], 3, [lame]))
    t.equal(plan.complete, true, mode)
    t.equal(plan.problems.length, 1, `${mode}: one problem`)
    t.match(
      plan.problems[0],
      /^network pods: Cannot (reach node n1|route 10\.42\.0\.64\/26 to node n1)/,
    )
    const text = renderState(plan.desired)
    t.notMatch(text, '10.42.0.64/26', `${mode}: nothing for n1`)
    t.match(text, '10.42.0.128/26', `${mode}: everything for n2`)
  }
})

t.test('problems: a network that cannot be planned harms no other', async (t) => {
  const broken = network('vxlan', {
    name: 'jumbo',
    options: { vni: 2, vxlanPort: 8472, vlanId: 2, mtuBytes: 9000 },
  })
  const plan = planNode(viewOf([networkView(broken, 2), networkView(network('route'), 2)], 2))
  t.equal(plan.complete, false)
  t.strictSame(plan.problems, [
    'network jumbo: Cannot use an MTU of 9000 bytes: the underlay leaves at most 1450',
  ])
  t.match(renderState(plan.desired), '10.42.0.64/26 via 192.0.2.1')
})

t.test('a claim of a node that nobody knows is passed over', async (t) => {
  const record = network('route')
  const view = networkView(record, 1)
  const ghost = claims(record, 'ghost', [9])
  const plan = planNode(viewOf([{ ...view, claims: [...view.claims, ...ghost] }], 1))
  t.strictSame(plan.problems, [])
  t.notMatch(renderState(plan.desired), '10.42.2.64')
})

const viewArb = fc
  .record({
    mode: fc.constantFrom('vxlan', 'route', 'vlan'),
    nodes: fc.integer({ min: 1, max: 12 }),
    isDual: fc.boolean(),
    pods: fc.uniqueArray(fc.integer({ min: 1, max: 62 }), { maxLength: 8 }),
  })
  .map(({ mode, nodes, isDual, pods }) => {
    const record = network(mode, isDual ? DUAL : {})
    const attached = pods.map((pod) =>
      attachment(`c${pod}`, [`10.42.0.${pod}`, ...(isDual ? [`fd42::${pod}`] : [])]),
    )
    return {
      mode,
      nodes,
      isDual,
      pods: pods.length,
      view: viewOf([networkView(record, nodes, attached)], nodes),
    }
  })

holds(
  t,
  'a plan is ours, the same twice, and costs what the headers say',
  viewArb,
  ({ mode, nodes, isDual, pods, view }) => {
    const { desired, problems, complete } = planNode(view)
    assert.deepEqual(problems, [])
    assert.ok(complete)
    assert.equal(renderState(planNode(view).desired), renderState(desired))
    const objects = [...desired.values()]
    for (const object of objects)
      assert.ok(object.kind === 'sysctl' || owns(object, desired), JSON.stringify(object))
    const count = (kind: string): number => objects.filter((object) => object.kind === kind).length
    const [families, peers] = [isDual ? 2 : 1, nodes - 1]
    const routes = families * (1 + peers + pods) // own block, peers' blocks, pods' addresses
    const links = { vxlan: 1 + pods, route: pods, vlan: 2 + pods }
    assert.equal(count('link'), links[mode])
    assert.equal(count('route'), mode === 'vlan' ? 0 : routes)
    assert.equal(count('fdb'), mode === 'vxlan' ? peers : 0)
    assert.equal(count('neigh'), mode === 'vxlan' ? peers * families : 0)
  },
  { numRuns: 300 },
)
