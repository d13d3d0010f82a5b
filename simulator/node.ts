/**
 * One simulated node: the product's own agent, allocator and planners on a
 * simulated kernel and a virtual clock.
 *
 * A pod is added as the live node does it: recorded in the store first, together
 * with the spare block, then made in the kernel, host side and pod side.
 *
 * @module
 */
import { type AllocateAnswer, allocate, ensureBlocks, release } from '../ipam/allocator.ts'
import { keys } from '../ipam/keys.ts'
import type { AttachmentRecord, NodeRecord } from '../ipam/records.ts'
import type { Store } from '../ipam/store.ts'
import { type AgentReport, type AgentTimes, agentMachine } from '../src/agent/agent.ts'
import { agentPerform } from '../src/agent/perform.ts'
import type { PodPlan } from '../src/backend/backend.ts'
import { podElements } from '../src/backend/firewall.ts'
import { backends } from '../src/backend/registry.ts'
import { readView } from '../src/cluster/read-view.ts'
import { type Driven, drive } from '../src/driver.ts'
import { invariant } from '../src/errors.ts'
import { identity, type KernelObject, type KernelOp, podLinkName } from '../src/kernel/mod.ts'
import { macFromName } from '../src/net/mod.ts'
import { type Engine, EVENT, virtualClock } from './clock.ts'
import { SimKernel } from './kernel.ts'
import { kernelPort } from './kernel-port.ts'
import type { KernelListener } from './kernel-tables.ts'
import { networkOfPod } from './network.ts'

/** Unix time of virtual zero, for records: 2026-01-01. */
const EPOCH_MS = 1_767_225_600_000
const POD_LINK = 'eth0'

/** A pod that has its addresses and its links. */
export interface SimPod {
  readonly id: number
  readonly node: SimNode
  readonly attachment: AttachmentRecord
  readonly plan: PodPlan
  /** The pod's namespace. */
  readonly kernel: SimKernel
}

/** What a node tells the run. */
export interface NodeEvents {
  /** An ADD ended; `refusal` says why it failed. */
  podAdded(id: number, pod: SimPod | undefined, refusal: string | undefined): void
  podRemoved(id: number): void
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
  readonly kernel: SimKernel
  readonly pods = new Map<number, SimPod>()
  /** Version of what this node reads in the store. */
  version = 0
  /** Version that its kernel shows; -1 before the first round. */
  settledVersion = -1

  private readonly engine: Engine
  private readonly store: Store
  private readonly events: NodeEvents
  private readonly times: AgentTimes
  private readonly networks: readonly string[]
  private readonly port
  private agent: Driven<Parameters<ReturnType<typeof agentMachine>['handle']>[0]> | undefined
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
    this.networks = options.networks
    this.kernel = new SimKernel(options.record.name, (before, after) => {
      this.followPair(before, after)
      options.listener(before, after)
    })
    for (const object of options.initial) {
      const failure = this.kernel.apply({ kind: 'add', object })
      invariant(failure === undefined, failure?.message ?? '')
    }
    this.port = kernelPort(engine, this.kernel, options.index)
  }

  get isSettled(): boolean {
    return this.settledVersion === this.version
  }

  /** Starts the agent. */
  start(): void {
    const { engine, index } = this
    const perform = agentPerform({
      node: () => this.record,
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
    let isApplying = false
    this.agent = drive(agentMachine(this.times), virtualClock(engine, index), (effect, feed) => {
      if (effect.kind === 'kernel.apply') isApplying = true
      perform(effect, (input) => {
        if (input.kind === 'store.read') isApplying = false
        feed(input)
        const planned = input.kind === 'store.read' && input.view !== undefined && !isApplying
        const applied =
          input.kind === 'kernel.applied' &&
          input.failures.every((failure) => failure === undefined)
        if (planned || applied) this.settle()
      })
    })
  }

  /** Ends the agent; what it made stays. */
  stop(): void {
    this.agent?.stop()
    this.agent = undefined
  }

  /** The underlay link has other addresses, or another MTU. The kernel shows it already. */
  changeUnderlay(record: NodeRecord): void {
    this.record = record
    this.agent?.feed({ kind: 'underlay.changed' })
  }

  /** The store holds something new for this node. */
  touch(watchTicks: number): void {
    this.version++
    if (this.hearing) return
    this.hearing = true
    this.engine.later(watchTicks, EVENT.watch, this.index, 0, () => {
      this.hearing = false
      this.agent?.feed({ kind: 'store.changed' })
    })
  }

  /** CNI ADD. */
  addPod(id: number): void {
    this.store.transact(
      (tx): AllocateAnswer => {
        const answer = allocate(tx, this.request(id))
        const network = tx.get(keys.network(this.networkOf(id)))
        if (answer.kind === 'allocated' && network !== undefined) {
          ensureBlocks(tx, network, this.record.name, this.nowMs())
        }
        return answer
      },
      (outcome) => {
        if (outcome.kind === 'failed') {
          this.events.podAdded(id, undefined, outcome.error.message)
        } else if (outcome.answer.kind === 'refused') {
          this.events.podAdded(id, undefined, outcome.answer.message)
        } else this.makePod(id, outcome.answer.attachment)
      },
    )
  }

  /** CNI DEL: guards and links first, record second. */
  removePod(id: number): void {
    const pod = this.pods.get(id)
    invariant(pod !== undefined, `pod ${id} is on ${this.record.name}`)
    const link = pod.plan.node[0]
    invariant(link?.kind === 'link', 'a plan starts with the link')
    const { hostLink = '', ips } = pod.attachment
    const guards = podElements(hostLink, ips).filter((object) => this.kernel.get(identity(object)))
    const ops = [...guards, link].map((object): KernelOp => ({ kind: 'remove', object }))
    this.port.apply(ops, (failures) => {
      this.complain(failures)
      this.store.transact(
        (tx) => release(tx, this.record.name, pod.attachment),
        () => {
          this.pods.delete(id)
          this.events.podRemoved(id)
        },
      )
    })
  }

  private makePod(id: number, attachment: AttachmentRecord): void {
    const view = this.store.read((reader) => readView(reader, this.record.name))
    const network = view?.networks.find(
      (candidate) => candidate.network.name === attachment.network,
    )
    invariant(view !== undefined && network !== undefined, 'the network of a pod exists')
    const plan = backends[network.network.mode].pod(attachment, network, view)
    const ops = plan.node.map((object) => ({ kind: 'add', object }) as const)
    this.port.apply(ops, (failures) => {
      this.complain(failures)
      const pod = { id, node: this, attachment, plan, kernel: this.podKernel(id, plan) }
      this.pods.set(id, pod)
      this.events.podAdded(id, pod, undefined)
    })
  }

  /** The pod's namespace: its end of the pair, then what the plan puts there. */
  private podKernel(id: number, plan: PodPlan): SimKernel {
    const name = `pod-${id}`
    const kernel = new SimKernel(name)
    const [hostEnd] = plan.node
    const veth = hostEnd?.kind === 'link' && hostEnd.link.type === 'veth' ? hostEnd.link : undefined
    const link: KernelObject = {
      kind: 'link',
      name: POD_LINK,
      link: { type: 'veth' },
      up: true,
      mac: veth?.peer?.mac ?? macFromName(name),
      mtuBytes: plan.mtuBytes,
    }
    const objects = [link, ...plan.pod]
    this.complain(objects.map((object) => kernel.apply({ kind: 'add', object })))
    return kernel
  }

  private request(id: number): Parameters<typeof allocate>[1] {
    const containerId = `pod-${id}`
    const network = this.networkOf(id)
    return {
      key: { network, containerId, ifname: POD_LINK },
      node: this.record.name,
      netns: `/run/netns/${containerId}`,
      hostLink: podLinkName(network, containerId, POD_LINK),
      mayClaim: true,
      nowMs: this.nowMs(),
      bootId: `boot-${this.record.name}`,
    }
  }

  private networkOf(pod: number): string {
    return networkOfPod(this.networks, pod)
  }

  /** A pair has two ends: what the host sets on the pod's, the pod's kernel shows; one end takes the other along. */
  private followPair(before: KernelObject | undefined, after: KernelObject | undefined): void {
    if (before?.kind !== 'link' || (after !== undefined && after.kind !== 'link')) return
    const mtuBytes = after?.peerMtuBytes
    if (after !== undefined && (mtuBytes === undefined || before.peerMtuBytes === mtuBytes)) return
    for (const { attachment, kernel } of this.pods.values()) {
      const from = attachment.hostLink === before.name ? kernel.link(POD_LINK) : undefined
      if (from === undefined) continue
      const op: KernelOp =
        mtuBytes === undefined
          ? { kind: 'remove', object: from }
          : { kind: 'change', from, to: { ...from, mtuBytes } }
      this.complain([kernel.apply(op)])
    }
  }

  private settle(): void {
    this.settledVersion = this.readVersion
    this.events.settled(this)
  }

  private complain(failures: readonly ({ readonly message: string } | undefined)[]): void {
    for (const failure of failures) {
      if (failure !== undefined) this.events.refused(this, failure.message)
    }
  }

  private nowMs(): number {
    return EPOCH_MS + Math.floor(this.engine.tick / 1000)
  }
}
