/**
 * How far away from each other the ends of sessions are, from the seed of their topology.
 *
 * @module
 */
import { prng } from '../../../src/prng.ts'
import { dice } from './dice.ts'
import type { Topology } from './topology.ts'

const LEAST_MS = 5
const MOST_MS = 60

/** Milliseconds one way, by session. */
export function latenciesOf({ seed, sessions }: Topology): ReadonlyMap<number, number> {
  const roll = dice(prng(`differential ${seed}`).fork('latencies'))
  return new Map(sessions.map(({ id }) => [id, roll.between(LEAST_MS, MOST_MS)]))
}
