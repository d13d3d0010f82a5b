/** The incremental planner against the whole one, on views that differ a little or a lot. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { planChange } from '../../src/backend/change.ts'
import { planNode } from '../../src/backend/plan.ts'
import type { ClusterView, Mode, NodeRecord } from '../../src/cluster/view.ts'
import { diff, identity, type KernelOp, step, subjectOf } from '../../src/kernel/mod.ts'
import { macFromName, parseIp, parsePrefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { claims, network, networkView, node, POOL_4, POOL_6, viewOf } from './views.ts'

const NODES = 12

/** What may happen to one peer between two views. */
type Event =
  | { readonly kind: 'join' | 'leave' | 'block' | 'unblock'; readonly node: number }
  | { readonly kind: 'renumber' | 'mac'; readonly node: number; readonly to: number }

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('join', 'leave', 'block', 'unblock'),
    node: fc.integer({ min: 1, max: NODES - 1 }),
  }),
  fc.record({
    kind: fc.constantFrom('renumber', 'mac'),
    node: fc.integer({ min: 1, max: NODES - 1 }),
    to: fc.integer({ min: 1, max: 200 }),
  }),
)

interface Shape {
  readonly mode: Mode
  readonly dual: boolean
  readonly lightweight: boolean
  readonly crossSubnet: boolean
}

const shape: fc.Arbitrary<Shape> = fc.record({
  mode: fc.constantFrom('vxlan', 'route', 'vlan'),
  dual: fc.boolean(),
  lightweight: fc.boolean(),
  crossSubnet: fc.boolean(),
})

/** A cluster as lists, which events change. */
interface Cluster {
  readonly records: Map<number, NodeRecord>
  /** Blocks by node. */
  readonly blocks: Map<number, Set<number>>
}

function happen({ records, blocks }: Cluster, event: Event): void {
  const own = blocks.get(event.node) ?? new Set()
  blocks.set(event.node, own)
  const record = records.get(event.node)
  switch (event.kind) {
    case 'join':
      records.set(event.node, record ?? node(event.node))
      own.add(event.node)
      return
    case 'leave':
      records.delete(event.node)
      own.clear()
      return
    case 'block':
      own.add(event.node + NODES)
      return
    case 'unblock':
      own.delete(event.node + NODES)
      return
    case 'renumber':
      if (record === undefined) return
      records.set(event.node, {
        ...record,
        underlayIps: [parseIp(`192.0.2.${event.to}`), parseIp(`2001:db8::${event.to}`)],
      })
      return
    case 'mac':
      if (record === undefined) return
      records.set(event.node, { ...record, vtepMac: macFromName(`other${event.to}`) })
  }
}

function viewFrom(cluster: Cluster, { mode, dual, lightweight, crossSubnet }: Shape): ClusterView {
  const pools = dual ? [POOL_4, POOL_6] : [POOL_4]
  const base = network(mode, { pools })
  const options = {
    ...base.options,
    crossSubnet,
    ...(lightweight ? { flavour: 'lightweight' as const } : {}),
  }
  const record = { ...base, options }
  const own = [...cluster.blocks].flatMap(([index, blocks]) =>
    claims(
      record,
      `n${index}`,
      [...blocks].sort((a, b) => a - b),
    ),
  )
  const sorted = own.sort((a, b) => (sortKey(a.cidr) < sortKey(b.cidr) ? -1 : 1))
  const empty = viewOf([{ ...networkView(record, 0), claims: sorted }], 0)
  const self = {
    ...(cluster.records.get(0) ?? node(0)),
    underlayPrefixes: [parsePrefix('192.0.2.0/25')],
  }
  const nodes = new Map([...cluster.records.values()].map((each) => [each.name, each]))
  return { ...empty, self, nodes: new Map(nodes).set(self.name, self) }
}

const sortKey = (cidr: string): string =>
  cidr.includes(':')
    ? `6${cidr.padStart(40)}`
    : cidr
        .split(/[./]/)
        .map((part) => part.padStart(3))
        .join('')

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
