/**
 * What every switch of a scenario is.
 *
 * @module
 */
import { type Capacities, PROGRAMMING_RATES, profileNamed } from '../profiles.ts'
import type { Scenario } from '../scenario.ts'

export interface SwitchModel {
  readonly capacities: Capacities
  readonly overflow: 'refuse' | 'evict' | 'software'
  /** Writes a second; 0: at once. */
  readonly rate: number
}

export function switchModelOf({ switch: choice }: Pick<Scenario, 'switch'>): SwitchModel {
  const { overflow = 'refuse', routesPerSecond: rate } = choice
  const known = 'profile' in choice ? profileNamed(choice.profile)?.capacities : choice
  const named = PROGRAMMING_RATES.find(({ name }) => name === rate)?.routesPerSecond
  return {
    capacities: known ?? {},
    overflow,
    rate: typeof rate === 'number' ? rate : (named ?? 0),
  }
}
