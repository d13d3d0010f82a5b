/**
 * The faults of a scenario, from its list and, for a swarm, from the seed.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import { TICKS_PER_MS } from '../clock.ts'
import { topologyOf } from '../fabric-plan.ts'
import type { Scenario } from '../scenario.ts'
import type { Fault } from './action.ts'
import { swarmFaults } from './swarm.ts'
import { targetOf } from './targets.ts'

/** Every fault, in the order of their ticks. */
export function planFaults(scenario: Scenario, chance: Prng): readonly Fault[] {
  const topology = topologyOf(scenario)
  const listed = scenario.faults.flatMap((fault): Fault[] => {
    const target = targetOf(scenario, topology, fault)
    if (target === undefined) return []
    const { atMs, forMs } = fault
    const forTicks = forMs === undefined ? undefined : forMs * TICKS_PER_MS
    return [{ atTick: atMs * TICKS_PER_MS, forTicks, target }]
  })
  const all = [...listed, ...swarmFaults(scenario, topology, chance)]
  return all.sort((left, right) => left.atTick - right.atTick)
}
