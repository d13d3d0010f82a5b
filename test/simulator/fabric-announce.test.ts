/** What switches hear of nodes: summaries against joining from nothing, and timers. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { heardAfter, Summary, staticAnnouncer, summarised } from '../../simulator/announcer.ts'
import { Engine } from '../../simulator/clock.ts'
import { crossFabric } from '../../simulator/cross-fabric.ts'
import { newTrail } from '../../simulator/delivery.ts'
import { Fabric } from '../../simulator/fabric.ts'
import { prefixEntry } from '../../simulator/fabric-device.ts'
import { topologyOf } from '../../simulator/fabric-plan.ts'
import { profileNamed } from '../../simulator/profiles.ts'
import { type ExactModeResult, runScenario } from '../../simulator/run.ts'
import { carved, sharesOf } from '../../simulator/shares.ts'
import { planRacks } from '../../simulator/underlay.ts'
import { identity, type KernelObject, ROUTE_PROTOCOL } from '../../src/kernel/mod.ts'
import { type Prefix, subPrefixAt } from '../../src/net/mod.ts'
import { mustIp, mustPrefix, smallScenario } from './support.ts'

const POOL = mustPrefix('10.42.0.0/22')

t.test('Summary: step by step the same as from nothing', async () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 15 })), { maxLength: 50 })
  fc.assert(
    fc.property(steps, (history) => {
      const summary = new Summary()
      const blocks = new Set<Prefix>()
      const announced = new Set<Prefix>()
      for (const [add, place] of history) {
        const block = subPrefixAt(POOL, 26, BigInt(place))
        if (add === blocks.has(block)) continue
        if (add) blocks.add(block)
        else blocks.delete(block)
        for (const change of add ? summary.add(block) : summary.remove(block)) {
          assert.equal(announced.has(change.prefix), !change.add, 'only what changes is said')
          if (change.add) announced.add(change.prefix)
          else announced.delete(change.prefix)
        }
        assert.deepEqual([...announced].sort(), [...summarised([...blocks])].sort())
      }
    }),
  )
})

t.test('sixteen blocks in a row are one prefix; with a hole they are four', async (t) => {
  const all = Array.from({ length: 16 }, (_, index) => subPrefixAt(POOL, 26, BigInt(index)))
  t.strictSame(summarised(all), [POOL])
  t.equal(summarised(all.slice(1)).length, 4)
})

t.test('timers', async (t) => {
  t.equal(heardAfter('ideal', 123, 50), 50)
  t.equal(heardAfter('frr', 123, 50), 1_050_050)
  t.equal(heardAfter('calico', 500_000, 50), 1_500_050)
  t.equal(heardAfter('calico', 2_000_000, 50), 2_000_050)
})

const run = (extra: string): ExactModeResult =>
  runScenario(smallScenario(extra, ['modes', 'times'])).modes[0] ?? assert.fail('one mode')

const lpm = ({ tables }: ExactModeResult, role: string) =>
  tables.find((figure) => figure.role === role && figure.table === 'lpm')?.demandPeak ?? 0

t.test('a summary a rack: after quiescence tables are what was announced', async (t) => {
  const blocks = run('modes: [route]')
  const racks = run('modes: [{ mode: route, announce: rack }]')
  t.equal(racks.label, 'route racks')
  t.ok(
    lpm(racks, 'spine') < lpm(blocks, 'spine'),
    `${lpm(racks, 'spine')} of ${lpm(blocks, 'spine')}`,
  )
  t.equal(racks.reachability.delivered, 18 * 17)
  t.ok(
    racks.checks.every(({ passed }) => passed),
    'checks',
    { checks: racks.checks.filter(({ passed }) => !passed) },
  )
})

t.test('blocks beside those of their rack: fewer summaries say where they are', async (t) => {
  const size = 'nodes: 24\npodsPerNode: 3\nracks: 4\n'
  const instead = ['modes', 'nodes', 'podsPerNode', 'racks', 'switch']
  const scenario = smallScenario(
    `${size}switch: { host: 200, lpm: 200, mac: 200 }
modes: [{ mode: route, announce: rack }, { mode: route, announce: rack, placement: rack }, { mode: route, announce: host, placement: rack }]`,
    instead,
  )
  const { modes } = runScenario(scenario)
  t.strictSame(
    modes.map(({ label }) => label),
    ['route racks', 'route racks contiguous', 'route /32 contiguous'],
  )
  const [lowest, placed] = modes.map(({ samples }) => samples.at(-1)?.entries['spine lpm'] ?? 0)
  t.ok((lowest ?? 0) > 40, `${lowest}: hardly any of 48 blocks happen to lie together`)
  // Twelve blocks a rack are 8 and 4.
  t.equal(placed, 4 + 4 * 2)
  for (const { label, checks, reachability } of modes) {
    for (const { name, passed } of checks) t.ok(passed, `${label}: ${name}`)
    t.equal(reachability.delivered, reachability.pairs)
  }
})

t.test('static: parts of the pool, and the blocks outside of them one by one', async (t) => {
  // Three racks of five nodes: a part of the pool holds eight of their ten blocks each.
  const scenario = smallScenario(
    `nodes: 15
podsPerNode: 2
racks: 3
pools: [{ cidr: 10.42.0.0/23, blockLength: 28 }]
modes: [{ mode: route, announce: static }]`,
    ['nodes', 'podsPerNode', 'racks', 'pools', 'modes'],
  )
  const mode = runScenario(scenario).modes[0] ?? assert.fail('one mode')
  t.equal(mode.label, 'route static')
  t.equal(lpm(mode, 'spine'), 3 + 3 + 3 * 2, 'racks, parts, two blocks a rack outside')
  t.equal(lpm(mode, 'tor'), 2 + 3 + 3 * 2 + 8, 'and its own rack’s blocks')
  t.equal(mode.reachability.delivered, 30 * 29)
  for (const { name, passed, findings } of mode.checks) t.ok(passed, name, { findings })
})

t.test('static: packets to unused addresses end at the switch of their rack', async (t) => {
  const { checks } = run('modes: [{ mode: route, announce: static }]')
  const { scope, passed } = checks.find(({ name }) => name === 'reachability') ?? assert.fail()
  t.equal(scope, "306 pairs; 4 of 4 packets to unused addresses end at their rack's switch")
  t.ok(passed)
})

t.test(
  'static: a block outside is reached by its own entry, never by the part around it',
  async (t) => {
    const fabricOf = (
      lpm: number,
    ): { fabric: Fabric; cross: () => string; announce: () => void } => {
      const engine = new Engine()
      const racks = planRacks(6, 3, [4])
      const topology = topologyOf(smallScenario('racks: 3', ['racks']))
      const fabric = new Fabric(engine, {
        roads: [{ mode: 'route-static', pools: [mustPrefix('10.42.0.0/20')] }],
        racks,
        topology,
        model: { capacities: { ...profileNamed('trident3-default')!.capacities, lpm } },
        convergeTicks: 1,
        announceTicks: 1,
        timers: 'ideal',
      })
      // In the part of rack 1, and at node 0 of rack 0.
      const dst = mustPrefix('10.42.4.0/26')
      const route: KernelObject = {
        kind: 'route',
        dst,
        type: 'blackhole',
        metric: 0,
        protocol: ROUTE_PROTOCOL,
      }
      return {
        fabric,
        announce: () => {
          fabric.listener(0)(undefined, route, identity(route))
          engine.run(() => fabric.pending === 0, engine.tick + 1000)
        },
        cross: () => {
          const answer = crossFabric(fabric, 2, 0, mustIp('10.42.4.9'), newTrail())
          return answer?.kind === 'lost' ? answer.reason : 'there'
        },
      }
    }
    const roomy = fabricOf(100)
    t.equal(roomy.cross(), 'tor-2 never heard of 10.42.4.9')
    roomy.announce()
    t.equal(roomy.cross(), 'there')
    const full = fabricOf(5) // two other racks and three parts, where there is room for them
    full.announce()
    t.equal(full.cross(), 'tor-2 has no room for 10.42.4.9')
    const own = crossFabric(roomy.fabric, 2, 1, mustIp('10.42.7.9'), newTrail())
    t.match(own, { kind: 'lost', reason: 'tor-1 never heard of 10.42.7.9' })
  },
)

t.test('static: what every switch hears is what it holds', async (t) => {
  const shares = sharesOf([mustPrefix('10.42.0.0/20'), mustPrefix('fd42::/60')], 3)
  t.strictSame(
    shares.map(({ rack, prefix }) => `${rack} ${prefix}`),
    [
      '0 10.42.0.0/22',
      '1 10.42.4.0/22',
      '2 10.42.8.0/22',
      '0 fd42::/62',
      '1 fd42:0:0:4::/62',
      '2 fd42:0:0:8::/62',
    ],
  )
  const [pool] = [{ cidr: mustPrefix('10.42.0.0/20'), blockLength: 26 }]
  t.strictSame(
    carved(pool, 5).map(({ cidr, rack = 'any' }) => `${cidr} ${rack}`),
    [
      '10.42.0.0/23 rack-0',
      '10.42.2.0/23 rack-1',
      '10.42.4.0/23 rack-2',
      '10.42.6.0/23 rack-3',
      '10.42.8.0/23 rack-4',
      '10.42.10.0/23 any',
      '10.42.12.0/22 any',
    ],
  )
  const announcer = staticAnnouncer(shares)
  t.strictSame(
    announcer.configured?.map(({ entry }) => entry),
    shares.map(({ prefix }) => prefix),
  )
  const block = prefixEntry(mustPrefix('10.42.4.64/26'))
  t.strictSame(announcer.tell({ rack: 1, entry: block }, true), [
    { entry: block, add: true, rack: 1, whom: 'only' },
  ])
  t.strictSame(announcer.tell({ rack: 0, entry: block }, false), [{ entry: block, add: false }])
})

t.test(
  'slower protocols: the control plane is later, and all is the same in the end',
  async (t) => {
    const ideal = run('modes: [{ mode: route, announce: host }]')
    const calico = run('modes: [{ mode: route, announce: host }]\ntimes: { protocol: calico }')
    t.ok(calico.heardMs > ideal.heardMs, `${calico.heardMs} ms, ${ideal.heardMs} ms`)
    t.equal(ideal.programming.lagMaxMs, 50)
    t.ok(calico.programming.lagMaxMs > 50 && calico.programming.lagMaxMs <= 2050)
    t.strictSame(lpm(calico, 'tor'), lpm(ideal, 'tor'))
    t.equal(calico.reachability.delivered, 18 * 17)
    for (const check of calico.checks) t.ok(check.passed, check.name)
  },
)
