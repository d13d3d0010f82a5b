/**
 * What the agents of all nodes know: a number a node for each thing.
 *
 * @module
 */
import type { Plan } from './accept.ts'
import type { ScaledBlocks } from './blocks.ts'
import { ints, numbers } from './growing.ts'
import { Lists } from './lists.ts'
import { type Prices, pricesOf } from './prices.ts'

/** Times in milliseconds are as the reconciler counts them, in ticks of a microsecond over 1000. */
const TICKS_PER_MS = 1000

/** What an agent is at; only one that is idle has a time to wake. */
export const PHASE = { off: 0, idle: 1, looking: 2, busy: 3, applying: 4 } as const
/** Whether the next round begins with the store. */
export const PREPARE = { no: 0, timer: 1, asked: 2 } as const

export interface AgentPorts {
  now(): number
  /** @param since When it was scheduled, where that was not now. */
  post(delayTicks: number, kind: number, a: number, b?: number, since?: number): void
  /** A block of the node's own is in its kernel. */
  announce(node: number, claim: number): void
  /** Whether nothing is left to do in the cluster. */
  isQuiet(): boolean
}

export class AgentColumns {
  readonly blocks: ScaledBlocks
  /** Commits that every node reads. */
  version = 0
  operations = 0
  notes = 0
  /** Octets of what nodes were told. */
  bytesNoted = 0
  /** Claims that each node's kernel shows; -1: none, not even its own. */
  readonly shown: Int32Array
  /** Pods of each node that the store knows, and that its kernel shows. */
  readonly recorded: Int32Array
  readonly made: Int32Array
  /** How tables grew, if anybody wants to know: when whose kernel showed how many claims and pods. */
  readonly steps = { ticks: numbers(), nodes: ints(), shown: ints(), pods: ints() }

  protected readonly ports: AgentPorts
  protected readonly plan: Plan
  protected readonly prices: Prices
  protected readonly lists = new Lists()
  protected readonly phase: Uint8Array
  protected readonly prepare: Uint8Array
  protected readonly changed: Uint8Array
  protected readonly lookFirst: Uint8Array
  protected readonly whole: Uint8Array
  protected readonly hearing: Uint8Array
  /** Octets of the note that is on its way. */
  protected readonly noteBytes: Float64Array
  /** Whether it has made the nftables table, and not looked since. */
  protected readonly tableNew: Uint8Array
  /** Whether a timer for its repair waits in the queue, perhaps too early a one. */
  protected readonly hasRepair: Uint8Array
  /** Milliseconds; NaN: never. */
  protected readonly due: Float64Array
  protected readonly armed: Float64Array
  protected readonly repairAt: Float64Array
  /** Ticks: of the timer that counts, when it was set; until when the kernel is busy. */
  protected readonly timerTick: Float64Array
  protected readonly armedTick: Float64Array
  /** When the timer was set that waits in the queue for its repair. */
  protected readonly repairSince: Float64Array
  protected readonly busyTick: Float64Array
  protected readonly readVersion: Int32Array
  protected readonly readClaims: Int32Array
  protected readonly readOwned: Int32Array
  protected readonly readRecorded: Int32Array
  protected readonly readPods: Int32Array
  protected readonly planned: Int32Array
  protected readonly ownShown: Int32Array
  protected readonly settledVersion: Int32Array
  protected readonly settledRecorded: Int32Array
  protected settledCount = 0
  protected readonly commitTicks: number
  protected readonly settleMs: number
  protected readonly repairMs: number
  /** The last answer of `isTooMuch`. */
  protected lastStep = { from: -1, to: -1, tooMuch: false }
  protected readonly stamps: Int32Array
  protected stamp = 0
  protected readonly isWatched: boolean

  /** @param isWatched Whether steps are kept. */
  constructor(plan: Plan, blocks: ScaledBlocks, ports: AgentPorts, isWatched: boolean) {
    this.blocks = blocks
    this.plan = plan
    this.ports = ports
    this.prices = pricesOf(plan)
    this.isWatched = isWatched
    const { nodes, times } = plan.scenario
    this.commitTicks = Math.max(1, times.storeMs * TICKS_PER_MS)
    this.settleMs = times.settleMs
    this.repairMs = times.repairMs
    const none = (): Int32Array => new Int32Array(nodes).fill(-1)
    const zeros = (): Int32Array => new Int32Array(nodes)
    const bytes = (): Uint8Array => new Uint8Array(nodes)
    const times64 = (): Float64Array => new Float64Array(nodes)
    this.shown = none()
    this.recorded = zeros()
    this.made = zeros()
    this.readVersion = none()
    this.readClaims = none()
    this.readOwned = zeros()
    this.readRecorded = zeros()
    this.readPods = zeros()
    this.planned = zeros()
    this.ownShown = zeros()
    this.settledVersion = none()
    this.settledRecorded = zeros()
    this.stamps = zeros()
    this.phase = bytes()
    this.prepare = bytes().fill(PREPARE.asked)
    this.changed = bytes()
    this.lookFirst = bytes()
    this.whole = bytes()
    this.hearing = bytes()
    this.tableNew = bytes()
    this.hasRepair = bytes()
    this.due = times64()
    this.armed = times64().fill(Number.NaN)
    this.repairAt = times64()
    this.timerTick = times64().fill(-1)
    this.armedTick = times64()
    this.repairSince = times64()
    this.busyTick = times64()
    this.noteBytes = times64()
  }

  /** Bytes of the columns. */
  get bytes(): number {
    let sum = this.lists.bytes + this.blocks.bytes
    for (const column of Object.values(this)) {
      if (ArrayBuffer.isView(column)) sum += column.byteLength
    }
    for (const column of Object.values(this.steps)) sum += column.bytes
    return sum
  }
}
