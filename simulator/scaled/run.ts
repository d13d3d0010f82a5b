/**
 * One run of the scaled engine: events in their order, until the cluster is quiet.
 *
 * @module
 */
import { prng } from '../../src/prng.ts'
import type { RunMode, Scenario } from '../scenario.ts'
import { acceptPlan, type Plan } from './accept.ts'
import { EVENT, ScaledAgents } from './agents.ts'
import { type Announcements, podEntry, TimedAnnouncements } from './announcements.ts'
import { BGP_EVENT } from './bgp/types.ts'
import { REFUSED, ScaledBlocks } from './blocks.ts'
import { countOf, NODE_TABLES, type NodeTable } from './counts.ts'
import { Places } from './places.ts'
import { ScaledPods } from './pods.ts'
import { pricesOf } from './prices.ts'
import { ScaledQueue } from './queue.ts'
import { RecordSizes } from './record-sizes.ts'
import { SpokenAnnouncements } from './spoken.ts'
import { ScaledSwitches } from './switches.ts'

const TICKS_PER_MS = 1000
/** As long as the exact engine waits for each phase: an hour of virtual time. */
const PATIENCE_TICKS = 3_600_000 * TICKS_PER_MS
const BGP_EVENTS_FROM = Math.min(...Object.values(BGP_EVENT))

export interface RunOptions {
  /** Whether every step of every node's tables is kept. */
  readonly isWatched?: boolean
  /** Octets of the network's record, key and value as JSON. */
  readonly networkBytes?: number
  /** Called after each pod that came. */
  readonly onPodAdded?: () => void
}

/** How a node's tables grew: at `tick` its kernel came to show so many claims and pods. */
export interface ScaledStep {
  readonly tick: number
  readonly node: number
  readonly claims: number
  readonly pods: number
}

export class ScaledRun {
  /** Ticks of a microsecond from the start. */
  tick = 0
  /** As the exact engine counts them. */
  events = 0
  /** When switches heard of something last. */
  heardTick = 0
  commits = 0
  bytesWritten = 0
  podsAdded = 0
  podsRefused = 0
  /** ADDs under way. */
  underWay = 0
  readonly plan: Plan
  readonly places: Places
  readonly blocks: ScaledBlocks
  readonly pods: ScaledPods
  readonly agents: ScaledAgents
  readonly announcements: Announcements
  readonly switches: ScaledSwitches

  private readonly options: RunOptions
  private readonly queue = new ScaledQueue()
  private isNotifying = false
  private readonly commitTicks: number
  private readonly sizes: RecordSizes
  /** When the pods began to come, and how many events had been posted by then. */
  private podsFrom = { tick: 0, posted: 0 }

  /** @throws {TriviumError} BAD_CONFIG: names the first word that the engine does not know. */
  constructor(scenario: Scenario, mode: RunMode, options: RunOptions = {}) {
    this.options = options
    this.plan = acceptPlan(scenario, mode)
    const { nodes, racks, times } = scenario
    this.commitTicks = Math.max(1, times.storeMs * TICKS_PER_MS)
    this.places = new Places(nodes, racks)
    this.blocks = new ScaledBlocks(this.plan, this.places)
    this.sizes = new RecordSizes(this.plan, this.places)
    this.pods = new ScaledPods(scenario)
    const now = (): number => this.tick
    const post = (ticks: number, kind: number, a: number, b = 0, since = this.tick): void =>
      this.queue.post(this.tick + ticks, since, kind, a, b)
    const spoken = (): SpokenAnnouncements => this.announcements as SpokenAnnouncements
    this.switches = new ScaledSwitches(this.plan, this.places, {
      post: (ticks, group, since) => post(ticks, EVENT.program, group, 0, since),
      spoken: this.plan.bgp && {
        entryOf: (prefix) => spoken().entryOf(prefix),
        sinceOf: (prefix) => spoken().sinceOf(prefix),
      },
      address: (pod) => this.pods.addresses[pod]!,
      block: (claim) => this.blocks.numberOf(claim),
      rackOf: (claim) => this.places.rackOf(this.blocks.owners.values[claim]!),
    })
    this.announcements = this.announcing(scenario)
    this.agents = new ScaledAgents(
      this.plan,
      this.blocks,
      {
        now,
        post,
        announce: (node, claim) => {
          if (this.plan.announces === 'blocks') this.announcements.came(node, claim)
        },
        isQuiet: () => this.isQuiet,
      },
      options.isWatched ?? false,
    )
    this.switches.start()
    this.announcements.spoken?.start()
    post(this.commitTicks, EVENT.network, 0)
    const chance = prng(scenario.seed).fork('start')
    for (let node = 0; node < nodes; node++) {
      const jitter = chance.below(times.startJitterMs * TICKS_PER_MS + 1)
      post(jitter + 2 * times.storeMs * TICKS_PER_MS + 2, EVENT.start, node)
    }
  }

  private announcing(scenario: Scenario): Announcements {
    const { plan, queue, switches } = this
    const timed = new TimedAnnouncements(scenario, {
      now: () => this.tick,
      post: (ticks, node) => queue.post(this.tick + ticks, this.tick, EVENT.announce, node, 0),
      tell: (entry, since) => switches.tell(entry, since, this.tick),
      told: () => switches.told(),
    })
    if (plan.bgp === undefined) return timed
    const now = (): number => this.tick
    return new SpokenAnnouncements(plan, plan.bgp, timed, {
      clock: {
        get tick() {
          return now()
        },
        post: (ticks, kind, a, b) => queue.post(this.tick + ticks, this.tick, kind, a, b),
      },
      heard: () => {
        this.heardTick = this.tick
      },
      switches,
    })
  }

  /** From the first agent's start. @returns whether the cluster became quiet. */
  coldStart(): boolean {
    return this.run()
  }

  /** All pods come. @returns whether the cluster became quiet. */
  addPods(): boolean {
    this.podsFrom = { tick: this.tick, posted: this.queue.posted }
    this.underWay = this.pods.total
    return this.run()
  }

  /** Entries of a node's table now, which are the most there ever were: nothing is taken back. */
  entries(node: number, table: NodeTable): number {
    const { shown, made } = this.agents
    return this.entriesAt(node, table, shown[node]!, made[node]!)
  }

  /** The same for a kernel that shows so many claims and pods. */
  entriesAt(node: number, table: NodeTable, claims: number, pods: number): number {
    return countOf(this.plan, table, { claims, pods, near: this.agents.nearPeers(node, claims) })
  }

  /** When which node's tables grew, in the order of time; none where nobody watched. */
  *steps(): Generator<ScaledStep> {
    const { ticks, nodes, shown, pods } = this.agents.steps
    for (let at = 0; at < ticks.length; at++) {
      yield {
        tick: ticks.values[at]!,
        node: nodes.values[at]!,
        claims: shown.values[at]!,
        pods: pods.values[at]!,
      }
    }
  }

  /** What went between nodes and the store, octets of keys and values as JSON. */
  get storeTraffic() {
    const { commits, bytesWritten, agents } = this
    return { commits, bytesWritten, notes: agents.notes, bytesNoted: agents.bytesNoted }
  }

  /** Bytes of the columns, queue included. */
  get bytes(): number {
    const { agents, queue, pods, announcements, switches } = this
    return agents.bytes + queue.bytes + pods.bytes + announcements.bytes + switches.bytes
  }

  /**
   * Entries of all nodes' and switches' tables, and those that are stored for them: a
   * claim, a pod, an announcement and what a kind of switch holds of its own are stored once.
   */
  get sharing(): { readonly entries: number; readonly stored: number } {
    let { entries, stored } = this.switches.sharing
    stored += this.blocks.claimed + this.podsAdded
    for (let node = 0; node < this.plan.scenario.nodes; node++) {
      for (const table of NODE_TABLES) entries += this.entries(node, table)
    }
    return { entries, stored }
  }

  private get isQuiet(): boolean {
    const { agents, announcements, switches, underWay } = this
    const isAtRest = announcements.pending === 0 && switches.queued === 0
    return underWay === 0 && agents.isSettled && isAtRest
  }

  private run(): boolean {
    const limit = this.tick + PATIENCE_TICKS
    while (!this.isQuiet) {
      if (this.isPodNext()) {
        if (this.podTick > limit) return false
        this.addPod()
        continue
      }
      const before = this.tick
      if (!this.queue.pop() || this.queue.tick > limit) return false
      this.tick = this.queue.tick
      const served = this.serve(this.queue.kind, this.queue.a, this.queue.b)
      if (served === 0) this.tick = before
      this.events += served
    }
    return true
  }

  private get podTick(): number {
    return this.podsFrom.tick + this.pods.nextTicks
  }

  private isPodNext(): boolean {
    if (this.underWay === 0 || !this.pods.isLeft) return false
    const { tick, posted } = this.podsFrom
    return !this.queue.isFirstBefore(this.podTick, tick, posted)
  }

  private addPod(): void {
    this.tick = this.podTick
    this.events++
    const pod = this.pods.take()
    this.queue.post(this.tick + this.commitTicks, this.tick, EVENT.podCommit, pod, 0)
  }

  /** @returns events, as the exact engine counts them. */
  private serve(kind: number, a: number, b: number): number {
    const { agents, announcements } = this
    if (kind >= BGP_EVENTS_FROM) return announcements.spoken?.serve(kind, a, b) === true ? 1 : 0
    switch (kind) {
      case EVENT.hear:
        return agents.hear(a)
      case EVENT.read:
        return agents.read(a)
      case EVENT.applied:
        return agents.applied(a)
      case EVENT.timers:
        return agents.timers(a)
      case EVENT.repair:
        return agents.repair(a) ? 1 : 0
      case EVENT.program:
        return this.switches.program(a, this.tick)
      default:
        this.serveOne(kind, a)
        return 1
    }
  }

  private serveOne(kind: number, a: number): void {
    const { agents } = this
    if (kind === EVENT.podCommit) this.commitPod(a)
    else if (kind === EVENT.podMade) this.madePod(a)
    else if (kind === EVENT.announce) {
      this.heardTick = this.tick
      this.announcements.serve(a)
    } else if (kind === EVENT.prepare) agents.prepared(a)
    else if (kind === EVENT.observed) agents.observed(a)
    else if (kind === EVENT.watched) this.isNotifying = false
    else if (kind === EVENT.start) {
      agents.start(a)
      this.announcements.spoken?.agent(a)
    } else if (kind === EVENT.commit) this.register(a)
    else {
      const { networkBytes = 0 } = this.options
      this.watch(networkBytes)
      agents.committed(networkBytes)
    }
  }

  /** A commit wrote something: whoever watches the store itself hears, once for all until then. */
  private watch(bytes: number): void {
    this.commits++
    this.bytesWritten += bytes
    if (this.isNotifying) return
    this.isNotifying = true
    this.queue.post(this.tick + this.commitTicks, this.tick, EVENT.watched, 0, 0)
  }

  private commitPod(pod: number): void {
    const { agents, blocks, pods } = this
    const node = pods.nodeOf(pod)
    const before = blocks.claimed
    const address = blocks.allocate(node)
    if (address === REFUSED) {
      this.podsRefused++
      this.underWay--
      return
    }
    // A block that is claimed for the address is written before the pod's record, a spare one after it.
    const isFirst = blocks.claimed === before
    const { claim, cursor, used } = blocks.state(node)
    blocks.ensure(node)
    const sequence = agents.recorded[node]! + 1
    pods.addresses[pod] = address
    pods.sequences[pod] = sequence
    const { sizes } = this
    const block = blocks.startOf(claim)
    const own = sizes.attachment(node, pod, address, sequence)
    const written =
      sizes.sequence(node, sequence) +
      sizes.use(node, block, blocks.isFirst(node, claim), cursor, used) +
      sizes.address(pod, address, block, sequence)
    const shared = this.claimedSince(node, before)
    this.watch(own + written + shared.claims + shared.uses)
    agents.recordedPod(node, own, shared.claims, isFirst)
    const ticks = agents.work(node, pricesOf(this.plan).pod.ticks)
    this.queue.post(this.tick + ticks, this.tick, EVENT.podMade, pod, 0)
  }

  /** A node says who it is and claims its first block. */
  private register(node: number): void {
    const { agents, blocks } = this
    const before = blocks.claimed
    blocks.ensure(node)
    const { claims, uses } = this.claimedSince(node, before)
    const noted = this.sizes.node(node) + claims
    this.watch(noted + uses)
    agents.commit(node, noted)
  }

  /** Octets of what was written for blocks that a node has claimed. */
  private claimedSince(node: number, before: number) {
    const { blocks, sizes } = this
    let [claims, uses] = [0, 0]
    for (let claim = before; claim < blocks.claimed; claim++) {
      const isFirst = blocks.isFirst(node, claim)
      claims += sizes.claim(node, blocks.startOf(claim), isFirst)
      uses += sizes.use(node, blocks.startOf(claim), isFirst, 0, 0)
    }
    return { claims, uses }
  }

  private madePod(pod: number): void {
    const { agents, pods } = this
    const node = pods.nodeOf(pod)
    pods.isMade[pod] = 1
    agents.madePod(node)
    this.announcements.came(node, podEntry(pod))
    agents.note(node)
    this.underWay--
    this.podsAdded++
    this.options.onPodAdded?.()
  }
}
