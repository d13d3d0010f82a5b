/**
 * Runs a scenario: every mode with the same pods in the same order, from cold
 * start over full to empty, and says what was measured and what the checkers found.
 *
 * Pure: no clock, no files. The same scenario and seed give the same result.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { hashHex } from '../src/hash.ts'
import { type Prng, prng } from '../src/prng.ts'
import { counted } from '../src/words.ts'
import type { BgpFigure } from './bgp/figures.ts'
import { type CheckResult, checkResult } from './checkers/check.ts'
import { checkConverged, checkSpeakers } from './checkers/converged.ts'
import { checkNoLeak } from './checkers/no-leak.ts'
import { checkReachability, type Reachability } from './checkers/reachability.ts'
import { checkUniqueAddresses } from './checkers/unique-ip.ts'
import { EVENT, TICKS_PER_MS } from './clock.ts'
import { type FabricFigure, fabricFigure } from './device-figures.ts'
import {
  fibBytesMax,
  figures,
  highest,
  type OverflowFigure,
  type ProgrammingFigure,
  programmingFigure,
  type Sample,
  sample,
  type TableFigure,
} from './measure.ts'
import { talk } from './neighbors.ts'
import { labelOf } from './network.ts'
import { EXACT_NODES_MAX, EXACT_PODS_MAX, type RunMode, type Scenario } from './scenario.ts'
import { shuffled } from './shuffle.ts'
import type { TimelineResult } from './timeline/result.ts'
import { runTimeline } from './timeline/run-timeline.ts'
import { fillOf, initialPods, timelineChance } from './timeline/workload.ts'
import { type TrafficFigure, trafficFigure } from './traffic.ts'
import { Cluster } from './world.ts'

/** Virtual time after which a phase counts as never ending. */
const PATIENCE_MS = 3_600_000
/** Points of a curve. */
const SAMPLES = 60

/** The table that was full first. */
export interface FirstOverflow extends OverflowFigure {
  readonly role: TableFigure['role']
  readonly table: TableFigure['table']
  readonly capacity: number
}

/** One mode's outcome. Times are virtual. */
export interface ModeResult {
  readonly label: string
  readonly mode: RunMode
  readonly tables: readonly TableFigure[]
  readonly samples: readonly Sample[]
  readonly firstOverflow: FirstOverflow | undefined
  /** From the first agent's start to a quiet cluster. */
  readonly coldStartMs: number
  /** From the first pod's ADD to a quiet cluster. */
  readonly podsMs: number
  /** From the last pod's ADD to a quiet cluster. */
  readonly tailMs: number
  /** From the last pod's ADD until every switch has heard: the control plane alone. */
  readonly heardMs: number
  readonly programming: ProgrammingFigure
  /** Memory of the largest node's forwarding table. */
  readonly fibBytes: number
  /** What store and fabric were told until all pods were known. */
  readonly traffic: TrafficFigure
  /** When the cold start was over, and before the pods left; undefined: no speakers. */
  readonly bgp: { readonly coldStart: BgpFigure; readonly whole: BgpFigure } | undefined
  readonly podsAdded: number
  readonly podsRefused: number
  /** Of the whole run, the end of all pods included; undefined: the engine ends before that. */
  readonly kernelOperations: number | undefined
  /** As those. */
  readonly events: number | undefined
  /** undefined: the engine knows no packets. */
  readonly reachability: Reachability | undefined
  /** What pods and faults did after that; undefined: nothing was asked for. */
  readonly timeline: TimelineResult | undefined
  /** Each switch, before the pods left. */
  readonly fabric: FabricFigure
  readonly checks: readonly CheckResult[]
  /** Hash of every event and kernel change; undefined: the engine has none. */
  readonly traceHash: string | undefined
  readonly engine: EngineFigure
}

/** What the exact engine knows besides. */
export interface ExactModeResult extends ModeResult {
  readonly kernelOperations: number
  readonly events: number
  readonly reachability: Reachability
  readonly traceHash: string
  readonly engine: { readonly kind: 'exact' }
}

/** Which engine ran. */
export type EngineFigure =
  | { readonly kind: 'exact' }
  | {
      readonly kind: 'scaled'
      /** Entries of all tables of nodes and switches, and those that are stored for them. */
      readonly entries: number
      readonly stored: number
      /** Bytes of its columns. */
      readonly bytes: number
    }

export interface RunResult {
  readonly scenario: Scenario
  readonly modes: readonly ModeResult[]
  /** Hash over the modes' hashes; undefined: an engine has none. */
  readonly traceHash: string | undefined
  readonly passed: boolean
}

/** As the exact engine's. */
export interface ExactRunResult extends RunResult {
  readonly modes: readonly ExactModeResult[]
  readonly traceHash: string
}

/** Said once a mode, when every pod is there and all is quiet. */
export const DONE_WHEN_FULL = 0.66

/** Told now and then: how much of the run is done, from 0 to 1. */
export type Progress = (done: number, what: string) => void

/** @throws {TriviumError} BAD_CONFIG: more nodes or pods than a kernel a node can be simulated for. */
export function runScenario(scenario: Scenario, progress: Progress = () => {}): ExactRunResult {
  refuseLarge(scenario)
  const count = scenario.modes.length
  const modes = scenario.modes.map((mode, index) =>
    runMode(scenario, mode, (done, what) => progress((index + done) / count, what)),
  )
  return {
    scenario,
    modes,
    traceHash: hashHex(modes.map(({ traceHash }) => traceHash).join(' '), 16),
    passed: modes.every(({ checks }) => checks.every(({ passed }) => passed)),
  }
}

/** @throws {TriviumError} BAD_CONFIG: see `runScenario`. */
export function refuseLarge({ nodes, podsPerNode }: Scenario): void {
  const pods = nodes * podsPerNode
  if (nodes <= EXACT_NODES_MAX && pods <= EXACT_PODS_MAX) return
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot run ${nodes} nodes with ${pods} pods: the exact engine holds ${EXACT_NODES_MAX} and ${EXACT_PODS_MAX}`,
    'Use --engine scaled: it holds 20000 and 2000000, and names what else of the scenario it does not know',
  )
}

function runMode(scenario: Scenario, mode: RunMode, progress: Progress): ExactModeResult {
  const cluster = new Cluster(scenario, mode)
  const { engine } = cluster
  const chance = prng(scenario.seed)
  const label = labelOf(mode)
  const order = podOrder(scenario, chance.fork('pods'))
  const total = order.length
  const checks: CheckResult[] = []

  startAgents(cluster, scenario, chance.fork('start'))
  checks.push(settle(cluster, 'cold start'))
  const coldTick = engine.tick
  const coldStart = cluster.fabric.bgp?.figure()
  progress(0.05, label)

  const samples: Sample[] = [sample(cluster)]
  const step = sampleStep(total)
  cluster.onPodAdded = () => {
    if (cluster.podsAdded % step !== 0) return
    samples.push(sample(cluster))
    progress(0.05 + (0.6 * cluster.podsAdded) / total, label)
  }
  const spanTicks = schedulePods(cluster, scenario, order, EVENT.podAdd, chance.fork('arrivals'))
  checks.push(settle(cluster, 'pods added'))
  progress(DONE_WHEN_FULL, label)
  const fullTick = engine.tick
  if (cluster.neighbors !== undefined) {
    const peers = typeof scenario.talk === 'number' ? scenario.talk : undefined
    talk(cluster.nodes, cluster.neighbors, peers, chance.fork('talk'))
  }
  samples.push(sample(cluster))
  const full = fullFigures(cluster, coldTick + spanTicks)

  cluster.onPodAdded = () => {}
  const timeline = runTimeline(cluster, scenario, timelineChance(scenario))
  checks.push(...(timeline?.checks ?? []))
  const tables = timeline === undefined ? full.tables : highest(full.tables, figures(cluster))

  checks.push(checkUniqueAddresses(cluster), checkConverged(cluster, scenario))
  const reachability = checkReachability(cluster, chance.fork('pairs'))
  checks.push(...checkSpeakers(cluster, scenario), reachability.check)
  const bgp = bgpSoFar(cluster, coldStart)
  const end = { fabric: fabricFigure(cluster), bgp, engine: { kind: 'exact' } as const }
  progress(0.75, label)
  timeline?.mend()
  if (timeline !== undefined) checks.push(settle(cluster, 'mended'))
  checks.push(...deletePods(cluster, scenario, order, chance))
  progress(1, label)

  return {
    label,
    mode,
    ...full,
    tables,
    samples,
    firstOverflow: firstOverflow(tables),
    coldStartMs: coldTick / TICKS_PER_MS,
    podsMs: (fullTick - coldTick) / TICKS_PER_MS,
    tailMs: (fullTick - coldTick - spanTicks) / TICKS_PER_MS,
    podsAdded: cluster.podsAdded,
    podsRefused: cluster.refusals.count,
    kernelOperations: cluster.nodes.reduce((sum, { kernel }) => sum + kernel.operations, 0),
    events: engine.events,
    reachability,
    timeline: timeline?.result,
    ...end,
    checks,
    traceHash: engine.traceHash(),
  }
}

function bgpSoFar({ fabric }: Cluster, coldStart: BgpFigure | undefined): ModeResult['bgp'] {
  const whole = fabric.bgp?.figure()
  return coldStart && whole && { coldStart, whole }
}

/** Every pod goes, and nothing of it may be left. */
function deletePods(
  cluster: Cluster,
  scenario: Scenario,
  order: readonly PodPlace[],
  chance: Prng,
): readonly CheckResult[] {
  const leaving = leavingPods(cluster, order, chance.fork('leaving'))
  schedulePods(cluster, scenario, leaving, EVENT.podRemove, chance.fork('departures'))
  return [
    settle(cluster, 'pods deleted'),
    checkNoLeak(cluster),
    checkResult('no fault', `${cluster.nodes.length} agents`, cluster.faults.first),
    checkResult('no pod refused', counted(order.length, 'pod'), cluster.refusals.first),
  ]
}

/** What a cluster with all its pods is measured by. */
function fullFigures(
  cluster: Cluster,
  lastPodTick: number,
): Pick<ModeResult, 'tables' | 'heardMs' | 'programming' | 'fibBytes' | 'traffic'> {
  return {
    tables: figures(cluster),
    heardMs: Math.max(0, cluster.fabric.heardTick - lastPodTick) / TICKS_PER_MS,
    programming: programmingFigure(cluster),
    fibBytes: fibBytesMax(cluster),
    traffic: trafficFigure(cluster),
  }
}

/** Pods between two points of a curve. */
export const sampleStep = (total: number): number => Math.max(1, Math.floor(total / SAMPLES))

/** Every agent starts somewhere in the jitter. */
export function startAgents({ engine, nodes }: Cluster, { times }: Scenario, chance: Prng): void {
  for (const { index } of nodes) {
    const delayTicks = chance.below(times.startJitterMs * TICKS_PER_MS + 1)
    // The network is there before any agent.
    engine.post(delayTicks + 2 * times.storeMs * TICKS_PER_MS + 2, EVENT.start, index, 0)
  }
}

export interface PodPlace {
  readonly node: number
  readonly pod: number
}

/** The first pods and their nodes, in the order of creation; those of a file have one of their own. */
export function podOrder(scenario: Scenario, chance: Prng): readonly PodPlace[] {
  const places = initialPods(scenario).map(({ node }, pod): PodPlace => ({ node, pod }))
  return fillOf(scenario) === undefined ? shuffled(places, chance) : places
}

/** Pods that are there, in the order in which they go. */
function leavingPods(
  cluster: Cluster,
  order: readonly PodPlace[],
  chance: Prng,
): readonly PodPlace[] {
  const living = new Map(cluster.pods().map(({ id, node }) => [id, node.index]))
  const first = new Set(order.map(({ pod }) => pod))
  const later = [...living].flatMap(([pod, node]) => (first.has(pod) ? [] : [{ pod, node }]))
  return shuffled([...order, ...later], chance).filter(({ pod }) => living.has(pod))
}

/** Spreads the pods at the scenario's rate, each somewhere in its own slice of time. */
export function schedulePods(
  cluster: Cluster,
  scenario: Scenario,
  order: readonly PodPlace[],
  kind: typeof EVENT.podAdd | typeof EVENT.podRemove,
  chance: Prng,
): number {
  const isBurst = kind === EVENT.podAdd && fillOf(scenario)?.arrival === 'at-once'
  const { podsPerSecond } = scenario.times
  const sliceTicks = isBurst ? 1 : Math.max(1, Math.floor((1000 * TICKS_PER_MS) / podsPerSecond))
  let lastTicks = 0
  for (const [index, { node, pod }] of order.entries()) {
    lastTicks = index * sliceTicks + chance.below(sliceTicks)
    cluster.engine.post(lastTicks, kind, node, pod)
    cluster.podsUnderWay++
  }
  return lastTicks
}

function settle(cluster: Cluster, phase: string): CheckResult {
  const { engine } = cluster
  const limit = engine.tick + PATIENCE_MS * TICKS_PER_MS
  const reached = engine.run(() => cluster.isQuiet && cluster.kubelets.waiting === 0, limit)
  const finding = `not quiet after ${PATIENCE_MS / 1000} virtual seconds, or nothing left to happen`
  return checkResult(
    `converged: ${phase}`,
    counted(cluster.nodes.length, 'node'),
    reached ? [] : [finding],
  )
}

export function firstOverflow(tables: readonly TableFigure[]): FirstOverflow | undefined {
  let first: FirstOverflow | undefined
  for (const { role, table, capacity, firstOverflow: overflow } of tables) {
    if (overflow === undefined || capacity === undefined) continue
    if (first === undefined || overflow.pods < first.pods) {
      first = { ...overflow, role, table, capacity }
    }
  }
  return first
}
