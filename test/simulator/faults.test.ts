/**
 * Faults: what they do to a cluster, what the monitors say of it, and that causes are
 * counted when faults overlap.
 */
import t from 'tap'
import { TICKS_PER_MS } from '../../simulator/clock.ts'
import { topologyOf } from '../../simulator/fabric-plan.ts'
import { type ExactModeResult, runScenario } from '../../simulator/run.ts'
import { Causes } from '../../simulator/timeline/causes.ts'
import { planFaults } from '../../simulator/timeline/faults.ts'
import { PointSeries } from '../../simulator/timeline/points.ts'
import type { TimePoint } from '../../simulator/timeline/result.ts'
import { islands, linksBetween, racksAlone } from '../../simulator/timeline/sides.ts'
import { swarmKinds } from '../../simulator/timeline/swarm.ts'
import { prng } from '../../src/prng.ts'
import { smallScenario } from './support.ts'

t.setTimeout(300_000)

/** Runs of six nodes in two racks, by the label of their mode. */
function run(yaml: string, instead: readonly string[] = ['modes']): readonly ExactModeResult[] {
  const modes = instead.includes('modes') ? 'modes: [vxlan, route]\n' : ''
  return runScenario(smallScenario(`${modes}${yaml}`, instead)).modes
}

const failed = ({ checks }: ExactModeResult): readonly unknown[] =>
  checks.filter(({ passed }) => !passed)

const whats = ({ timeline }: ExactModeResult) =>
  timeline?.faults.map(({ what, settledMs }) => [what, settledMs])

t.test('a spine: lost until all know it, and time without a way is exact', async (t) => {
  const yaml = 'faults: [{ kind: spine, atMs: 333, spine: 1, forMs: 2000 }]'
  for (const mode of run(`${yaml}\ntimes: { convergeMs: 250, settleMs: 20 }`, ['modes', 'times'])) {
    const { faults, blackHoles } = mode.timeline!
    t.strictSame(failed(mode), [], mode.label)
    t.match(faults, [
      { what: 'spine-1 down', atMs: 333, settledMs: 250, lostAfter: 0, podsLost: 0 },
      { what: 'spine-1 up', atMs: 2333, lostAtOnce: 0, lostAfter: 0, pairSeconds: 0 },
    ])
    t.ok(faults[0]!.lostAtOnce > 0)
    t.equal(blackHoles.affected, faults[0]!.lostAtOnce)
    t.equal(blackHoles.medianMs, 250)
    t.equal(blackHoles.maxMs, 250, 'a look at the fault, and one when all know')
    t.equal(blackHoles.pairSeconds, 0.25 * faults[0]!.lostAtOnce)
    t.match(blackHoles.worst, /^pod \d+ to pod \d+: .*spine-1/)
  }
})

t.test('a look is no event: the trace does not know how often it was looked', async (t) => {
  const yaml = `swarm: { forMs: 5000, faults: 4, workload: 6 }
modes: [vxlan, { mode: route, announce: rack }]\n`
  const often = runScenario(smallScenario(`${yaml}probe: { pairs: 20, everyMs: 10 }`, ['modes']))
  const rarely = runScenario(smallScenario(`${yaml}probe: { pairs: 3, everyMs: 977 }`, ['modes']))
  t.equal(often.traceHash, rarely.traceHash)
})

t.test('a node without power: pods gone, addresses stranded until it is back', async (t) => {
  const faults = 'faults: [{ kind: node, atMs: 0, node: node-0002, forMs: 4000 }]'
  for (const mode of run(`${faults}\ntimes: { settleMs: 20, evictMs: 1000 }`, ['modes', 'times'])) {
    t.strictSame(failed(mode), [], mode.label)
    const { workload, faults: seen } = mode.timeline!
    t.equal(seen[0]!.podsLost, 3)
    t.equal(workload.strandedPeak, 3)
    t.equal(workload.strandedEnd, 0, 'kubelet deleted what was dead')
    t.ok(workload.added >= 3, 'and they live elsewhere')
  }
})

t.test('a node that never comes back: stranded is not leaked', async (t) => {
  for (const mode of run('faults: [{ kind: node, atMs: 0, node: 2 }]')) {
    t.strictSame(failed(mode), [], mode.label)
    t.equal(mode.timeline?.workload.strandedEnd, 3)
  }
})

t.test('switches believe a silent node for the hold time, or until it is back', async (t) => {
  const down = (protocol: string, more = ''): readonly ExactModeResult[] =>
    run(
      `faults: [{ kind: node, atMs: 1000, node: 0${more} }]
times: { settleMs: 20, announceMs: 50, protocol: ${protocol} }`,
      ['modes', 'times'],
    )
  for (const [protocol, ms] of [
    ['ideal', 50],
    ['frr-datacenter', 9050],
    ['frr', 180_050],
    ['calico', 240_050],
  ] as const) {
    for (const mode of down(protocol)) {
      const expected = mode.label === 'vxlan' ? 50 : ms
      t.strictSame(whats(mode), [['node-0000 down', expected]], `${mode.label} ${protocol}`)
      t.strictSame(failed(mode), [])
    }
  }
  for (const mode of down('frr', ', forMs: 2000')) {
    t.strictSame(failed(mode), [], 'a new session replaces the old one')
    t.ok(mode.timeline!.untilMs < 100_000, 'nobody waits for the old hold time')
  }
})

t.test('what a node said right before it died is not heard after its end', async (t) => {
  const yaml = `faults: [{ kind: node, atMs: 300, node: 1 }]
workload: [{ kind: batch, atMs: 0, pods: 30 }]
modes: [vlan, { mode: route, announce: host }]
times: { settleMs: 20, announceMs: 50, protocol: frr }`
  for (const mode of runScenario(smallScenario(yaml, ['modes', 'times'])).modes) {
    t.strictSame(failed(mode), [], mode.label)
  }
})

t.test('an agent that crashed: kernels forward, and what it missed comes later', async (t) => {
  const yaml = `faults: [{ kind: agent, atMs: 0, node: 1, forMs: 5000 }]
workload: [{ kind: batch, atMs: 1000, pods: 90, spreadMs: 2000 }]
pools: [{ cidr: 10.42.0.0/20, blockLength: 29 }]`
  for (const mode of run(yaml, ['modes', 'pools'])) {
    t.strictSame(failed(mode), [], mode.label)
    const [down, up] = mode.timeline!.faults
    t.equal(down?.lostAtOnce, 0)
    t.ok(
      mode.timeline!.points.some(({ lost }) => lost > 0),
      'nodes with new blocks cannot be reached from there',
    )
    t.equal(up?.lostAfter, 0)
  }
})

t.test('the store away: what runs goes on, what changes waits', async (t) => {
  const yaml = `faults: [{ kind: store, atMs: 500, forMs: 20000 }]
workload: [{ kind: batch, atMs: 1000, pods: 6, spreadMs: 100 }]
times: { settleMs: 20, retryMs: 1000 }`
  for (const mode of run(yaml, ['modes', 'times'])) {
    t.strictSame(failed(mode), [], mode.label)
    const { faults, workload, blackHoles } = mode.timeline!
    t.equal(faults[0]?.what, 'store away')
    t.equal(blackHoles.affected, 0)
    t.match(workload, { added: 6, refused: 0 })
    t.ok(workload.retried > 6 && workload.addMaxMs > 19_000, `${workload.addMaxMs} ms`)
  }
})

t.test('a partition: pairs across it, and nobody else', async (t) => {
  const yaml = 'faults: [{ kind: partition, atMs: 0, racks: [1], forMs: 3000 }]'
  for (const mode of run(`${yaml}\ntimes: { convergeMs: 250, settleMs: 20 }`, ['modes', 'times'])) {
    t.strictSame(failed(mode), [], mode.label)
    const { faults, points } = mode.timeline!
    t.strictSame(
      whats(mode),
      [
        ['rack 1 cut off', 250],
        ['rack 1 joined again', 250],
      ],
      mode.label,
    )
    t.equal(faults[0]!.lostAtOnce, faults[0]!.lostAfter)
    t.ok(faults[0]!.lostAfter > 0 && faults[0]!.lostAfter < points[0]!.pairs)
    t.equal(faults[1]!.lostAfter, 0)
  }
})

t.test('what a rack missed while it was cut off, it learns at once', async (t) => {
  const yaml = `faults: [{ kind: partition, atMs: 0, racks: [1], forMs: 4000 }]
workload: [{ kind: batch, atMs: 500, pods: 90, spreadMs: 1000 }]
pools: [{ cidr: 10.42.0.0/20, blockLength: 29 }]`
  for (const mode of run(yaml, ['modes', 'pools'])) {
    t.strictSame(failed(mode), [], mode.label)
    t.equal(mode.timeline?.faults[1]?.lostAfter, 0)
  }
})

t.test('faults that overlap: down as long as one of them says so', async (t) => {
  const faults = [
    '{ kind: node, atMs: 1000, node: 3, forMs: 9000 }',
    '{ kind: node, atMs: 2000, node: 3, forMs: 1000 }',
    '{ kind: agent, atMs: 5000, node: 3, forMs: 10000 }',
    '{ kind: partition, atMs: 6000, racks: [1], forMs: 6000 }',
    '{ kind: tor, atMs: 7000, rack: 1, forMs: 2000 }',
    '{ kind: store, atMs: 8000, forMs: 2000 }',
    '{ kind: link, atMs: 8500, between: [tor-1, spine-0], forMs: 8000 }',
  ]
  const yaml = `faults: [${faults.join(', ')}]\ntimes: { settleMs: 20, evictMs: 3600000 }`
  for (const mode of run(yaml, ['modes', 'times'])) {
    t.strictSame(failed(mode), [], mode.label)
    const { points, faults: seen } = mode.timeline!
    t.equal(seen.length, 14)
    const podsAt = (ms: number): number | undefined =>
      points.filter(({ atMs }) => atMs <= ms).at(-1)?.pods
    t.equal(podsAt(900), 18)
    t.equal(podsAt(9900), 15, 'one of two faults of the node is over')
    t.equal(points.at(-1)?.pods, 18, 'its pods are made anew')
    t.equal(points.at(-1)?.lost, 0)
  }
})

t.test(
  'what is never mended stays a finding, and the pods can be deleted all the same',
  async (t) => {
    const yaml = `faults:
  - { kind: partition, atMs: 0, racks: [0] }
  - { kind: agent, atMs: 0, node: 5 }
  - { kind: store, atMs: 5000 }`
    for (const mode of run(yaml)) {
      t.strictSame(failed(mode), [], mode.label)
      t.ok(mode.reachability.lostToFailure > 0)
    }
  },
)

t.test('causes are counted', async (t) => {
  const causes = new Causes()
  t.equal(causes.change('x', true), true)
  t.equal(causes.change('x', true), false)
  t.equal(causes.change('x', false), false)
  t.ok(causes.isDown('x'))
  t.equal(causes.change('x', false), true)
  t.equal(causes.change('x', false), false, 'more mending than breaking is nothing')
  t.notOk(causes.isDown('x'))
})

t.test('where a fabric comes apart', async (t) => {
  const named = (yaml: string, racks: readonly number[]): readonly string[] => {
    const topology = topologyOf(smallScenario(yaml, ['racks']))
    const name = (index: number): string | undefined => topology.devices[index]?.name
    return linksBetween(topology, racks).map((link) =>
      topology.links[link]!.ends.map(name).join(' '),
    )
  }
  t.strictSame(named('racks: 3\nspines: 2', [1]), ['tor-1 spine-0', 'tor-1 spine-1'])
  t.strictSame(
    named('racks: 4\nspines: 1\nfabric: { dataCenters: 2, wanRouters: 1 }', [2, 3]),
    ['dc0-wan-0 dc1-wan-0'],
    'a whole data centre goes with its spines',
  )
  t.strictSame(
    named('racks: 4\nfabric: { kind: three-tier, groups: 2, aggregations: 1, cores: 1 }', [0, 1]),
    ['g0-aggregation-0 core-0'],
    'a whole group goes with its aggregation switch',
  )
  const topology = topologyOf(smallScenario('racks: 2\nspines: 1', ['racks']))
  const up = { links: topology.links.map(() => true), devices: topology.devices.map(() => true) }
  t.strictSame(racksAlone(topology, up), [])
  t.strictSame(racksAlone(topology, { ...up, links: [true, false] }), [1])
  t.strictSame(racksAlone(topology, { ...up, devices: [true, true, false] }), [0, 1])
  t.strictSame(islands(topology, up), [0, 0, 0])
  t.strictSame(islands(topology, { ...up, links: [true, false] }), [0, 1, 0])
  t.strictSame(islands(topology, { ...up, devices: [true, true, false] }), [0, 1, -1])
})

t.test('a series is short, keeps its ends and what is worst', async (t) => {
  const series = new PointSeries(50)
  const point = (atMs: number, lost: number): TimePoint => {
    return { atMs, lost, pods: 1, pairs: 9, lostToOverflow: 0, queued: 0, stranded: 0 }
  }
  for (let ms = 0; ms < 5000; ms++) series.add(point(ms, ms === 2345 ? 9 : ms % 3))
  const all = series.all()
  t.ok(all.length <= 51, `${all.length} points`)
  t.equal(all[0]?.atMs, 0)
  t.equal(all.at(-1)?.atMs, 4999)
  t.ok(all.some(({ atMs, lost }) => atMs === 2345 && lost === 9))
  const flat = new PointSeries(50)
  for (let ms = 0; ms < 5000; ms++) flat.add(point(ms, 0))
  t.strictSame(
    flat.all().map(({ atMs }) => atMs),
    [0, 4999],
  )
})

t.test('a swarm is planned from the seed alone, and each takes kinds of its own', async (t) => {
  const scenario = smallScenario('swarm: { forMs: 10000, faults: 40 }')
  const plan = (seed: number) => planFaults(scenario, prng(seed))
  t.strictSame(plan(1), plan(1))
  t.notSame(plan(1), plan(2))
  const ticks = plan(1).map(({ atTick }) => atTick)
  t.strictSame(
    ticks,
    [...ticks].sort((left, right) => left - right),
  )
  t.ok(ticks.every((tick) => tick >= 0 && tick < 10_000 * TICKS_PER_MS))
  const kinds = ['node', 'store', 'link'] as const
  const mixes = new Set(
    Array.from({ length: 60 }, (_, seed) => swarmKinds(kinds, prng(seed)).join(' ')),
  )
  t.equal(mixes.size, 7, 'every mix, but the empty one')
})
