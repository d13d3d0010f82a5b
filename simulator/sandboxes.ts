/**
 * The pods of one node: what a CNI plugin does for them there.
 *
 * A pod is added as the live node does it: recorded in the store first, together
 * with the spare block, then made in the kernel, host side and pod side. DEL goes
 * the other way, and needs nothing but the store when the links are gone already.
 *
 * @module
 */
import { type AllocateAnswer, allocate, ensureBlocks, release } from '../ipam/allocator.ts'
import { keys } from '../ipam/keys.ts'
import type { AttachmentKey, AttachmentRecord, NetworkRecord } from '../ipam/records.ts'
import type { Store } from '../ipam/store.ts'
import type { PodPlan } from '../src/backend/backend.ts'
import { backends } from '../src/backend/registry.ts'
import { readView } from '../src/cluster/read-view.ts'
import { invariant } from '../src/errors.ts'
import {
  identity,
  isNft,
  isPodSet,
  isWayToPeer,
  type KernelFailure,
  type KernelObject,
  type KernelOp,
  type Link,
  podLinkName,
} from '../src/kernel/mod.ts'
import { type Ip, macFromName } from '../src/net/mod.ts'
import type { KernelPort } from '../src/ports.ts'
import { SimKernel } from './kernel.ts'
import type { KernelListener } from './kernel-tables.ts'
import { networkOfPod } from './network.ts'
import type { NodeEvents, SimNode } from './node.ts'

const POD_LINK = 'eth0'

/** A macvlan has no end on the node; any other link has. */
function hungOn(network: NetworkRecord | undefined, key: AttachmentKey) {
  const isMacvlan = network?.mode === 'vlan' && network.options.attachment === 'macvlan'
  if (isMacvlan) return { macvlan: true } as const
  return { hostLink: podLinkName(key.network, key.containerId, key.ifname) }
}

/** A pod that has its addresses and its links. */
export interface SimPod {
  readonly id: number
  readonly node: SimNode
  readonly attachment: AttachmentRecord
  readonly plan: PodPlan
  /** The pod's namespace. */
  readonly kernel: SimKernel
}

/** What an ADD asks for besides an address of each family. */
export interface PodWish {
  /** Undefined: pods go round the networks, by their number. */
  readonly network?: string | undefined
  readonly requested?: readonly Ip[] | undefined
}

export interface SandboxesOptions {
  readonly node: SimNode
  readonly store: Store
  readonly port: () => KernelPort
  readonly events: NodeEvents
  /** Names of the run's networks. */
  readonly networks: readonly string[]
  readonly nowMs: () => number
  /** Hears of pods' links that are not in the node's kernel. */
  readonly listener: KernelListener
}

export class Sandboxes {
  readonly pods = new Map<number, SimPod>()

  private readonly options: SandboxesOptions
  /** What was asked for and not deleted. */
  private readonly asked = new Map<number, AttachmentKey>()
  /** Changes when the node loses its power: what was under way then is nobody's. */
  private boot = 0

  constructor(options: SandboxesOptions) {
    this.options = options
  }

  /** Whether a pod is there or was asked for. */
  get isAsked(): boolean {
    return this.asked.size > 0
  }

  /** CNI ADD. One that failed may be asked for again. */
  add(id: number, wish: PodWish): void {
    const { store, events, nowMs } = this.options
    const { boot } = this
    const request = this.request(id, wish)
    // What an ADD that failed could not undo, kubelet's DEL does before the next.
    const isAgain = this.asked.has(id)
    this.asked.set(id, request.key)
    store.transact(
      (tx): AllocateAnswer => {
        if (isAgain) release(tx, request.node, request.key, nowMs())
        const network = tx.get(keys.network(request.key.network))
        const answer = allocate(tx, { ...request, ...hungOn(network, request.key) })
        if (answer.kind === 'allocated' && network !== undefined) {
          ensureBlocks(tx, network, request.node, nowMs())
        }
        return answer
      },
      (outcome) => {
        const { answer } = outcome.kind === 'committed' ? outcome : {}
        if (answer?.kind === 'allocated') events.podRecorded?.(id, answer.attachment)
        if (boot !== this.boot) return
        if (outcome.kind === 'failed') events.podAdded(id, undefined, outcome.error.message)
        else if (outcome.answer.kind === 'refused') {
          events.podAdded(id, undefined, outcome.answer.message)
        } else this.make(id, outcome.answer.attachment)
      },
    )
  }

  /** CNI DEL: guards and links first, record second. One that failed may be asked for again. */
  remove(id: number): void {
    const key = this.asked.get(id)
    const { node } = this.options
    invariant(key !== undefined, `pod ${id} was asked for on ${node.record.name}`)
    const pod = this.pods.get(id)
    if (pod === undefined) {
      this.release(id, key)
      return
    }
    const { boot } = this
    this.options.port().apply(this.removal(pod), (failures) => {
      if (boot !== this.boot) return
      this.complain(failures)
      this.pods.delete(id)
      this.tellLink(pod, false)
      this.release(id, key)
    })
  }

  /** The node loses its power: links and namespaces are gone, records are not. */
  lose(): void {
    this.boot++
    for (const pod of this.pods.values()) this.tellLink(pod, false)
    this.pods.clear()
  }

  private release(id: number, key: AttachmentKey): void {
    const { store, events, node, nowMs } = this.options
    const { boot } = this
    store.transact(
      (tx) => release(tx, node.record.name, key, nowMs()),
      (outcome) => {
        if (boot !== this.boot) return
        const failed = outcome.kind === 'failed' ? outcome.error.message : undefined
        if (failed === undefined) this.asked.delete(id)
        events.podRemoved(id, failed)
      },
    )
  }

  private removal({ plan }: SimPod): readonly KernelOp[] {
    const { kernel } = this.options.node
    const isThere = (object: KernelObject): boolean => kernel.get(identity(object)) !== undefined
    if (plan.link !== undefined) {
      return plan.node.filter(isThere).map((object) => ({ kind: 'remove', object }))
    }
    const [link] = plan.node
    invariant(link?.kind === 'link', 'a plan starts with the link')
    const guards = plan.node.filter(
      (object) => object.kind === 'nft-element' && isPodSet(object.set) && isThere(object),
    )
    return [...guards, link].map((object): KernelOp => ({ kind: 'remove', object }))
  }

  private make(id: number, attachment: AttachmentRecord): void {
    const { store, node, events } = this.options
    const { boot } = this
    const view = store.read((reader) => readView(reader, node.record.name))
    const network = view?.networks.find(
      (candidate) => candidate.network.name === attachment.network,
    )
    invariant(view !== undefined && network !== undefined, 'the network of a pod exists')
    const plan = backends[network.network.mode].pod(attachment, network, view)
    const ops = plan.node.map((object): KernelOp => {
      const from = node.kernel.get(identity(object))
      const moves = from !== undefined && isWayToPeer(from)
      return moves ? { kind: 'change', from, to: object } : { kind: 'add', object }
    })
    this.options.port().apply(ops, (failures) => {
      if (boot !== this.boot) return
      // Where no agent has made the nftables table yet, it will come with the pod in it.
      const isLater = (at: number): boolean =>
        failures[at]?.code === 'ENOENT' && plan.node[at] !== undefined && isNft(plan.node[at])
      // Nothing of a macvlan is needed first: the agent may have made the ways to it already.
      const isMade = (at: number): boolean =>
        plan.link !== undefined && failures[at]?.code === 'EEXIST'
      const wrong = failures.filter((_, at) => !isLater(at) && !isMade(at))
      const refused = plan.link === undefined ? failures[0] : this.parentError(plan.link, wrong)
      if (refused !== undefined) {
        this.undo(id, attachment, refused.message)
        return
      }
      this.complain(wrong)
      const pod = { id, node, attachment, plan, kernel: this.podKernel(id, plan) }
      this.pods.set(id, pod)
      this.tellLink(pod, true)
      events.podAdded(id, pod, undefined)
    })
  }

  /** Why a macvlan cannot be made, or the first way to it. */
  private parentError(
    { name, link }: Link,
    wrong: readonly (KernelFailure | undefined)[],
  ): KernelFailure | undefined {
    const parent = link.type === 'macvlan' ? link.parent : undefined
    const code = 'ENODEV'
    if (parent === undefined || this.options.node.kernel.link(parent) === undefined) {
      return { code, message: `Cannot make ${name} on ${parent}: ${code}` }
    }
    return wrong.find((failure) => failure !== undefined)
  }

  /** A pod's macvlan is in no kernel of the node, but its MAC is on the wire. */
  private tellLink({ plan: { link } }: SimPod, isThere: boolean): void {
    if (link === undefined) return
    const [before, after] = isThere ? [undefined, link] : [link, undefined]
    this.options.listener(before, after, `macvlan ${link.mac}`)
  }

  /** The pair could not be made: nothing is left but the record. */
  private undo(id: number, attachment: AttachmentRecord, refusal: string): void {
    const { store, events, node, nowMs } = this.options
    const { boot } = this
    store.transact(
      (tx) => release(tx, node.record.name, attachment, nowMs()),
      () => {
        if (boot === this.boot) events.podAdded(id, undefined, refusal)
      },
    )
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
      // Its parent is in another namespace, whose names say nothing here.
      link: plan.link === undefined ? { type: 'veth' } : { type: 'macvlan', mode: 'bridge' },
      up: true,
      mac: plan.link?.mac ?? veth?.peer?.mac ?? macFromName(name),
      mtuBytes: plan.mtuBytes,
    }
    const objects = [link, ...plan.pod]
    this.complain(objects.map((object) => kernel.apply({ kind: 'add', object })))
    return kernel
  }

  private request(id: number, { network: wanted, requested }: PodWish) {
    const { networks, node, nowMs } = this.options
    const containerId = `pod-${id}`
    const network = wanted ?? networkOfPod(networks, id)
    const { name } = node.record
    return {
      key: { network, containerId, ifname: POD_LINK },
      node: name,
      netns: `/run/netns/${containerId}`,
      ...(requested === undefined ? {} : { requested }),
      mayClaim: true,
      nowMs: nowMs(),
      bootId: `boot-${name}`,
    }
  }

  /** A pair has two ends: what the host sets on the pod's, the pod's kernel shows; one end takes the other along. */
  followPair(before: KernelObject | undefined, after: KernelObject | undefined): void {
    if (before?.kind !== 'link' || (after !== undefined && after.kind !== 'link')) return
    if (after === undefined || after.mtuBytes !== before.mtuBytes) this.followParent(before, after)
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

  /** A macvlan goes with its parent, and is never larger. */
  private followParent(before: Link, after: Link | undefined): void {
    for (const { kernel, plan } of this.pods.values()) {
      const kind = plan.link?.link
      const from = kernel.link(POD_LINK)
      if (kind?.type !== 'macvlan' || kind.parent !== before.name || from === undefined) continue
      const mtuBytes = after?.mtuBytes ?? 0
      if (after === undefined) this.complain([kernel.apply({ kind: 'remove', object: from })])
      else if ((from.mtuBytes ?? 0) > mtuBytes) {
        this.complain([kernel.apply({ kind: 'change', from, to: { ...from, mtuBytes } })])
      }
    }
  }

  private complain(failures: readonly ({ readonly message: string } | undefined)[]): void {
    const { events, node } = this.options
    for (const failure of failures) {
      if (failure !== undefined) events.refused(node, failure.message)
    }
  }
}
