/**
 * What kubelets do around CNI: one request a sandbox at a time, an ADD that failed
 * again after a while, and for a pod that takes another's place first the other's DEL.
 *
 * It also knows at any moment who holds which address, so that two pods with one
 * address are seen when it happens.
 *
 * @module
 */
import type { Ip } from '../src/net/mod.ts'
import { type Engine, EVENT, TICKS_PER_MS } from './clock.ts'
import type { PodWish, SimPod } from './sandboxes.ts'
import type { PodAction } from './timeline/action.ts'
import type { WorkloadFigure } from './timeline/result.ts'

/**
 * Kubelet tries for ever; here a pod that was refused so often counts as refused
 * for good, so that a run ends.
 */
const TRIES_MAX = 30
const FINDINGS_MAX = 20

/** Where pods are added and removed: a node. */
export interface PodPlace {
  addPod(id: number, wish: PodWish): void
  removePod(id: number): void
}

export interface KubeletsOptions {
  readonly engine: Engine
  readonly place: (node: number) => PodPlace
  /** From a failed ADD or DEL to the next try. */
  readonly retryTicks: number
}

type Phase =
  | 'behind' //   waits for the DEL of the pod whose place it takes
  | 'adding'
  | 'retrying' // waits for its next try
  | 'up'
  | 'removing'
  | 'lingering' // its DEL failed and waits for its next try
  | 'refused' //  for good
  | 'lost' //     its node lost power

interface Sandbox {
  readonly id: number
  readonly node: number
  readonly askedTick: number
  /** Asked for by the workload: it is tried again, and counted. */
  readonly isWork: boolean
  readonly wish: PodWish
  phase: Phase
  tries: number
  /** Its DEL came before its ADD had ended. */
  leaving: boolean
  /** What the store holds for it. */
  ips: readonly Ip[]
  stranded: boolean
  wasUp: boolean
  /** Its node lost power before its DEL had ended. */
  owed: boolean
}

export class Kubelets {
  /** ADDs and DELs under way. */
  underWay = 0
  /** What the workload wants later. */
  scheduled = 0
  /** Pods that wait for their next try, or for another's DEL. */
  waiting = 0
  /** Addresses in the store of pods that are no more. */
  stranded = 0
  /** Two pods with one address, in words. */
  readonly duplicates: string[] = []
  /** The first reasons for which ADDs of the workload were refused for good. */
  readonly refusals: string[] = []

  private readonly options: KubeletsOptions
  private readonly sandboxes = new Map<number, Sandbox>()
  /** By the pod whose DEL they wait for. */
  private readonly behind = new Map<number, Sandbox[]>()
  private readonly holders = new Map<Ip, number>()
  private readonly addressesOf = new Map<number, readonly Ip[]>()
  private readonly latencies: number[] = []
  private readonly counts = { added: 0, removed: 0, refused: 0, retried: 0, strandedPeak: 0 }

  constructor(options: KubeletsOptions) {
    this.options = options
  }

  /** The workload wants something now. */
  perform(action: PodAction): void {
    this.scheduled--
    this.underWay++
    if (action.kind === 'remove') {
      this.remove(action.pod)
      return
    }
    const { pod, node, network, heirOf, after = heirOf } = action
    const requested = action.requested ?? this.addressesOf.get(heirOf ?? -1)
    this.ask(pod, node, { network, requested }, true, after)
  }

  /** A pod of the first ones, already counted as under way. It is not tried again. */
  add(id: number, node: number): void {
    this.ask(id, node, {}, false, undefined)
  }

  /** Its end, already counted as under way. */
  remove(id: number): void {
    const sandbox = this.sandboxes.get(id)
    switch (sandbox?.phase) {
      case undefined:
        this.underWay--
        break
      case 'adding':
        if (sandbox.leaving) this.underWay--
        sandbox.leaving = true
        break
      case 'behind':
      case 'retrying':
        this.waiting--
        this.giveUp(sandbox)
        break
      case 'refused':
        this.giveUp(sandbox)
        break
      case 'removing':
      case 'lingering':
        this.underWay--
        break
      case 'up':
      case 'lost':
        if (sandbox.tries > 0) this.leave(sandbox)
        else {
          // Its node lost power while it waited for another's DEL: it never began.
          this.forget(sandbox)
          this.underWay--
        }
        break
    }
  }

  /** The store holds addresses for it. */
  recorded(id: number, ips: readonly Ip[]): void {
    this.addressesOf.set(id, ips)
    const sandbox = this.sandboxes.get(id)
    if (sandbox === undefined) return
    sandbox.ips = ips
    // Its node lost power in between.
    if (sandbox.stranded) this.strand(ips.length)
  }

  /** An ADD ended. @returns the refusal when it is for good. */
  added(id: number, pod: SimPod | undefined, refusal: string | undefined): string | undefined {
    this.underWay--
    const sandbox = this.sandboxes.get(id)
    if (sandbox === undefined) return refusal
    if (pod !== undefined) {
      sandbox.phase = 'up'
      sandbox.wasUp = true
      this.hold(id, pod.attachment.ips)
      if (sandbox.isWork) {
        this.counts.added++
        this.latencies.push(this.options.engine.tick - sandbox.askedTick)
      }
      if (sandbox.leaving) this.leave(sandbox)
      return undefined
    }
    if (sandbox.leaving) {
      this.giveUp(sandbox)
      return undefined
    }
    if (sandbox.isWork && sandbox.tries < TRIES_MAX) {
      this.retry(sandbox)
      return undefined
    }
    sandbox.phase = 'refused'
    if (!sandbox.isWork) return refusal
    this.counts.refused++
    if (this.refusals.length < FINDINGS_MAX) this.refusals.push(`pod ${id}: ${refusal ?? ''}`)
    return undefined
  }

  /** A DEL ended. */
  removed(id: number, refusal: string | undefined): void {
    this.underWay--
    const sandbox = this.sandboxes.get(id)
    if (sandbox === undefined) return
    this.letGo(sandbox)
    if (refusal === undefined) {
      if (sandbox.wasUp) this.counts.removed++
      if (sandbox.stranded) this.strand(-sandbox.ips.length)
      this.forget(sandbox)
      return
    }
    this.markStranded(sandbox)
    sandbox.phase = 'lingering'
    this.waiting++
    this.later(sandbox, EVENT.podRemove, () => {
      if (sandbox.phase !== 'lingering') return
      this.waiting--
      this.underWay++
      this.leave(sandbox)
    })
  }

  /** A node lost its power: nothing of its pods is left but their records. */
  lost(node: number): void {
    for (const sandbox of this.sandboxes.values()) {
      if (sandbox.node !== node || sandbox.phase === 'refused' || sandbox.phase === 'lost') continue
      const { phase, leaving } = sandbox
      if (isWaiting(phase)) this.waiting--
      else if (phase !== 'up') this.underWay -= leaving ? 2 : 1
      this.letGo(sandbox)
      sandbox.owed = leaving || phase === 'removing' || phase === 'lingering'
      sandbox.phase = 'lost'
      sandbox.leaving = false
      this.markStranded(sandbox)
    }
  }

  /**
   * Its power is back: kubelet finishes what it had been told to remove.
   *
   * @param all Nobody else will tell it of its dead pods: it removes every one.
   */
  returned(node: number, all = false): void {
    for (const sandbox of [...this.sandboxes.values()]) {
      if (sandbox.node !== node || sandbox.phase !== 'lost') continue
      if (!sandbox.owed && !all) continue
      sandbox.owed = false
      this.underWay++
      this.remove(sandbox.id)
    }
  }

  /** Whether a pod may be absent though it is wanted: refused, lost, or still tried. */
  isExcused(id: number): boolean {
    const phase = this.sandboxes.get(id)?.phase
    return phase !== undefined && phase !== 'up'
  }

  /** Container ids of pods that are no more and whose records are still there. */
  strandedIds(): ReadonlySet<string> {
    const stranded = [...this.sandboxes.values()].filter((sandbox) => sandbox.stranded)
    return new Set(stranded.map(({ id }) => `pod-${id}`))
  }

  figure(): WorkloadFigure {
    const { latencies, counts } = this
    const [first] = this.refusals
    const sorted = [...latencies].sort((left, right) => left - right)
    const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
    return {
      ...counts,
      ...(first === undefined ? {} : { firstRefusal: first }),
      addMedianMs: median / TICKS_PER_MS,
      addMaxMs: (sorted.at(-1) ?? 0) / TICKS_PER_MS,
      strandedEnd: this.stranded,
    }
  }

  private ask(
    id: number,
    node: number,
    wish: PodWish,
    isWork: boolean,
    after: number | undefined,
  ): void {
    const { tick } = this.options.engine
    const sandbox: Sandbox = {
      id,
      node,
      askedTick: tick,
      isWork,
      wish,
      phase: 'adding',
      tries: 0,
      leaving: false,
      ips: [],
      stranded: false,
      wasUp: false,
      owed: false,
    }
    this.sandboxes.set(id, sandbox)
    const other = after === undefined ? undefined : this.sandboxes.get(after)
    if (after === undefined || other === undefined || !isGoing(other)) {
      this.tryAdd(sandbox)
      return
    }
    sandbox.phase = 'behind'
    this.underWay--
    this.waiting++
    this.behind.set(after, [...(this.behind.get(after) ?? []), sandbox])
  }

  private tryAdd(sandbox: Sandbox): void {
    sandbox.phase = 'adding'
    sandbox.tries++
    this.options.place(sandbox.node).addPod(sandbox.id, sandbox.wish)
  }

  private retry(sandbox: Sandbox): void {
    sandbox.phase = 'retrying'
    this.waiting++
    this.later(sandbox, EVENT.podAdd, () => {
      if (sandbox.phase !== 'retrying') return
      this.waiting--
      this.underWay++
      this.counts.retried++
      this.tryAdd(sandbox)
    })
  }

  /** Runs it a while later, unless the sandbox is another's or gone by then. */
  private later(
    sandbox: Sandbox,
    kind: typeof EVENT.podAdd | typeof EVENT.podRemove,
    run: () => void,
  ): void {
    const { engine, retryTicks } = this.options
    engine.later(retryTicks, kind, sandbox.node, sandbox.id, () => {
      if (this.sandboxes.get(sandbox.id) === sandbox) run()
    })
  }

  /** The end of a pod that has no links; what an ADD could not take back, its DEL does. */
  private giveUp(sandbox: Sandbox): void {
    if (sandbox.ips.length > 0) {
      this.leave(sandbox)
      return
    }
    this.forget(sandbox)
    this.underWay--
  }

  private leave(sandbox: Sandbox): void {
    sandbox.phase = 'removing'
    sandbox.leaving = false
    this.options.place(sandbox.node).removePod(sandbox.id)
  }

  private forget(sandbox: Sandbox): void {
    this.sandboxes.delete(sandbox.id)
    const heirs = this.behind.get(sandbox.id) ?? []
    this.behind.delete(sandbox.id)
    for (const heir of heirs) {
      // Its own end may have come while it waited.
      if (heir.phase !== 'behind' || this.sandboxes.get(heir.id) !== heir) continue
      this.waiting--
      this.underWay++
      this.tryAdd(heir)
    }
  }

  private hold(id: number, ips: readonly Ip[]): void {
    for (const ip of ips) {
      const other = this.holders.get(ip)
      if (other !== undefined && other !== id && this.duplicates.length < FINDINGS_MAX) {
        this.duplicates.push(`${ip} is pod-${other}'s and given to pod-${id}`)
      }
      this.holders.set(ip, id)
    }
  }

  private letGo({ id, ips }: Sandbox): void {
    for (const ip of ips) if (this.holders.get(ip) === id) this.holders.delete(ip)
  }

  private markStranded(sandbox: Sandbox): void {
    if (sandbox.stranded) return
    sandbox.stranded = true
    this.strand(sandbox.ips.length)
  }

  private strand(addresses: number): void {
    this.stranded += addresses
    this.counts.strandedPeak = Math.max(this.counts.strandedPeak, this.stranded)
  }
}

const isWaiting = (phase: Phase): boolean =>
  phase === 'behind' || phase === 'retrying' || phase === 'lingering'

/** Whether its DEL is under way or has been asked for. */
const isGoing = ({ phase, leaving }: Sandbox): boolean =>
  leaving || phase === 'removing' || phase === 'lingering'
