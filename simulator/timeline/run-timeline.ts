/**
 * Lets a cluster work and break: schedules the actions on its pods and the
 * faults, watches pairs of pods, and goes on until nothing is left to do.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import { EVENT, TICKS_PER_MS } from '../clock.ts'
import type { Scenario } from '../scenario.ts'
import type { Cluster } from '../world.ts'
import type { PodAction } from './action.ts'
import { planFaults } from './faults.ts'
import type { TimelineResult } from './result.ts'
import { planWorkload } from './workload.ts'

/** Virtual time after the last action, after which nothing more is waited for. */
const PATIENCE_TICKS = 3_600_000 * TICKS_PER_MS

/** @returns undefined when the scenario has neither workload nor faults. */
export function runTimeline(
  cluster: Cluster,
  scenario: Scenario,
  chance: Prng,
): TimelineResult | undefined {
  const faults = planFaults(scenario, chance.fork('faults'))
  const actions = planWorkload(scenario, faults, chance.fork('workload'))
  if (faults.length + actions.length === 0) return undefined
  const { engine, kubelets } = cluster
  const startTick = engine.tick
  const lastTick = startTick + (actions.at(-1)?.atTick ?? 0)
  scheduleActions(cluster, actions)
  const ended = (): boolean =>
    engine.tick >= lastTick && cluster.isQuiet && kubelets.waiting + kubelets.scheduled === 0
  engine.run(ended, lastTick + PATIENCE_TICKS)
  return {
    untilMs: (engine.tick - startTick) / TICKS_PER_MS,
    points: [],
    faults: [],
    blackHoles: {
      watched: 0,
      affected: 0,
      pairSeconds: 0,
      medianMs: 0,
      maxMs: 0,
      worst: undefined,
    },
    workload: kubelets.figure(),
  }
}

/** Every action at its tick; what is under way is counted from then on only. */
function scheduleActions({ engine, kubelets }: Cluster, actions: readonly PodAction[]): void {
  kubelets.scheduled += actions.length
  engine.on(EVENT.pod, (index) => {
    const action = actions[index]
    if (action !== undefined) kubelets.perform(action)
  })
  for (const [index, { atTick }] of actions.entries()) engine.post(atTick, EVENT.pod, index, 0)
}
