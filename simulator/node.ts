/**
 * One simulated node: the product's own agent, allocator and planners on a
 * simulated kernel and a virtual clock. What it does for pods is in `sandboxes.ts`.
 *
 * @module
 */
import type { AttachmentRecord, NodeRecord } from '../ipam/records.ts'
import type { Store } from '../ipam/store.ts'
import { type AgentReport, type AgentTimes, agentMachine } from '../src/agent/agent.ts'
import { agentPerform } from '../src/agent/perform.ts'
import { makesTable } from '../src/agent/rules.ts'
import { type Driven, drive } from '../src/driver.ts'
import { invariant } from '../src/errors.ts'
import { identity, type KernelObject } from '../src/kernel/mod.ts'
import type { KernelPort } from '../src/ports.ts'
import { type Engine, EVENT, virtualClock } from './clock.ts'
import { SimKernel } from './kernel.ts'
import { kernelPort } from './kernel-port.ts'
import type { KernelListener } from './kernel-tables.ts'
import { type PodWish, Sandboxes, type SimPod } from './sandboxes.ts'

export type { SimPod } from './sandboxes.ts'

/** Unix time of virtual zero, for records: 2026-01-01. */
const EPOCH_MS = 1_767_225_600_000

/** What a node tells the run. */
export interface NodeEvents {
  /** An ADD ended; `refusal` says why it failed. */
  podAdded(id: number, pod: SimPod | undefined, refusal: string | undefined): void
  /** A DEL ended; `refusal` says why its record is still there. */
  podRemoved(id: number, refusal: string | undefined): void
  /** The store holds a pod's addresses; its links may never come. */
  podRecorded?(id: number, attachment: AttachmentRecord): void
  /** The agent finished a round. */
  settled(node: SimNode): void
  report(node: SimNode, report: AgentReport): void
  /** A kernel refused what a planner asked for. */
  refused(node: SimNode, message: string): void
}

export interface SimNodeOptions {
  readonly index: number
  readonly rack: number
  readonly record: NodeRecord
  /** What the kernel holds before the agent starts. */
  readonly initial: readonly KernelObject[]
  /** Names of the run's networks. */
  readonly networks: readonly string[]
  readonly times: AgentTimes
  readonly listener: KernelListener
}

export class SimNode {
  readonly index: number
  readonly rack: number
  /** How the node registers itself; see `changeUnderlay`. */
  record: NodeRecord
  /** Another one after each loss of power. */
  kernel: SimKernel
  /** Version of what this node reads in the store. */
  version = 0
  /** Version that its kernel shows; -1 before the first round. */
  settledVersion = -1

  private readonly engine: Engine
  private readonly store: Store
  private readonly events: NodeEvents
  private readonly times: AgentTimes
  private readonly initial: readonly KernelObject[]
  private readonly listener: KernelListener
  private port: KernelPort
  private readonly sandboxes: Sandboxes
  private agent: Driven<Parameters<ReturnType<typeof agentMachine>['handle']>[0]> | undefined
  private agentLife = 0
  private kernelLife = 0
  private readVersion = -1
  private hearing = false

  constructor(engine: Engine, store: Store, events: NodeEvents, options: SimNodeOptions) {
    this.engine = engine
    this.store = store
    this.events = events
    this.index = options.index
    this.rack = options.rack
    this.record = options.record
    this.times = options.times
    this.initial = options.initial
    this.listener = options.listener
    this.sandboxes = new Sandboxes({
      node: this,
      store,
      port: () => this.port,
      events,
      networks: options.networks,
      nowMs: () => this.nowMs(),
      listener: options.listener,
    })
    this.kernel = this.newKernel()
    this.port = kernelPort(engine, this.kernel, options.index)
    this.configure()
  }

  /** Pods that have their links. */
  get pods(): ReadonlyMap<number, SimPod> {
    return this.sandboxes.pods
  }

  get isSettled(): boolean {
    return this.settledVersion === this.version
  }

  /** Whether its agent runs. */
  get isRunning(): boolean {
    return this.agent !== undefined
  }

  /** Starts the agent. */
  start(): void {
    const { engine, index } = this
    const perform = agentPerform({
      name: this.record.name,
      node: (done) => done(this.record),
      store: {
        ...this.store,
        read: (body) => {
          this.readVersion = this.version
          return this.store.read(body)
        },
      },
      kernel: this.port,
      wallMs: () => this.nowMs(),
      defer: (run) => void engine.later(1, EVENT.store, index, 1, run),
      report: (report) => this.events.report(this, report),
      ready: () => {},
    })
    // A round that goes on has not shown the store yet: it asks the store before it looks at the kernel.
    let goesOn = false
    const life = ++this.agentLife
    const machine = agentMachine(this.times)
    const clock = virtualClock(engine, index)
    const isDueSoon = (): boolean =>
      (machine.nextWake() ?? Number.POSITIVE_INFINITY) - clock.now() <= this.times.settleMs
    this.agent = drive(machine, clock, (effect, feed) => {
      const isFirst =
        effect.kind === 'kernel.apply' && this.sandboxes.isAsked && makesTable(effect.ops)
      if (effect.kind !== 'report' && effect.kind !== 'ready') goesOn = true
      perform(effect, (input) => {
        goesOn = false
        feed(input)
        // An agent that was stopped settles nothing with its last answers.
        if (life !== this.agentLife) return
        const planned = input.kind === 'store.read' && input.view !== undefined && !goesOn
        const applied =
          input.kind === 'kernel.applied' &&
          input.failures.every((failure) => failure === undefined)
        // Pods that came while the nftables table was made wait for another look.
        if (planned || (applied && !(isFirst && isDueSoon()))) this.settle()
      })
    })
  }

  /** Ends the agent; what it made stays. */
  stop(): void {
    this.agent?.stop()
    this.agent = undefined
    this.agentLife++
    this.readVersion = this.settledVersion = -1
  }

  /** Power is gone: agent, pods and everything in the kernel with it. Records stay. */
  powerOff(): void {
    this.stop()
    this.losePods()
    const dead = this.kernel
    // Operations that were under way go on in a kernel that nobody hears of.
    this.kernel = this.newKernel()
    this.kernel.operations = dead.operations
    this.port = kernelPort(this.engine, this.kernel, this.index)
    for (const object of dead.objects()) this.listener(object, undefined, identity(object))
  }

  /** Power is back, and the machine has its addresses. */
  powerOn(): void {
    this.configure()
  }

  /** The underlay link has other addresses, or another MTU. The kernel shows it already. */
  changeUnderlay(record: NodeRecord): void {
    this.record = record
    this.agent?.feed({ kind: 'underlay.changed' })
  }

  /** The store holds something new for this node. @param depart Ticks that a note takes which leaves now. */
  touch(watchTicks: number, depart: () => number = () => 0): void {
    this.version++
    if (this.hearing) return
    this.hearing = true
    const { engine, index } = this
    const hear = (): void => this.agent?.feed({ kind: 'store.changed' })
    engine.later(watchTicks, EVENT.watch, index, 0, () => {
      this.hearing = false
      const wayTicks = depart()
      if (wayTicks === 0) hear()
      else engine.later(wayTicks, EVENT.watch, index, 1, hear)
    })
  }

  /** CNI ADD. One that failed may be asked for again. */
  addPod(id: number, wish: PodWish = {}): void {
    this.sandboxes.add(id, wish)
  }

  /** CNI DEL. One that failed may be asked for again. */
  removePod(id: number): void {
    this.sandboxes.remove(id)
  }

  /** Power is gone: no pod of this node has links any more. */
  losePods(): void {
    this.sandboxes.lose()
  }

  private newKernel(): SimKernel {
    const life = ++this.kernelLife
    return new SimKernel(this.record.name, (before, after, key) => {
      if (life !== this.kernelLife) return
      this.sandboxes.followPair(before, after)
      this.listener(before, after, key)
    })
  }

  private configure(): void {
    for (const object of this.initial) {
      const failure = this.kernel.apply({ kind: 'add', object })
      invariant(failure === undefined, failure?.message ?? '')
    }
  }

  private settle(): void {
    this.settledVersion = this.readVersion
    this.events.settled(this)
  }

  private nowMs(): number {
    return EPOCH_MS + Math.floor(this.engine.tick / 1000)
  }
}
