/**
 * The arithmetic is right when a run of the exact engine counts the same: for any
 * small cluster, in every mode, every table of every kind of device.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Demand, demandOf } from '../../../simulator/capacity/demand.ts'
import { type ModeResult, runScenario } from '../../../simulator/run.ts'
import { parseScenario, type Scenario } from '../../../simulator/scenario.ts'
import { holds } from '../../support/property.ts'

const MODES = [
  'vxlan',
  '{ mode: vxlan, flavour: lightweight }',
  '{ mode: vxlan, crossSubnet: true }',
  '{ mode: vxlan, crossSubnet: true, flavour: lightweight, masquerade: false }',
  'route',
  '{ mode: route, announce: host }',
  '{ mode: route, announce: rack }',
  '{ mode: route, announce: rack, placement: rack }',
  '{ mode: route, announce: block, placement: rack }',
  '{ mode: route, announce: static }',
  'vlan',
  '{ mode: vlan, attachment: macvlan }',
  '{ mode: vlan, attachment: macvlan, vlanId: 0 }',
] as const

const SWITCHES = [
  '{ host: 60, lpm: 40, mac: 50 }',
  '{ host: 60, host6: 30, lpm: 40, lpm6: 20, mac: 50, arp: 30, ecmp: 8 }',
  '{ profile: trident3-default }',
  '{ profile: spectrum2-default }',
  '{ profile: x670-g2-l2-and-l3 }',
  '{ profile: slx-9150 }',
] as const

/** Pools of networks of one, the other and both families, roomy and tight, of large and tiny blocks. */
const pools = fc
  .tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.array(fc.constantFrom('4', '6', '46'), { minLength: 3, maxLength: 3 }),
    fc.integer({ min: 17, max: 26 }),
    fc.integer({ min: 25, max: 31 }),
    fc.integer({ min: 121, max: 127 }),
  )
  .map(([networks, families, poolLength, four, six]) =>
    Array.from({ length: networks }, (_, index) => {
      const words = families[index] ?? '4'
      const name = `network: n${index}`
      return [
        ...(words.includes('4')
          ? [`{ cidr: 10.${index}.0.0/${poolLength}, blockLength: ${four}, ${name} }`]
          : []),
        ...(words.includes('6')
          ? [`{ cidr: 'fd42:${index}::/100', blockLength: ${six}, ${name} }`]
          : []),
      ]
    }).flat(),
  )

const fabrics = fc.record({
  kind: fc.constantFrom('leaf-spine', 'three-tier'),
  groups: fc.integer({ min: 1, max: 2 }),
  aggregations: fc.integer({ min: 1, max: 3 }),
  cores: fc.integer({ min: 1, max: 3 }),
  dataCenters: fc.integer({ min: 1, max: 3 }),
  wanRouters: fc.integer({ min: 1, max: 3 }),
  stretchVlan: fc.boolean(),
})

const scenarios = fc
  .record({
    seed: fc.integer({ min: 0, max: 1000 }),
    nodes: fc.integer({ min: 1, max: 14 }),
    podsPerNode: fc.integer({ min: 1, max: 9 }),
    racks: fc.integer({ min: 1, max: 7 }),
    spines: fc.integer({ min: 1, max: 3 }),
    pools,
    mode: fc.constantFrom(...MODES),
    fabric: fabrics,
    model: fc.constantFrom(...SWITCHES),
    talk: fc.oneof(fc.constantFrom('none', 'all'), fc.integer({ min: 1, max: 14 })),
  })
  .map(({ fabric, ...given }) => {
    const keys = Object.entries(fabric).map(([key, value]) => `${key}: ${value}`)
    return [
      ...(['seed', 'nodes', 'podsPerNode', 'racks', 'spines', 'talk'] as const).map(
        (key) => `${key}: ${given[key]}`,
      ),
      `pools: [${given.pools.join(', ')}]`,
      `modes: [${given.mode}]`,
      `switch: ${given.model}`,
      `fabric: { ${keys.join(', ')} }`,
      'times: { settleMs: 20, podsPerSecond: 1000 }',
    ].join('\n')
  })

/** Undefined: no such cluster, e.g. more racks than nodes. */
function parsed(text: string): Scenario | undefined {
  try {
    return parseScenario(text, 'random.yaml')
  } catch {
    return undefined
  }
}

/** Whether nothing of the count depends on who comes first. */
const isDetermined = ({ tables, blocks }: Demand): boolean =>
  blocks.every(({ claimed }) => claimed.least === claimed.most) &&
  tables.every(({ least, most }) => least === most)

function compare({ tables, fibBytes }: ModeResult, demand: Demand): void {
  const names = (list: readonly { readonly role: string; readonly table: string }[]) =>
    list.map(({ role, table }) => `${role} ${table}`)
  assert.deepEqual(names(demand.tables), names(tables))
  for (const [index, measured] of tables.entries()) {
    const counted = demand.tables[index]
    assert.ok(counted !== undefined)
    const { role, table, demandPeak, devices, capacity, pressure } = measured
    const where = `${role} ${table}: run ${demandPeak}, counted ${counted.least} to ${counted.most}`
    assert.ok(demandPeak >= counted.least && demandPeak <= counted.most, where)
    assert.ok(counted.entries >= counted.least && counted.entries <= counted.most, where)
    assert.equal(counted.devices, devices, where)
    assert.equal(counted.capacity, capacity, where)
    if (!isDetermined(demand)) continue
    // A run tells the pressure of the device with most entries, which may share its memory with fewer others.
    if (table === 'lpm' || table === 'lpm6') {
      assert.ok((counted.pressure ?? -1) >= (pressure ?? -1), `${where} pressure`)
    } else assert.equal(counted.pressure, pressure, where)
  }
  if (isDetermined(demand)) assert.equal(demand.fibBytes, fibBytes)
}

t.test('every table of a run holds what was counted', async (t) => {
  let [runs, determined] = [0, 0]
  holds(
    t,
    'demand is demandPeak',
    scenarios,
    (text) => {
      const scenario = parsed(text)
      fc.pre(scenario !== undefined)
      const [mode] = scenario.modes
      assert.ok(mode !== undefined && mode.mode !== 'mixed')
      const demand = demandOf(scenario, mode)
      // Racks whose part of the pool is too small wait for an hour of the run's time, in vain.
      fc.pre(
        demand.blocks.every(
          ({ kind, wanted, available }) => kind !== 'static' || wanted < available,
        ),
      )
      const [result] = runScenario(scenario).modes
      assert.ok(result !== undefined)
      // Spare blocks of some nodes may leave others without an address.
      fc.pre(result.podsRefused === 0)
      compare(result, demand)
      runs++
      if (isDetermined(demand)) determined++
    },
    { numRuns: 16 },
  )
  t.ok(determined > runs / 5, `${determined} of ${runs} without any bound`)
})
