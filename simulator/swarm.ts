/**
 * One scenario under many seeds, each with faults and pods of its own making, until
 * a checker fails.
 *
 * @module
 */
import { asTriviumError } from '../src/errors.ts'
import { topologyOf } from './fabric-plan.ts'
import { type RunResult, runScenario } from './run.ts'
import type { Scenario } from './scenario.ts'
import { estimate } from './statistics.ts'
import { planFaults } from './timeline/faults.ts'
import { swarmKinds } from './timeline/swarm.ts'
import { possibleKinds } from './timeline/targets.ts'
import { timelineChance } from './timeline/workload.ts'

/** Findings of one failing seed that are shown. */
const FINDINGS_MAX = 12

/** What one seed did. Numbers are the worst of its modes. */
export interface SwarmSeed {
  readonly seed: number
  /** Kinds of faults that the seed could choose from. */
  readonly kinds: readonly string[]
  readonly faults: number
  /** Pods that the workload had and lost. */
  readonly added: number
  readonly removed: number
  readonly pairSeconds: number
  readonly checks: number
  /** Failed checks and their findings, in words; empty when all passed. */
  readonly failed: readonly string[]
}

/** Runs one seed in each of the scenario's modes. Never throws: what does is a failure like others. */
export function runSwarmSeed(scenario: Scenario, seed: number): SwarmSeed {
  const seeded = { ...scenario, seed }
  const chance = timelineChance(seeded).fork('faults')
  const possible = scenario.swarm?.kinds ?? possibleKinds(scenario, topologyOf(scenario))
  const about = {
    seed,
    kinds: swarmKinds(possible, chance.fork('kinds')),
    faults: planFaults(seeded, chance).length,
  }
  try {
    return { ...about, ...summary(runScenario(seeded)) }
  } catch (thrown) {
    const { message } = asTriviumError(thrown)
    return { ...about, added: 0, removed: 0, pairSeconds: 0, checks: 0, failed: [message] }
  }
}

type Summary = Omit<SwarmSeed, 'seed' | 'kinds' | 'faults'>

function summary({ modes }: RunResult): Summary {
  const most = (values: readonly number[]): number =>
    values.reduce((largest, value) => Math.max(largest, value), 0)
  const all = modes.flatMap(({ label, checks }) => checks.map((check) => ({ label, check })))
  const failed = all
    .filter(({ check }) => !check.passed)
    .flatMap(({ label, check }) => [
      `${label}: ${check.name}`,
      ...check.findings.map((finding) => `  ${finding}`),
    ])
  return {
    added: most(modes.map(({ timeline }) => timeline?.workload.added ?? 0)),
    removed: most(modes.map(({ timeline }) => timeline?.workload.removed ?? 0)),
    pairSeconds: most(modes.map(({ timeline }) => timeline?.blackHoles.pairSeconds ?? 0)),
    checks: all.length,
    failed: failed.slice(0, FINDINGS_MAX),
  }
}

const WIDTHS = { seed: 10, faults: 6, pods: 12, lost: 12, checks: 8 } as const

export const SWARM_HEAD = row('SEED', 'FAULTS', 'PODS', 'PAIR-SECONDS', 'CHECKS', 'KINDS')

/** What the seeds have in common; nothing for one. */
export function swarmSummary(all: readonly SwarmSeed[]): string {
  if (all.length < 2) return ''
  const mean = (value: (found: SwarmSeed) => number): string => {
    const { mean: middle = 0, half = 0 } = estimate(all.map(value)) ?? {}
    return `${middle.toFixed(1)} ± ${half.toFixed(1)}`
  }
  return [
    `${all.length} seeds, mean ± half of the 95 % interval:`,
    `faults ${mean(({ faults }) => faults)},`,
    `pods +${mean(({ added }) => added)} -${mean(({ removed }) => removed)},`,
    `pair-seconds ${mean(({ pairSeconds }) => pairSeconds)}`,
  ].join(' ')
}

/** One aligned line. */
export function swarmLine(found: SwarmSeed): string {
  const { seed, faults, added, removed, pairSeconds, checks, failed, kinds } = found
  const verdict = failed.length === 0 ? `${checks} ok` : 'FAILED'
  const pods = `+${added} -${removed}`
  return row(String(seed), String(faults), pods, pairSeconds.toFixed(1), verdict, kinds.join(' '))
}

function row(
  seed: string,
  faults: string,
  pods: string,
  lost: string,
  checks: string,
  kinds: string,
): string {
  return [
    seed.padStart(WIDTHS.seed),
    faults.padStart(WIDTHS.faults),
    pods.padStart(WIDTHS.pods),
    lost.padStart(WIDTHS.lost),
    checks.padStart(WIDTHS.checks),
    kinds,
  ].join('  ')
}
