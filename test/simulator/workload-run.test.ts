/** Workloads carried out: whatever is asked for, a run comes to rest and every checker passes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { keys } from '../../ipam/keys.ts'
import { EVENT } from '../../simulator/clock.ts'
import { type ModeResult, runScenario } from '../../simulator/run.ts'
import { parseScenario, type Scenario } from '../../simulator/scenario.ts'
import type { WorkloadFigure } from '../../simulator/timeline/result.ts'
import { runTimeline } from '../../simulator/timeline/run-timeline.ts'
import { timelineChance } from '../../simulator/timeline/workload.ts'
import { Cluster } from '../../simulator/world.ts'
import { prng } from '../../src/prng.ts'
import { holds } from '../support/property.ts'
import { anyWorkload, faultsText, filesOfAny, workloadText } from './workload-any.ts'

const BASE = `nodes: 4
podsPerNode: 2
racks: 2
pools: [{ cidr: 10.42.0.0/20, blockLength: 28 }, { cidr: fd42::/112 }]
switch: { profile: trident3-default }
probe: { pairs: 10, everyMs: 500 }
`
const scenarioOf = (text: string, modes = 'vxlan', files?: ReadonlyMap<string, string>): Scenario =>
  parseScenario(`${BASE}modes: [${modes}]\n${text}`, 'x.yaml', { files })

function run(text: string, modes = 'vxlan', files?: ReadonlyMap<string, string>): ModeResult {
  const [mode] = runScenario(scenarioOf(text, modes, files)).modes
  assert.ok(mode !== undefined)
  return mode
}

const findings = ({ checks }: ModeResult): readonly string[] =>
  checks.flatMap(({ name, passed, findings: found }) => (passed ? [] : [`${name}: ${found}`]))

t.test(
  'any workload and faults: quiet, as planned, no leak; the same seed the same trace',
  async (t) => {
    const any = fc.tuple(
      anyWorkload,
      fc.constantFrom('vxlan', 'route', 'vlan', '{ mode: route, announce: host }'),
    )
    holds(
      t,
      'any workload',
      any,
      ([workload, modes]) => {
        const text = `seed: ${workload.seed}\n${workloadText(workload)}\n${faultsText(workload)}`
        const files = filesOfAny(workload)
        const one = run(text, modes, files)
        assert.deepEqual(findings(one), [], `${modes} ${text}`)
        assert.equal(
          one.timeline?.workload.strandedEnd ?? 0,
          0,
          'nothing is stranded when all came back',
        )
        if (workload.seed % 4 === 0) assert.equal(run(text, modes, files).traceHash, one.traceHash)
      },
      { numRuns: 40 },
    )
  },
)

/** What the workload's figure says, but for the times. */
function figureOf(text: string): Omit<WorkloadFigure, 'addMedianMs' | 'addMaxMs'> {
  const result = run(text)
  assert.deepEqual(findings(result), [])
  assert.ok(result.timeline !== undefined)
  const { addMedianMs, addMaxMs, ...figure } = result.timeline.workload
  assert.ok(addMedianMs > 0 && addMedianMs <= addMaxMs)
  return figure
}
const CALM = { refused: 0, retried: 0, strandedPeak: 0, strandedEnd: 0 }

t.test('what is counted', async (t) => {
  t.strictSame(
    figureOf('workload: [{ kind: batch, pods: 9, lifetimeMs: 500 }]'),
    { added: 9, removed: 9, ...CALM },
    'a batch',
  )
  t.strictSame(
    figureOf('workload: [{ kind: statefulset, replicas: 3, restarts: 2 }]'),
    { added: 9, removed: 6, ...CALM },
    'a StatefulSet, nobody refused',
  )
  t.strictSame(
    figureOf(
      'workload: [{ kind: statefulset, replicas: 1, restarts: 0 }, { kind: drain, atMs: 9000, node: 0 }]',
    ),
    {
      added: 3,
      removed: 3,
      ...CALM,
      refused: 1,
      firstRefusal:
        'pod 11: Cannot allocate 10.42.0.35 in network pods: block 10.42.0.32/28 belongs to node node-0000, wanted node-0003',
      retried: 29,
    },
    'a replica that must move is refused, thirty times',
  )
  t.strictSame(
    figureOf(
      'workload: [{ kind: batch, atMs: 100, pods: 2 }]\nfaults: [{ kind: store, atMs: 50, forMs: 4000 }]',
    ),
    { added: 2, removed: 0, ...CALM, retried: 2 },
    'while the store is away an ADD fails, and succeeds ten seconds later',
  )
  t.strictSame(
    figureOf('faults: [{ kind: node, atMs: 100, forMs: 2000, node: 1 }]'),
    { added: 2, removed: 2, ...CALM, strandedPeak: 4 },
    'two pods of two addresses are lost with their node, and made anew on it',
  )
})

t.test('a replica has its addresses again', async (t) => {
  const scenario = scenarioOf('workload: [{ kind: statefulset, replicas: 2, restarts: 1 }]')
  const cluster = full(scenario)
  const before = new Map<number, readonly string[]>()
  const { recorded } = cluster.kubelets
  cluster.kubelets.recorded = (id, ips) => {
    before.set(id, ips)
    recorded.call(cluster.kubelets, id, ips)
  }
  runTimeline(cluster, scenario, timelineChance(scenario))
  t.strictSame([...before.keys()], [8, 9, 10, 11], 'two come, and come again from the highest')
  t.strictSame(before.get(10), before.get(9))
  t.strictSame(before.get(11), before.get(8))
  t.notSame(before.get(8), before.get(9))
})

t.test('what is stranded is what the store says', async (t) => {
  const scenario = scenarioOf(
    'times: { evictMs: 1000 }\nfaults: [{ kind: node, atMs: 100, node: 1 }]',
  )
  const cluster = full(scenario)
  const result = runTimeline(cluster, scenario, timelineChance(scenario))
  const living = new Set(cluster.pods().map(({ id }) => `pod-${id}`))
  const stranded = cluster.store.read((reader) =>
    [...reader.range(keys.addresses('pods'))].filter(
      ([, { containerId }]) => !living.has(containerId),
    ),
  )
  t.equal(stranded.length, 4)
  t.equal(result?.result.workload.strandedEnd, 4)
  t.equal(living.size, 8, 'they are elsewhere')
})

t.test(
  'a pod that waited for its node comes while the agent makes the nftables table',
  async (t) => {
    const trace = 'at_ms,action,pod,node\n500,add,a,1\n500,add,b,1\n'
    const text = `${BASE}modes: [vxlan, route]
workload: [{ kind: trace, file: x.csv }]
faults: [{ kind: node, atMs: 100, forMs: 2000, node: 1 }]`
    const scenario = parseScenario(text, 'x.yaml', { files: new Map([['x.csv', trace]]) })
    t.strictSame(runScenario(scenario).modes.flatMap(findings), [])
  },
)

t.test('two pods with one address are seen at the ADD', async (t) => {
  const scenario = scenarioOf('')
  const cluster = full(scenario)
  const [pod] = cluster.pods()
  const [ip] = pod?.attachment.ips ?? []
  assert.ok(pod !== undefined && ip !== undefined)
  // As if the store had forgotten it.
  const { network, containerId } = pod.attachment
  cluster.store.transact(
    (tx) => {
      tx.remove(keys.address(network, ip))
      tx.remove(keys.attachment(pod.node.record.name, pod.attachment))
    },
    () => {},
  )
  cluster.engine.run(() => false, cluster.engine.tick + 1e6)
  const action = { kind: 'add', atTick: 0, pod: 99, node: pod.node.index, requested: [ip] } as const
  cluster.kubelets.scheduled++
  cluster.kubelets.perform(action)
  cluster.engine.run(() => cluster.podsUnderWay === 0, cluster.engine.tick + 60e6)
  t.strictSame(cluster.kubelets.duplicates, [`${ip} is ${containerId}'s and given to pod-99`])
})

/** A cluster with its first pods. */
function full(scenario: Scenario): Cluster {
  const [mode] = scenario.modes
  assert.ok(mode !== undefined)
  const cluster = new Cluster(scenario, mode)
  const { engine, nodes } = cluster
  for (const { index } of nodes) engine.post(5000, EVENT.start, index, 0)
  engine.run(() => cluster.isQuiet, 60e6)
  for (let pod = 0; pod < 8; pod++) {
    cluster.podsUnderWay++
    engine.post(prng(pod).below(1e6), EVENT.podAdd, Math.floor(pod / 2), pod)
  }
  engine.run(() => cluster.isQuiet, 120e6)
  return cluster
}
