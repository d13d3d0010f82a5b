/**
 * What a change of a network does on every node, without doing it.
 *
 * @module
 */
import type { ClusterView, NetworkRecord } from '../cluster/view.ts'
import { diff, type KernelOp } from '../kernel/mod.ts'
import { planNode } from './plan.ts'

/** What one node does, in order. */
export interface NodeSwitch {
  readonly node: string
  readonly ops: readonly KernelOp[]
  /** What cannot be planned afterwards, and why. */
  readonly problems: readonly string[]
}

/**
 * The operations of every node when its network's record becomes `network`. Each
 * node is taken to hold what its view asks for now.
 *
 * @param views One of each node, as the network is.
 */
export function planSwitch(
  views: readonly ClusterView[],
  network: NetworkRecord,
): readonly NodeSwitch[] {
  return views.map((view) => {
    const after = planNode(withNetwork(view, network))
    const { ops } = diff(after.desired, planNode(view).desired)
    // As the agent does: nothing is removed on the strength of an incomplete plan.
    const done = after.complete ? ops : ops.filter(({ kind }) => kind !== 'remove')
    return { node: view.self.name, ops: done, problems: after.problems }
  })
}

function withNetwork(view: ClusterView, network: NetworkRecord): ClusterView {
  const networks = view.networks.map((each) =>
    each.network.name === network.name ? { ...each, network } : each,
  )
  return { ...view, networks }
}
