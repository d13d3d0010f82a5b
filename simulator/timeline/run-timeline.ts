/**
 * Lets a cluster work and break: schedules the actions on its pods and the
 * faults, watches pairs of pods, and goes on until nothing is left to do.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import type { Scenario } from '../scenario.ts'
import type { Cluster } from '../world.ts'
import { planFaults } from './faults.ts'
import type { TimelineResult } from './result.ts'
import { planWorkload } from './workload.ts'

/** @returns undefined when the scenario has neither workload nor faults. */
export function runTimeline(
  _cluster: Cluster,
  scenario: Scenario,
  chance: Prng,
): TimelineResult | undefined {
  const faults = planFaults(scenario, chance.fork('faults'))
  const actions = planWorkload(scenario, faults, chance.fork('workload'))
  if (faults.length + actions.length === 0) return undefined
  return undefined
}
