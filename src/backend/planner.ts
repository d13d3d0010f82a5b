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
import type { ClusterView } from '../cluster/view.ts'
import type { KernelObject, KernelState } from '../kernel/mod.ts'
import { ADDRESS_BITS, prefixFamily, prefixLength } from '../net/mod.ts'
import { type PlanChange, planChange } from './change.ts'
import { ownClaims } from './peers.ts'
import { type NodePlan, planNode, planPods } from './plan.ts'

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
}

export function nodePlanner(): NodePlanner {
  /** What the plan follows, but for pods. */
  let view: ClusterView | undefined
  let plan: NodePlan = { desired: new Map(), complete: false, problems: [] }
  let pods = noPods
  let carried = 0

  function step(next: ClusterView): PlanChange | undefined {
    const change = view === undefined || !plan.complete ? undefined : planChange(view, next)
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

  function planWhole(next: ClusterView): NodePlan {
    carried = (carried + 1) % CARRIED_MAX
    const isCarried = carried > 0 && !hidesBlocks(next) && step(next) !== undefined
    const podsBefore = pods
    pods = podsPlan(next)
    if (isCarried) replace(podsBefore(), pods())
    else {
      view = next
      plan = planNode(next)
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
    planWhole,
    step,
  }
}

/** Whether a pod's route takes the place of its block's: without the pod, the block's is wanted again. */
function hidesBlocks(view: ClusterView): boolean {
  return view.networks.some((network) =>
    ownClaims(network, view).some(
      ({ cidr }) => prefixLength(cidr) === ADDRESS_BITS[prefixFamily(cidr)],
    ),
  )
}
