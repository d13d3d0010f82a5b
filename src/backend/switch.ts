/**
 * What a change of a network does on every node, without doing it: the planners of
 * all nodes, each of which sees what the others have said after their last step.
 *
 * @module
 */
import type { ClusterView, NetworkRecord, NodeRecord } from '../cluster/view.ts'
import { diff, type KernelOp, type KernelState } from '../kernel/mod.ts'
import { standings } from './moving.ts'
import { planNode } from './plan.ts'

/** What one node does. */
export interface NodeSwitch {
  readonly node: string
  /** Operations in order; each step when all nodes have done the one before. */
  readonly steps: readonly (readonly KernelOp[])[]
  /** What cannot be planned afterwards, and why. */
  readonly problems: readonly string[]
}

/** Opening a road, going over, closing the other; and one that finds nothing to do. */
const STEPS_MAX = 8

/**
 * The operations of every node when its network's record becomes `network`. Each
 * node is taken to hold what its view asks for now, and to have its agent.
 *
 * @param views One of each node, as the network is.
 */
export function planSwitch(
  views: readonly ClusterView[],
  network: NetworkRecord,
): readonly NodeSwitch[] {
  const nodes = new Map(views.map(({ self }) => [self.name, self]))
  const plans = views.map((view) => ({
    view,
    held: planNode(view).desired as KernelState,
    steps: [] as (readonly KernelOp[])[],
    problems: [] as readonly string[],
  }))
  for (let step = 0; step < STEPS_MAX; step++) {
    const told = new Map(nodes)
    let isOver = true
    for (const plan of plans) {
      const view = seeing(plan.view, network, nodes)
      const { desired, complete, problems } = planNode(view)
      const { ops } = diff(desired, plan.held)
      // As the agent does: nothing is removed on the strength of an incomplete plan.
      const done = complete ? ops : ops.filter(({ kind }) => kind !== 'remove')
      plan.steps.push(done)
      plan.held = complete ? desired : new Map([...plan.held, ...desired])
      plan.problems = problems
      const says: NodeRecord = { ...view.self, moves: standings(view) }
      if (JSON.stringify(says.moves) !== JSON.stringify(view.self.moves ?? {})) isOver = false
      if (done.length > 0) isOver = false
      told.set(says.name, says)
    }
    for (const [name, node] of told) nodes.set(name, node)
    if (isOver) break
  }
  return plans.map(({ view, steps, problems }) => ({
    node: view.self.name,
    steps: steps.slice(0, steps.findLastIndex((ops) => ops.length > 0) + 1),
    problems,
  }))
}

function seeing(
  view: ClusterView,
  network: NetworkRecord,
  nodes: ReadonlyMap<string, NodeRecord>,
): ClusterView {
  const networks = view.networks.map((each) =>
    each.network.name === network.name ? { ...each, network } : each,
  )
  return { ...view, networks, nodes, self: nodes.get(view.self.name) ?? view.self }
}
