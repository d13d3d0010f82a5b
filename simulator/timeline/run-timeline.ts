/**
 * Lets a cluster work and break: schedules the actions on its pods and the
 * faults, watches pairs of pods, and goes on until nothing is left to do.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import { type CheckResult, checkResult } from '../checkers/check.ts'
import { checkPlanned } from '../checkers/planned.ts'
import { EVENT, TICKS_PER_MS } from '../clock.ts'
import type { Scenario } from '../scenario.ts'
import type { Cluster } from '../world.ts'
import type { Fault, PodAction } from './action.ts'
import { Breaker } from './breaker.ts'
import { planFaults } from './faults.ts'
import { Monitor } from './monitor.ts'
import { Outcomes, type Seen } from './outcomes.ts'
import { PairSample } from './pairs.ts'
import type { TimelineResult } from './result.ts'
import { initialPods, planWorkload } from './workload.ts'

/** Virtual time after the last action, after which nothing more is waited for. */
const PATIENCE_TICKS = 3_600_000 * TICKS_PER_MS
/** The same for pods that are tried again when something stays broken: they would be for ever. */
const BROKEN_PATIENCE_TICKS = 120_000 * TICKS_PER_MS

/** What happened, and what the monitors say of it. */
export interface TimelineRun {
  readonly result: TimelineResult
  readonly checks: readonly CheckResult[]
  /** Mends what was never to be mended, except nodes without power. */
  readonly mend: () => void
}

/** @returns undefined when the scenario has neither workload nor faults. */
export function runTimeline(
  cluster: Cluster,
  scenario: Scenario,
  chance: Prng,
): TimelineRun | undefined {
  const faults = planFaults(scenario, chance.fork('faults'))
  const actions = planWorkload(scenario, faults, chance.fork('workload'))
  if (faults.length + actions.length === 0) return undefined
  return new Timeline(cluster, scenario, faults, actions, chance).run()
}

class Timeline {
  private readonly cluster: Cluster
  private readonly faults: readonly Fault[]
  private readonly actions: readonly PodAction[]
  /** Pods that were there before. */
  private readonly firstPods: number
  private readonly breaker: Breaker
  private readonly monitor: Monitor
  private readonly outcomes: Outcomes
  private readonly startTick: number
  /** When the last action, fault or mending is. */
  private readonly lastTick: number
  /** Faults and mendings ahead. */
  private ahead = 0
  /** Something happened at this tick that is to be looked at. */
  private isAsked = false

  constructor(
    cluster: Cluster,
    scenario: Scenario,
    faults: readonly Fault[],
    actions: readonly PodAction[],
    chance: Prng,
  ) {
    const { engine } = cluster
    const { probe } = scenario
    this.cluster = cluster
    this.faults = faults
    this.actions = actions
    this.firstPods = initialPods(scenario).length
    this.breaker = new Breaker(cluster)
    this.startTick = engine.tick
    this.outcomes = new Outcomes(engine.tick)
    const victims = new Set(faults.flatMap(({ target }) => this.breaker.victimsOf(target)))
    const sample = new PairSample(cluster, probe.pairs, victims, chance.fork('pairs'))
    const everyTicks = probe.everyMs * TICKS_PER_MS
    this.monitor = new Monitor({ cluster, sample, everyTicks, victims })
    const ends = faults.map(({ atTick, forTicks = 0 }) => atTick + forTicks)
    const last = ends.reduce((latest, tick) => Math.max(latest, tick), actions.at(-1)?.atTick ?? 0)
    this.lastTick = engine.tick + last
    // Of one moment faults come first: pods are planned for a node that is back.
    this.scheduleFaults()
    this.scheduleActions(actions)
  }

  run(): TimelineRun {
    const { cluster, monitor, outcomes } = this
    const { engine, kubelets } = cluster
    monitor.look(engine.tick)
    cluster.onSettled = () => monitor.hurry()
    cluster.fabric.paths.onChange = () => {
      this.isAsked = true
    }
    const isQuiet = this.goOn()
    monitor.look(engine.tick)
    outcomes.end(engine.tick, this.seen(), isQuiet)
    cluster.onSettled = () => {}
    cluster.fabric.paths.onChange = () => {}
    const { tick } = engine
    return {
      result: {
        untilMs: (tick - this.startTick) / TICKS_PER_MS,
        points: monitor.series.all(),
        faults: outcomes.all,
        blackHoles: monitor.holes.figure(tick),
        workload: kubelets.figure(),
      },
      checks: this.checks(isQuiet),
      mend: () => this.mend(),
    }
  }

  /** @returns whether the cluster came to rest. */
  private goOn(): boolean {
    const { cluster, monitor, outcomes } = this
    const { engine } = cluster
    const limitTick = this.lastTick + PATIENCE_TICKS
    while (!this.isOver()) {
      if (engine.step(Math.min(monitor.dueTick, limitTick))) {
        if (outcomes.isOpen && cluster.isQuiet) this.isAsked = true
        if (this.isAsked) this.lookNow()
      } else if (monitor.dueTick > limitTick) return false
      else monitor.look(monitor.dueTick)
    }
    return true
  }

  /** After everything that happens at this tick. */
  private lookNow(): void {
    const { cluster, monitor, outcomes } = this
    const { engine } = cluster
    this.isAsked = false
    while (engine.step(engine.tick));
    monitor.look(engine.tick)
    outcomes.seen(this.seen())
    if (cluster.isQuiet) outcomes.end(engine.tick, this.seen(), true)
  }

  private isOver(): boolean {
    const { cluster, lastTick } = this
    const { kubelets, broken, engine } = cluster
    if (this.ahead + kubelets.scheduled > 0) return false
    const isLate = broken.size > 0 && engine.tick >= lastTick + BROKEN_PATIENCE_TICKS
    return isLate ? cluster.isConverged : cluster.isQuiet && kubelets.waiting === 0
  }

  private seen(): Seen {
    const { monitor, cluster } = this
    return { lost: monitor.lost, pairTicks: monitor.holes.pairTicks(cluster.engine.tick) }
  }

  /** Every action at its tick; what is under way is counted from then on only. */
  private scheduleActions(actions: readonly PodAction[]): void {
    const { engine, kubelets } = this.cluster
    kubelets.scheduled += actions.length
    engine.on(EVENT.pod, (index) => {
      const action = actions[index]
      if (action !== undefined) kubelets.perform(action)
    })
    for (const [index, { atTick }] of actions.entries()) engine.post(atTick, EVENT.pod, index, 0)
  }

  private scheduleFaults(): void {
    const { engine } = this.cluster
    engine.on(EVENT.fault, (index, phase) => this.serve(index, phase === 1))
    for (const [index, { atTick, forTicks }] of this.faults.entries()) {
      engine.post(atTick, EVENT.fault, index, 0)
      this.ahead++
      if (forTicks === undefined) continue
      engine.post(atTick + forTicks, EVENT.fault, index, 1)
      this.ahead++
    }
  }

  private serve(index: number, up: boolean): void {
    const fault = this.faults[index]
    if (fault === undefined) return
    const { cluster, breaker } = this
    const { engine } = cluster
    this.ahead--
    const before = cluster.podCount
    const seen = this.seen()
    breaker.change(fault.target, up)
    const podsLost = before - cluster.podCount
    this.outcomes.begin(breaker.wordsOf(fault.target, up), engine.tick, podsLost, seen)
    this.isAsked = true
  }

  private mend(): void {
    for (const { target, forTicks } of this.faults) {
      if (forTicks === undefined && target.kind !== 'node') this.breaker.change(target, true)
    }
    const { nodes, broken, kubelets } = this.cluster
    for (const node of nodes) if (!broken.has(node)) kubelets.returned(node.index, true)
  }

  private checks(isQuiet: boolean): readonly CheckResult[] {
    const { cluster, monitor } = this
    const left = isQuiet ? [] : ['not quiet after an hour']
    const pairs = `${monitor.looks} looks`
    return [
      checkResult('converged: timeline', `${cluster.nodes.length} nodes`, left),
      checkResult('no address twice at any time', 'every ADD', cluster.kubelets.duplicates),
      checkResult('no black hole after convergence', pairs, monitor.blackHoles),
      checkResult('links are recorded at any time', pairs, [...monitor.unrecorded]),
      checkPlanned(cluster, this.firstPods, this.actions),
    ]
  }
}
