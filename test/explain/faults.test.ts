/**
 * One object broken at a time: the walk names it, and nothing before it. Each
 * row was seen in a table of what stops packets on plain kernels.
 */
import t from 'tap'
import { type Explanation, explain, type Hop } from '../../src/explain/mod.ts'
import { parseIp } from '../../src/net/mod.ts'
import { injectionContract } from '../contract/injected.ts'
import { FAR_ROWS } from './far-rows.ts'
import { MACVLAN, MACVLAN_ROWS, TAGGED } from './macvlan-rows.ts'
import { DIRECT, foreign, LIGHT, NEAR_ROWS } from './near-rows.ts'
import { type Ground, Scene } from './scene.ts'

const first = ({ paths }: Explanation) => paths.find(({ family }) => family === 4)?.hops ?? []

t.test('faults', async (t) => {
  for (const [title, row] of Object.entries({ ...NEAR_ROWS, ...FAR_ROWS, ...MACVLAN_ROWS })) {
    await t.test(title, async (t) => {
      const scene = new Scene(row.ground)
      row.harm(scene)
      const answer = scene.explain(row.from ?? 'a', row.to ?? 'b')
      const { cause } = answer
      const { status = 'broken' } = row
      t.equal(cause?.status, status)
      t.equal(cause?.place, row.place)
      t.match(cause?.object ?? '', row.object)
      t.match(`${cause?.found} ${cause?.wanted}`, row.says)
      t.match(cause?.command ?? '', row.command)
      t.equal(cause?.byAgent ?? false, row.byAgent ?? false, 'who repairs it')
      t.equal(answer.verdict, status === 'broken' ? 'broken' : 'unknown')
      const before = first(answer).slice(0, first(answer).indexOf(cause as Hop))
      t.ok(
        before.every((hop) => hop.status === 'ok'),
        'what comes before is well',
      )
    })
  }
})

t.test('nothing broken', async (t) => {
  const grounds: Readonly<Record<string, Ground>> = {
    vxlan: {},
    lightweight: LIGHT,
    direct: DIRECT,
    route: { mode: 'route' },
    vlan: { mode: 'vlan' },
    macvlan: MACVLAN,
    'macvlan, tagged': TAGGED,
  }
  for (const [name, ground] of Object.entries(grounds)) {
    const ends = ground.mode === 'vlan' ? ['b', 'a2'] : ['b', 'a2', 'n2', 'n1']
    for (const to of ends as ('b' | 'a2' | 'n2' | 'n1')[]) {
      const { verdict, cause } = new Scene(ground).explain('a', to)
      t.equal(verdict, 'reachable', `${name}: pod a reaches ${to} ${JSON.stringify(cause)}`)
    }
    if (ground.mode === 'vlan') continue
    t.equal(new Scene(ground).explain('n1', 'b').verdict, 'reachable', `${name}: node to pod`)
  }
})

injectionContract(t, 'explained', ({ to, port, vni, without }) => {
  const scene = new Scene()
  if (without !== undefined) scene.drop('n1', new RegExp(`^nft-chain ${without}$`))
  const asked = { protocol: 'udp', port: port === 'tunnel' ? 8472 : 8473 } as const
  const id = vni === undefined ? undefined : vni === 'tunnel' ? 1 : 77
  const { paths } = scene.explain('a', to === 'own' ? 'n1' : 'n2', asked, id)
  return paths
    .filter(({ direction }) => direction === 'there')
    .map(({ verdict }) => verdict === 'reachable')
})

t.test('VXLAN of a pod is named, and suspected where nobody says what is in it', async (t) => {
  const scene = new Scene()
  const udp = { protocol: 'udp', port: 8472 } as const
  const sure = scene.explain('a', 'n2', udp, 1).cause
  t.equal(sure?.status, 'broken')
  t.equal(sure?.object, 'chain inet trivium isolate')
  t.match(sure?.found, /udp dport 8472 with VNI 1 to node 192\.0\.2\.2 is dropped: only nodes/)
  const perhaps = scene.explain('a', 'n2', udp)
  t.equal(perhaps.verdict, 'unknown')
  t.match(perhaps.cause?.found, /with VNI (1 or 9|9 or 1) to node/)
  t.equal(scene.explain('a', 'b', udp).verdict, 'reachable', 'pods may do so among themselves')
})

/** The node's own macvlan, and what carries the pod's. */
const WAY = {
  MACVLAN: ['trvm.0', ['link eth0 mtu 1500']],
  TAGGED: ['trvm.100', ['link eth0 mtu 1500', 'link trvl.100 mtu 1500']],
} as const

t.test('a node and its pods on macvlans', async (t) => {
  for (const [name, ground] of Object.entries({ MACVLAN, TAGGED })) {
    const { verdict, cause, paths } = new Scene(ground).explain('n1', 'a')
    t.equal(verdict, 'reachable', `${name} ${JSON.stringify(cause)}`)
    const [there = [], back = []] = paths.map(({ hops }) => hops.map(({ object }) => object))
    const [own, parent] = WAY[name as keyof typeof WAY]
    t.strictSame(there, [
      `route 10.42.0.65/32 dev ${own} proto 84`,
      `link ${own} mtu 1500`,
      ...parent,
      'link eth0 mtu 1500',
      'addr 10.42.0.65 dev eth0',
    ])
    t.strictSame(back, [
      'link eth0 mtu 1500',
      'addr 10.42.0.65 dev eth0',
      'route 10.42.0.0/16 dev eth0 proto 2',
      ...parent,
      `link ${own} mtu 1500`,
      `element inet trivium pods4 { ${own} . 10.42.0.65 }`,
      "addr 10.42.0.64: the node's own",
    ])
  }
})

t.test('a side that was not seen', async (t) => {
  const scene = new Scene()
  scene.unseen.add('n2')
  const answer = scene.explain()
  t.equal(answer.verdict, 'unknown')
  t.strictSame(answer.unseen, [{ node: 'n2', reason: 'nobody looked' }])
  scene.drop('n1', /^fdb trvx\.1 02:10:52/)
  t.equal(scene.explain().verdict, 'broken', 'what was seen may still be broken')
})

t.test('an opening is one way, answers included', async (t) => {
  const allows = [{ from: 'pods', to: 'zone', ports: [], createdMs: 0 }]
  const scene = new Scene({ allows })
  t.equal(scene.explain('a', 'z').verdict, 'reachable')
  const { cause } = scene.explain('z', 'a')
  t.equal(cause?.command, 'trivium network allow zone pods')
  const some = [
    { from: 'pods', to: 'zone', ports: [{ protocol: 'tcp', port: 80 }], createdMs: 0 },
  ] as const
  const narrow = new Scene({ allows: some })
  t.equal(narrow.explain('a', 'z', { protocol: 'tcp', port: 80 }).verdict, 'reachable')
  const closed = narrow.explain('a', 'z', { protocol: 'udp', port: 80 }).cause
  t.match(closed?.found ?? '', /closed to each other, open for tcp\/80 only/)
  t.equal(closed?.command, 'trivium network allow pods zone --port udp/80')
})

t.test('routes from BGP: by way of routers, or missing', async (t) => {
  const ground = { mode: 'route', options: { peerRoutes: 'bgp' } } as const
  const heard = (dst: string, via: string) => ({ ...foreign(dst, 'unicast', via), protocol: 85 })
  const whole = (): Scene => {
    const scene = new Scene(ground)
    scene.put('n1', heard('10.42.0.128/26', '192.0.2.254'))
    scene.put('n1', heard('fd42::80/122', '2001:db8::fe'))
    scene.put('n2', heard('10.42.0.64/26', '192.0.2.1'))
    scene.put('n2', heard('fd42::40/122', '2001:db8::1'))
    return scene
  }
  const { verdict, cause } = whole().explain('a', 'b')
  t.equal(verdict, 'reachable', JSON.stringify(cause))
  const lost = whole()
  lost.drop('n1', /^route 10\.42\.0\.128/)
  t.match(lost.explain('a', 'b'), {
    verdict: 'broken',
    cause: {
      place: 'node n1',
      wanted: /^one from BGP; the plan of this node has none either$/,
      command: 'on n1: trivium bgp show 10.42.0.129/32',
    },
  })
  const astray = whole()
  astray.drop('n1', /^route 10\.42\.0\.128/)
  astray.put('n1', foreign('0.0.0.0/0', 'unicast', '192.0.2.253'))
  t.match(astray.explain('a', 'b').cause, {
    found: 'leads to 192.0.2.253, not to n2',
    wanted: 'a route to 10.42.0.129 from BGP',
    command: 'on n1: trivium bgp show 10.42.0.129/32',
  })
  const unseen = whole()
  unseen.unseen.add('n1')
  unseen.unseen.add('n2')
  t.equal(
    unseen.explain('a', 'b').verdict,
    'unknown',
    'nobody looked, nothing is known to be wrong',
  )
})

t.test('ends that cannot be walked', async (t) => {
  const scene = new Scene()
  const outside = { kind: 'outside', ips: [parseIp('203.0.113.1')] } as const
  const base = { views: scene.views, snapshots: new Map([['n1', scene.snapshot('n1')]]) }
  t.throws(
    () => explain({ ...base, from: outside, to: scene.end('a') }),
    /Cannot follow a packet from 203\.0\.113\.1/,
  )
  const out = explain({ ...base, from: scene.end('a'), to: outside })
  t.equal(out.verdict, 'broken', 'no route leaves this node')
  scene.put('n1', foreign('0.0.0.0/0', 'unicast', '192.0.2.254'))
  const snapshots = new Map([['n1', scene.snapshot('n1')]])
  const left = explain({ ...base, snapshots, from: scene.end('a'), to: outside })
  t.equal(left.verdict, 'unknown')
  t.match(left.cause?.found ?? '', /outside the cluster: what follows is not seen/)
  const z = { ...scene.end('z'), ips: [parseIp('10.99.0.129')] }
  const six = { ...scene.end('a'), ips: [parseIp('fd42::41')] }
  const apart = explain({ ...base, from: six, to: z })
  t.equal(apart.verdict, 'broken')
  t.equal(apart.cause?.wanted, 'an IP family that both have')
})
