/** A node whose way to the store is cut keeps what it knows, is told once afterwards, and fails in words. */

import t from 'tap'
import { keys } from '../../ipam/keys.ts'
import { checkConverged } from '../../simulator/checkers/converged.ts'
import { EVENT } from '../../simulator/clock.ts'
import { Cluster } from '../../simulator/world.ts'
import { smallScenario } from './support.ts'

const FOREVER = 600e6

/** Six nodes, each with a pod, at rest. */
function started(): Cluster {
  const scenario = smallScenario()
  const cluster = new Cluster(scenario, scenario.modes[0]!)
  for (const { index } of cluster.nodes) cluster.engine.post(5000, EVENT.start, index, 0)
  cluster.engine.run(() => cluster.isQuiet, FOREVER)
  for (let node = 0; node < 6; node++) add(cluster, node, node)
  cluster.engine.run(() => cluster.isQuiet, FOREVER)
  return cluster
}

function add(cluster: Cluster, node: number, pod: number): void {
  cluster.podsUnderWay++
  cluster.engine.post(1000, EVENT.podAdd, node, pod)
}

/** Lets a node write something that every other one reads. */
function claim(cluster: Cluster, node: number, note: string): void {
  const { storeLinks, nodes, engine } = cluster
  const { record } = nodes[node]!
  storeLinks.view(node).transact(
    (tx) => tx.put(keys.node(record.name), { ...record, version: note } as typeof record),
    () => {},
  )
  engine.run(() => false, engine.tick + 1_000_000)
}

t.test('what a node does while it is cut off fails, and says where', async (t) => {
  const cluster = started()
  const { engine, storeLinks } = cluster
  storeLinks.setReachable(3, false)
  t.notOk(storeLinks.isReachable(3))
  const beginTick = engine.tick
  add(cluster, 3, 33)
  add(cluster, 2, 22)
  engine.run(() => cluster.podsUnderWay === 0, FOREVER)
  t.equal(engine.tick - beginTick, 1000 + 5_000_000, 'five seconds after it was asked')
  t.strictSame(cluster.refusals.first, [
    'Cannot reach the store from node-0003: no answer in 5000 ms, wanted one',
  ])
  t.ok(cluster.node(2).pods.has(22), 'others go on')
  t.notOk(cluster.node(3).pods.has(33))
})

t.test('a request that is on its way when the way is cut is not carried out', async (t) => {
  const cluster = started()
  const { engine, storeLinks, store } = cluster
  const beginTick = engine.tick
  let answer = ''
  storeLinks.view(1).transact(
    (tx) => tx.put(keys.sequence('lost'), 7),
    (outcome) => {
      answer = `${outcome.kind} after ${engine.tick - beginTick}`
    },
  )
  storeLinks.setReachable(1, false)
  engine.run(() => answer !== '', FOREVER)
  t.equal(answer, 'failed after 5000000')
  t.equal(
    store.read((reader) => reader.get(keys.sequence('lost'))),
    undefined,
  )
})

t.test('notes are held back and become one', async (t) => {
  const cluster = started()
  const { engine, storeLinks } = cluster
  const node = cluster.node(4)
  const before = node.version
  storeLinks.setReachable(4, false)
  for (const note of ['a', 'b', 'c']) claim(cluster, 0, note)
  t.equal(node.version, before, 'it hears nothing')
  const known = () =>
    storeLinks.view(4).read((reader) => reader.get(keys.node('node-0000'))) as { version?: string }
  t.equal(known().version, undefined, 'and reads what it knew')
  t.ok(cluster.isQuiet, 'it does what it can')
  storeLinks.setReachable(4, true)
  t.equal(node.version, before + 1)
  t.equal(known().version, 'c')
  t.notOk(cluster.isQuiet)
  engine.run(() => cluster.isQuiet, FOREVER)
  t.ok(checkConverged(cluster, smallScenario()).passed)

  const after = node.version
  storeLinks.setReachable(4, false)
  t.equal(known().version, 'c', 'the second time it knows more')
  storeLinks.setReachable(4, true)
  t.equal(node.version, after, 'nothing missed, nothing told')
})

t.test(
  'a block that a node could not hear of has no route there until its way is mended',
  async (t) => {
    const cluster = started()
    const { engine, storeLinks } = cluster
    storeLinks.setReachable(5, false)
    const routes = (): number =>
      [...cluster.node(5).kernel.objects()].filter((object) => object.kind === 'route').length
    const before = routes()
    // More pods than a block of 64 holds and its spare.
    for (let pod = 100; pod < 230; pod++) add(cluster, 0, pod)
    engine.run(() => cluster.isQuiet, FOREVER)
    engine.run(() => false, engine.tick + 30_000_000)
    t.equal(routes(), before, 'not even by its own timer')
    storeLinks.setReachable(5, true)
    engine.run(() => cluster.isQuiet, FOREVER)
    t.ok(routes() > before)
    t.ok(checkConverged(cluster, smallScenario()).passed)
  },
)
