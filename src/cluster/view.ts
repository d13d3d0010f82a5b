/**
 * The cluster as one node sees it: what planners plan from.
 *
 * A view is read from one consistent snapshot of the store and never changes.
 *
 * @module
 */
import type {
  AllowRecord,
  AttachmentRecord,
  BlockClaim,
  NetworkRecord,
  NodeRecord,
} from '../../ipam/records.ts'

export type {
  AllowedPort,
  AllowRecord,
  AttachmentKey,
  AttachmentRecord,
  BlockClaim,
  Flavour,
  Mode,
  NetworkRecord,
  NodeRecord,
  Pool,
} from '../../ipam/records.ts'

/** One network with everything that lives in it. */
export interface NetworkView {
  readonly network: NetworkRecord
  /** Every node's blocks, in address order. */
  readonly claims: readonly BlockClaim[]
  /** This node's attachments. */
  readonly attachments: readonly AttachmentRecord[]
}

export interface ClusterView {
  /** The node that plans. */
  readonly self: NodeRecord
  readonly nodes: ReadonlyMap<string, NodeRecord>
  /** In the order of their names. */
  readonly networks: readonly NetworkView[]
  /** Openings between networks. */
  readonly allows: readonly AllowRecord[]
}

/**
 * Whether two views of one node differ in nothing but its own attachments.
 * Cost: linear in nodes and claims, a few comparisons each.
 */
export function sameButPods(left: ClusterView, right: ClusterView): boolean {
  return (
    sameNode(left.self, right.self) &&
    left.nodes.size === right.nodes.size &&
    left.networks.length === right.networks.length &&
    JSON.stringify(left.allows) === JSON.stringify(right.allows) &&
    left.networks.every((network, index) => sameNetwork(network, right.networks[index])) &&
    [...left.nodes].every(([name, node]) => sameNode(node, right.nodes.get(name)))
  )
}

function sameNetwork(left: NetworkView, right: NetworkView | undefined): boolean {
  if (right === undefined || left.claims.length !== right.claims.length) return false
  if (JSON.stringify(left.network) !== JSON.stringify(right.network)) return false
  return left.claims.every((claim, index) => sameClaim(claim, right.claims[index]))
}

const sameClaim = (left: BlockClaim, right: BlockClaim | undefined): boolean =>
  left === right ||
  (left.cidr === right?.cidr && left.node === right.node && left.first === right.first)

const sameNode = (left: NodeRecord, right: NodeRecord | undefined): boolean =>
  left === right ||
  (left.name === right?.name &&
    left.vtepMac === right.vtepMac &&
    left.underlayLink === right.underlayLink &&
    left.underlayMtuBytes === right.underlayMtuBytes &&
    left.kernelRelease === right.kernelRelease &&
    left.underlayPrefixes?.join() === right.underlayPrefixes?.join() &&
    left.underlayIps.join() === right.underlayIps.join())
