/**
 * The workload of a scenario as actions on pods, planned from the seed.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import type { Scenario } from '../scenario.ts'
import type { Fault, PodAction } from './action.ts'

/** Every action, in the order of their ticks. @param faults Where no pod can be placed. */
export function planWorkload(
  _scenario: Scenario,
  _faults: readonly Fault[],
  _chance: Prng,
): readonly PodAction[] {
  return []
}
