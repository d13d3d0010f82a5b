/**
 * Which engine runs a scenario: the exact one, a simulated kernel a node, or the
 * scaled one, in columns and shared lists, which ends when all pods are known everywhere.
 *
 * @module
 */
import { type Progress, type RunResult, runScenario } from './run.ts'
import { runScaled } from './run-scaled.ts'
import type { Scenario } from './scenario.ts'

/** `auto`: the exact one where the scenario is small. */
export const ENGINES = ['auto', 'exact', 'scaled'] as const
export type EngineChoice = (typeof ENGINES)[number]
export type EngineKind = Exclude<EngineChoice, 'auto'>

/** What `auto` takes for a scenario. */
export function engineFor(_scenario: Scenario): EngineKind {
  return 'exact'
}

/**
 * Runs a scenario by an engine.
 *
 * @throws {TriviumError} BAD_CONFIG: the engine does not take the scenario; it names the word.
 */
export function runWith(choice: EngineChoice, scenario: Scenario, progress?: Progress): RunResult {
  const kind = choice === 'auto' ? engineFor(scenario) : choice
  if (kind === 'exact') return runScenario(scenario, progress)
  return runScaled(scenario, progress)
}
