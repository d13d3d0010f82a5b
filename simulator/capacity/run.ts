/**
 * The engine that a question about capacity is also run by, and what only a run knows: times.
 *
 * The count answers for every size and mode. Where an engine takes the size and the mode, the
 * run's tables are held to the count's, entry by entry: a difference is an error, and is shown.
 *
 * @module
 */
import { whyNotScaled } from '../engine.ts'
import type { TableFigure } from '../measure.ts'
import type { RunResult } from '../run.ts'
import { EXACT_NODES_MAX, EXACT_PODS_MAX, type Scenario, type ScenarioMode } from '../scenario.ts'
import { checkScenario } from '../scenario-rules.ts'
import { demandOf } from './demand.ts'
import type { ModeCapacity, Size } from './limit.ts'
import type { Question } from './question.ts'
import { type Growth, type Shape, shapeAt } from './shape.ts'
import type { TableDemand } from './table.ts'

/** `auto`: what takes a size in seconds. `count`: nothing is run. */
export const CAPACITY_ENGINES = ['auto', 'count', 'exact', 'scaled'] as const
export type CapacityEngine = (typeof CAPACITY_ENGINES)[number]

interface Limits {
  readonly nodes: number
  readonly pods: number
}

/** Up to here `auto` takes the exact engine: about a second a mode. */
const EXACT_QUICK: Limits = { nodes: 60, pods: 2000 }
/** Up to here `auto` takes the scaled one: a few seconds a mode. */
const SCALED_QUICK: Limits = { nodes: 2000, pods: 150_000 }
/** Up to here with `--verify`. */
const SCALED_VERIFY: Limits = { nodes: 12_000, pods: 1_000_000 }
const ANY: Limits = { nodes: Number.POSITIVE_INFINITY, pods: Number.POSITIVE_INFINITY }
const EXACT_ALL: Limits = { nodes: EXACT_NODES_MAX, pods: EXACT_PODS_MAX }

/** A size that is run. */
export interface CapacityTask {
  readonly scenario: Scenario
  readonly shape: Shape
}

/** What runs a mode, at which sizes. */
export interface CapacityPlan {
  readonly mode: ScenarioMode
  readonly engine: 'count' | 'exact' | 'scaled'
  /** Why it is counted alone. */
  readonly why: string | undefined
  /** The asked size, then, to verify, the limit and one node more. */
  readonly tasks: readonly CapacityTask[]
}

/** One run beside the count. */
export interface CapacityRun {
  readonly size: Size
  readonly coldStartMs: number
  /** From the last pod's arrival until every kernel and switch knows all. */
  readonly lastPodMs: number
  /** The same until every switch has heard. */
  readonly heardMs: number
  /** Longest time from a change in a kernel to a switch's hardware. */
  readonly gapMs: number
  /** Tables that were compared. */
  readonly tables: number
  /** In words; empty: the run counts what the count does, and no check failed. */
  readonly differences: readonly string[]
}

/** How a mode's answer was had. */
export interface ModeRun {
  readonly engine: CapacityPlan['engine']
  readonly why: string | undefined
  readonly runs: readonly CapacityRun[]
}

const fits = ({ nodes, podsPerNode }: Shape, limits: Limits): boolean =>
  nodes <= limits.nodes && nodes * podsPerNode <= limits.pods

/** @param verify Also at the limit, and with one node more, where an engine takes that. */
export function planRuns(
  question: Question,
  modes: readonly ModeCapacity[],
  choice: CapacityEngine,
  verify: boolean,
): readonly CapacityPlan[] {
  return modes.map((capacity): CapacityPlan => {
    const { mode } = capacity
    const { engine, why } = engineOf(question, capacity, choice, verify)
    if (engine === 'count') return { mode, engine, why, tasks: [] }
    const shapes = [question.shape, ...(verify ? limitShapes(question, capacity, engine) : [])]
    const tasks = shapes.map((shape) => ({
      shape,
      scenario: scenarioOf(question, shape, mode, engine),
    }))
    return { mode, engine, why: undefined, tasks }
  })
}

type Choice = Pick<CapacityPlan, 'engine' | 'why'>

function engineOf(
  question: Question,
  { mode, refusal }: ModeCapacity,
  choice: CapacityEngine,
  verify: boolean,
): Choice {
  const count = (why: string): Choice => ({ engine: 'count', why })
  const { shape } = question
  if (choice === 'count') return count('asked for')
  if (refusal !== undefined) return count(refusal)
  const exact = scenarioOf(question, shape, mode, 'exact')
  const complaint = checkScenario(exact)
  if (complaint !== undefined) return count(complaint.message)
  if (choice === 'exact') {
    return fits(shape, EXACT_ALL)
      ? { engine: 'exact', why: undefined }
      : count(`the exact engine holds ${EXACT_NODES_MAX} nodes and ${EXACT_PODS_MAX} pods`)
  }
  if (choice === 'auto' && fits(shape, EXACT_QUICK)) return { engine: 'exact', why: undefined }
  const why = whyNotScaled(scenarioOf(question, shape, mode, 'scaled'), mode)
  if (why !== undefined) return count(why.replace(/^Cannot run (.*) in the scaled engine/, '$1'))
  const most = choice === 'scaled' ? ANY : verify ? SCALED_VERIFY : SCALED_QUICK
  if (fits(shape, most)) return { engine: 'scaled', why: undefined }
  return count(verify ? 'too large for a run' : 'a run takes minutes: --engine scaled')
}

/** The limit that was found and one node more, where the engine takes both. */
function limitShapes(
  { shape, growth }: Question,
  { upTo, breaks }: ModeCapacity,
  engine: 'exact' | 'scaled',
): readonly Shape[] {
  if (upTo.nodes === 0 || breaks === undefined) return []
  const at = (nodes: number, by: Growth): Shape => shapeAt(shape, by, nodes)
  const shapes = [at(upTo.nodes, growth), at(upTo.nodes + 1, growth)]
  const most = engine === 'exact' ? EXACT_QUICK : SCALED_VERIFY
  // Without room in the pool a run refuses pods, which is no table's doing.
  const able = breaks.role !== 'pool' && breaks.table !== 'vlan-ids'
  return able && shapes.every((each) => fits(each, most)) ? shapes : []
}

/** Pods come ten times as fast as in a scenario: only what is counted from the last one is shown. */
const PODS_PER_SECOND = 1000

function scenarioOf(
  { base }: Question,
  shape: Shape,
  mode: ScenarioMode,
  engine: 'exact' | 'scaled',
): Scenario {
  const { inputs: _, ...plain } = base
  return {
    ...plain,
    ...shape,
    // Neighbours that nodes learn are counted; the scaled engine does not know them.
    talk: engine === 'scaled' ? 'none' : shape.talk,
    modes: [mode],
    workload: [],
    faults: [],
    swarm: undefined,
    times: { ...base.times, podsPerSecond: Math.max(base.times.podsPerSecond, PODS_PER_SECOND) },
    engine,
  }
}

/** @param results Of the plan's tasks, in their order. */
export function modeRunOf(
  { engine, why, mode, tasks }: CapacityPlan,
  results: readonly RunResult[],
): ModeRun {
  const runs = tasks.map(({ shape }, index) => runOf(shape, mode, results[index]!))
  return { engine, why, runs }
}

function runOf(
  shape: Shape,
  mode: ScenarioMode,
  { modes: [found], scenario }: RunResult,
): CapacityRun {
  const { nodes, racks, podsPerNode } = shape
  const size = { nodes, racks, pods: nodes * podsPerNode }
  if (found === undefined) throw new Error('a run has the mode that was asked for')
  const counted = demandOf({ ...shape, talk: scenario.talk }, mode).tables
  const own = found.tables.filter(({ table }) => counted.some((each) => each.table === table))
  const failed = found.checks.filter(({ passed, name }) => !passed && name !== 'no pod refused')
  return {
    size,
    coldStartMs: found.coldStartMs,
    lastPodMs: found.tailMs,
    heardMs: found.heardMs,
    gapMs: found.programming.lagMaxMs,
    tables: own.length,
    differences: [
      ...counted.flatMap((table) => differenceOf(table, found.tables)),
      ...failed.map(({ name, findings }) => `${name}: ${findings[0] ?? ''}`),
    ],
  }
}

/** Names of role and table are the reports'; here they are plain. */
function differenceOf(
  { role, table, least, most, entries }: TableDemand,
  figures: readonly TableFigure[],
): readonly string[] {
  const found = figures.find((each) => each.role === role && each.table === table)?.demandPeak ?? 0
  if (found >= least && found <= most) return []
  const counted = least === most ? String(entries) : `${least} to ${most}`
  return [`${role} ${table}: counted ${counted}, run ${found}`]
}

/** Whether anything that was run is not what was counted. */
export const hasDifferences = (runs: readonly ModeRun[] | undefined): boolean =>
  (runs ?? []).some(({ runs: sizes }) => sizes.some(({ differences }) => differences.length > 0))
