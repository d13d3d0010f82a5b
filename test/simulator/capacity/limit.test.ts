/** Where a mode ends, and what to change: against brute force, and against runs on both sides of the limit. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { adviceFor } from '../../../simulator/capacity/advice.ts'
import { pressureCurve } from '../../../simulator/capacity/curve.ts'
import { demandOf } from '../../../simulator/capacity/demand.ts'
import { boundsOf, capacityOf } from '../../../simulator/capacity/limit.ts'
import { CAPACITY_MODES } from '../../../simulator/capacity/modes.ts'
import { type Growth, NODES_LIMIT, type Shape, shapeAt } from '../../../simulator/capacity/shape.ts'
import { labelOf } from '../../../simulator/network.ts'
import { runScenario } from '../../../simulator/run.ts'
import type { Scenario, ScenarioMode } from '../../../simulator/scenario.ts'
import { holds } from '../../support/property.ts'
import { mustPrefix, smallScenario } from '../support.ts'

const GROWTH: Growth = { kind: 'racks grow', nodesPerRack: 3 }

const modeOf = (label: string): ScenarioMode => {
  const mode = CAPACITY_MODES.find((each) => labelOf(each) === label)
  assert.ok(mode !== undefined, label)
  return mode
}

/** A usual cluster: a thousand nodes of 110 pods on a real switch. */
function usual(changes: Partial<Shape> = {}): Shape {
  const pools = [{ cidr: mustPrefix('10.0.0.0/8') }]
  return {
    ...smallScenario(),
    nodes: 1000,
    racks: 25,
    podsPerNode: 110,
    pools,
    switch: { profile: 'trident3-default' },
    talk: 'all',
    ...changes,
  }
}
const FORTY: Growth = { kind: 'racks grow', nodesPerRack: 40 }

t.test('the largest size that holds is the one that trying every size finds', async (t) => {
  const sizes = fc.record({
    mode: fc.constantFrom(...CAPACITY_MODES),
    host: fc.integer({ min: 1, max: 80 }),
    lpm: fc.integer({ min: 1, max: 80 }),
    mac: fc.integer({ min: 1, max: 80 }),
    gcThresh3: fc.integer({ min: 1, max: 40 }),
    podsPerNode: fc.integer({ min: 1, max: 5 }),
    racks: fc.integer({ min: 1, max: 4 }),
    grows: fc.boolean(),
  })
  holds(
    t,
    'upTo',
    sizes,
    ({ mode, host, lpm, mac, gcThresh3, podsPerNode, racks, grows }) => {
      const growth: Growth = grows ? GROWTH : { kind: 'racks fixed' }
      const shape: Shape = {
        ...smallScenario(),
        racks,
        podsPerNode,
        talk: 'all',
        kernel: { gcThresh3 },
        switch: { host, lpm, lpm6: lpm, mac },
      }
      const fits = (nodes: number): boolean =>
        boundsOf(demandOf(shapeAt(shape, growth, nodes), mode), mode).every(
          ({ entries, capacity }) => entries <= capacity,
        )
      let most = 0
      while (most < 200 && fits(most + 1)) most++
      fc.pre(most < 200)
      const { upTo, breaks } = capacityOf(shape, growth, mode)
      assert.equal(upTo.nodes, most)
      assert.ok(breaks !== undefined && breaks.entries > breaks.capacity)
    },
    { numRuns: 15 },
  )
})

t.test('a run on one side of the limit overflows, and none on the other', async (t) => {
  const keys = ['nodes', 'racks', 'switch', 'modes']
  for (const [label, sizes, role, table] of [
    ['route /32', '{ host: 34, lpm: 100, mac: 100 }', 'tor', 'host'],
    ['route blocks', '{ host: 100, lpm: 21, mac: 100 }', 'spine', 'lpm'],
    ['vlan', '{ host: 100, lpm: 100, mac: 31 }', 'tor', 'mac'],
    ['vxlan', '{ host: 100, lpm: 2, mac: 100 }', 'spine', 'lpm'],
  ] as const) {
    const mode = modeOf(label)
    const first = smallScenario(`nodes: 6\nracks: 2\nmodes: [vxlan]\nswitch: ${sizes}`, keys)
    const { upTo, breaks } = capacityOf(first, GROWTH, mode)
    t.match(breaks, { role, table }, label)
    const run = (nodes: number) => {
      const scenario: Scenario = { ...first, ...shapeAt(first, GROWTH, nodes), modes: [mode] }
      return runScenario(scenario).modes[0]
    }
    t.equal(run(upTo.nodes)?.firstOverflow, undefined, `${label} holds ${upTo.nodes} nodes`)
    const over = run(upTo.nodes + 1)
    const found = over?.tables.find((each) => each.role === role && each.table === table)
    t.equal(found?.demandPeak, breaks?.entries, `${label} at ${upTo.nodes + 1} nodes`)
    t.not(found?.firstOverflow, undefined, 'and it overflows')
  }
})

t.test('routers of 20 000 to 30 000 routes are flooded by /32s, and what cures it', async (t) => {
  for (const host of [20_000, 30_000]) {
    const shape = usual({ switch: { host, lpm: host, lpm6: host, mac: 131_072 } })
    const hosts = capacityOf(shape, FORTY, modeOf('route /32'))
    t.equal(hosts.holds, false)
    t.match(hosts.breaks, { role: 'tor', table: 'host', capacity: host })
    // A pod an entry, and the nodes of the switch's own rack.
    t.equal(hosts.upTo.nodes, Math.floor((host - 40) / 110))
    t.ok(capacityOf(shape, FORTY, modeOf('route blocks')).holds)
    t.ok(capacityOf(shape, FORTY, modeOf('vxlan')).holds)
    const advice = adviceFor(shape, FORTY, hosts)
    const announce = advice.find(({ kind }) => kind === 'announce')
    t.match(announce, {
      holds: true,
      before: { table: 'host', entries: 110_040 },
      after: { entries: 40, capacity: host },
    })
  }
})

t.test('advice is what counting the changed cluster says, the best first', async (t) => {
  const shape = usual({ nodes: 1400, racks: 35 })
  const base = capacityOf(shape, FORTY, modeOf('route blocks'))
  t.match(base, { holds: false, breaks: { role: 'node', table: 'learned', capacity: 1024 } })
  const advice = adviceFor(shape, FORTY, base)
  t.ok(advice.length > 1 && advice.length <= 5)
  const more = advice.find(({ kind }) => kind === 'gcThresh3')
  t.match(more, { from: '1024', to: '4096', holds: true, capacity: { upTo: { nodes: 4097 } } })
  const pods = advice.map(({ holds, capacity }) => (holds ? 1e12 : 0) + capacity.upTo.pods)
  t.strictSame(
    pods,
    [...pods].sort((left, right) => right - left),
  )
  for (const { kind } of advice) t.not(kind, 'profile', 'no switch table is the limit')

  const flooded = capacityOf(usual(), FORTY, modeOf('vlan'))
  const profile = adviceFor(usual(), FORTY, flooded).find(({ kind }) => kind === 'profile')
  t.match(profile, { from: 'trident3-default', to: 'trident3-l2-heavy', holds: true })
  t.match(profile, { after: { entries: 111_000, capacity: 160 * 1024 } })

  const fewer = adviceFor(usual(), FORTY, capacityOf(usual(), FORTY, modeOf('route /32'))).find(
    ({ kind }) => kind === 'podsPerNode',
  )
  t.match(fewer, { from: '110', to: '16', holds: true })
  t.not(capacityOf(usual({ podsPerNode: 17 }), FORTY, modeOf('route /32')).holds, true)

  const narrow = usual({ pools: [{ cidr: mustPrefix('10.42.0.0/20') }] })
  const out = capacityOf(narrow, FORTY, modeOf('vxlan'))
  t.match(out.breaks, { role: 'pool', table: 'blocks', capacity: 64 })
  const pool = adviceFor(narrow, FORTY, out).find(({ kind }) => kind === 'pool')
  t.match(pool, { to: '10.40.0.0/14', holds: true })

  const pools = [{ cidr: mustPrefix('fd42::/64') }]
  const shared = capacityOf(usual({ pools }), FORTY, modeOf('vxlan'))
  t.match(shared, { breaks: { table: 'lpm', entries: 17_713 } }, 'IPv4 and IPv6 share the memory')
  const nothing = usual({ pools, switch: { profile: 'arista-7280r3' } })
  const endless = capacityOf(nothing, FORTY, modeOf('vxlan'))
  t.match(endless, { holds: true, breaks: undefined, upTo: { nodes: NODES_LIMIT } })
  t.strictSame(adviceFor(nothing, FORTY, endless), [])
})

t.test('what is not known is no limit, and is said', async (t) => {
  const { holds, unknown, worst } = capacityOf(
    usual({ switch: { profile: 'slx-9150' }, talk: 'none' }),
    FORTY,
    modeOf('route /32'),
  )
  t.ok(holds)
  t.ok(unknown.some(({ role, table }) => role === 'tor' && table === 'host'))
  t.match(worst, { role: 'pool' }, 'addresses are known')
})

t.test('one layer 2 domain over data centres is refused', async (t) => {
  const plain = usual()
  const shape = { ...plain, fabric: { ...plain.fabric, dataCenters: 2 } }
  t.match(capacityOf(shape, FORTY, modeOf('vlan')), { holds: false, upTo: { nodes: 0 } })
  const stretched = { ...shape, fabric: { ...shape.fabric, stretchVlan: true } }
  t.equal(capacityOf(stretched, FORTY, modeOf('vlan')).refusal, undefined)
})

t.test('pressure grows with nodes and meets the capacity where the mode ends', async (t) => {
  const shape = usual()
  const mode = modeOf('route /32')
  const { upTo } = capacityOf(shape, FORTY, mode)
  const sizes = [1, 40, upTo.nodes, upTo.nodes + 1, 1000, NODES_LIMIT]
  const [curve] = pressureCurve(shape, FORTY, [mode], sizes)
  const pressures = curve?.points.map(({ worst }) => worst?.pressure ?? 0) ?? []
  t.strictSame(
    pressures,
    [...pressures].sort((left, right) => left - right),
  )
  t.ok((pressures[2] ?? 0) <= 1 && (pressures[3] ?? 0) > 1)
  t.match(curve, { label: 'route /32', points: [{ nodes: 1, racks: 1, pods: 110 }] })
})
