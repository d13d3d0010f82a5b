/**
 * The scaled engine against the exact one: on random small scenarios every table of
 * every node and switch, every counter and every moment of the cold start is the same.
 */
import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { DAEMON_NAMES, daemonNamed } from '../../simulator/bgp/daemons.ts'
import type { BgpFigure } from '../../simulator/bgp/figures.ts'
import { EVENT, TICKS_PER_MS } from '../../simulator/clock.ts'
import { engineFor } from '../../simulator/engine.ts'
import { KERNEL_KIND, NODE_TABLES } from '../../simulator/measure.ts'
import { SWITCH_PROFILES, SWITCH_TABLES } from '../../simulator/profiles.ts'
import {
  podOrder,
  type RunResult,
  runScenario,
  schedulePods,
  startAgents,
} from '../../simulator/run.ts'
import { bgpOf, fabricTraffic, networkBytes, runScaled } from '../../simulator/run-scaled.ts'
import { contentsOf, ScaledRun } from '../../simulator/scaled/mod.ts'
import { type Scenario, scenarioSchema } from '../../simulator/scenario.ts'
import { trafficFigure } from '../../simulator/traffic.ts'
import { Cluster } from '../../simulator/world.ts'
import type { KernelObject } from '../../src/kernel/mod.ts'
import { prng } from '../../src/prng.ts'
import { holds } from '../support/property.ts'

const PATIENCE_TICKS = 3_600_000 * TICKS_PER_MS

type Input = Parameters<typeof scenarioSchema.parse>[0]

const text = (object: KernelObject): string =>
  JSON.stringify(object, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )

const TABLE_KINDS: readonly string[] = Object.values(KERNEL_KIND)

interface Step {
  readonly tick: number
  readonly node: number
  readonly entries: readonly number[]
}

/** Which of two nodes' kernels changed first in one microsecond says nothing. */
const inOrder = (steps: readonly Step[]): readonly Step[] =>
  steps.toSorted((a, b) => a.tick - b.tick || a.node - b.node)

/** Each has tables of its own. */
function bgpFigureOf(figure: BgpFigure | undefined): Omit<BgpFigure, 'tableBytes'> | undefined {
  if (figure === undefined) return undefined
  const { tableBytes: _own, ...rest } = figure
  return rest
}

/** Every table of every switch, by the exact engine. */
const devicesOf = ({ fabric }: Cluster) =>
  fabric.devices.map((device) => ({
    name: device.name,
    lagMaxTicks: device.lagMaxTicks,
    queuePeak: device.queuePeak,
    programmedTick: device.programmedTick,
    tables: SWITCH_TABLES.map((name) => {
      const table = device.tables[name]
      const { demand, demandPeak, usedPeak, evictions, firstOverflow: overflow } = table
      const held = table.entries().filter((entry) => table.ask(entry) === 'taken')
      const wanted = table.entries()
      return { demand, demandPeak, usedPeak, evictions, overflow, wanted, held: held.toSorted() }
    }),
  }))

/** Everything that is compared, by the exact engine: after the cold start, and with all pods. */
function exact(scenario: Scenario, mode: Scenario['modes'][number]) {
  const cluster = new Cluster(scenario, mode)
  const { engine, nodes, fabric } = cluster
  const before = nodes.reduce((sum, { kernel }) => sum + kernel.operations, 0)
  const chance = prng(scenario.seed)
  const order = podOrder(scenario, chance.fork('pods'))
  startAgents(cluster, scenario, chance.fork('start'))
  const counts = (): readonly number[][] =>
    nodes.map(({ kernel }) => NODE_TABLES.map((table) => kernel.counts[KERNEL_KIND[table]]))
  let last = counts()
  const settle = () => {
    const steps: Step[] = []
    const converged = engine.run(() => {
      const now = counts()
      for (const [node, entries] of now.entries()) {
        if (entries.join() === last[node]?.join()) continue
        steps.push({ tick: engine.tick, node, entries })
      }
      last = now
      return cluster.isQuiet
    }, engine.tick + PATIENCE_TICKS)
    return {
      converged,
      tick: engine.tick,
      // Those of speakers in lockstep are one.
      events: fabric.bgp === undefined ? engine.events : undefined,
      bgp: bgpFigureOf(fabric.bgp?.figure()),
      operations: nodes.reduce((sum, { kernel }) => sum + kernel.operations, -before),
      store: cluster.storeLinks.traffic,
      traffic: trafficFigure(cluster).fabric,
      heardTick: fabric.heardTick,
      steps: inOrder(steps),
      pods: { added: cluster.podsAdded, refused: cluster.refusals.count, heard: fabric.pods },
      nodes: nodes.map(({ kernel }) =>
        [...kernel.objects()]
          .filter(({ kind }) => TABLE_KINDS.includes(kind))
          .map(text)
          .sort(),
      ),
      counts: last,
      switches: devicesOf(cluster),
    }
  }
  const cold = settle()
  const spanTicks = schedulePods(cluster, scenario, order, EVENT.podAdd, chance.fork('arrivals'))
  return { cold, full: settle(), spanTicks }
}

const devicesOfScaled = ({ switches }: ScaledRun) =>
  Array.from({ length: switches.count }, (_, device) => ({
    name: switches.name(device),
    lagMaxTicks: switches.lagMaxTicks(device),
    queuePeak: switches.queuePeak(device),
    programmedTick: switches.programmedTick(device),
    tables: SWITCH_TABLES.map((name) => ({
      demand: switches.demand(device, name),
      demandPeak: switches.demand(device, name),
      usedPeak: switches.used(device, name),
      evictions: switches.evictions(device, name),
      overflow: switches.firstOverflow(device, name),
      wanted: switches.wanted(device, name),
      held: switches.held(device, name).toSorted(),
    })),
  }))

/** The same by the scaled one. */
function scaled(scenario: Scenario, mode: Scenario['modes'][number]): ReturnType<typeof exact> {
  const run = new ScaledRun(scenario, mode, {
    isWatched: true,
    networkBytes: networkBytes(scenario, mode),
  })
  const { agents, switches } = run
  const indices = Array.from({ length: scenario.nodes }, (_, node) => node)
  let known = 0
  const look = (converged: boolean) => {
    const all = [...run.steps()]
    const steps = all.slice(known).map(({ tick, node, claims, pods }) => ({
      tick,
      node,
      entries: NODE_TABLES.map((table) => run.entriesAt(node, table, claims, pods)),
    }))
    known = all.length
    return {
      converged,
      tick: run.tick,
      events: run.plan.bgp === undefined ? run.events : undefined,
      bgp: bgpFigureOf(bgpOf(run)),
      operations: agents.operations,
      store: run.storeTraffic,
      traffic: fabricTraffic(run),
      heardTick: run.heardTick,
      steps: inOrder(steps),
      pods: { added: run.podsAdded, refused: run.podsRefused, heard: switches.pods },
      nodes: indices.map((node) => contentsOf(run, node).map(text).sort()),
      counts: indices.map((node) => NODE_TABLES.map((table) => run.entries(node, table))),
      switches: devicesOfScaled(run),
    }
  }
  const cold = look(run.coldStart())
  const full = look(run.addPods())
  return { cold, full, spanTicks: run.pods.lastTicks }
}

const few = fc.integer({ min: 1, max: 24 })
const rate = fc.option(fc.oneof(few, fc.constantFrom(750, 'sonic-measured', 'mx304')), {
  nil: undefined,
})
const behaviour = {
  overflow: fc.constantFrom('refuse', 'evict', 'software'),
  routesPerSecond: rate,
}
const maybe = fc.option(few, { nil: undefined })
const anySwitch = fc.oneof(
  fc.record({ lpm: few, host: few, mac: few, arp: maybe, ecmp: maybe, ...behaviour }),
  fc.record({
    profile: fc.constantFrom(...SWITCH_PROFILES.map(({ name }) => name)),
    ...behaviour,
  }),
)
const anyMode = fc.oneof(
  fc.constantFrom('vxlan', 'route', 'vlan'),
  fc.constantFrom(
    { mode: 'route', announce: 'host' },
    { mode: 'route', masquerade: false },
    { mode: 'route', announce: 'static' },
    { mode: 'route', announce: 'static' },
    { mode: 'vxlan', masquerade: false },
    { mode: 'vxlan', flavour: 'lightweight' },
    { mode: 'vxlan', flavour: 'lightweight' },
    { mode: 'vxlan', crossSubnet: true },
    { mode: 'vxlan', crossSubnet: true },
  ),
  fc.record({ mode: fc.constant('vlan'), vlanId: fc.integer({ min: 1, max: 4000 }) }),
)
/** All at once, closely, and over more than a repair. */
const anyTimes = fc.record({
  startJitterMs: fc.constantFrom(0, 1, 2, 10, 300, 1000, 12_000),
  settleMs: fc.constantFrom(1, 7, 20, 100, 3000),
  repairMs: fc.constantFrom(100, 333, 1000, 10_000),
  storeMs: fc.constantFrom(0, 1, 1, 3, 50),
  announceMs: fc.constantFrom(0, 1, 50, 700),
  podsPerSecond: fc.constantFrom(1, 7, 100, 900, 1_000_000),
  protocol: fc.constantFrom('ideal', 'ideal', 'frr', 'frr-datacenter', 'calico'),
})

/** Each rack needs room for its own. */
const isStatic = (mode: unknown): boolean =>
  typeof mode === 'object' && mode !== null && Reflect.get(mode, 'announce') === 'static'

const anyShape = fc.record({
  seed: fc.nat(),
  nodes: fc.oneof(
    { weight: 30, arbitrary: fc.integer({ min: 1, max: 12 }) },
    { weight: 1, arbitrary: fc.integer({ min: 13, max: 40 }) },
  ),
  racks: fc.integer({ min: 1, max: 5 }),
  spines: fc.integer({ min: 1, max: 3 }),
  podsPerNode: fc.integer({ min: 0, max: 8 }),
  blockLength: fc.integer({ min: 24, max: 29 }),
  network: fc.constantFrom(undefined, 'red'),
  mode: anyMode,
  switch: anySwitch,
  times: anyTimes,
})

const anyScenario = anyShape.map(
  ({ blockLength, network, mode, ...rest }): Input => ({
    ...rest,
    pools: [
      {
        cidr: rest.nodes > 12 || isStatic(mode) ? '10.32.0.0/16' : '10.32.0.0/20',
        blockLength,
        ...(network && { network }),
      },
    ],
    modes: [mode],
  }),
)

holds(
  t,
  'every table, counter and moment is that of the exact engine',
  anyScenario,
  (input) => {
    const scenario = scenarioSchema.parse(input)
    const [mode] = scenario.modes
    deepEqual(scaled(scenario, mode!), exact(scenario, mode!))
  },
  { numRuns: 50 },
)

/** Small messages of the others wait for each other (RFC 896), which is not known here. */
const daemons = DAEMON_NAMES.filter((name) => !daemonNamed(name).hasNagle)

const anyRouting = fc
  .record({
    sessions: fc.constantFrom('reflectors', 'reflectors', 'reflectors', 'mesh'),
    reflectors: fc.integer({ min: 1, max: 3 }),
    daemon: fc.constantFrom(...daemons),
    switchDaemon: fc.constantFrom(...daemons),
    gracefulRestart: fc.constantFrom(undefined, false, { restartSeconds: 20 }),
    holdSeconds: fc.constantFrom(undefined, 9),
    connectRetrySeconds: fc.constantFrom(undefined, 3),
    bfd: fc.constantFrom(false, { intervalMs: 300, multiplier: 3 }),
  })
  .map(({ reflectors, ...rest }) => ({ protocol: 'bgp' as const, reflectors, ...rest }))

const anySpoken = fc
  .record({
    shape: anyShape,
    routing: anyRouting,
    announce: fc.constantFrom('block', 'host'),
    linkUs: fc.constantFrom(0, 1, 1, 5, 700),
  })
  .map(({ shape, routing, announce, linkUs }): Input => {
    const { blockLength, network: _pods, mode: _route, times, ...rest } = shape
    const { reflectors, ...words } = routing
    const reflecting = { ...words, reflectors: Math.min(reflectors, rest.nodes) }
    return {
      ...rest,
      pools: [{ cidr: '10.32.0.0/16', blockLength }],
      times: { ...times, protocol: 'ideal' },
      modes: [{ mode: 'route', announce }],
      fabric: { linkUs },
      routing: words.sessions === 'reflectors' ? reflecting : words,
    }
  })

type Compared = ReturnType<typeof exact>
type Tables = Compared['full']['switches'][number]['tables']

/**
 * What a speaker says in one tick has no order, so what a switch hears then has none: where
 * two heard the same in another order, a full table may hold other ones of them.
 */
function unordered(one: Compared, other: Compared): Compared {
  const tablesOf = (tables: Tables, others: Tables): Tables =>
    tables.map((table, index) => {
      if (table.wanted.join() === others[index]!.wanted.join()) return table
      const overflow = table.overflow && { ...table.overflow, entry: '' }
      const held = [String(table.held.length)]
      return { ...table, overflow, held, wanted: table.wanted.toSorted() }
    })
  const phase = (own: Compared['full'], its: Compared['full']): Compared['full'] => ({
    ...own,
    switches: own.switches.map((device, index) => {
      const { tables } = its.switches[index]!
      return { ...device, tables: tablesOf(device.tables, tables) }
    }),
  })
  return { ...one, cold: phase(one.cold, other.cold), full: phase(one.full, other.full) }
}

holds(
  t,
  'the same where nodes and switches speak BGP',
  anySpoken,
  (input) => {
    const scenario = scenarioSchema.parse(input)
    const [mode] = scenario.modes
    const [found, wanted] = [scaled(scenario, mode!), exact(scenario, mode!)]
    deepEqual(unordered(found, wanted), unordered(wanted, found))
  },
  { numRuns: 18 },
)

const BASE = {
  nodes: 7,
  racks: 3,
  podsPerNode: 2,
  pools: [{ cidr: '10.0.0.0/16' }],
  modes: ['vxlan', 'route', 'vlan'],
  switch: { lpm: 100, host: 100, mac: 100 },
} as const

t.test('a look that changes more peers than a step takes looks at the kernel', async () => {
  const scenario = scenarioSchema.parse({
    ...BASE,
    nodes: 40,
    podsPerNode: 1,
    modes: ['route'],
    times: { startJitterMs: 300, podsPerSecond: 100 },
  })
  const [mode] = scenario.modes
  deepEqual(scaled(scenario, mode!), exact(scenario, mode!))
})

/** What both engines know of a mode, as it is reported. */
const reported = (result: RunResult) =>
  result.modes.map(
    ({ kernelOperations, events, reachability, traceHash, engine, checks, bgp, ...rest }) => ({
      ...rest,
      bgp: [bgp?.coldStart, bgp?.whole].map(bgpFigureOf),
      checks: checks.filter(({ name }) => /^converged|^no pod/.test(name) && !/deleted/.test(name)),
    }),
  )

t.test('what a whole run reports', async (t) => {
  for (const [overflow, talk] of [
    ['refuse', 'all'],
    ['evict', 3],
    ['software', 'none'],
  ] as const) {
    const scenario = scenarioSchema.parse({
      ...BASE,
      modes: [
        'vxlan',
        { mode: 'vxlan', crossSubnet: true },
        'route',
        { mode: 'route', announce: 'host' },
        'vlan',
      ],
      switch: { lpm: 20, host: 12, mac: 17, overflow, routesPerSecond: 30 },
      talk,
      kernel: { gcThresh3: 2 },
    })
    t.strictSame(reported(runScaled(scenario)), reported(runScenario(scenario)), overflow)
  }
})

const BGP = { protocol: 'bgp', sessions: 'reflectors' } as const

t.test('what one with speakers reports', async (t) => {
  const input = {
    ...BASE,
    modes: ['vxlan', 'route', { mode: 'route', announce: 'host' }, 'vlan'],
    switch: { lpm: 20, host: 12, mac: 17, routesPerSecond: 30 },
    routing: BGP,
  }
  const scenario = scenarioSchema.parse(input)
  const [found, wanted] = [runScaled(scenario), runScenario(scenario)]
  t.strictSame(reported(found), reported(wanted))
  const speakers = found.modes.map(({ bgp }) => bgp?.whole.established)
  t.strictSame(speakers, [undefined, 21, 21, undefined], 'where switches learn of nodes')
  t.equal(engineFor({ ...scenario, nodes: 1000, racks: 25, podsPerNode: 30 }), 'scaled')
})

t.test('what it does not know is refused by its word', async (t) => {
  const refused: readonly (readonly [word: string, input: object])[] = [
    ['workload', { workload: [{ kind: 'restart', atMs: 1, share: 0.5 }] }],
    ['faults', { faults: [{ kind: 'spine', spine: 0, atMs: 1 }] }],
    ['announce', { modes: [{ mode: 'route', announce: 'rack' }] }],
    ['placement', { modes: [{ mode: 'route', placement: 'rack' }] }],
    ['crossSubnet', { modes: [{ mode: 'vxlan', flavour: 'lightweight', crossSubnet: true }] }],
    ['attachment', { modes: [{ mode: 'vlan', attachment: 'macvlan' }] }],
    ['vlanId', { modes: [{ mode: 'vlan', vlanId: 0 }] }],
    ['mode', { modes: [{ mode: 'mixed', networks: { pods: 'vxlan' } }] }],
    ['pools', { pools: [{ cidr: '10.0.0.0/16' }, { cidr: '10.1.0.0/16' }] }],
    ['pools', { pools: [{ cidr: '10.0.0.0/24' }] }],
    ['pools.cidr', { pools: [{ cidr: 'fd00::/48' }] }],
    ['pools.blockLength', { pools: [{ cidr: '10.0.0.0/16', blockLength: 30 }] }],
    ['routing.sessions', { routing: { protocol: 'bgp' } }],
    ['routing.daemon', { routing: { ...BGP, daemon: 'bird' } }],
    ['routing.switchDaemon', { routing: { ...BGP, switchDaemon: 'calico' } }],
    ['routing.sessions', { nodes: 1001, racks: 5, routing: { protocol: 'bgp', sessions: 'mesh' } }],
    ['fabric.lossPercent', { routing: BGP, fabric: { lossPercent: 1 } }],
    ['fabric.linkGbps', { routing: BGP, fabric: { linkGbps: 10 } }],
    ['fabric.kind', { fabric: { kind: 'three-tier' } }],
    ['fabric.dataCenters', { fabric: { dataCenters: 2 } }],
    ['store.rack', { store: { rack: 0 } }],
    ['store.dataCenter', { store: { dataCenter: 0 } }],
    ['store.latencyMs', { store: { latencyMs: 1 } }],
    ['store.mbps', { store: { mbps: 100 } }],
    ['store.lossPercent', { store: { lossPercent: 1 } }],
  ]
  for (const [word, input] of refused) {
    const scenario = scenarioSchema.parse({ ...BASE, modes: ['route'], ...input })
    const run = () => new ScaledRun(scenario, scenario.modes[0]!)
    t.throws(run, { message: new RegExp(`^Cannot run ${word} in the scaled engine`) }, word)
  }
})

t.test('tables are shared', async (t) => {
  const scenario = { ...scenarioSchema.parse(BASE), nodes: 1000, racks: 10 }
  const run = new ScaledRun(scenario, { ...scenario.modes[1]! })
  t.ok(run.coldStart(), 'it becomes quiet')
  // A route to the underlay, one for each node's block, and a link; switches: underlay and blocks.
  const ofSwitches = 10 * (1000 + 9 + 200) + 2 * (1000 + 10) + 10
  t.equal(run.sharing.entries, 1000 * (1 + 1 + 1000) + ofSwitches)
  const { entries, stored } = run.sharing
  t.ok(entries / stored > 200, `${entries} entries, ${stored} stored`)
  t.ok(run.switches.kinds === 2, 'switches are of two kinds: top-of-rack and spine')
})
