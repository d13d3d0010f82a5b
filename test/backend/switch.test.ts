/** What a change of a network does on every node, printed before it is done. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { movedNetwork } from '../../ipam/moves.ts'
import { planNode } from '../../src/backend/plan.ts'
import { planSwitch } from '../../src/backend/switch.ts'
import type { ClusterView, NetworkRecord } from '../../src/cluster/view.ts'
import { commandsOf, identity, type KernelObject, subjectOf } from '../../src/kernel/mod.ts'
import { golden } from '../support/golden.ts'
import { holds } from '../support/property.ts'
import { attachment, network, networkView, node, POOL_4, POOL_6 } from './views.ts'

const PODS = [['c0ffee'], ['bad1', 'bad2'], []] as const

/** Three nodes with pods, each as it sees the cluster. */
function cluster(record: NetworkRecord): readonly ClusterView[] {
  const nodes = new Map(PODS.map((_, index) => [`n${index}`, node(index)]))
  return PODS.map((pods, index) => {
    const attached = pods.map((name, at) =>
      attachment(name, [`10.42.0.${64 * index + at + 5}`], { node: `n${index}` }),
    )
    const networks = [networkView(record, PODS.length, attached)]
    return { self: node(index), nodes, networks, allows: [] }
  })
}

/** As `network set` writes it. */
const moved = (before: NetworkRecord, after: NetworkRecord): NetworkRecord =>
  movedNetwork(before, after, [node(0), node(1), node(2)])

const RECORDS: Readonly<Record<string, NetworkRecord>> = {
  vxlan: network('vxlan'),
  lightweight: network('vxlan', {
    options: { vni: 1, vxlanPort: 4790, vlanId: 100, flavour: 'lightweight', anyKernel: true },
  }),
  route: network('route'),
  'vxlan, cross-subnet': network('vxlan', {
    options: { vni: 1, vxlanPort: 8472, vlanId: 100, crossSubnet: true },
  }),
}

t.test('as commands, node by node', async (t) => {
  const lines: string[] = []
  for (const [from, to] of [
    ['vxlan', 'route'],
    ['route', 'lightweight'],
    ['lightweight', 'vxlan'],
  ] as const) {
    const [before, after] = [RECORDS[from], RECORDS[to]]
    if (before === undefined || after === undefined) throw new Error('no such record')
    for (const { node, steps, problems } of planSwitch(cluster(before), moved(before, after))) {
      lines.push(`# ${from} to ${to}: node ${node}`)
      for (const ops of steps) lines.push(...ops.flatMap(commandsOf), '# then')
      lines.push(...problems, '')
    }
  }
  golden(t, 'backend-switch', lines.join('\n'))
})

t.test("a pod's end is set inside the pod, by whatever name its namespace has", async (t) => {
  const link = attachment('c0ffee', [], { netns: '/proc/42/ns/net' })
  const record = network('vxlan')
  const [view] = cluster(record).map((each) => ({
    ...each,
    networks: [networkView(record, 3, [link])],
  }))
  if (view === undefined) throw new Error('no view')
  const [plan] = planSwitch([view], network('route'))
  const lines = plan?.steps.flat().flatMap(commandsOf) ?? []
  t.ok(lines.includes('nsenter --net=/proc/42/ns/net ip link set dev eth0 mtu 1500'))
  t.ok(lines.includes(`ip link set dev ${link.hostLink} mtu 1500`))
})

const byIdentity = (left: KernelObject, right: KernelObject): number =>
  identity(left) < identity(right) ? -1 : 1

const name = fc.constantFrom(...Object.keys(RECORDS))

holds(
  t,
  'carried out, it is the plan of the network as it will be',
  fc.record({ from: name, to: name, dual: fc.boolean() }),
  ({ from, to, dual }) => {
    const pools = dual ? [POOL_4, POOL_6] : [POOL_4]
    const [before, after] = [RECORDS[from], RECORDS[to]]
    assert.ok(before !== undefined && after !== undefined)
    const views = cluster({ ...before, pools })
    const { move: _done, ...final } = moved({ ...before, pools }, { ...after, pools })
    const wanted = cluster(final)
    const plan = planSwitch(views, moved({ ...before, pools }, { ...after, pools }))
    for (const [index, { steps }] of plan.entries()) {
      const kernel = new Map<string, KernelObject>(planNode(views[index] as ClusterView).desired)
      for (const op of steps.flat()) {
        const object = subjectOf(op)
        if (op.kind === 'remove') kernel.delete(identity(object))
        else kernel.set(identity(object), object)
      }
      const all = [...planNode(wanted[index] as ClusterView).desired.values()]
      assert.deepEqual([...kernel.values()].sort(byIdentity), all.sort(byIdentity))
    }
  },
  { numRuns: 60 },
)
