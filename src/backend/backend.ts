/**
 * What every road must be able to say. A backend is a set of pure functions:
 * cluster view in, whole desired kernel state out. Calling twice is free.
 *
 * @module
 */
import type { AttachmentRecord, ClusterView, NetworkView } from '../cluster/view.ts'
import type { KernelObject, Link, SegmentGuard } from '../kernel/mod.ts'
import type { Ip, Prefix } from '../net/mod.ts'
import type { Peer } from './peers.ts'

/** The node's objects for one network, and what could not be planned. */
export interface Desired {
  readonly objects: readonly KernelObject[]
  /** For the log and `doctor`: peers that cannot be reached and why. */
  readonly problems: readonly string[]
}

/** One attachment's objects on both sides of the pair, and what the result says of it. */
export interface PodPlan {
  /** The pod's link where it is no end of a pair: born in the pod's namespace, on a parent of the node's. */
  readonly link?: Link
  /** What may leave by it; absent where the node's side says so. */
  readonly guard?: SegmentGuard
  /** Host side: the pair's link first, if there is one, then what leads to the pod. */
  readonly node: readonly KernelObject[]
  /** In the pod's namespace, in the order to make them. */
  readonly pod: readonly KernelObject[]
  readonly mtuBytes: number
  readonly ips: readonly PodIp[]
  readonly routes: readonly PodRoute[]
}

export interface PodIp {
  readonly ip: Ip
  readonly prefixLength: number
  readonly gateway?: Ip
}

export interface PodRoute {
  readonly dst: Prefix
  readonly via?: Ip
}

export interface Backend {
  /**
   * What this node needs for the network, its pods' host ends included, but for
   * the ways to peers. No objects and a problem: there is no road at all.
   */
  own(network: NetworkView, view: ClusterView): Desired
  /** The part of `own` that comes and goes with this node's pods. */
  pods(network: NetworkView, view: ClusterView): readonly KernelObject[]
  /** Whether each peer needs something of its own. */
  readonly hasPeers: boolean
  /** The way to one peer. */
  peer(peer: Peer, network: NetworkView, view: ClusterView): Desired
  /** One attachment, as ADD makes it and CHECK expects it. */
  pod(attachment: AttachmentRecord, network: NetworkView, view: ClusterView): PodPlan
}
