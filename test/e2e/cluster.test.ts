/** Nodes whose blocks come from a real etcd: what they do while it is there, away, killed, cut off. */
import t from 'tap'
import { pingAll } from '../../src/lab/reach.ts'
import { added, endpointOf, ipsOf, skip } from '../support/e2e.ts'
import { etcdMissing } from '../support/etcd.ts'
import { blocksOf, etcdLab } from '../support/etcd-lab.ts'

const missing = skip === false ? etcdMissing() : skip
if (missing !== undefined) {
  t.plan(0, missing)
  process.exit(0)
}

t.setTimeout(180_000)

t.test(
  'two nodes with a store each: blocks from etcd, and pods that reach each other',
  async (t) => {
    const cluster = await etcdLab(t)
    const { lab, nodes } = cluster
    await Promise.all(nodes.map((node) => cluster.start(node)))
    const pods = await Promise.all(
      [nodes[0]!, nodes[1]!, nodes[0]!].map((node) => lab.addPod(node)),
    )
    const results = await Promise.all(pods.map((pod) => added(lab, pod)))
    t.equal(new Set(results.flatMap(ipsOf)).size, 3, 'three addresses')
    for (const node of nodes) {
      const blocks = await blocksOf(cluster, node, (found) => found.length === 4)
      t.same(
        new Set(blocks.map((block) => block['node'])),
        new Set(['n1', 'n2']),
        `${node.name} knows both nodes' blocks, a spare one each`,
      )
    }
    const reached = await pingAll(pods.map((pod, index) => endpointOf(pod, results[index]!)))
    t.same(
      reached.filter(({ ok }) => !ok),
      [],
      'each reaches each',
    )
  },
)
