/**
 * The scaled engine: the tables of very large clusters on one core, by columns and
 * shared lists instead of a simulated kernel a node. A second implementation, which
 * knows nothing of the exact engine's code; where both can run they agree to the last
 * entry, event and microsecond (`test/simulator/scaled.test.ts`).
 *
 * What it answers so far is the cold start: from the first agent until every kernel
 * shows the store and every switch has written what it heard. What a scenario says
 * about later (pods, workload, faults, probes) is not looked at. Of the cold start
 * it answers
 *
 * - modes `vxlan` (classic), `route` (`announce: block`, lowest free block) and `vlan`
 *   (bridge, tagged), one a run;
 * - one IPv4 pool with a block for every node;
 * - `fabric.kind: leaf-spine`, switches with any table sizes, overflow and rate;
 * - announcements by `ideal` timers, a store beside every node;
 * - every other time of `times`, jitter and repairs included;
 *
 * and refuses everything else by its word. Nothing is ever taken back in such a start,
 * so all that happens is that lists grow: claims of blocks, in the order in which the
 * store committed them, and announcements, in the order in which switches heard them.
 * A node's tables are the first so many claims, a switch's the first so many announcements.
 *
 * Pure: no clock, no files. The same scenario and seed give the same answer.
 *
 * @module
 */
import type { KernelObject } from '../../src/kernel/mod.ts'
import { prng } from '../../src/prng.ts'
import type { RunMode, Scenario } from '../scenario.ts'
import { acceptPlan, type Plan } from './accept.ts'
import { EVENT, ScaledAgents } from './agents.ts'
import { blockOf, contentsOf, countOf, type ScaledNodeTable } from './contents.ts'
import { Places } from './places.ts'
import { ScaledQueue } from './queue.ts'
import { ScaledSwitches } from './switches.ts'

export type { ScaledNodeTable } from './contents.ts'

const TICKS_PER_MS = 1000
/** As long as the exact engine waits: an hour of virtual time. */
const PATIENCE_TICKS = 3_600_000 * TICKS_PER_MS
/** Octets of an UPDATE with one prefix but for the prefix: header, lengths and attributes. */
const UPDATE_OCTETS = 19 + 4 + 30

/** How a node's tables grew: at `tick` its kernel came to show so many claims. */
export interface ScaledStep {
  readonly tick: number
  readonly node: number
  readonly claims: number
}

/** A cold start that is over. */
export class ScaledColdStart {
  /** Ticks of a microsecond from the start to a quiet cluster. */
  tick = 0
  events = 0
  /** When switches heard of something last. */
  heardTick = 0
  /** Whether it became quiet in an hour of virtual time. */
  converged = false
  readonly switches: ScaledSwitches

  private readonly plan: Plan
  private readonly places: Places
  private readonly queue = new ScaledQueue()
  private readonly agents: ScaledAgents
  private announcing = 0
  /** By node: when its block came into its kernel. */
  private readonly announcedTicks: Float64Array

  constructor(scenario: Scenario, mode: RunMode) {
    this.plan = acceptPlan(scenario, mode)
    const { nodes, racks, times } = scenario
    this.places = new Places(nodes, racks)
    this.announcedTicks = new Float64Array(nodes)
    const announceTicks = times.announceMs * TICKS_PER_MS
    const post = (ticks: number, kind: number, a: number, b = 0): void =>
      this.queue.post(this.tick + ticks, kind, a, b)
    this.agents = new ScaledAgents(this.plan, {
      now: () => this.tick,
      post,
      announce: (node) => {
        if (this.plan.mode !== 'route') return
        this.announcedTicks[node] = this.tick
        this.announcing++
        post(announceTicks, EVENT.announce, node)
      },
    })
    this.switches = new ScaledSwitches(this.plan, this.places, (device, ticks) =>
      post(ticks, EVENT.program, device),
    )
    this.switches.start()
    post(Math.max(1, times.storeMs * TICKS_PER_MS), EVENT.network, 0)
    const chance = prng(scenario.seed).fork('start')
    for (let node = 0; node < nodes; node++) {
      const jitter = chance.below(times.startJitterMs * TICKS_PER_MS + 1)
      post(jitter + 2 * times.storeMs * TICKS_PER_MS + 2, EVENT.start, node)
    }
    this.run()
  }

  /** Operations that nodes' kernels carried out since the first agent started. */
  get kernelOperations(): number {
    return this.agents.operations
  }

  /** Commits of the store and notes of it to nodes. */
  get store(): { readonly commits: number; readonly notes: number } {
    return { commits: this.agents.version, notes: this.agents.notes }
  }

  /** What announcements cost, as the exact engine counts them. */
  get traffic(): {
    readonly updates: number
    readonly prefixesTold: number
    readonly bytes: number
  } {
    const updates = this.plan.mode === 'route' ? this.agents.claimed * this.switches.count : 0
    const prefixOctets = 1 + Math.ceil(this.plan.blockLength / 8)
    return { updates, prefixesTold: updates, bytes: updates * (UPDATE_OCTETS + prefixOctets) }
  }

  /** Entries of a node's table, the most there ever were: nothing is taken back. */
  entries(node: number, table: ScaledNodeTable): number {
    return countOf(this.plan, table, this.agents.shown[node]!)
  }

  /** How many entries a table has of a node whose kernel shows so many claims. */
  entriesAt(table: ScaledNodeTable, claims: number): number {
    return countOf(this.plan, table, claims)
  }

  /** Everything in a node's four tables. */
  contents(node: number): readonly KernelObject[] {
    return contentsOf(this.plan, this.places, this.agents, node)
  }

  /** When which node's tables grew, in the order of time. */
  *steps(): Generator<ScaledStep> {
    const { ticks, nodes, shown } = this.agents.steps
    for (const [index, tick] of ticks.entries()) {
      yield { tick, node: nodes[index]!, claims: shown[index]! }
    }
  }

  /** Bytes of the columns, queue included. */
  get bytes(): number {
    return this.agents.bytes + this.queue.bytes + this.announcedTicks.byteLength
  }

  /**
   * Entries of all nodes' and switches' tables, and those that are stored for them: a
   * claim, an announcement and what a switch holds of its own are stored once.
   */
  get sharing(): { readonly entries: number; readonly stored: number; readonly ratio: number } {
    const tables = ['links', 'routes', 'neighbors', 'fdb'] as const
    let { entries, stored } = this.switches.sharing
    stored += this.agents.claimed
    for (let node = 0; node < this.announcedTicks.length; node++) {
      for (const table of tables) entries += this.entries(node, table)
    }
    return { entries, stored, ratio: entries / Math.max(1, stored) }
  }

  private get isQuiet(): boolean {
    return this.agents.isSettled && this.announcing === 0 && this.switches.queued === 0
  }

  private run(): void {
    const { queue, agents } = this
    while (!this.isQuiet) {
      if (!queue.pop() || queue.tick > PATIENCE_TICKS) return
      const { kind, a, b } = queue
      if (kind === EVENT.timer && !agents.isCurrent(a, b)) continue
      this.tick = queue.tick
      this.events++
      this.serve(kind, a)
    }
    this.converged = true
  }

  private serve(kind: number, a: number): void {
    const { agents } = this
    if (kind === EVENT.network) agents.committed()
    else if (kind === EVENT.start) agents.start(a)
    else if (kind === EVENT.prepare) agents.prepared(a)
    else if (kind === EVENT.commit) agents.commit(a)
    else if (kind === EVENT.hear) {
      // One event here for the store's own and one a node, which nothing can come between.
      this.events += this.announcedTicks.length
      agents.hear()
    } else if (kind === EVENT.observed) agents.observed(a)
    else if (kind === EVENT.read) agents.read(a)
    else if (kind === EVENT.applied) agents.applied(a)
    else if (kind === EVENT.timer) agents.timer(a)
    else if (kind === EVENT.announce) this.announced(a)
    else this.switches.program(a, this.tick)
  }

  /** Every switch hears of a node's block. */
  private announced(node: number): void {
    this.announcing--
    this.heardTick = this.tick
    const block = blockOf(this.plan, this.agents.claims[node]!)
    this.switches.announce(block, this.announcedTicks[node]!, this.tick)
  }
}
