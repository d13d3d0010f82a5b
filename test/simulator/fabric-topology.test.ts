/** Topologies as graphs, against a search of our own; then with pods on them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { Routing } from '../../simulator/fabric-routing.ts'
import {
  dataCentersOf,
  generateTopology,
  linkName,
  listedTopology,
  type Topology,
  type TopologyPlan,
} from '../../simulator/fabric-topology.ts'
import { lossTogether } from '../../simulator/link-quality.ts'
import { textReport } from '../../simulator/report/text.ts'
import { acrossOf } from '../../simulator/report/ways.ts'
import { type ExactModeResult, runScenario } from '../../simulator/run.ts'
import { parseScenario } from '../../simulator/scenario.ts'
import { smallScenario } from './support.ts'

const LINK = { latencyTicks: 1, lossPpm: 0, mbps: undefined } as const

const plans: fc.Arbitrary<TopologyPlan> = fc
  .record({
    kind: fc.constantFrom('leaf-spine', 'three-tier'),
    racks: fc.integer({ min: 1, max: 9 }),
    spines: fc.integer({ min: 2, max: 4 }),
    groups: fc.integer({ min: 1, max: 3 }),
    aggregations: fc.integer({ min: 2, max: 3 }),
    cores: fc.integer({ min: 2, max: 3 }),
    dataCenters: fc.integer({ min: 1, max: 3 }),
    wanRouters: fc.integer({ min: 2, max: 3 }),
  })
  .map((plan) => ({ ...plan, link: LINK, wan: { ...LINK, latencyTicks: 5000 } }))

const allUp = ({ links, devices }: Topology) => ({
  links: links.map(() => true),
  devices: devices.map(() => true),
})

/** Racks that a packet from `rack` reaches, by following any next hop there is. */
function reached(topology: Topology, routing: Routing, rack: number): ReadonlySet<number> {
  const racks = topology.devices.filter(({ role }) => role === 'tor').map((device) => device.rack)
  return new Set(
    racks.filter((to) => {
      let device = rack
      for (let hops = 0; hops < 64; hops++) {
        if (device === to) return true
        const [next] = routing.nextHops(device, to)
        if (next === undefined) return false
        device = next.device
      }
      return false
    }),
  )
}

t.test('all pairs are connected when everything is up', async () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const topology = generateTopology(plan)
      const routing = new Routing(topology, allUp(topology))
      for (let rack = 0; rack < plan.racks; rack++) {
        assert.equal(reached(topology, routing, rack).size, plan.racks)
      }
      const names = topology.devices.map(({ name }) => name)
      assert.equal(new Set(names).size, names.length)
      const links = topology.links.map((link) => linkName(topology, link))
      assert.equal(new Set(links).size, links.length)
    }),
  )
})

t.test('no single link cuts anybody off', async () => {
  fc.assert(
    fc.property(plans, fc.nat(), (plan, chosen) => {
      const topology = generateTopology(plan)
      const cut = chosen % Math.max(1, topology.links.length)
      const state = allUp(topology)
      state.links[cut] = false
      const routing = new Routing(topology, state)
      for (let rack = 0; rack < plan.racks; rack++) {
        assert.equal(reached(topology, routing, rack).size, plan.racks)
      }
    }),
  )
})

t.test('a top-of-rack switch isolates its rack, and nobody else', async () => {
  fc.assert(
    fc.property(plans, fc.nat(), (plan, chosen) => {
      const topology = generateTopology(plan)
      const dead = chosen % plan.racks
      const state = allUp(topology)
      state.devices[dead] = false
      const routing = new Routing(topology, state)
      for (let rack = 0; rack < plan.racks; rack++) {
        const others = reached(topology, routing, rack)
        if (rack === dead) assert.deepEqual([...others], [dead])
        else assert.equal(others.has(dead), false)
        if (rack !== dead) assert.equal(others.size, plan.racks - 1)
      }
    }),
  )
})

t.test('equal paths: every next hop is one link nearer; groups are counted once', async (t) => {
  const plan = { kind: 'leaf-spine', racks: 4, spines: 3, groups: 1, aggregations: 1 } as const
  const rest = { cores: 1, dataCenters: 1, wanRouters: 1, link: LINK, wan: LINK }
  const topology = generateTopology({ ...plan, ...rest })
  const routing = new Routing(topology, allUp(topology))
  t.equal(routing.nextHops(0, 3).length, 3)
  t.strictSame([...routing.groups(0).values()], [3], 'one group for all three other racks')
  t.equal(routing.groups(4).size, 0, 'a spine has one way to each rack')
  const state = allUp(topology)
  state.links[0] = false
  const after = new Routing(topology, state)
  t.strictSame([...after.groups(0).values()], [2])
  t.strictSame([...after.groups(1).values()].sort(), [2, 3], 'one way less to rack 0')
})

t.test('a listed topology: top-of-rack switches first', async (t) => {
  const topology = listedTopology(
    [
      { name: 'core', role: 'core' },
      { name: 'left', role: 'tor' },
      { name: 'right', role: 'tor', profile: 'helix4' },
    ],
    [{ between: ['left', 'core'] }, { between: ['core', 'right'], latencyUs: 700 }],
    { ...LINK, latencyTicks: 3 },
  )
  t.strictSame(
    topology.devices.map(({ name, rack }) => [name, rack]),
    [
      ['left', 0],
      ['right', 1],
      ['core', -1],
    ],
  )
  t.strictSame(
    topology.links.map(({ ends, latencyTicks }) => [...ends, latencyTicks]),
    [
      [0, 2, 3],
      [2, 1, 700],
    ],
  )
})

const run = (
  extra: string,
  instead: readonly string[] = [],
): ReadonlyMap<string, ExactModeResult> =>
  new Map(runScenario(smallScenario(extra, instead)).modes.map((mode) => [mode.label, mode]))

const ROADS = 'modes: [vxlan, route, { mode: route, announce: host }]'

t.test('two data centres: what needs only IP works, at the price of the distance', async (t) => {
  const modes = run(`${ROADS}\nfabric: { dataCenters: 2, wanMs: 12 }`, ['modes'])
  for (const [label, mode] of modes) {
    t.equal(mode.reachability.delivered, 18 * 17, label)
    // Spine, router, router, spine: four links of a microsecond and the distance.
    t.equal(mode.reachability.latencyMaxMs, 12.006 - 0.002, label)
    t.ok(
      mode.checks.every(({ passed }) => passed),
      `${label}: checks`,
      { checks: mode.checks.filter(({ passed }) => !passed) },
    )
    const wan = mode.tables.find(({ role, table }) => role === 'wan' && table === 'lpm')
    t.equal(wan?.devices, 4)
    t.equal(wan?.demandPeak, label === 'route blocks' ? 14 : 2)
  }
  const vlan = run('modes: [vlan]\nfabric: { dataCenters: 2, stretchVlan: true }', ['modes'])
  t.equal(vlan.get('vlan')?.reachability.delivered, 18 * 17)
})

t.test('a VLAN ends at the WAN routers, and its MACs with it', async (t) => {
  const mode = run('modes: [vlan]\nfabric: { dataCenters: 2 }', ['modes']).get('vlan')!
  // Three nodes with three pods each, on either side.
  t.equal(mode.reachability.delivered, 2 * 9 * 8)
  t.equal(mode.reachability.divided, 2 * 9 * 9)
  t.strictSame(
    mode.checks.filter(({ passed }) => !passed),
    [],
    'what the mode cannot do is no fault',
  )
  const mac = mode.tables.find(({ role, table }) => role === 'tor' && table === 'mac')
  t.equal(mac?.demandPeak, 3 + 9, 'nodes and pods of its own side')
  t.equal(
    acrossOf(mode),
    'does not work across data centres: VLAN 100 is not stretched from data centre 0 to 1',
  )
})

t.test('loss, bandwidth and latency of the ways', async (t) => {
  const fabric =
    '{ dataCenters: 2, wanMs: 40, wanGbps: 1, wanLossPercent: 0.1, linkGbps: 25, lossPercent: 0.0002 }'
  const modes = run(`racks: 4\n${ROADS}\nfabric: ${fabric}`, ['modes', 'racks'])
  for (const [label, mode] of modes) {
    const { ways } = mode.reachability
    t.strictSame(
      ways.map(({ over, latencyMaxMs, lossMaxPpm, narrowestMbps }) => [
        over,
        latencyMaxMs,
        lossMaxPpm,
        narrowestMbps,
      ]),
      [
        ['node', 0, 0, undefined],
        ['rack', 0, 0, undefined],
        ['data centre', 0.002, 4, 25_000],
        // Two links to the routers on either side.
        ['WAN', 40.004, 1008, 1000],
      ],
      label,
    )
    t.equal(
      ways.reduce((sum, { pairs }) => sum + pairs, 0),
      mode.reachability.pairs,
    )
    t.equal(acrossOf(mode), 'works across data centres: at worst 40 ms, 0.1008 % loss, 1 Gbit/s')
  }
  const two = parseScenario(`${readFileSync('simulator/scenarios/two-dcs.yaml', 'utf8')}`, 'two')
  const text = textReport(runScenario({ ...two, podsPerNode: 2, talk: 'none' }), false)
  t.match(text, /\nvxlan +works across data centres: at worst 12 ms, 0\.1 % loss, 1 Gbit\/s\n/)
  t.match(text, /\nvlan +does not work across data centres: VLAN 100 is not stretched/)
  t.match(text, /vxlan +in one data centre +\d+ of \d+ +0\.002 ms, 25 Gbit\/s\n/)
})

t.test('two losses in a row', async (t) => {
  t.equal(lossTogether(500_000, 500_000), 750_000)
  t.equal(lossTogether(1_000_000, 300_000), 1_000_000)
  t.equal(lossTogether(0, 7), 7)
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.nat(1_000_000), (one, two) => {
      const both = lossTogether(one, two)
      assert.equal(both, lossTogether(two, one))
      assert.ok(Number.isInteger(both) && both >= Math.max(one, two) && both <= 1_000_000)
      // 1 - (1 - a)(1 - b), to half a packet of a million.
      assert.ok(Math.abs(both / 1e6 - (1 - (1 - one / 1e6) * (1 - two / 1e6))) <= 0.5e-6 + 1e-12)
    }),
  )
})

t.test('data centres of a listed fabric end at links between WAN routers', async (t) => {
  const topology = listedTopology(
    [
      { name: 'a', role: 'tor' },
      { name: 'b', role: 'tor' },
      { name: 'c', role: 'tor' },
      { name: 'west', role: 'wan' },
      { name: 'east', role: 'wan' },
    ],
    [
      { between: ['a', 'west'] },
      { between: ['west', 'east'], gbps: 0.1, lossPercent: 2.5, latencyUs: 9 },
      { between: ['east', 'b'], gbps: 400 },
      { between: ['c', 'east'] },
    ],
    LINK,
  )
  t.strictSame(dataCentersOf(topology), [0, 1, 1, 0, 1])
  t.strictSame(
    topology.links.map(({ mbps, lossPpm }) => [mbps, lossPpm]),
    [
      [undefined, 0],
      [100, 25_000],
      [400_000, 0],
      [undefined, 0],
    ],
  )
})

t.test('three tiers', async (t) => {
  const modes = run('fabric: { kind: three-tier, groups: 2, aggregations: 2, cores: 3 }')
  for (const [label, mode] of modes) {
    t.equal(mode.reachability.delivered, 18 * 17, label)
    const roles = new Set(mode.tables.map(({ role }) => role))
    t.ok(roles.has('aggregation') && roles.has('core') && !roles.has('spine'), label)
    const aggregation = mode.tables.find(
      ({ role, table }) => role === 'aggregation' && table === 'ecmp',
    )
    t.equal(aggregation?.demandPeak, label === 'vlan' ? undefined : 3, 'up to three cores')
  }
})

t.test('faults of the fabric: at once, until the paths converged, and after', async (t) => {
  const faults = [
    '{ kind: link, atMs: 0, between: [tor-0, spine-0], forMs: 1000 }',
    '{ kind: tor, atMs: 5000, rack: 1, forMs: 2000 }',
  ]
  const modes = run(`faults: [${faults.join(', ')}]\ntimes: { convergeMs: 250 }`, ['times'])
  for (const [label, mode] of modes) {
    t.strictSame(
      mode.timeline?.faults.map(({ what, atMs, settledMs }) => [what, atMs, settledMs]),
      [
        ['link tor-0--spine-0 down', 0, 250],
        ['link tor-0--spine-0 up', 1000, 250],
        ['tor-1 down', 5000, 250],
        ['tor-1 up', 7000, 250],
      ],
      label,
    )
    const [link, , rack, back] = mode.timeline!.faults
    t.ok(link!.lostAtOnce > 0, `${label}: ${link!.lostAtOnce} at once`)
    t.equal(link!.lostAfter, 0, 'the other spine carries all')
    t.ok(rack!.lostAfter > 0, `${label}: the rack is isolated`)
    t.equal(back!.lostAfter, 0)
    t.equal(mode.reachability.delivered, 18 * 17, 'whole again')
    t.ok(
      mode.checks.every(({ passed }) => passed),
      `${label}: checks`,
      { checks: mode.checks.filter(({ passed }) => !passed) },
    )
  }
})

t.test('what stays down is a finding, not a fault', async (t) => {
  const modes = run('faults: [{ kind: device, atMs: 10, name: tor-0 }]')
  for (const [label, mode] of modes) {
    // Its nine pods were made anew elsewhere, and the old ones run on, isolated.
    t.equal(mode.reachability.lostToFailure, 2 * 9 * 18 + 54, label)
    t.equal(mode.reachability.lostToOverflow, 0)
    t.match(mode.reachability.example, /tor-0|rack 0/)
    t.ok(mode.checks.every(({ passed }) => passed))
  }
})

t.test('a listed fabric, one device of another profile', async (t) => {
  const yaml = `
fabric:
  kind: listed
  devices:
    - { name: a, role: tor }
    - { name: b, role: tor, profile: x670-g2-l2-and-l3 }
    - { name: hub, role: core }
  links:
    - { between: [a, hub], latencyUs: 40 }
    - { between: [hub, b], latencyUs: 2 }`
  const mode = run(yaml).get('route blocks')
  t.equal(mode?.reachability.delivered, 18 * 17)
  t.equal(mode?.reachability.latencyMaxMs, 0.042)
  const arp = mode?.tables.find(({ table }) => table === 'arp')
  // Three nodes and one link.
  t.match(arp, { device: 'b', demandPeak: 4, capacity: 49152 })
  t.ok(mode?.checks.every(({ passed }) => passed))
})
