/**
 * The faults of a scenario, from its list and, for a swarm, from the seed.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import type { Scenario } from '../scenario.ts'
import type { Fault } from './action.ts'

/** Every fault, in the order of their ticks. */
export function planFaults(_scenario: Scenario, _chance: Prng): readonly Fault[] {
  return []
}
