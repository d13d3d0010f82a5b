/** Mode vlan over macvlans: the product's planner on simulated nodes, and what stops its frames. */
import t from 'tap'
import { forward } from '../../simulator/forward.ts'
import { runScenario } from '../../simulator/run.ts'
import { parseScenario } from '../../simulator/scenario.ts'
import { Cluster } from '../../simulator/world.ts'
import type { KernelOp } from '../../src/kernel/mod.ts'
import { smallScenario } from './support.ts'

const BASE = `
nodes: 4
podsPerNode: 3
racks: 2
pools: [{ cidr: 10.42.0.0/20 }, { cidr: 'fd42::/112' }]
switch: { host: 1000, lpm: 1000, mac: 1000 }
modes:
  - vlan
  - { mode: vlan, attachment: macvlan }
  - { mode: vlan, attachment: macvlan, vlanId: 0 }
`

t.test('pods on macvlans reach each other, and nothing is left of them', async (t) => {
  const { modes } = runScenario(parseScenario(BASE, 'macvlan.yaml'))
  t.strictSame(
    modes.map(({ label }) => label),
    ['vlan', 'vlan macvlan', 'vlan macvlan untagged'],
  )
  for (const { label, reachability, checks } of modes) {
    t.equal(reachability.delivered, 12 * 11, label)
    for (const check of checks) t.ok(check.passed, `${label}: ${check.name} ${check.findings}`)
  }
  const peak = (mode: (typeof modes)[number] | undefined, role: string, table: string) =>
    mode?.tables.find((each) => each.role === role && each.table === table)?.demandPeak
  const [bridge, tagged, untagged] = modes
  // eth0; bridge and VLAN link and a pair's end a pod; VLAN link and the node's macvlan; that alone.
  t.strictSame(
    [bridge, tagged, untagged].map((mode) => peak(mode, 'node', 'links')),
    [6, 3, 2],
  )
  // A node is one station more where it has a macvlan of its own.
  t.strictSame(
    [bridge, tagged].map((mode) => peak(mode, 'tor', 'mac')),
    [4 + 12, 4 + 12 + 4],
  )
})

/** Pods 0 and 2 on the first node, 1 on the second. */
function settled() {
  const scenario = parseScenario(BASE.replace('podsPerNode: 3', 'podsPerNode: 2'), 'macvlan.yaml')
  const cluster = new Cluster(scenario, scenario.modes[2]!)
  return { scenario, cluster }
}

t.test('what stops a frame', async (t) => {
  const { cluster } = settled()
  const { engine } = cluster
  for (const node of cluster.nodes) node.start()
  engine.run(() => cluster.isQuiet, 60_000_000)
  const [one, two] = cluster.nodes
  for (const [id, node] of [one, two, one].entries()) node!.addPod(id)
  engine.run(() => one!.pods.size === 2 && two!.pods.size === 1, engine.tick + 60_000_000)
  engine.run(() => false, engine.tick + 60_000_000)
  const [first, beside, far] = [one!.pods.get(0)!, one!.pods.get(2)!, two!.pods.get(1)!]
  const way = (from: typeof first, to: typeof first) => {
    const answer = forward(cluster.world(), from, to.attachment.ips[0]!)
    return answer.kind === 'lost' ? answer.reason : answer.kind
  }
  const change = (node: typeof one, op: KernelOp) => t.equal(node!.kernel.apply(op), undefined)
  t.equal(way(first, beside), 'delivered')
  t.equal(way(first, far), 'delivered')

  const uplink = two!.kernel.link('eth0')!
  change(two, { kind: 'change', from: uplink, to: { ...uplink, up: false } })
  t.match(way(first, far), /nothing carries pod 1/)
  t.match(way(far, first), /what carries pod 1 is not up/)
  t.equal(way(first, beside), 'delivered', 'not their own uplink')
  change(two, { kind: 'change', from: { ...uplink, up: false }, to: uplink })
  t.equal(way(first, far), 'delivered')

  change(two, { kind: 'change', from: uplink, to: { ...uplink, mtuBytes: 1280 } })
  t.equal(far.kernel.link('eth0')?.mtuBytes, 1280, 'a macvlan follows its parent')
  t.match(way(first, far), /1500 bytes do not fit through eth0/)

  change(two, { kind: 'remove', object: uplink })
  t.equal(far.kernel.link('eth0'), undefined, 'and goes with it')
})

t.test('scenarios that make no sense', async (t) => {
  const modes = (text: string) => () => smallScenario(`modes: [${text}]`, ['modes'])
  t.throws(
    modes('{ mode: route, attachment: macvlan }'),
    /attachment: macvlan belongs to mode vlan/,
  )
  t.throws(modes('{ mode: vlan, vlanId: 0 }'), /vlanId: 0 is untagged: wanted attachment: macvlan/)
})
