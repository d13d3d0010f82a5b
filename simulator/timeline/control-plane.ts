/**
 * Who decides where pods are: scheduler, evictions and what kubelets make of a
 * node that comes back. It runs before the run, on an event queue of its own, and
 * what it decides is a list of actions.
 *
 * A pod here is what somebody wants; a sandbox is what a node makes for it. When a
 * pod is moved or restarted it gets a new sandbox, with a number of its own.
 *
 * @module
 */
import { Engine, EVENT } from '../clock.ts'
import { networkOfPod } from '../network.ts'
import { ACTIONS_MAX } from '../scenario-workload.ts'
import type { PodAction } from './action.ts'
import { Fewest } from './fewest.ts'
import type { ReachChange } from './reach.ts'

/**
 * `free`: may be anywhere. `replica`: wants its addresses again, and is not made
 * elsewhere while nobody knows whether it runs. `daemon`: belongs to its node.
 */
export type PodNature = 'free' | 'replica' | 'daemon'

/** What somebody wants. */
export interface PlannedPod {
  readonly nature: PodNature
  readonly network: string
  /** Called whenever it has a new sandbox. */
  onPlaced: ((pod: PlannedPod) => void) | undefined
  /** Where it is, or must be; undefined: the scheduler says. */
  node: number | undefined
  /** Undefined: it waits for a node. */
  sandbox: number | undefined
  /** The one before, when its addresses are wanted or its DEL comes first. */
  former: number | undefined
  gone: boolean
}

export interface PodDraft {
  readonly nature?: PodNature
  readonly network?: string | undefined
  readonly node?: number | undefined
}

interface PlannedNode {
  /** Reasons why it cannot be reached. */
  away: number
  /** It lost power while it was away. */
  wasOff: boolean
  cordons: number
  /** Grows whenever it goes out of reach: an eviction knows which time was meant. */
  times: number
  readonly pods: Set<PlannedPod>
  /** Sandboxes to delete when it is back. */
  readonly orphans: number[]
  /** Pods that wait for this very node. */
  readonly awaited: Set<PlannedPod>
  /** Replicas that were evicted while it could not be told. */
  readonly leaving: Set<PlannedPod>
}

export interface ControlPlaneOptions {
  readonly nodes: number
  readonly networks: readonly string[]
  readonly evictTicks: number
  readonly changes: readonly ReachChange[]
}

export class ControlPlane {
  readonly engine = new Engine()
  readonly actions: PodAction[] = []
  /** Pods that are wanted, in the order in which they were first. */
  readonly pods = new Set<PlannedPod>()
  /** Something would go on for too long, in words. */
  excess: string | undefined

  private readonly options: ControlPlaneOptions
  private readonly nodes: readonly PlannedNode[]
  private readonly fewest: Fewest
  private readonly pending = new Set<PlannedPod>()
  private sandboxes = 0

  constructor(options: ControlPlaneOptions) {
    this.options = options
    this.nodes = Array.from({ length: options.nodes }, () => ({
      away: 0,
      wasOff: false,
      cordons: 0,
      times: 0,
      pods: new Set<PlannedPod>(),
      orphans: [],
      awaited: new Set<PlannedPod>(),
      leaving: new Set<PlannedPod>(),
    }))
    this.fewest = new Fewest(options.nodes)
    for (const index of this.nodes.keys()) this.rank(index)
    for (const { atTick, nodes, up, power } of options.changes) {
      this.at(atTick, () => {
        for (const index of nodes) {
          if (up) this.comesBack(index)
          else this.goesAway(index, power)
        }
      })
    }
  }

  /** Runs `run` so many ticks from now; nothing once there is too much to do. */
  at(delayTicks: number, run: () => void): void {
    this.engine.later(delayTicks, EVENT.pod, 0, 0, () => {
      if (this.excess === undefined) run()
    })
  }

  /** Decides everything that is to be decided. */
  run(): void {
    while (this.excess === undefined && this.engine.step());
  }

  /** A pod that is there from the start, and costs no action. */
  existing(node: number, nature: PodNature): PlannedPod {
    const pod = this.draft({ nature, node })
    pod.sandbox = this.sandboxes++
    this.nodeAt(node).pods.add(pod)
    this.rank(node)
    return pod
  }

  /** Somebody wants a pod. */
  create(draft: PodDraft): PlannedPod {
    const pod = this.draft(draft)
    this.place(pod)
    return pod
  }

  /** Nobody wants it any more. */
  remove(pod: PlannedPod): void {
    if (pod.gone) return
    pod.gone = true
    this.pods.delete(pod)
    this.takeDown(pod)
  }

  /** It gets a new sandbox: a replica or a daemon on its node, any other where there is room. */
  restart(pod: PlannedPod): void {
    if (pod.gone || pod.sandbox === undefined) return
    this.takeDown(pod)
    if (pod.nature === 'free') pod.node = undefined
    this.place(pod)
  }

  /** Pods of a node, as they are now. */
  podsOn(node: number): readonly PlannedPod[] {
    return [...this.nodeAt(node).pods]
  }

  /** No more pods for a node, or again. */
  cordon(index: number, on: boolean): void {
    this.nodeAt(index).cordons += on ? 1 : -1
    this.rank(index)
    if (!on) this.placePending()
  }

  /** Away from a node that is drained; daemons stay. A replica wants its addresses elsewhere, too. */
  evict(pod: PlannedPod): void {
    if (pod.gone || pod.sandbox === undefined || pod.nature === 'daemon') return
    if (pod.nature === 'replica' && pod.node !== undefined && !this.isReachable(pod)) {
      // There is one of it at most: nobody makes another before its node says that it is gone.
      this.nodeAt(pod.node).leaving.add(pod)
      return
    }
    this.takeDown(pod)
    pod.node = undefined
    this.place(pod)
  }

  /** Whether those who place pods can talk to the pod's node. */
  isReachable({ node }: PlannedPod): boolean {
    return node === undefined || this.nodeAt(node).away === 0
  }

  private draft({ nature = 'free', network, node }: PodDraft): PlannedPod {
    const { networks } = this.options
    const pod: PlannedPod = {
      nature,
      network: network ?? networkOfPod(networks, this.sandboxes),
      onPlaced: undefined,
      node,
      sandbox: undefined,
      former: undefined,
      gone: false,
    }
    this.pods.add(pod)
    return pod
  }

  /** On its node, on the one with the fewest pods, or later. */
  private place(pod: PlannedPod): void {
    const index = pod.node ?? this.fewest.first
    if (index === undefined) {
      this.pending.add(pod)
      return
    }
    const node = this.nodeAt(index)
    if (node.away > 0) {
      node.awaited.add(pod)
      return
    }
    const { network, nature, former } = pod
    pod.node = index
    pod.sandbox = this.sandboxes++
    const base = { kind: 'add', atTick: this.engine.tick, pod: pod.sandbox, node: index } as const
    this.emit({
      ...base,
      network,
      ...(former === undefined
        ? {}
        : nature === 'replica'
          ? { heirOf: former }
          : { after: former }),
    })
    pod.former = undefined
    node.pods.add(pod)
    this.rank(index)
    pod.onPlaced?.(pod)
  }

  /** Its sandbox goes, now or when its node can be told. */
  private takeDown(pod: PlannedPod): void {
    const { sandbox, node: index } = pod
    this.pending.delete(pod)
    if (index === undefined) return
    const node = this.nodeAt(index)
    node.awaited.delete(pod)
    if (sandbox === undefined) return
    node.pods.delete(pod)
    this.rank(index)
    pod.sandbox = undefined
    pod.former = pod.nature === 'free' ? undefined : sandbox
    if (node.away > 0) node.orphans.push(sandbox)
    else this.delete(sandbox)
  }

  private goesAway(index: number, power: boolean): void {
    const node = this.nodeAt(index)
    node.wasOff ||= power
    node.away++
    if (node.away > 1) return
    node.times++
    this.rank(index)
    const { times } = node
    this.at(this.options.evictTicks, () => {
      if (node.away === 0 || node.times !== times) return
      for (const pod of [...node.pods]) {
        if (pod.nature !== 'free') continue
        this.takeDown(pod)
        pod.node = undefined
        this.place(pod)
      }
    })
  }

  /** Kubelet deletes what nobody wants, and makes anew what lost power. */
  private comesBack(index: number): void {
    const node = this.nodeAt(index)
    node.away--
    if (node.away > 0) return
    for (const sandbox of node.orphans.splice(0)) this.delete(sandbox)
    for (const pod of [...node.leaving]) {
      node.leaving.delete(pod)
      this.evict(pod)
    }
    if (node.wasOff) this.restartAll(node)
    node.wasOff = false
    this.rank(index)
    for (const pod of [...node.awaited]) {
      node.awaited.delete(pod)
      this.place(pod)
    }
    this.placePending()
  }

  private restartAll(node: PlannedNode): void {
    for (const pod of [...node.pods]) {
      const { sandbox } = pod
      this.takeDown(pod)
      // Kubelet stops the old sandbox before it starts another for the same pod.
      pod.former = sandbox
      this.place(pod)
    }
  }

  private placePending(): void {
    for (const pod of [...this.pending]) {
      if (this.fewest.first === undefined) return
      this.pending.delete(pod)
      this.place(pod)
    }
  }

  private rank(index: number): void {
    const { away, cordons, pods } = this.nodeAt(index)
    this.fewest.set(index, away + cordons > 0 ? undefined : pods.size)
  }

  private delete(sandbox: number): void {
    this.emit({ kind: 'remove', atTick: this.engine.tick, pod: sandbox })
  }

  private emit(action: PodAction): void {
    if (this.actions.length < ACTIONS_MAX) this.actions.push(action)
    else this.excess = `more than ${ACTIONS_MAX} pods would come and go`
  }

  private nodeAt(index: number): PlannedNode {
    return this.nodes[index]!
  }
}
