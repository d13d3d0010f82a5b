/**
 * Which engine runs a scenario: the exact one, a simulated kernel a node, or the
 * scaled one, in columns and shared lists, which ends when all pods are known everywhere.
 *
 * @module
 */
import { type Progress, type RunResult, runScenario } from './run.ts'
import { runScaled } from './run-scaled.ts'
import { refusalOf } from './scaled/mod.ts'
import {
  type EngineKind,
  EXACT_NODES_MAX,
  EXACT_PODS_MAX,
  type RunMode,
  type Scenario,
} from './scenario.ts'

/** `auto`: the exact one where the scenario is small, or says more than the scaled one knows. */
export const ENGINES = ['auto', 'exact', 'scaled'] as const
export type EngineChoice = (typeof ENGINES)[number]

/** Up to so many tables of peers and pods the exact engine takes seconds a mode. */
const SMALL = 1_000_000

/** The scenario with a choice made; `auto` leaves it open. */
export const withEngine = (scenario: Scenario, choice: EngineChoice = 'auto'): Scenario =>
  choice === 'auto' ? scenario : { ...scenario, engine: choice }

/** What runs it: the engine that it names, or the one that `auto` takes. */
export function engineFor(scenario: Scenario): EngineKind {
  if (scenario.engine !== undefined) return scenario.engine
  const isKnown = scenario.modes.every((mode) => whyNotScaled(scenario, mode) === undefined)
  if (!isKnown) return 'exact'
  return sizeOf(scenario) <= SMALL ? 'exact' : 'scaled'
}

/** Why the scaled engine cannot run a mode; undefined: it can. */
export const whyNotScaled = (scenario: Scenario, mode: RunMode): string | undefined =>
  refusalOf(scenario, mode)?.message

/** Whether only the scaled engine can run it, or was asked to. */
export const mustScale = ({ engine, nodes, podsPerNode }: Scenario): boolean =>
  engine === undefined
    ? nodes > EXACT_NODES_MAX || nodes * podsPerNode > EXACT_PODS_MAX
    : engine === 'scaled'

/**
 * Runs a scenario.
 *
 * @param choice `auto`: as `engineFor` says.
 * @throws {TriviumError} BAD_CONFIG: the engine does not take the scenario; it names the word.
 */
export function runWith(choice: EngineChoice, scenario: Scenario, progress?: Progress): RunResult {
  const kind = choice === 'auto' ? engineFor(scenario) : choice
  return kind === 'exact' ? runScenario(scenario, progress) : runScaled(scenario, progress)
}

/** Entries that grow with the square of it: each node knows each, each switch may know each pod. */
function sizeOf({ nodes, podsPerNode, racks, spines }: Scenario): number {
  return nodes * nodes + nodes * podsPerNode * (racks + spines)
}
