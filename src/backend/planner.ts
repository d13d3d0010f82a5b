/**
 * One node's plan, carried on from view to view.
 *
 * Where only peers and pods changed, the plan before is changed by as much as
 * they are; a cluster of thousands is not planned again because the timer
 * asks. A property test holds the outcome equal to planning each view whole, and
 * every so often it is planned whole all the same.
 *
 * @module
 */
import { type ClusterView, isFloating } from '../cluster/view.ts'
import type { KernelObject, KernelState } from '../kernel/mod.ts'
import { ADDRESS_BITS, prefixFamily, prefixLength } from '../net/mod.ts'
import { finish, type Steps } from '../steps.ts'
import { type PlanChange, planChangeIn } from './change.ts'
import { ownClaims } from './peers.ts'
import { type NodePlan, planNodeIn, planPods } from './plan.ts'

/** Plans that are carried on between two whole ones; at a round every ten seconds, five minutes. */
const CARRIED_MAX = 30

/** The pods' part of a plan, worked out when it is asked for: mostly it is not. */
export type PodsPlan = () => ReadonlyMap<string, KernelObject>

const noPods: PodsPlan = () => new Map()

export function podsPlan(view: ClusterView): PodsPlan {
  let plan: ReadonlyMap<string, KernelObject> | undefined
  return () => {
    plan ??= planPods(view)
    return plan
  }
}

export interface NodePlanner {
  /** The last plan, with steps since. */
  readonly plan: NodePlan
  /** The pods' part that is in it. */
  readonly pods: PodsPlan
  /** Plans all of a view. */
  planWhole(view: ClusterView): NodePlan
  /**
   * Takes what peers changed into the plan, and leaves its pods as they are.
   *
   * @returns undefined, and nothing has changed, when only `planWhole` tells.
   */
  step(view: ClusterView): PlanChange | undefined
  /** The same two with a pause after about every `slice` objects; nothing else may be asked meanwhile. */
  planWholeIn(view: ClusterView, slice: number): Steps<NodePlan>
  stepIn(view: ClusterView, slice: number): Steps<PlanChange | undefined>
}

export function nodePlanner(): NodePlanner {
  /** What the plan follows, but for pods. */
  let view: ClusterView | undefined
  let plan: NodePlan = { desired: new Map(), complete: false, problems: [] }
  let pods = noPods
  let carried = 0

  function* stepIn(next: ClusterView, slice: number): Steps<PlanChange | undefined> {
    if (view === undefined || !plan.complete) return undefined
    const change = yield* planChangeIn(view, next, slice)
    if (change === undefined) return undefined
    replace(change.before, change.after)
    view = next
    return change
  }

  function replace(before: KernelState, after: KernelState): void {
    if (before === after) return
    const { desired } = plan
    for (const key of before.keys()) if (!after.has(key)) desired.delete(key)
    for (const [key, object] of after) if (before.get(key) !== object) desired.set(key, object)
  }

  function* planWholeIn(next: ClusterView, slice: number): Steps<NodePlan> {
    carried = (carried + 1) % CARRIED_MAX
    const mayCarry = carried > 0 && !hidesBlocks(next)
    const isCarried = mayCarry && (yield* stepIn(next, slice)) !== undefined
    const podsBefore = pods
    pods = podsPlan(next)
    if (isCarried) replace(podsBefore(), pods())
    else {
      view = next
      plan = yield* planNodeIn(next, slice)
    }
    return plan
  }

  return {
    get plan() {
      return plan
    },
    get pods() {
      return pods
    },
    planWhole: (next) => finish(planWholeIn(next, Number.POSITIVE_INFINITY)),
    step: (next) => finish(stepIn(next, Number.POSITIVE_INFINITY)),
    planWholeIn,
    stepIn,
  }
}

/** Whether a pod's route takes the place of its block's: without the pod, the block's is wanted again. */
function hidesBlocks(view: ClusterView): boolean {
  return view.networks.some((network) =>
    ownClaims(network, view).some(
      (claim) =>
        prefixLength(claim.cidr) === ADDRESS_BITS[prefixFamily(claim.cidr)] &&
        !isFloating(network.network, claim),
    ),
  )
}
