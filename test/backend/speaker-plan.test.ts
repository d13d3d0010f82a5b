/** Speakers' configurations from views: who meets whom, what they say, and what changes when nodes come and go. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { BgpPeer, BgpView } from '../../ipam/bgp-records.ts'
import { lingering } from '../../src/backend/bgp/linger.ts'
import { type SpeakerPlan, speakerPlan } from '../../src/backend/bgp/speaker-plan.ts'
import { policyLines, speakerLines } from '../../src/backend/bgp/words.ts'
import { planNode } from '../../src/backend/plan.ts'
import type { PeerConfig, SpeakerConfig } from '../../src/bgp/config.ts'
import type { ClusterView, NetworkView, NodeRecord } from '../../src/cluster/view.ts'
import { renderState } from '../../src/kernel/mod.ts'
import { type Ip, type Prefix, parseIp } from '../../src/net/mod.ts'
import { golden } from '../support/golden.ts'
import { holds } from '../support/property.ts'
import {
  claims,
  floatingView,
  network,
  networkView,
  node,
  POOL_4,
  POOL_6,
  viewOf,
} from './views.ts'

const SETTINGS: BgpView['settings'] = {
  kind: 'settings',
  asn: 64512,
  sessions: 'auto',
  createdMs: 0,
}

const bgpOf = (
  settings: Partial<BgpView['settings']> = {},
  { racks = {}, reflectors = [], peers = [] }: Partial<Specials> = {},
): BgpView => ({
  settings: { ...SETTINGS, ...settings },
  racks: new Map(
    Object.entries(racks).map(([rack, each]) => [rack, { kind: 'rack' as const, rack, ...each }]),
  ),
  nodes: new Map(
    reflectors.map((name) => [
      name,
      { kind: 'node' as const, node: name, reflector: true as const },
    ]),
  ),
  peers,
})

interface Specials {
  readonly racks: Readonly<Record<string, { asn?: number; summaries?: readonly Prefix[] }>>
  readonly reflectors: readonly string[]
  readonly peers: readonly BgpPeer[]
}

const DUAL = network('route', { pools: [POOL_4, POOL_6] })

/** As `name` sees it. */
function seenBy(name: string, view: ClusterView): ClusterView {
  const self = view.nodes.get(name)
  if (self === undefined) throw new Error(`no node ${name}`)
  return { ...view, self }
}

function mustPlan(view: ClusterView): SpeakerPlan {
  const plan = speakerPlan(view)
  if (plan === undefined) throw new Error('no plan')
  return plan
}

const configOf = (name: string, view: ClusterView): SpeakerConfig =>
  mustPlan(seenBy(name, view)).config

/** Two racks of two with an AS each, a router for each rack, and one for all behind a password. */
function racksView(): ClusterView {
  const nodes = [0, 1, 2, 3].map((index) =>
    node(index, {
      rack: index < 2 ? 'r1' : 'r2',
      underlayPrefixes: ['192.0.2.0/24', '2001:db8::/64'] as Prefix[],
    }),
  )
  const peer = (address: string, asn: number, change: Partial<BgpPeer>): BgpPeer => ({
    kind: 'peer',
    scope: { kind: 'all' },
    address: parseIp(address),
    asn,
    ...change,
  })
  const bgp = bgpOf(
    { bfd: { intervalMs: 300, multiplier: 3 } },
    {
      racks: { r1: { asn: 64601, summaries: ['10.42.0.0/20' as Prefix] }, r2: { asn: 64602 } },
      peers: [
        peer('203.0.113.9', 65000, { passwordFile: '/etc/trivium/fabric', ttlSecurityHops: 1 }),
        peer('192.0.2.254', 65001, { scope: { kind: 'rack', name: 'r1' } }),
        peer('2001:db8::fe', 65001, {
          scope: { kind: 'rack', name: 'r1' },
          families: ['ipv4', 'ipv6'],
        }),
        peer('192.0.2.253', 65002, { scope: { kind: 'rack', name: 'r2' } }),
        peer('192.0.2.3', 65003, { scope: { kind: 'rack', name: 'r2' } }),
        peer('192.0.2.253', 65099, { scope: { kind: 'node', name: 'n3' }, prefixesMax: 500 }),
      ],
    },
  )
  const floating = floatingView(DUAL, { '10.43.0.5': 'n0', 'fd43::5': 'n1' })
  const more = claims(DUAL, 'n3', [3])
  const networks = floating.networks.map((each) => ({ ...each, claims: [...each.claims, ...more] }))
  return { ...viewOf(networks, 4, nodes), bgp }
}

const HEADER = `! BGP of a cluster, in FRR's words
!
!   n0 192.0.2.0   n1 192.0.2.1      rack r1: AS 64601, summary 10.42.0.0/20, router 192.0.2.254 AS 65001
!   n2 192.0.2.2   n3 192.0.2.3      rack r2: AS 64602, router 192.0.2.253 AS 65002; to n3 it is AS 65099
!   all nodes: router 203.0.113.9 AS 65000
!
`

t.test('two racks, routers, a summary and floating addresses', async (t) => {
  const view = racksView()
  const text = ['n0', 'n1', 'n3'].flatMap((name) => {
    const { config, problems, passwordFiles } = mustPlan(seenBy(name, view))
    const files = [...passwordFiles].map(([peer, path]) => `! password of ${peer}: ${path}`)
    const told = problems.map((each) => `! problem: ${each}`)
    return [`! ${name}`, ...speakerLines(config), ...files, ...told, '']
  })
  const policies = policyLines(configOf('n0', view))
  golden(t, 'backend-bgp', `${HEADER}${[...text, '! policies of n0', ...policies].join('\n')}\n`)
  const plan = renderState(planNode(seenBy('n0', view)).desired)
  t.match(
    plan,
    'ip route add blackhole 10.42.0.0/20 proto 84',
    'what the summary promises ends here',
  )
  t.notMatch(renderState(planNode(seenBy('n3', view)).desired), '10.42.0.0/20')
})

t.test('nobody speaks without settings', async (t) => {
  t.equal(speakerPlan(viewOf([networkView(DUAL, 2)], 2)), undefined)
})

t.test('what is announced: blocks of routed networks, while their road is open', async (t) => {
  const bgp = bgpOf()
  const prefixes = (networks: readonly NetworkView[]): readonly Prefix[] =>
    configOf('n0', { ...viewOf(networks, 2), bgp }).originate.map(({ prefix }) => prefix)
  t.strictSame(prefixes([networkView(DUAL, 2)]), ['10.42.0.0/26', 'fd42::/122'])
  t.strictSame(prefixes([networkView(network('vxlan'), 2)]), [], 'tunnels are nobody’s routes')
  const old = { mode: 'vxlan', vni: 1, vxlanPort: 8472 } as const
  const move = { serial: 1, old, new: { ...old, mode: 'route' } } as const
  t.strictSame(
    prefixes([networkView({ ...network('route'), move }, 2)]),
    ['10.42.0.0/26'],
    'already while nodes still go over',
  )
})

t.test('families of sessions: what both have, next hops of both', async (t) => {
  const bgp = bgpOf()
  const only = (index: number, ...ips: readonly string[]): NodeRecord =>
    node(index, { underlayIps: ips.map((ip) => parseIp(ip)) })
  const nodes = [only(1, '192.0.2.1'), only(2, '2001:db8::2')]
  const view = { ...viewOf([networkView(DUAL, 3)], 3, nodes), bgp }
  const brief = (name: string): readonly unknown[] =>
    configOf(name, view).peers.map(({ address, families = 'both', nextHops = {} }) => [
      address,
      families,
      nextHops,
    ])
  t.strictSame(brief('n0'), [
    ['192.0.2.1', 'both', { ipv6: '2001:db8::' }],
    ['2001:db8::2', 'both', { ipv4: '192.0.2.0' }],
  ])
  t.strictSame(brief('n1'), [['192.0.2.0', ['ipv4'], {}]], 'it can name no IPv6 next hop')
  t.strictSame(brief('n2'), [['2001:db8::', 'both', {}]], 'IPv4 by IPv6 next hops: RFC 8950')
  t.match(mustPlan(seenBy('n1', view)).problems, [
    /^Cannot have a BGP session with node n2: its underlay has \[2001:db8::2\], wanted an address of a family of \[192.0.2.1\]$/,
  ])
  t.match(configOf('n2', view).routerId, /^10\.\d+\.\d+\.\d+$/, 'no IPv4 address: of the name')
})

t.test('routes from BGP: the planner leaves peers to the speaker', async (t) => {
  const bgp = bgpOf()
  const option = { ...DUAL, options: { ...DUAL.options, peerRoutes: 'bgp' as const } }
  const far = { underlayPrefixes: ['192.0.2.0/25'] as Prefix[] }
  const nodes = [node(0, far), node(1, { underlayIps: [parseIp('198.51.100.1')] })]
  const direct = planNode({ ...viewOf([networkView(DUAL, 2)], 2, nodes), bgp })
  t.match(direct.problems, [/198.51.100.1 is not on eth0/, /wanted an IPv6 address/])
  const plan = planNode({ ...viewOf([networkView(option, 2)], 2, nodes), bgp })
  t.strictSame(plan.problems, [], 'a peer beyond the L2 is no problem')
  const lines = renderState(plan.desired).split('\n')
  t.strictSame(
    lines.filter((line) => / route add /.test(line)),
    [
      'ip -6 route add blackhole fd42::/122 proto 84',
      'ip route add blackhole 10.42.0.0/26 proto 84',
    ],
    'only its own',
  )
  t.ok(
    lines.includes('nft add element inet trivium inside4 { 10.42.0.0/16 }'),
    'no masquerade between pods',
  )
})

/** A cluster that nodes join and leave. */
interface Members {
  readonly names: ReadonlySet<number>
  readonly racks: number
  readonly sessions: 'auto' | 'mesh' | 'reflectors'
  readonly labelled: boolean
  readonly clusterId: boolean
}

const members = fc.record({
  names: fc.uniqueArray(fc.integer({ min: 1, max: 250 }), { minLength: 2, maxLength: 24 }),
  racks: fc.integer({ min: 1, max: 5 }),
  sessions: fc.constantFrom('auto' as const, 'mesh' as const, 'reflectors' as const),
  labelled: fc.boolean(),
  clusterId: fc.boolean(),
  change: fc.integer({ min: 1, max: 250 }),
})

function clusterView({ names, racks, sessions, labelled, clusterId }: Members): ClusterView {
  const nodes = [...names].map((index) => node(index, { rack: `r${index % racks}` }))
  const reflectors = labelled ? nodes.slice(0, 2).map(({ name }) => name) : []
  const bgp = bgpOf(
    { sessions, ...(clusterId && { clusterId: parseIp('0.0.0.9') }) },
    { reflectors },
  )
  const all = nodes.flatMap(({ name }) => claims(DUAL, name, [Number(name.slice(1))]))
  const networks = [{ network: DUAL, claims: all, attachments: [] }]
  const byName = new Map(nodes.map((each) => [each.name, each]))
  return { self: nodes[0] ?? node(0), nodes: byName, networks, allows: [], bgp }
}

const configsOf = (view: ClusterView): ReadonlyMap<string, SpeakerConfig> =>
  new Map([...view.nodes.keys()].map((name) => [name, configOf(name, view)]))

holds(
  t,
  'every node hears of every other, by sessions that both ends have',
  members,
  ({ names, ...rest }) => {
    const view = clusterView({ ...rest, names: new Set(names) })
    const configs = configsOf(view)
    const byIp = new Map(
      [...view.nodes.values()].map((each) => [each.underlayIps[0] as Ip, each.name]),
    )
    for (const [name, { peers, routerId }] of configs) {
      for (const { address, isClient = false, localAddress } of peers) {
        const other = configs.get(byIp.get(address) ?? '')
        const back = other?.peers.find((peer) => peer.address === localAddress)
        assert.ok(back, `${byIp.get(address)} has no session with ${name}`)
        assert.ok(!(isClient && back.isClient), 'nobody is a client of its client')
      }
      const same = [...configs.values()].filter((each) => each.routerId === routerId)
      assert.equal(same.length, 1, 'an identifier of its own')
    }
    for (const name of configs.keys()) {
      assert.deepEqual([...hearsOf(name, configs, byIp)].sort(), [...configs.keys()].sort(), name)
    }
  },
  { numRuns: 100 },
)

/** Who gets the routes of `origin`: RFC 4456 section 6 and 8, a copy at a time. */
function hearsOf(
  origin: string,
  configs: ReadonlyMap<string, SpeakerConfig>,
  byIp: ReadonlyMap<Ip, string>,
): ReadonlySet<string> {
  interface Copy {
    readonly at: string
    readonly from: PeerConfig | undefined
    readonly clusters: readonly Ip[]
  }
  const heard = new Set<string>()
  const seen = new Set<string>()
  const copies: Copy[] = [{ at: origin, from: undefined, clusters: [] }]
  for (let copy = copies.pop(); copy !== undefined; copy = copies.pop()) {
    const { at, from, clusters } = copy
    const key = `${at} ${from?.address} ${clusters.join()}`
    if (seen.has(key)) continue
    seen.add(key)
    heard.add(at)
    const config = configs.get(at)
    for (const peer of config?.peers ?? []) {
      if (peer === from) continue
      const isReflected = from !== undefined
      if (isReflected && !(from.isClient || peer.isClient)) continue
      if (isReflected && peer.exportPolicy?.name !== 'to-circle') continue
      const to = byIp.get(peer.address) ?? ''
      const next = configs.get(to)
      const own = config?.clusterId ?? config?.routerId
      const list = isReflected && own !== undefined ? [own, ...clusters] : clusters
      if (to === origin || list.includes(next?.clusterId ?? (next?.routerId as Ip))) continue
      const back = next?.peers.find(({ address }) => byIp.get(address) === at)
      copies.push({ at: to, from: back, clusters: list })
    }
  }
  return heard
}

const changes = { changed: 0, unchanged: 0, swaps: 0 }

holds(
  t,
  'a node that joins or leaves changes as little as can be',
  members,
  ({ names, change, ...rest }) => {
    const before = new Set(names)
    const after = new Set(names)
    if (!after.delete(change)) after.add(change)
    if (after.size < 2) return
    // Who has a label is not what is asked about.
    const [was, is] = [before, after].map((each) =>
      clusterView({ ...rest, names: each, labelled: false }),
    ) as [ClusterView, ClusterView]
    const [old, now] = [configsOf(was), configsOf(is)]
    const reflectorsOf = (configs: ReadonlyMap<string, SpeakerConfig>): readonly string[] =>
      [...configs]
        .filter(([, { peers }]) => peers.some((peer) => peer.isClient))
        .map(([name]) => name)
    const moved = reflectorsOf(now).filter((name) => !reflectorsOf(old).includes(name))
    const isMesh = rest.sessions !== 'reflectors'
    if (names.length > 3 && after.size > 3)
      assert.ok(moved.length <= 1, `${moved.join()} reflect now`)
    changes.swaps += moved.length
    for (const [name, config] of now) {
      const known = old.get(name)
      if (known === undefined) continue
      assert.deepEqual(config.originate, known.originate)
      assert.equal(config.routerId, known.routerId)
      const text = new Set(known.peers.map((peer) => JSON.stringify(peer)))
      const fresh = config.peers.filter((peer) => !text.has(JSON.stringify(peer)))
      const isReflector = reflectorsOf(now).includes(name) || reflectorsOf(old).includes(name)
      if (isMesh) assert.ok(fresh.length <= 1, 'one session more at most')
      else if (!isReflector && names.length > 3) assert.ok(fresh.length <= moved.length)
      if (JSON.stringify(config) === JSON.stringify(known)) changes.unchanged++
      else changes.changed++
    }
  },
  { numRuns: 100 },
)
t.ok(changes.swaps > 0 && changes.unchanged > 100, JSON.stringify(changes))

t.test(
  'a hundred nodes mesh, a hundred and one do not; reflectors stand in different racks',
  async (t) => {
    const many = (count: number, racks: number): ClusterView =>
      clusterView({
        names: new Set(Array.from({ length: count }, (_, index) => index + 1)),
        racks,
        sessions: 'auto',
        labelled: false,
        clusterId: false,
      })
    t.equal(configOf('n1', many(100, 4)).peers.length, 99)
    const view = many(101, 4)
    const configs = [...configsOf(view).values()]
    const [few, all] = [
      configs.filter(({ peers }) => peers.length === 3),
      configs.filter(({ peers }) => peers.length === 100),
    ]
    t.equal(few.length, 98)
    t.equal(all.length, 3)
    for (let racks = 3; racks <= 12; racks++) {
      const configs = [...configsOf(many(101, racks)).values()]
      const reflectors = configs.filter(({ peers }) => peers.length > 3)
      const where = reflectors.map(({ routerId }) => Number(routerId.split('.')[3]) % racks)
      t.equal(new Set(where).size, 3, `${racks} racks`)
    }
  },
)

t.test(
  'from each with each to reflectors: the old sessions stay until the new ones are up',
  async (t) => {
    const many = (count: number): ClusterView =>
      clusterView({
        names: new Set(Array.from({ length: count }, (_, index) => index + 1)),
        racks: 4,
        sessions: 'auto',
        labelled: false,
        clusterId: false,
      })
    const [before, after] = [many(100), many(101)]
    const [used, wanted] = [configOf('n1', before), configOf('n1', after)]
    const both = lingering(used, wanted, after)
    const of = ({ peers }: SpeakerConfig): readonly Ip[] =>
      peers.map(({ address }) => address).sort()
    t.strictSame(of(both), [...new Set([...of(used), ...of(wanted)])].sort())
    t.strictSame(both.originate, wanted.originate)
    for (const peer of wanted.peers) t.ok(both.peers.includes(peer), 'as it is wanted')
    const fewer = new Map([...after.nodes].filter(([name]) => name !== 'n7'))
    t.notOk(of(lingering(used, wanted, { ...after, nodes: fewer })).includes(parseIp('192.0.2.7')))
    const another = { ...wanted, asn: 7 }
    t.equal(lingering(used, another, after), another, 'another speaker keeps nothing')
    const fabric = {
      ...used,
      peers: used.peers.map((peer) => ({ ...peer, description: 'fabric' })),
    }
    t.equal(lingering(fabric, wanted, after), wanted, 'a router that is removed goes at once')
    t.equal(lingering(wanted, wanted, after), wanted)
  },
)

t.test('peers of one kind share one policy object, from plan to plan', async (t) => {
  const view = clusterView({
    names: new Set([1, 2, 3]),
    racks: 1,
    sessions: 'mesh',
    labelled: false,
    clusterId: false,
  })
  const policies = new Set(
    [
      ...configsOf(view).values(),
      ...configsOf({ ...view, nodes: new Map(view.nodes) }).values(),
    ].flatMap(({ peers }) => peers.map(({ exportPolicy }) => exportPolicy)),
  )
  t.equal(policies.size, 1)
})
