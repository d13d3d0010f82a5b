/**
 * Pods are replaced as a Deployment does it: new ones come while there are fewer
 * than the surge allows, old ones go while enough are ready.
 *
 * Source: pkg/controller/deployment/rolling.go and util/deployment_util.go
 * (NewRSNewReplicas, ResolveFenceposts) of Kubernetes.
 *
 * @module
 */
import { TICKS_PER_MS } from '../clock.ts'
import type { StepOf } from '../scenario-workload.ts'
import type { ControlPlane, PlannedPod } from './control-plane.ts'

/** How far the number of pods, and of ready ones, may be from what it was. */
export interface Fences {
  readonly surge: number
  readonly unavailable: number
}

/** Shares of the pods: the surge rounded up, the unavailable ones down, and one of them if both are 0. */
export function fencesOf({ pods, surge, unavailable }: StepOf<'rolling'>): Fences {
  const more = countOf(surge, pods, Math.ceil)
  const fewer = countOf(unavailable, pods, Math.floor)
  // Two shares can both come to nothing; two numbers of 0 are refused before.
  return more + fewer === 0 ? { surge: 0, unavailable: 1 } : { surge: more, unavailable: fewer }
}

function countOf(value: number | string, of: number, round: (share: number) => number): number {
  return typeof value === 'number' ? value : round((Number(value.slice(0, -1)) * of) / 100)
}

/** @param old Those that are replaced; they are ready. */
export function rollOut(
  plane: ControlPlane,
  step: StepOf<'rolling'>,
  old: readonly PlannedPod[],
): void {
  const { surge, unavailable } = fencesOf(step)
  const wanted = old.length
  const leaving = [...old]
  const fresh = new Set<PlannedPod>()
  const ready = new Set<PlannedPod>()

  function onPlaced(pod: PlannedPod): void {
    plane.at(step.readyMs * TICKS_PER_MS, () => {
      ready.add(pod)
      reconcile()
    })
  }

  /** Something else may have taken one away; then there is one less to wait for. */
  function forget(): void {
    while (leaving[0]?.gone === true) leaving.shift()
    for (const pod of fresh) {
      if (!pod.gone) continue
      fresh.delete(pod)
      ready.delete(pod)
    }
  }

  function reconcile(): void {
    for (let moved = true; moved; ) {
      forget()
      moved = false
      while (fresh.size < wanted && leaving.length + fresh.size < wanted + surge) {
        const pod = plane.create({ network: old[fresh.size]?.network })
        pod.onPlaced = onPlaced
        fresh.add(pod)
        if (pod.sandbox !== undefined) onPlaced(pod)
        moved = true
      }
      const spare = leaving.length + ready.size - (wanted - unavailable)
      for (let count = Math.min(spare, leaving.length); count > 0; count--) {
        const pod = leaving.shift()
        if (pod !== undefined) plane.remove(pod)
        moved = true
      }
    }
  }

  if (wanted > 0) reconcile()
}
