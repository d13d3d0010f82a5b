/** A plan that is carried on from view to view against one that is made of each view. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { planNode } from '../../src/backend/plan.ts'
import { nodePlanner } from '../../src/backend/planner.ts'
import type { ClusterView, NodeRecord } from '../../src/cluster/view.ts'
import { parseIp } from '../../src/net/mod.ts'
import { finish } from '../../src/steps.ts'
import { holds } from '../support/property.ts'
import { type Cluster, event, happen, type Shape, shape, viewFrom } from './cluster.ts'
import { attachment, network, networkView, node, viewOf } from './views.ts'

/** What happens between two looks of n0. */
type Doing =
  | { readonly kind: 'peers'; readonly events: readonly Parameters<typeof happen>[1][] }
  /** A pod of n0 comes, or goes when it is there. */
  | { readonly kind: 'pod'; readonly at: number }
  /** A second block of n0 comes or goes. */
  | { readonly kind: 'own' }
  /** The network itself is another. */
  | { readonly kind: 'shape'; readonly form: Shape }

const form: fc.Arbitrary<Shape> = fc
  .tuple(shape, fc.nat(4))
  .map(([each, size]) => ({ ...each, tiny: size === 0 }))

const doing: fc.Arbitrary<Doing> = fc.oneof(
  { weight: 6, arbitrary: peersDo() },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pod'), at: fc.constantFrom(0, 5, 12) }) },
  { weight: 1, arbitrary: fc.constant<Doing>({ kind: 'own' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('shape'), form }) },
)

function peersDo(): fc.Arbitrary<Doing> {
  const events = fc.array(event, { minLength: 1, maxLength: 3 })
  return fc.record({ kind: fc.constant('peers'), events })
}

const counts = { carried: 0, wholes: 0, steps: 0 }

holds(
  t,
  'a plan that is carried on is the plan of the view',
  fc.record({
    form,
    /** Whether a store hands out the same records again. */
    shares: fc.boolean(),
    rounds: fc.array(fc.record({ doing, isLook: fc.boolean() }), { minLength: 20, maxLength: 40 }),
  }),
  ({ form: first, shares, rounds }) => {
    const planner = nodePlanner()
    const seen = new Map<string, unknown>()
    const pods = new Set<number>()
    const cluster: Cluster = {
      records: new Map([[0, node(0)]]),
      blocks: new Map([[0, new Set([0])]]),
    }
    let now = first
    for (const { doing, isLook } of rounds) {
      if (doing.kind === 'peers') for (const each of doing.events) happen(cluster, each)
      else if (doing.kind === 'pod') toggle(pods, doing.at)
      else if (doing.kind === 'own') toggle(cluster.blocks.get(0) ?? new Set(), 12)
      else now = doing.form
      const whole = withPods(viewFrom(cluster, now), pods)
      const view = shares ? sharing(whole, seen) : whole
      if (isLook) {
        if (planner.step(view) !== undefined) counts.steps++
        continue
      }
      const { desired } = planner.plan
      // In pieces it is the same plan.
      const carried = finish(planner.planWholeIn(view, 3))
      if (carried.desired === desired) counts.carried++
      else counts.wholes++
      // Of records that nobody has planned from.
      assertSame(carried, planNode(structuredClone(view)))
    }
  },
  { numRuns: 150 },
)
t.ok(Math.min(...Object.values(counts)) > 100, JSON.stringify(counts))

t.test('what plans of several nodes share fits each of them', async (t) => {
  for (const mode of ['vxlan', 'route', 'vlan'] as const) {
    const records = viewOf([networkView(network(mode), 3, [attachment('a', ['10.42.0.5'])])], 3)
    const selves: readonly Partial<NodeRecord>[] = [
      {},
      { underlayIps: [parseIp('2001:db8::9')] },
      { underlayLink: 'bond0' },
      { underlayMtuBytes: 9000 },
    ]
    for (const change of [...selves, ...selves]) {
      const view = { ...records, self: { ...records.self, ...change } }
      assertSame(planNode(view), planNode(structuredClone(view)))
    }
  }
  t.pass('in every mode')
})

t.test('now and then all of it is planned', async (t) => {
  const planner = nodePlanner()
  const cluster = { records: new Map([[0, node(0)]]), blocks: new Map([[0, new Set([0])]]) }
  const form = { mode: 'route', dual: false, lightweight: false, crossSubnet: false } as const
  const plans = Array.from(
    { length: 100 },
    () => planner.planWhole(viewFrom(cluster, form)).desired,
  )
  const { size } = new Set(plans)
  t.ok(size > 1 && size < 10, `${size} of 100 plans are whole`)
})

function toggle(set: Set<number>, item: number): void {
  if (!set.delete(item)) set.add(item)
}

/** The pods of n0, by the last number of their address; in tiny blocks the address is a block's. */
function withPods(view: ClusterView, pods: ReadonlySet<number>): ClusterView {
  const attachments = [...pods].map((at) => attachment(`pod${at}`, [`10.42.0.${at}`]))
  return { ...view, networks: view.networks.map((network) => ({ ...network, attachments })) }
}

/** The same, with records that were there before as the objects that they were. */
function sharing(view: ClusterView, seen: Map<string, unknown>): ClusterView {
  const same = <T>(value: T): T => {
    const text = JSON.stringify(value)
    if (!seen.has(text)) seen.set(text, value)
    return seen.get(text) as T
  }
  const networks = view.networks.map((network) => ({
    network: same(network.network),
    claims: same(network.claims.map(same)),
    attachments: network.attachments.map(same),
  }))
  const nodes = new Map([...view.nodes].map(([name, each]) => [name, same(each)]))
  return { ...view, self: same(view.self), nodes, networks }
}

function assertSame(found: ReturnType<typeof planNode>, wanted: ReturnType<typeof planNode>): void {
  const sorted = ({ desired }: typeof found): unknown =>
    [...desired].sort(([left], [right]) => (left < right ? -1 : 1))
  assert.deepEqual(sorted(found), sorted(wanted))
  assert.equal(found.complete, wanted.complete)
  assert.deepEqual(found.problems, wanted.problems)
}
