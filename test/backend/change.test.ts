/** The incremental planner against the whole one, on views that differ a little or a lot. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { planChange } from '../../src/backend/change.ts'
import { planNode } from '../../src/backend/plan.ts'
import { diff, identity, type KernelOp, step, subjectOf } from '../../src/kernel/mod.ts'
import { holds } from '../support/property.ts'
import { type Cluster, event, happen, shape, viewFrom } from './cluster.ts'
import { claims, network, networkView, node, viewOf } from './views.ts'

const line = (op: KernelOp): string => `${op.kind} ${identity(subjectOf(op))}`

const counts = { steps: 0, wholes: 0 }

holds(
  t,
  'a step is what the whole comparison finds',
  fc.record({
    form: shape,
    past: fc.array(event, { maxLength: 30 }),
    now: fc.array(event, { minLength: 1, maxLength: 3 }),
  }),
  ({ form, past, now }) => {
    const cluster: Cluster = {
      records: new Map([[0, node(0)]]),
      blocks: new Map([[0, new Set([0])]]),
    }
    for (const each of past) happen(cluster, each)
    const before = viewFrom(cluster, form)
    for (const each of now) happen(cluster, each)
    const after = viewFrom(cluster, form)
    const change = planChange(before, after)
    if (change === undefined) {
      counts.wholes++
      return
    }
    counts.steps++
    const [planBefore, planAfter] = [planNode(before).desired, planNode(after).desired]
    const whole = diff(planAfter, planBefore).ops
    const steps = step(change.before, change.after)
    assert.deepEqual(steps.map(line).sort(), whole.map(line).sort())
    for (const [key, object] of change.before) assert.deepEqual(planBefore.get(key), object)
    for (const [key, object] of change.after) assert.deepEqual(planAfter.get(key), object)
  },
  { numRuns: 300 },
)
t.ok(counts.steps > 150, `${counts.steps} steps, ${counts.wholes} whole plans`)

t.test('a node that leaves does not take along who has its address now', async (t) => {
  for (const mode of ['vxlan', 'route'] as const) {
    const moved = node(2, { underlayIps: node(1).underlayIps })
    const before = viewOf([networkView(network(mode), 3)], 3, [moved])
    const nodes = new Map(before.nodes)
    nodes.delete('n1')
    const after = { ...before, nodes }
    const change = planChange(before, after)
    t.ok(change, mode)
    const ops = change && step(change.before, change.after).map(line)
    const whole = diff(planNode(after).desired, planNode(before).desired).ops.map(line)
    t.strictSame([...(ops ?? [])].sort(), [...whole].sort())
    t.notMatch(ops?.join(), /nodes4 192.0.2.1/)
  }
})

t.test('more than peers: only the whole plan tells', async (t) => {
  const record = network('vxlan')
  const view = viewOf([networkView(record, 3)], 3)
  t.ok(planChange(view, view), 'nothing changed')
  t.equal(planChange(view, { ...view, networks: [] }), undefined, 'a network less')
  t.equal(
    planChange(view, { ...view, self: { ...view.self, underlayMtuBytes: 1400 } }),
    undefined,
    'this node',
  )
  const wider = { ...record, options: { ...record.options, masquerade: false } }
  t.equal(planChange(view, viewOf([networkView(wider, 3)], 3)), undefined, 'an option')
  const own = networkView(record, 3)
  const more = { ...own, claims: [...own.claims, ...claims(record, 'n0', [9])] }
  t.equal(planChange(view, { ...view, networks: [more] }), undefined, 'an own block')
  const open = { from: 'pods', to: 'other', ports: [], createdMs: 0 }
  t.equal(planChange(view, { ...view, allows: [open] }), undefined, 'an opening')
})
