/**
 * The whole node: every network by its own road, in one desired state.
 *
 * @module
 */
import type { ClusterView, NetworkRecord, NetworkView, NodeRecord } from '../cluster/view.ts'
import { asTriviumError } from '../errors.ts'
import { identity, type KernelObject } from '../kernel/mod.ts'
import { finish, type Steps } from '../steps.ts'
import type { Desired } from './backend.ts'
import { firewallIn } from './firewall.ts'
import { type Moving, movingOf, roadsOf } from './moving.ts'
import { peersOf } from './peers.ts'
import { backends } from './registry.ts'

/** What a node's kernel should hold, and what could not be planned. */
export interface NodePlan {
  /** Made for the caller, who may go on from it. */
  readonly desired: Map<string, KernelObject>
  /**
   * Whether every network could be planned. If not, what is missing from
   * `desired` may be in use: nothing may be removed on the strength of it.
   */
  readonly complete: boolean
  readonly problems: readonly string[]
}

/**
 * Plans every network. One that cannot be planned becomes a problem and does
 * not harm the others; objects that several networks want alike (forwarding)
 * are planned once.
 */
export const planNode = (view: ClusterView): NodePlan => finish(planNodeIn(view))

/** The same with a pause after about every `slice` objects. */
export function* planNodeIn(view: ClusterView, slice = Number.POSITIVE_INFINITY): Steps<NodePlan> {
  const desired = new Map<string, KernelObject>()
  const problems: string[] = []
  const roads: NetworkView[] = []
  let complete = true
  for (const network of view.networks) {
    roads.push(...roadsOf(network, view))
    const plan = yield* planNetwork(network, view, slice)
    if (plan.objects.length === 0 && plan.problems.length > 0) complete = false
    problems.push(...plan.problems.map((problem) => `network ${network.network.name}: ${problem}`))
    yield* put(desired, plan.objects, slice)
  }
  yield* put(desired, yield* firewallIn(view, slice, roads), slice)
  return { desired, complete, problems }
}

/**
 * Why this node has no road for the network, with or without peers; undefined
 * when it has one. Small and cheap: a plan of a node alone.
 */
export function roadProblem(network: NetworkRecord, self: NodeRecord): string | undefined {
  const alone = { network, claims: [], attachments: [] }
  const view = { self, nodes: new Map(), networks: [alone], allows: [] }
  return finish(planNetwork(alone, view)).problems[0]
}

/**
 * The part of the plan that comes and goes with this node's pods, so that a pod
 * costs no plan of the whole node.
 */
export function planPods(view: ClusterView): ReadonlyMap<string, KernelObject> {
  const objects = new Map<string, KernelObject>()
  for (const network of view.networks) {
    try {
      const [road = network] = roadsOf(network, view)
      const pods = backends[road.network.mode].pods(road, view)
      for (const object of pods) objects.set(identity(object), object)
    } catch {
      // A network that cannot be planned is reported by the plan of the node.
    }
  }
  return objects
}

function* planNetwork(
  network: NetworkView,
  view: ClusterView,
  slice = Number.POSITIVE_INFINITY,
): Steps<Desired> {
  try {
    const moving = movingOf(network, view)
    if (moving !== undefined) return yield* planMoving(network, moving, view, slice)
    const { own, hasPeers, peer } = backends[network.network.mode]
    const plan = own(network, view)
    if (!hasPeers || (plan.objects.length === 0 && plan.problems.length > 0)) return plan
    const [objects, problems] = [[...plan.objects], [...plan.problems]]
    let seen = 0
    for (const each of peersOf(network, view)) {
      if (++seen % slice === 0) yield
      const way = peer(each, network, view)
      for (const object of way.objects) objects.push(object)
      for (const problem of way.problems) problems.push(problem)
    }
    return { objects, problems }
  } catch (thrown) {
    return { objects: [], problems: [asTriviumError(thrown).message] }
  }
}

/** All roads that are kept open, and to each peer the one that it takes. */
function* planMoving(
  network: NetworkView,
  moving: Moving,
  view: ClusterView,
  slice: number,
): Steps<Desired> {
  const [objects, problems]: [KernelObject[], string[]] = [[], []]
  const add = (plan: Desired): void => {
    for (const object of plan.objects) objects.push(object)
    for (const problem of plan.problems) problems.push(problem)
  }
  for (const road of moving.kept) add(backends[road.network.mode].own(road, view))
  let seen = 0
  for (const each of peersOf(network, view)) {
    if (++seen % slice === 0) yield
    const road = moving.way(each.node)
    add(backends[road.network.mode].peer(each, road, view))
  }
  return { objects, problems }
}

function* put(
  desired: Map<string, KernelObject>,
  objects: readonly KernelObject[],
  slice: number,
): Steps<void> {
  let seen = 0
  for (const object of objects) {
    if (++seen % slice === 0) yield
    desired.set(identity(object), object)
  }
}
