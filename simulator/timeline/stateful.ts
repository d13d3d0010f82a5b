/**
 * A StatefulSet: replicas come in order, each when the one before is ready, and are
 * restarted from the highest ordinal down, each under its own addresses.
 *
 * Source: pkg/controller/statefulset/stateful_set_control.go of Kubernetes,
 * podManagementPolicy OrderedReady, updateStrategy RollingUpdate.
 *
 * @module
 */
import { TICKS_PER_MS } from '../clock.ts'
import type { StepOf } from '../scenario-workload.ts'
import type { ControlPlane, PlannedPod } from './control-plane.ts'

export function runStatefulSet(plane: ControlPlane, step: StepOf<'statefulset'>): void {
  const { network, restarts, restartEveryMs = 0 } = step
  const readyTicks = step.readyMs * TICKS_PER_MS
  const replicas: PlannedPod[] = []
  /** What waits for a replica to be ready. */
  let next: (() => void) | undefined
  let awaited: PlannedPod | undefined

  function onPlaced(pod: PlannedPod): void {
    const { sandbox } = pod
    plane.at(readyTicks, () => {
      // It may have been moved again meanwhile; then its new sandbox counts.
      if (pod !== awaited || pod.sandbox !== sandbox) return
      awaited = undefined
      next?.()
    })
  }

  function createNext(): void {
    if (replicas.length === step.replicas) {
      restartAll(0)
      return
    }
    const pod = plane.create({ nature: 'replica', network })
    pod.onPlaced = onPlaced
    replicas.push(pod)
    awaited = pod
    next = createNext
    if (pod.sandbox !== undefined) onPlaced(pod)
  }

  function restartAll(round: number): void {
    if (round === restarts) return
    const startTick = plane.engine.tick
    restartOne(step.replicas - 1, () => {
      const dueTick = startTick + restartEveryMs * TICKS_PER_MS
      plane.at(Math.max(0, dueTick - plane.engine.tick), () => restartAll(round + 1))
    })
  }

  function restartOne(ordinal: number, done: () => void): void {
    const pod = replicas[ordinal]
    if (pod === undefined) {
      done()
      return
    }
    awaited = pod
    next = () => restartOne(ordinal - 1, done)
    // One that waits for its node is under way already.
    if (pod.sandbox !== undefined) plane.restart(pod)
  }

  createNext()
}
