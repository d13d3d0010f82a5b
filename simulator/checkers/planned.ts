/**
 * The pods that are there are those that the workload asked for, but for what was
 * refused and what lost its node.
 *
 * @module
 */
import type { PodAction } from '../timeline/action.ts'
import type { Cluster } from '../world.ts'
import { type CheckResult, checkResult } from './check.ts'

/** @param first How many pods there were before, numbered from 0. */
export function checkPlanned(
  cluster: Cluster,
  first: number,
  actions: readonly PodAction[],
): CheckResult {
  const { kubelets } = cluster
  const wanted = new Set(Array.from({ length: first }, (_, pod) => pod))
  for (const { kind, pod } of actions) {
    if (kind === 'add') wanted.add(pod)
    else wanted.delete(pod)
  }
  const living = new Set(cluster.pods().map(({ id }) => id))
  const extra = [...living].filter((pod) => !wanted.has(pod))
  const absent = [...wanted].filter((pod) => !living.has(pod) && !kubelets.isExcused(pod))
  return checkResult('pods as planned', `${wanted.size} pods`, [
    ...extra.map((pod) => `pod ${pod} is there, nobody wants it`),
    ...absent.map((pod) => `pod ${pod} is wanted and not there`),
  ])
}
