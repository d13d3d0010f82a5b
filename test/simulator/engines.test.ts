/** Which engine runs what, and what each refuses. */
import t from 'tap'
import { planCompare, runCompare } from '../../simulator/compare.ts'
import { engineFor, runWith, withEngine } from '../../simulator/engine.ts'
import { memoryNeeded } from '../../simulator/memory.ts'
import { scenarioSchema } from '../../simulator/scenario.ts'

const small = scenarioSchema.parse({
  nodes: 6,
  racks: 2,
  podsPerNode: 2,
  pools: [{ cidr: '10.0.0.0/8' }],
  modes: ['vxlan', 'route'],
  switch: { lpm: 100, host: 100, mac: 100 },
})
const large = { ...small, nodes: 5000, racks: 100 }

t.test('auto takes the exact one where it can, the scaled one where it must', async (t) => {
  t.equal(engineFor(small), 'exact')
  t.equal(engineFor(large), 'scaled')
  t.equal(engineFor(withEngine(small, 'scaled')), 'scaled')
  t.equal(engineFor(withEngine(large, 'exact')), 'exact')
  t.equal(
    engineFor({ ...large, allow: [{ from: 'a', to: 'b', ports: [] }] }),
    'exact',
    'the scaled one does not know it',
  )
})

t.test('what an engine does not take is an error that names the other', async (t) => {
  t.throws(() => runWith('exact', large), {
    code: 'BAD_CONFIG',
    message: /5000 nodes with 10000 pods: the exact engine holds 2000 and 200000/,
    details: /--engine scaled/,
  })
  t.throws(() => runWith('scaled', { ...small, allow: [{ from: 'a', to: 'b', ports: [] }] }), {
    code: 'BAD_CONFIG',
    message: /allow in the scaled engine/,
    details: /--engine exact/,
  })
})

t.test('a result says which engine ran', async (t) => {
  const [exact, scaled] = [runWith('auto', small), runWith('scaled', small)]
  t.strictSame(
    exact.modes.map(({ engine }) => engine.kind),
    ['exact', 'exact'],
  )
  for (const { engine, reachability, traceHash, podsAdded } of scaled.modes) {
    t.equal(engine.kind, 'scaled')
    t.equal(podsAdded, 12)
    t.equal(reachability, undefined, 'it knows no packets')
    t.equal(traceHash, undefined)
  }
})

t.test('a comparison leaves out what the scaled engine does not know', async (t) => {
  const one = withEngine({ ...small, modes: small.modes.slice(0, 1) }, 'scaled')
  const plan = planCompare(one, undefined, undefined)
  const left = plan.skipped.find(({ label }) => label === 'route racks')
  t.match(left?.reason, /announce in the scaled engine/)
  const [run] = runCompare(plan).runs
  t.ok(run?.result.modes.every(({ engine }) => engine.kind === 'scaled'))
  t.ok(run?.result.modes.some(({ label }) => label === 'route /32'))
})

t.test('memory is counted by the engine that will run', async (t) => {
  t.ok(memoryNeeded(large) < 1e9)
  const most = { ...large, nodes: 2000, racks: 40, podsPerNode: 100 }
  t.ok(memoryNeeded(withEngine(most, 'exact')) > 10 * memoryNeeded(withEngine(most, 'scaled')))
  const speaking = { ...large.routing, protocol: 'bgp', sessions: 'reflectors' } as const
  const spoken = memoryNeeded({ ...large, routing: speaking }) - memoryNeeded(large)
  t.ok(spoken > 1e8 && spoken < 2e8, 'two sessions a node')
  t.throws(() => memoryNeeded(withEngine(large, 'exact')), { message: /the exact engine holds/ })
})
