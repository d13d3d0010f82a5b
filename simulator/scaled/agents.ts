/**
 * The agents of all nodes in columns: one number a node for each thing that an agent
 * knows. What a node knows of the others is how much it has read of one list, the
 * claims of blocks in their order, which all nodes share.
 *
 * It follows the product's reconciler (`src/agent/agent.ts`) in what a cold start can
 * meet: rounds that begin with the store, with the kernel or with a look, and changes
 * that are heard meanwhile.
 *
 * @module
 */
import type { Plan } from './accept.ts'

/** Times in milliseconds are as the reconciler counts them, in ticks of a microsecond over 1000. */
const TICKS_PER_MS = 1000
const DUMP_TICKS = 100

/** What an agent is at; only one that is idle has a time to wake. */
const PHASE = { off: 0, idle: 1, looking: 2, busy: 3, applying: 4 } as const
/** Whether the next round begins with the store. */
const PREPARE = { no: 0, timer: 1, asked: 2 } as const

export const EVENT = {
  network: 0,
  start: 1,
  prepare: 2,
  commit: 3,
  hear: 4,
  observed: 5,
  read: 6,
  applied: 7,
  timer: 8,
  announce: 9,
  program: 10,
} as const

/** What one mode costs in a node's kernel: microseconds, operations and objects. */
interface Price {
  readonly ticks: number
  readonly operations: number
}

/**
 * Measured on Linux 6.18 as in the exact engine's kernel: sysctl 5, nftables table 50, set
 * 50, element 4, chain 200, link 600, address 20, route 6 or onlink 87, neighbour 14,
 * forwarding entry 10.
 */
const FIRST: Readonly<Record<Plan['mode'], Price & { readonly objects: number }>> = {
  // Forwarding on; table, 17 sets, 4 elements, 4 chains; the own block's blackhole.
  route: { ticks: 5 + 50 + 17 * 50 + 4 * 4 + 4 * 200 + 6, operations: 28, objects: 5 },
  // Two elements more, the tunnel and its address.
  vxlan: { ticks: 5 + 50 + 17 * 50 + 6 * 4 + 4 * 200 + 600 + 20 + 6, operations: 32, objects: 6 },
  // Table, 3 sets and a chain of the bridge; bridge and VLAN.
  vlan: { ticks: 50 + 3 * 50 + 200 + 2 * 600, operations: 7, objects: 5 },
}
/** One peer with its block. */
const PEER: Readonly<Record<Plan['mode'], Price>> = {
  route: { ticks: 4 + 6, operations: 2 },
  vxlan: { ticks: 4 + 10 + 14 + 87, operations: 4 },
  vlan: { ticks: 0, operations: 0 },
}
/** Sysctls are changed, not added. */
const CHANGED: Readonly<Record<Plan['mode'], number>> = { route: 1, vxlan: 1, vlan: 0 }

export interface AgentPorts {
  now(): number
  post(delayTicks: number, kind: number, node: number, mark?: number): void
  /** The node's own block is in its kernel. */
  announce(node: number): void
}

export class ScaledAgents {
  /** Node by claim, in the order of claims; the k-th has the k-th block. */
  readonly owners: Int32Array
  readonly claims: Int32Array
  claimed = 0
  /** Commits that every node reads. */
  version = 0
  operations = 0
  notes = 0
  /** Claims that each node's kernel shows; -1: none, not even its own. */
  readonly shown: Int32Array
  /** How tables grew: when whose kernel showed how many claims. */
  readonly steps = { ticks: [] as number[], nodes: [] as number[], shown: [] as number[] }

  private readonly plan: Plan
  private readonly ports: AgentPorts
  private readonly phase: Uint8Array
  private readonly prepare: Uint8Array
  private readonly changed: Uint8Array
  private readonly lookFirst: Uint8Array
  private readonly whole: Uint8Array
  /** Milliseconds; NaN: never. */
  private readonly due: Float64Array
  private readonly armed: Float64Array
  private readonly repairAt: Float64Array
  /** Of the timer that counts. */
  private readonly mark: Int32Array
  private readonly readVersion: Int32Array
  private readonly readClaims: Int32Array
  private readonly settledVersion: Int32Array
  private settledCount = 0
  private hearing = false
  private readonly commitTicks: number
  private readonly settleMs: number
  private readonly repairMs: number

  constructor(plan: Plan, ports: AgentPorts) {
    this.plan = plan
    this.ports = ports
    const { nodes, times } = plan.scenario
    this.commitTicks = Math.max(1, times.storeMs * TICKS_PER_MS)
    this.settleMs = times.settleMs
    this.repairMs = times.repairMs
    const ints = (): Int32Array => new Int32Array(nodes).fill(-1)
    const bytes = (): Uint8Array => new Uint8Array(nodes)
    const numbers = (): Float64Array => new Float64Array(nodes)
    this.owners = ints()
    this.claims = ints()
    this.shown = ints()
    this.mark = ints()
    this.readVersion = ints()
    this.readClaims = ints()
    this.settledVersion = ints()
    this.phase = bytes()
    this.prepare = bytes().fill(PREPARE.asked)
    this.changed = bytes()
    this.lookFirst = bytes()
    this.whole = bytes()
    this.due = numbers()
    this.armed = numbers().fill(Number.NaN)
    this.repairAt = numbers()
  }

  /** Whether every kernel shows what the store asks for. */
  get isSettled(): boolean {
    return this.settledCount === this.shown.length
  }

  /** Bytes of the columns. */
  get bytes(): number {
    const columns = [this.owners, this.claims, this.shown, this.mark, this.readVersion]
    const more = [this.readClaims, this.settledVersion, this.phase, this.prepare, this.changed]
    const last = [this.lookFirst, this.whole, this.due, this.armed, this.repairAt]
    const sum = [...columns, ...more, ...last].reduce((all, each) => all + each.byteLength, 0)
    return sum + 3 * 8 * this.steps.ticks.length
  }

  start(node: number): void {
    this.phase[node] = PHASE.idle
    this.wake(node)
  }

  /** The store holds something that every node reads: a note a node, all at one moment. */
  committed(): void {
    this.version++
    this.settledCount = 0
    if (this.hearing) return
    this.hearing = true
    this.ports.post(this.commitTicks, EVENT.hear, -1)
  }

  /** The store is asked to register the node and to give it a block; nothing is asked twice. */
  prepared(node: number): void {
    if (this.claims[node]! < 0) this.ports.post(this.commitTicks, EVENT.commit, node)
    else this.observe(node)
  }

  commit(node: number): void {
    this.claims[node] = this.claimed
    this.owners[this.claimed++] = node
    this.committed()
    this.observe(node)
  }

  /** Notes arrive, at every node at once: each of them was told of each commit. */
  hear(): void {
    this.hearing = false
    const { phase, shown } = this
    this.notes += shown.length
    for (let node = 0; node < shown.length; node++) {
      if (phase[node] !== PHASE.off) this.touch(node)
    }
  }

  observed(node: number): void {
    this.ports.post(1, EVENT.read, node)
  }

  read(node: number): void {
    this.readVersion[node] = this.version
    this.readClaims[node] = this.claimed
    const whole = this.phase[node] === PHASE.looking ? 0 : 1
    this.whole[node] = whole
    const { ticks, operations } = this.missing(node)
    if (operations > 0) {
      this.phase[node] = PHASE.applying
      this.operations += operations
      this.ports.post(ticks, EVENT.applied, node)
      return
    }
    this.finish(node)
  }

  applied(node: number): void {
    const isFirst = this.shown[node]! < 0
    this.shown[node] = this.readClaims[node]!
    this.steps.ticks.push(this.ports.now())
    this.steps.nodes.push(node)
    this.steps.shown.push(this.shown[node]!)
    if (isFirst) this.ports.announce(node)
    this.finish(node)
  }

  /** @param mark Of the timer; an old one is not served. */
  isCurrent(node: number, mark: number): boolean {
    return this.mark[node] === mark
  }

  timer(node: number): void {
    this.armed[node] = Number.NaN
    this.wake(node)
  }

  /** What the kernel lacks of what was read. */
  private missing(node: number): Price {
    const { mode } = this.plan
    const shown = this.shown[node]!
    const [first, peer] = [FIRST[mode], PEER[mode]]
    const count = this.readClaims[node]! - Math.max(shown, 0) - (shown < 0 ? 1 : 0)
    const ticks = count * peer.ticks + (shown < 0 ? first.ticks : 0)
    return { ticks, operations: count * peer.operations + (shown < 0 ? first.operations : 0) }
  }

  /** Objects in the node's kernel. */
  private objects(node: number): number {
    const { mode } = this.plan
    const shown = this.shown[node]!
    const { objects, operations } = FIRST[mode]
    if (shown < 0) return objects
    return objects + operations - CHANGED[mode] + (shown - 1) * PEER[mode].operations
  }

  private observe(node: number): void {
    this.phase[node] = PHASE.busy
    this.ports.post(DUMP_TICKS + this.objects(node), EVENT.observed, node)
  }

  /** A round is over, and the kernel shows what was read. */
  private finish(node: number): void {
    const nowMs = this.ports.now() / TICKS_PER_MS
    if (this.whole[node] === 1) this.repairAt[node] = nowMs + this.repairMs
    const changed = this.changed[node] === 1
    this.phase[node] = PHASE.idle
    this.due[node] = changed ? nowMs + this.settleMs : this.repairAt[node]!
    this.lookFirst[node] = changed ? 1 : 0
    if (!changed && this.prepare[node] === PREPARE.no) this.prepare[node] = PREPARE.timer
    this.changed[node] = 0
    this.arm(node)
    if (this.readVersion[node] !== this.version) return
    if (this.settledVersion[node] !== this.version) this.settledCount++
    this.settledVersion[node] = this.version
  }

  private touch(node: number): void {
    if (this.phase[node] !== PHASE.idle) {
      this.changed[node] = 1
      return
    }
    const soonMs = this.ports.now() / TICKS_PER_MS + this.settleMs
    if (this.due[node]! <= soonMs) return
    this.due[node] = soonMs
    this.lookFirst[node] = 1
    if (this.prepare[node] === PREPARE.timer) this.prepare[node] = PREPARE.no
    this.arm(node)
  }

  private wake(node: number): void {
    const nowMs = this.ports.now() / TICKS_PER_MS
    if (this.due[node]! > nowMs) {
      this.arm(node)
      return
    }
    // Under steady change the timer's round still has its turn.
    if (nowMs >= this.repairAt[node]! && this.prepare[node] === PREPARE.no) {
      this.prepare[node] = PREPARE.timer
    }
    if (this.prepare[node] !== PREPARE.no) {
      this.prepare[node] = PREPARE.no
      this.phase[node] = PHASE.busy
      this.ports.post(1, EVENT.prepare, node)
    } else if (this.lookFirst[node] === 1) {
      this.phase[node] = PHASE.looking
      this.ports.post(1, EVENT.read, node)
    } else this.observe(node)
  }

  /** Sets the timer of an idle agent; the one before counts no more. */
  private arm(node: number): void {
    const due = this.due[node]!
    if (due === this.armed[node]) return
    this.armed[node] = due
    let tick = Math.ceil(due * TICKS_PER_MS)
    while (tick / TICKS_PER_MS < due) tick++
    this.ports.post(Math.max(0, tick - this.ports.now()), EVENT.timer, node, ++this.mark[node]!)
  }
}
