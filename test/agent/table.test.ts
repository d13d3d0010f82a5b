/** Pods that come while the agent makes the nftables table. */
import t from 'tap'
import { podsPlan } from '../../src/backend/planner.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import type { KernelObject } from '../../src/kernel/mod.ts'
import { attachment, network, networkView, viewOf } from '../backend/views.ts'
import { World } from './script.ts'

const ROUTED = viewOf([networkView(network('route'), 2)], 2)
const ROUND = ['kernel.observe', 'store.read'] as const

/** The same with one pod on the node. */
function withPod(view: ClusterView): ClusterView {
  const attachments = [attachment('c0ffee', ['10.42.0.5'])]
  return { ...view, networks: view.networks.map((network) => ({ ...network, attachments })) }
}

t.test(
  'a pod that came while the nftables table was made: its elements are looked for',
  async (t) => {
    const world = new World()
    world.view = ROUTED
    world.until(0)
    world.take()
    world.view = withPod(ROUTED)
    // ADD found no table, and left its elements to us.
    world.feed({ kind: 'store.changed' })
    world.until(100)
    t.strictSame(world.take(), ['store.read', ...ROUND])
  },
)

t.test('a pod whose link was not there when the table was made: another round', async (t) => {
  const world = new World()
  world.view = withPod(ROUTED)
  world.until(0)
  t.equal(world.take().includes('kernel.apply'), true)
  world.until(100)
  t.strictSame(world.take(), ROUND)
  world.until(200)
  t.strictSame(world.take(), [], 'and that is all')
})

/** The pod's own objects, its link first. */
function planPod(view: ClusterView): readonly [KernelObject, ...KernelObject[]] {
  const [first, ...rest] = podsPlan(view)().values()
  if (first === undefined) throw new Error('a pod has a link')
  return [first, ...rest]
}

t.test('elements given to a pod that was going: they are looked for once more', async (t) => {
  const world = new World()
  world.view = ROUTED
  world.until(0)
  world.until(100)
  // Its link was still there when we looked; by now a DEL of another process has
  // removed the link and closed the elements, and is about to forget the record.
  world.view = withPod(ROUTED)
  const [pod] = planPod(world.view)
  world.holds([...world.kernel.values(), pod])
  world.feed({ kind: 'kernel.changed' })
  world.until(200)
  t.ok(world.applied.some(({ kind }) => kind === 'add'))
  world.take()
  world.view = ROUTED
  world.feed({ kind: 'store.changed' })
  world.until(300)
  t.strictSame(world.take(), ['store.read', ...ROUND, 'kernel.apply', 'report applied'])
  t.ok(
    world.applied.some(({ kind }) => kind === 'remove'),
    'and they go',
  )
  world.feed({ kind: 'store.changed' })
  world.until(400)
  t.strictSame(world.take(), ['store.read'], 'and that is all')
})
