/** Plans of workloads: one of each kind in words, and what no plan may do. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parseScenario, type Scenario } from '../../simulator/scenario.ts'
import type { PodAction } from '../../simulator/timeline/action.ts'
import { planFaults } from '../../simulator/timeline/faults.ts'
import { Fewest } from '../../simulator/timeline/fewest.ts'
import { reachChanges } from '../../simulator/timeline/reach.ts'
import { initialPods, planWorkload, timelineChance } from '../../simulator/timeline/workload.ts'
import { golden } from '../support/golden.ts'
import { holds } from '../support/property.ts'
import { anyWorkload, faultsText, filesOfAny, workloadText } from './workload-any.ts'

const BASE = `nodes: 4
podsPerNode: 2
racks: 2
pools: [{ cidr: 10.42.0.0/16 }]
modes: [vxlan]
switch: { profile: trident3-default }
times: { podsPerSecond: 10 }
`
const FILES = new Map([
  ['x.csv', 'at_ms,action,pod,node\n0,add,a,\n20,add,b,node-0001\n35,remove,a,\n35,add,a,\n'],
  [
    'x.json',
    JSON.stringify({
      kind: 'List',
      items: [
        podOn('y', '2026-03-02T08:00:00Z', 'web-1'),
        podOn('x', '2026-03-01T08:00:00Z', 'db-0', 'StatefulSet'),
        podOn('x', '2026-03-03T08:00:00Z', 'log-1', 'DaemonSet'),
      ],
    }),
  ],
])

function podOn(nodeName: string, creationTimestamp: string, name: string, owner?: string) {
  const ownerReferences = owner === undefined ? [] : [{ kind: owner }]
  return {
    kind: 'Pod',
    metadata: { name, namespace: 'n', creationTimestamp, ownerReferences },
    spec: { nodeName },
    status: { phase: 'Running' },
  }
}

const scenarioOf = (
  text: string,
  base = BASE,
  files: ReadonlyMap<string, string> = FILES,
): Scenario => parseScenario(`${base}${text}`, 'x.yaml', { files })

function planOf(scenario: Scenario): readonly PodAction[] {
  const chance = timelineChance(scenario)
  return planWorkload(
    scenario,
    planFaults(scenario, chance.fork('faults')),
    chance.fork('workload'),
  )
}

function wordsOf(action: PodAction): string {
  const at = `at ${action.atTick / 1e6} s ${action.kind} pod ${action.pod}`
  if (action.kind === 'remove') return at
  const node = `node-${String(action.node).padStart(4, '0')}`
  const heir = action.heirOf === undefined ? '' : ` as heir of pod ${action.heirOf}`
  const after = action.after === undefined ? '' : ` after pod ${action.after}`
  return `${at} on ${node}${heir}${after}`
}

/** Eight pods, 0 to 7, are on four nodes, two each. */
const EXAMPLES: readonly (readonly [title: string, text: string])[] = [
  ['poisson', 'workload: [{ kind: poisson, forMs: 1000, perSecond: 5, lifetimeMs: 300 }]'],
  ['batch', 'workload: [{ kind: batch, atMs: 500, pods: 5, spreadMs: 100, lifetimeMs: 250 }]'],
  [
    'rolling, one more at a time',
    'workload: [{ kind: rolling, pods: 3, surge: 1, unavailable: 0, readyMs: 1000 }]',
  ],
  [
    'rolling, one fewer at a time',
    'workload: [{ kind: rolling, pods: 3, surge: 0, unavailable: 1, readyMs: 1000 }]',
  ],
  [
    'rolling, a quarter as Deployments have it',
    'workload: [{ kind: rolling, pods: 8, readyMs: 1000 }]',
  ],
  ['statefulset', 'workload: [{ kind: statefulset, replicas: 3, restarts: 1, readyMs: 100 }]'],
  ['drain', 'workload: [{ kind: drain, nodes: [node-0001, 2], eachMs: 100, forMs: 300 }]'],
  ['restart', 'workload: [{ kind: restart, atMs: 1000, share: 0.5 }]'],
  ['trace', 'workload: [{ kind: trace, atMs: 1000, file: x.csv }]'],
  ['kubernetes', 'workload: [{ kind: kubernetes, atMs: 1000, file: x.json }]'],
  [
    'kubernetes as the first pods, then a drain: the daemon stays',
    'workload: [{ kind: kubernetes, file: x.json, fill: true }, { kind: drain, node: 0 }]',
  ],
  [
    'a node that returns in time: its pods are made anew there',
    'faults: [{ kind: node, atMs: 100, forMs: 200, node: 1 }]',
  ],
  [
    'a node that returns too late: its pods are elsewhere, the old ones go when it is back',
    'faults: [{ kind: node, atMs: 100, forMs: 400000, node: 1 }]',
  ],
  [
    'a rack that is cut off: nothing new goes there, removals wait',
    'workload: [{ kind: rolling, atMs: 1000, pods: 8, surge: 0, unavailable: 8, readyMs: 0 }]\nfaults: [{ kind: partition, atMs: 100, forMs: 5000, racks: [1] }]',
  ],
  [
    'a replica whose node dies: nobody makes a second one elsewhere',
    'workload: [{ kind: statefulset, replicas: 1, restarts: 0 }]\nfaults: [{ kind: node, atMs: 100, forMs: 400000, node: 0 }]',
  ],
  [
    'every node cordoned: pods wait until one takes them',
    'workload: [{ kind: drain, nodes: [0, 1, 2, 3], eachMs: 50, forMs: 1000 }]',
  ],
]

t.test('one of each kind, in words', async (t) => {
  const sections = EXAMPLES.map(([title, text]) => {
    const base = text.includes('fill') ? BASE.replace('podsPerNode: 2', 'podsPerNode: 0') : BASE
    const actions = planOf(scenarioOf(text, base)).map(wordsOf)
    return [`# ${title}`, ...text.split('\n').map((line) => `#   ${line}`), ...actions, ''].join(
      '\n',
    )
  })
  const head =
    '# What a workload asks for. Pods 0 to 7 are on nodes 0 to 3, two each; racks 0 and 1.\n'
  golden(t, 'workload', [head, ...sections].join('\n'))
})

t.test('the same seed plans the same, another one something else', async (t) => {
  const text = 'workload: [{ kind: poisson, forMs: 5000, perSecond: 20, lifetimeMs: 500 }]'
  const [one, two, other] = [text, text, `seed: 2\n${text}`].map((each) => planOf(scenarioOf(each)))
  t.strictSame(one, two)
  t.notSame(one, other)
})

t.test('Fewest answers as a search does', async (t) => {
  const changes = fc.array(fc.tuple(fc.nat(6), fc.option(fc.nat(3), { nil: undefined })))
  holds(
    t,
    'after any changes',
    fc.tuple(fc.integer({ min: 1, max: 7 }), changes),
    ([length, all]) => {
      const fewest = new Fewest(length)
      const counts: (number | undefined)[] = Array.from({ length }, () => undefined)
      for (const [index, count] of all) {
        if (index >= length) continue
        fewest.set(index, count)
        counts[index] = count
        let best: number | undefined
        for (const [at, value] of counts.entries()) {
          if (value !== undefined && value < (counts[best ?? -1] ?? Number.POSITIVE_INFINITY))
            best = at
        }
        assert.equal(fewest.first, best)
      }
    },
  )
})

t.test(
  'no plan adds twice, removes what is not there, or talks to a node that is away',
  async (t) => {
    holds(
      t,
      'any workload and faults',
      anyWorkload,
      (any) => {
        const text = `seed: ${any.seed}\n${workloadText(any)}\n${faultsText(any)}`
        const scenario = scenarioOf(text, BASE, filesOfAny(any))
        checkPlan(scenario, planOf(scenario))
      },
      { numRuns: 300 },
    )
  },
)

function checkPlan(scenario: Scenario, actions: readonly PodAction[]): void {
  const changes = reachChanges(
    scenario,
    planFaults(scenario, timelineChance(scenario).fork('faults')),
  )
  const away = (node: number, tick: number): boolean =>
    changes
      .filter(({ nodes, atTick }) => nodes.includes(node) && atTick <= tick)
      .reduce((count, { up }) => count + (up ? -1 : 1), 0) > 0
  const living = new Map(initialPods(scenario).map(({ node }, pod) => [pod, node]))
  const seen = new Set(living.keys())
  let last = 0
  for (const action of actions) {
    const words = wordsOf(action)
    assert.ok(action.atTick >= last && Number.isInteger(action.atTick), `${words}: after ${last}`)
    last = action.atTick
    if (action.kind === 'add') {
      assert.ok(!seen.has(action.pod), `${words}: a number of its own`)
      seen.add(action.pod)
      living.set(action.pod, action.node)
      const former = action.heirOf ?? action.after
      assert.ok(former === undefined || !living.has(former), `${words}: the other one goes first`)
    }
    const node = living.get(action.pod)
    assert.ok(node !== undefined, `${words}: it is there`)
    assert.ok(!away(node, action.atTick), `${words}: while node ${node} is away`)
    if (action.kind === 'remove') living.delete(action.pod)
  }
}

t.test('a rolling deploy stays between its fences', async (t) => {
  const sizes = fc.record({
    pods: fc.integer({ min: 1, max: 8 }),
    surge: fc.integer({ min: 0, max: 9 }),
    unavailable: fc.integer({ min: 0, max: 9 }),
    readyMs: fc.constantFrom(0, 1, 700),
  })
  holds(t, 'any fences', sizes, (step) => {
    if (step.surge + step.unavailable === 0) return
    const scenario = scenarioOf(`workload: [${JSON.stringify({ kind: 'rolling', ...step })}]`)
    const actions = planOf(scenario)
    const others = 8 - step.pods
    const added = new Map<number, number>()
    const old = new Set(Array.from({ length: 8 }, (_, pod) => pod))
    for (const action of actions) {
      if (action.kind === 'add') added.set(action.pod, action.atTick)
      else assert.ok(old.delete(action.pod), 'only old ones go')
      assert.ok(old.size + added.size - others <= step.pods + step.surge, 'not too many')
      const ready = [...added.values()].filter(
        (tick) => tick + step.readyMs * 1000 <= action.atTick,
      )
      assert.ok(
        old.size + ready.length - others >= step.pods - step.unavailable,
        'enough are ready',
      )
    }
    assert.equal(added.size, step.pods)
    assert.equal(old.size, others, 'all old ones are gone')
  })
})
