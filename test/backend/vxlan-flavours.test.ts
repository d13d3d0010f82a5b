/**
 * Lightweight tunnels, and peers that need no tunnel, in iproute2's words.
 *
 * ```
 *   192.0.2.0/24: n0 (plans), n1      198.51.100.0/24: n2
 * ```
 */
import t from 'tap'
import { planNode } from '../../src/backend/plan.ts'
import type { ClusterView, Mode, NetworkRecord, NodeRecord, Pool } from '../../src/cluster/view.ts'
import { renderState } from '../../src/kernel/mod.ts'
import { parseIp, parsePrefix } from '../../src/net/mod.ts'
import { network, networkView, node, POOL_4, POOL_6, viewOf } from './views.ts'

type Options = Partial<NetworkRecord['options']>

const LIGHT = { flavour: 'lightweight', vxlanPort: 4790 } as const
const V6_ONLY = { underlayPrefixes: [parsePrefix('2001:db8::/64')] }

/** n0 and n1 on one network, n2 behind a router. */
const apart = (change: Partial<NodeRecord> = {}): readonly NodeRecord[] => [
  node(0, {
    underlayPrefixes: [parsePrefix('192.0.2.0/24'), parsePrefix('2001:db8::/64')],
    ...change,
  }),
  node(2, { underlayIps: [parseIp('198.51.100.2'), parseIp('2001:db8:1::2')] }),
]

function viewWith(
  options: Options,
  nodes: readonly NodeRecord[],
  pools: readonly Pool[] = [POOL_4],
  mode: Mode = 'vxlan',
): ClusterView {
  const base = { vni: 1, vxlanPort: 8472, vlanId: 1 }
  const record = network(mode, { pools, options: { ...base, ...options } })
  return viewOf([networkView(record, 3)], 3, nodes)
}

const planned = (view: ClusterView): readonly string[] =>
  renderState(planNode(view).desired)
    .trimEnd()
    .split('\n')
    .filter((line) => !/^(nft|sysctl) /.test(line))

t.test('lightweight: a link, a VNI, and one route for a block of a peer', async (t) => {
  t.strictSame(planned(viewWith(LIGHT, [])), [
    'bridge vni add vni 1 dev trvx.1',
    'ip addr add 10.42.0.0/32 dev trvx.1',
    'ip link add name trvx.1 mtu 1464 alias "trivium pods" up type vxlan external gpe vnifilter dstport 4790 nolearning',
    'ip route add 10.42.0.128/26 encap ip id 1 dst 192.0.2.2 dev trvx.1 proto 84',
    'ip route add 10.42.0.64/26 encap ip id 1 dst 192.0.2.1 dev trvx.1 proto 84',
    'ip route add blackhole 10.42.0.0/26 proto 84',
  ])
})

t.test('lightweight over IPv6: a wider header, and a checksum that IPv6 demands', async (t) => {
  const six = [0, 1, 2].map((index) =>
    node(index, { underlayIps: [parseIp(`2001:db8::${index}`)] }),
  )
  const lines = planned(viewWith(LIGHT, six, [POOL_4, POOL_6]))
  t.ok(lines.some((line) => line.includes('type vxlan external gpe') && line.includes('mtu 1444')))
  for (const line of [
    'ip route add 10.42.0.64/26 encap ip6 id 1 dst 2001:db8::1 csum dev trvx.1 proto 84',
    'ip -6 route add fd42::40/122 encap ip6 id 1 dst 2001:db8::1 csum dev trvx.1 proto 84',
  ])
    t.ok(lines.includes(line), line)
})

t.test('lightweight: not on a kernel whose offloads damage packets, unless told to', async (t) => {
  const old = [node(0, { kernelRelease: '6.1.0-18-amd64' })]
  const refused = planNode(viewWith(LIGHT, old))
  t.equal(refused.complete, false)
  t.match(refused.problems, [
    /Cannot make lightweight tunnels on Linux 6\.1\.0-18-amd64: .*wanted 6\.6 or newer/,
  ])
  const forced = planNode(viewWith({ ...LIGHT, anyKernel: true }, old))
  t.strictSame(forced.problems, [])
})

t.test('direct: classic tunnels to those behind the router only', async (t) => {
  t.strictSame(planned(viewWith({ crossSubnet: true }, apart())), [
    `bridge fdb add ${node(2).vtepMac} dev trvx.1 dst 198.51.100.2 self permanent`,
    'ip addr add 10.42.0.0/32 dev trvx.1',
    `ip link add name trvx.1 address ${node(0).vtepMac} mtu 1450 alias "trivium pods" up type vxlan id 1 dstport 8472 local 192.0.2.0 dev eth0 nolearning`,
    `ip neigh add 10.42.0.128 lladdr ${node(2).vtepMac} dev trvx.1 nud permanent`,
    'ip route add 10.42.0.128/26 via 10.42.0.128 dev trvx.1 proto 84 onlink',
    'ip route add 10.42.0.64/26 via 192.0.2.1 dev eth0 proto 84',
    'ip route add blackhole 10.42.0.0/26 proto 84',
  ])
})

t.test('direct: lightweight tunnels likewise', async (t) => {
  const routes = planned(viewWith({ ...LIGHT, crossSubnet: true }, apart())).filter((line) =>
    line.startsWith('ip route'),
  )
  t.strictSame(routes, [
    'ip route add 10.42.0.128/26 encap ip id 1 dst 198.51.100.2 dev trvx.1 proto 84',
    'ip route add 10.42.0.64/26 via 192.0.2.1 dev eth0 proto 84',
    'ip route add blackhole 10.42.0.0/26 proto 84',
  ])
})

t.test('direct: each family by what the underlay says of it', async (t) => {
  const view = viewWith({ crossSubnet: true }, apart(V6_ONLY), [POOL_4, POOL_6])
  const toPeer = planned(view).filter((line) => / (10\.42\.0\.64|fd42::40)\/\d+ via/.test(line))
  t.strictSame(toPeer, [
    'ip -6 route add fd42::40/122 via 2001:db8::1 dev eth0 proto 84',
    'ip route add 10.42.0.64/26 via 10.42.0.64 dev trvx.1 proto 84 onlink',
  ])
})

t.test('direct: a node that does not say where it is tunnels to everybody', async (t) => {
  const lines = planned(viewWith({ crossSubnet: true }, []))
  t.notOk(lines.some((line) => line.includes('dev eth0 proto')))
})

t.test('route: a peer behind a router is reported and left out', async (t) => {
  const plan = planNode(viewWith({}, apart(), [POOL_4], 'route'))
  t.equal(plan.complete, true)
  t.strictSame(plan.problems, [
    'network pods: Cannot route 10.42.0.128/26 to node n2: 198.51.100.2 is not on eth0 (192.0.2.0/24, 2001:db8::/64), wanted a peer on the same network',
  ])
  const text = renderState(plan.desired)
  t.match(text, 'ip route add 10.42.0.64/26 via 192.0.2.1 dev eth0 proto 84')
  t.notMatch(text, '10.42.0.128/26')
})

t.test('checksum: off when told so, and on kernels that get it wrong', async (t) => {
  const off = 'ethtool -K trvx.1 tx-checksum-ip-generic off'
  const on = (options: Options, release: string): boolean =>
    !planned(viewWith(options, [node(0, { kernelRelease: release })])).includes(off)
  t.equal(on({}, '6.18.0'), true)
  t.equal(on({ checksumOffload: false }, '6.18.0'), false)
  t.equal(on({}, '5.6.19'), false)
  t.equal(on({ checksumOffload: true }, '5.6.19'), true)
  t.equal(on({ ...LIGHT, checksumOffload: false }, '6.18.0'), false)
})
