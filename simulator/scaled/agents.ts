/**
 * The agents of all nodes in columns: one number a node for each thing that an agent
 * knows. What a node knows of the others is how much it has read of one list, the
 * claims of blocks in their order, which all nodes share.
 *
 * It follows the product's reconciler (`src/agent/agent.ts`) in what a cluster can
 * meet in which nothing is ever taken back: rounds that begin with the store, with
 * the kernel or with a look, and changes that are heard meanwhile.
 *
 * Nodes that hear of one commit together wake, look and apply together: such a batch
 * is one event here, and its nodes are gone through in their order.
 *
 * @module
 */
import { PHASE, PREPARE } from './agent-columns.ts'
import { AgentKernels } from './agent-kernels.ts'
import { operationsOf } from './prices.ts'

/** Times in milliseconds are as the reconciler counts them, in ticks of a microsecond over 1000. */
const TICKS_PER_MS = 1000
const DUMP_TICKS = 100
/** Peers that a step takes at most, beside a share of all. */
const STEP_PEERS_MAX = 8
const STEP_SHARE_MAX = 0.25
/** Before everything else at its tick. */
const BEFORE = -1

export const EVENT = {
  network: 0,
  start: 1,
  prepare: 2,
  commit: 3,
  hear: 4,
  observed: 5,
  read: 6,
  applied: 7,
  timers: 8,
  announce: 9,
  program: 10,
  repair: 11,
  watched: 12,
  podCommit: 13,
  podMade: 14,
} as const

export class ScaledAgents extends AgentKernels {
  /** Whether every kernel shows what the store asks for. */
  get isSettled(): boolean {
    return this.settledCount === this.shown.length
  }

  start(node: number): void {
    this.phase[node] = PHASE.idle
    if (this.wake(node)) this.postReads([node])
  }

  /**
   * The store holds something that every node reads: a note a node, all at one moment.
   *
   * @param bytes Of what is new for all of them.
   * @param first Its own note comes before those of the others; -1: none does.
   */
  committed(bytes: number, first = -1): void {
    this.version++
    this.settledCount = 0
    const { hearing, noteBytes } = this
    const list = this.lists.take()
    if (first >= 0 && hearing[first] === 0) {
      hearing[first] = 1
      list.push(first)
    }
    for (let node = 0; node < hearing.length; node++) {
      noteBytes[node]! += bytes
      if (hearing[node] === 1) continue
      hearing[node] = 1
      list.push(node)
    }
    if (list.length === 0) this.lists.give(list)
    else this.ports.post(this.commitTicks, EVENT.hear, this.lists.keep(list))
  }

  /**
   * A pod of the node has its address.
   *
   * @param own Octets that are new for the node alone.
   * @param shared For every node: of blocks that were claimed; 0: none was.
   */
  recordedPod(node: number, own: number, shared: number, isFirst: boolean): void {
    const isSettled = this.isSettledNode(node)
    this.recorded[node]!++
    this.noteBytes[node]! += own
    if (shared > 0) {
      this.committed(shared, isFirst ? node : -1)
      return
    }
    if (isSettled) this.settledCount--
    if (this.hearing[node] === 1) return
    this.hearing[node] = 1
    const list = this.lists.take()
    list.push(node)
    this.ports.post(this.commitTicks, EVENT.hear, this.lists.keep(list))
  }

  /** The store is asked to register the node and to give it a block; nothing is asked twice. */
  prepared(node: number): void {
    if (this.blocks.owned[node] === 0) this.ports.post(this.commitTicks, EVENT.commit, node)
    else this.observe(node)
  }

  /** The node has its first block. @param bytes Octets of what is new for every node. */
  commit(node: number, bytes: number): void {
    this.committed(bytes)
    this.observe(node)
  }

  /** Notes arrive. @returns how many. */
  hear(index: number): number {
    const list = this.lists.at(index)
    const { hearing, phase, noteBytes } = this
    this.notes += list.length
    const soon = this.lists.take()
    for (const node of list) {
      hearing[node] = 0
      this.bytesNoted += noteBytes[node]!
      noteBytes[node] = 0
      if (phase[node] !== PHASE.off) this.touch(node, soon)
    }
    this.postTimers(soon)
    const { length } = list
    this.lists.drop(index)
    return length
  }

  observed(node: number): void {
    this.postReads([node])
  }

  /** Nodes read the store. @returns how many. */
  read(index: number): number {
    const list = this.lists.at(index)
    const soon = this.lists.take()
    let [applying, lastTick] = [this.lists.take(), -1]
    let served = 0
    for (const node of list) {
      if (served > 0 && this.ports.isQuiet()) break
      served++
      const tick = this.readOne(node, soon)
      if (tick < 0) continue
      if (tick !== lastTick && applying.length > 0) {
        this.postApplied(applying, lastTick)
        applying = this.lists.take()
      }
      lastTick = tick
      applying.push(node)
    }
    if (applying.length > 0) this.postApplied(applying, lastTick)
    else this.lists.give(applying)
    this.postTimers(soon)
    this.putBack(list, served, EVENT.read)
    this.lists.drop(index)
    return served
  }

  /** The cluster is quiet in the middle of a batch: the rest comes first in what follows. */
  private putBack(list: readonly number[], served: number, kind: number): void {
    if (served === list.length) return
    const rest = this.lists.take()
    for (const node of list.slice(served)) rest.push(node)
    this.ports.post(0, kind, this.lists.keep(rest), 0, BEFORE)
  }

  /** Kernels have done what they were asked for. @returns how many. */
  applied(index: number): number {
    const list = this.lists.at(index)
    const soon = this.lists.take()
    let served = 0
    for (const node of list) {
      if (served > 0 && this.ports.isQuiet()) break
      served++
      this.appliedOne(node, soon)
    }
    this.postTimers(soon)
    this.putBack(list, served, EVENT.applied)
    this.lists.drop(index)
    return served
  }

  /** Timers that were set together. @returns how many of them still count. */
  timers(index: number): number {
    const list = this.lists.at(index)
    const now = this.ports.now()
    const looks = this.lists.take()
    let served = 0
    for (const node of list) {
      if (this.timerTick[node] !== now || this.phase[node] !== PHASE.idle) continue
      served++
      this.disarm(node)
      if (this.wake(node)) looks.push(node)
    }
    this.lists.drop(index)
    if (looks.length === 0) this.lists.give(looks)
    else this.ports.post(1, EVENT.read, this.lists.keep(looks))
    return served
  }

  /** A timer for a repair; it may have been put off meanwhile. @returns whether it counts. */
  repair(node: number): boolean {
    this.hasRepair[node] = 0
    if (this.phase[node] !== PHASE.idle || this.due[node] !== this.repairAt[node]) return false
    const now = this.ports.now()
    const armedTick = this.armedTick[node]!
    // Put off, or set anew for the same moment: then others that were set before come first.
    if (this.timerTick[node] !== now || this.repairSince[node] !== armedTick) {
      this.hasRepair[node] = 1
      this.repairSince[node] = armedTick
      this.ports.post(this.timerTick[node]! - now, EVENT.repair, node, 0, armedTick)
      return false
    }
    this.disarm(node)
    if (this.wake(node)) this.postReads([node])
    return true
  }

  /** A node's kernel takes one request at a time. @returns ticks until it has done this one. */
  work(node: number, ticks: number): number {
    const now = this.ports.now()
    this.busyTick[node] = Math.max(this.busyTick[node]!, now) + ticks
    return this.busyTick[node]! - now
  }

  /** A pod has its link. */
  madePod(node: number): void {
    this.made[node]!++
    this.operations += this.prices.pod.operations
  }

  /** How a node's tables are now. */
  note(node: number): void {
    if (!this.isWatched) return
    this.steps.ticks.push(this.ports.now())
    this.steps.nodes.push(node)
    this.steps.shown.push(this.shown[node]!)
    this.steps.pods.push(this.made[node]!)
  }

  /** @returns when the kernel will have done what is missing; -1: nothing is, or not known yet. */
  private readOne(node: number, soon: number[]): number {
    const { claimed } = this.blocks
    const isLook = this.phase[node] === PHASE.looking
    this.whole[node] = isLook ? 0 : 1
    this.readVersion[node] = this.version
    this.readRecorded[node] = this.recorded[node]!
    if (isLook && !this.mayStep(node, claimed)) {
      this.observe(node)
      return -1
    }
    this.planned[node] = claimed
    this.readPods[node] = this.recorded[node]!
    this.readClaims[node] = claimed
    this.readOwned[node] = this.blocks.owned[node]!
    const ticks = this.missing(node)
    if (ticks < 0) {
      if (!isLook) this.tableNew[node] = 0
      this.finish(node, soon)
      return -1
    }
    this.phase[node] = PHASE.applying
    return this.ports.now() + this.work(node, ticks)
  }

  /** Whether what has changed is a step from the plan before: peers, and not too many of them. */
  private mayStep(node: number, claimed: number): boolean {
    const from = this.planned[node]!
    const isOwn = this.blocks.last[node]! >= from
    if (isOwn || (claimed > from && this.isTooMuch(from, claimed))) return false
    const cameMeanwhile = this.tableNew[node] === 1 && this.recorded[node]! > this.readPods[node]!
    this.tableNew[node] = 0
    if (!cameMeanwhile) return true
    this.planned[node] = claimed
    this.readPods[node] = this.recorded[node]!
    return false
  }

  private isTooMuch(from: number, to: number): boolean {
    const { lastStep, blocks } = this
    const known = Math.min(to, this.shown.length)
    const most = STEP_PEERS_MAX + known * STEP_SHARE_MAX
    if (to - from <= most) return false
    if (lastStep.from === from && lastStep.to === to) return lastStep.tooMuch
    this.stamp++
    let owners = 0
    for (let claim = from; claim < to; claim++) {
      const owner = blocks.owners.values[claim]!
      if (this.stamps[owner] === this.stamp) continue
      this.stamps[owner] = this.stamp
      owners++
    }
    this.lastStep = { from, to, tooMuch: owners > most }
    return this.lastStep.tooMuch
  }

  private appliedOne(node: number, soon: number[]): void {
    const lacking = this.lacking(node)
    const { isFirst } = lacking
    this.operations += operationsOf(this.prices, lacking)
    if (this.whole[node] === 1) this.tableNew[node] = isFirst ? 1 : 0
    this.shown[node] = this.readClaims[node]!
    this.note(node)
    const before = this.ownShown[node]!
    this.ownShown[node] = this.readOwned[node]!
    if (before !== this.readOwned[node]) this.announceOwn(node, before)
    this.finish(node, soon)
  }

  private announceOwn(node: number, from: number): void {
    let at = 0
    for (const claim of this.blocks.of(node)) {
      if (at >= from && at < this.readOwned[node]!) this.ports.announce(node, claim)
      at++
    }
  }

  private observe(node: number): void {
    this.phase[node] = PHASE.busy
    const ticks = this.work(node, DUMP_TICKS + this.objects(node))
    this.ports.post(ticks, EVENT.observed, node)
  }

  private isSettledNode(node: number): boolean {
    return (
      this.settledVersion[node] === this.version &&
      this.settledRecorded[node] === this.recorded[node]
    )
  }

  /** A round is over, and the kernel shows what was read. */
  private finish(node: number, soon: number[]): void {
    const nowMs = this.ports.now() / TICKS_PER_MS
    if (this.whole[node] === 1) this.repairAt[node] = nowMs + this.repairMs
    const changed = this.changed[node] === 1
    this.phase[node] = PHASE.idle
    this.due[node] = changed ? nowMs + this.settleMs : this.repairAt[node]!
    this.lookFirst[node] = changed ? 1 : 0
    if (!changed && this.prepare[node] === PREPARE.no) this.prepare[node] = PREPARE.timer
    this.changed[node] = 0
    this.arm(node, soon)
    const isBefore = this.isSettledNode(node)
    this.settledVersion[node] = this.readVersion[node]!
    this.settledRecorded[node] = this.readRecorded[node]!
    const isAfter = this.isSettledNode(node)
    if (isBefore !== isAfter) this.settledCount += isAfter ? 1 : -1
  }

  private touch(node: number, soon: number[]): void {
    if (this.phase[node] !== PHASE.idle) {
      this.changed[node] = 1
      return
    }
    const soonMs = this.ports.now() / TICKS_PER_MS + this.settleMs
    if (this.due[node]! <= soonMs) return
    this.due[node] = soonMs
    this.lookFirst[node] = 1
    if (this.prepare[node] === PREPARE.timer) this.prepare[node] = PREPARE.no
    this.arm(node, soon)
  }

  /** @returns whether it looks at the store now. */
  private wake(node: number): boolean {
    const nowMs = this.ports.now() / TICKS_PER_MS
    // Under steady change the timer's round still has its turn.
    if (nowMs >= this.repairAt[node]! && this.prepare[node] === PREPARE.no) {
      this.prepare[node] = PREPARE.timer
    }
    if (this.prepare[node] !== PREPARE.no) {
      this.prepare[node] = PREPARE.no
      this.phase[node] = PHASE.busy
      this.ports.post(1, EVENT.prepare, node)
      return false
    }
    if (this.lookFirst[node] === 0) {
      this.observe(node)
      return false
    }
    this.phase[node] = PHASE.looking
    return true
  }

  private disarm(node: number): void {
    this.armed[node] = Number.NaN
    this.timerTick[node] = -1
  }

  /** Sets the timer of an idle agent; the one before counts no more. @param soon Those with the same. */
  private arm(node: number, soon: number[]): void {
    const due = this.due[node]!
    if (due === this.armed[node]) return
    const now = this.ports.now()
    this.armed[node] = due
    this.armedTick[node] = now
    let tick = Math.ceil(due * TICKS_PER_MS)
    while (tick / TICKS_PER_MS < due) tick++
    this.timerTick[node] = Math.max(now, tick)
    if (due !== this.repairAt[node]) soon.push(node)
    else if (this.hasRepair[node] === 0) {
      this.hasRepair[node] = 1
      this.repairSince[node] = now
      this.ports.post(this.timerTick[node]! - now, EVENT.repair, node)
    }
  }

  private postReads(nodes: readonly number[]): void {
    const list = this.lists.take()
    for (const node of nodes) list.push(node)
    this.ports.post(1, EVENT.read, this.lists.keep(list))
  }

  private postApplied(list: number[], tick: number): void {
    this.ports.post(tick - this.ports.now(), EVENT.applied, this.lists.keep(list))
  }

  /** All of them wake at one moment. */
  private postTimers(list: number[]): void {
    const [node] = list
    if (node === undefined) {
      this.lists.give(list)
      return
    }
    const delay = this.timerTick[node]! - this.ports.now()
    this.ports.post(delay, EVENT.timers, this.lists.keep(list))
  }
}
