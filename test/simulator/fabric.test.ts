/**
 * Switch tables, against counts made by hand: 6 nodes in 2 racks of 3, two
 * spines, 3 pods a node. Each node has two /26 blocks: one in use, one spare.
 */
import t from 'tap'
import type { SwitchTable } from '../../simulator/profiles.ts'
import type { ModeResult } from '../../simulator/run.ts'
import { runScenario } from '../../simulator/run.ts'
import { HardwareTable, placeOf } from '../../simulator/tables.ts'
import { mustPrefix, smallScenario } from './support.ts'

type Counts = Partial<Record<SwitchTable, number>>

/** Demand at the peak, of the fullest switch of a role. */
function counts({ tables }: ModeResult, role: 'tor' | 'spine'): Counts {
  const own = tables.filter((figure) => figure.role === role)
  return Object.fromEntries(own.map(({ table, demandPeak }) => [table, demandPeak]))
}

const byLabel = (scenario: ReturnType<typeof smallScenario>) =>
  new Map(runScenario(scenario).modes.map((mode) => [mode.label, mode]))

t.test('IPv4', async (t) => {
  const modes = byLabel(smallScenario())
  const expected: readonly (readonly [string, Counts, Counts])[] = [
    // 3 own nodes; the other rack's /24, over two spines. A spine knows both racks.
    ['vxlan', { mac: 3, host: 3, lpm: 1, ecmp: 2 }, { lpm: 2 }],
    // 12 blocks more.
    ['route blocks', { mac: 3, host: 3, lpm: 13, ecmp: 2 }, { lpm: 14 }],
    // 18 pods more, as hosts.
    ['route /32', { mac: 3, host: 21, lpm: 1, ecmp: 2 }, { lpm: 2, host: 18 }],
    // 6 nodes and 18 pods.
    ['vlan', { mac: 24 }, { mac: 24 }],
  ]
  for (const [label, tor, spine] of expected) {
    const mode = modes.get(label)!
    t.strictSame(counts(mode, 'tor'), tor, `${label}: top of rack`)
    t.strictSame(counts(mode, 'spine'), spine, `${label}: spine`)
    t.equal(mode.firstOverflow, undefined)
    t.equal(mode.reachability.delivered, 18 * 17, 'all pairs')
    t.ok(
      mode.checks.every(({ passed }) => passed),
      `${label}: checks`,
      { checks: mode.checks.filter(({ passed }) => !passed) },
    )
  }
})

t.test('dual stack: a /128 takes two host entries, a /122 has a table of its own', async (t) => {
  const modes = byLabel(dualStack())
  t.strictSame(counts(modes.get('vxlan')!, 'tor'), {
    mac: 3,
    host: 3 + 3 * 2,
    lpm: 1,
    lpm6: 1,
    ecmp: 2,
  })
  t.strictSame(counts(modes.get('route blocks')!, 'tor'), {
    mac: 3,
    host: 3 + 3 * 2,
    lpm: 13,
    lpm6: 13,
    ecmp: 2,
  })
  t.strictSame(counts(modes.get('route /32')!, 'spine'), { host: 18 + 18 * 2, lpm: 2, lpm6: 2 })
  t.strictSame(counts(modes.get('vlan')!, 'tor'), { mac: 24 }, 'a MAC is a MAC')
})

t.test(
  'a table that is too small: which pod, which pairs, and the checkers still pass',
  async (t) => {
    const scenario = { ...smallScenario(), switch: { host: 10, lpm: 100, lpm6: 100, mac: 20 } }
    const modes = byLabel(scenario)
    const hosts = modes.get('route /32')!
    // 3 of 10 are nodes, so the eighth pod does not fit.
    t.match(hosts.firstOverflow, { role: 'tor', table: 'host', pods: 8, capacity: 10 })
    t.ok(hosts.reachability.lostToOverflow > 0)
    t.equal(hosts.reachability.delivered + hosts.reachability.lostToOverflow, 18 * 17)
    t.match(hosts.reachability.example, /tor-\d has no room for 10\.42\./)
    const vlan = modes.get('vlan')!
    // 6 of 20 are nodes.
    t.match(vlan.firstOverflow, { table: 'mac', pods: 15, capacity: 20 })
    t.equal(vlan.reachability.lostToOverflow, 0, 'a full MAC table floods')
    t.equal(modes.get('route blocks')!.firstOverflow, undefined)
    for (const mode of modes.values()) t.ok(mode.checks.every(({ passed }) => passed))
  },
)

t.test('a pool that is too full refuses pods and says why', async (t) => {
  // Past the check of scenarios: 64 addresses for 80 pods.
  const pools = [{ cidr: mustPrefix('10.42.0.0/26'), blockLength: 28 }]
  const scenario = { ...smallScenario(), pools, nodes: 2, podsPerNode: 40 }
  const [mode] = runScenario({ ...scenario, modes: scenario.modes.slice(0, 1) }).modes
  t.ok(mode !== undefined && mode.podsRefused > 0)
  const refused = mode?.checks.find(({ name }) => name === 'no pod refused')
  t.match(refused, { passed: false })
  t.match(refused?.findings[0], /every block of 10\.42\.0\.0\/26/)
})

t.test(
  'HardwareTable: refuses, counts demand, lets the oldest in when there is room',
  async (t) => {
    const table = new HardwareTable(3)
    t.ok(table.add('a', 1, 0, 1))
    t.ok(table.add('b', 2, 0, 2))
    t.notOk(table.add('c', 2, 5, 3))
    t.notOk(table.add('d', 1, 6, 4))
    t.notOk(table.add('c', 2, 7, 5), 'asking twice is free')
    t.strictSame([table.used, table.demand, table.demandPeak], [3, 6, 6])
    t.strictSame(table.firstOverflow, { atTick: 5, pods: 3, entry: 'c' })
    t.equal(table.ask('c'), 'refused')
    table.remove('b')
    t.equal(table.ask('c'), 'taken', 'two entries of room for the oldest')
    t.equal(table.ask('d'), 'refused')
    table.remove('d')
    table.remove('nobody')
    t.strictSame([table.used, table.demand, table.usedPeak], [3, 3, 3])
  },
)

t.test('placeOf(): full length is a host entry, anything shorter is a prefix', async (t) => {
  t.strictSame(placeOf(4, 32), { table: 'host', cost: 1 })
  t.strictSame(placeOf(4, 31), { table: 'lpm', cost: 1 })
  t.strictSame(placeOf(6, 128), { table: 'host', cost: 2 })
  t.strictSame(placeOf(6, 64), { table: 'lpm6', cost: 1 })
})

function dualStack(): ReturnType<typeof smallScenario> {
  const small = smallScenario()
  const six = smallScenario().pools.map((pool) => ({
    ...pool,
    cidr: mustPrefix('fd42::/112'),
  }))
  return { ...small, pools: [...small.pools, ...six] }
}
