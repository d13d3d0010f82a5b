/**
 * The cluster as one node sees it: what planners plan from.
 *
 * A view is read from one consistent snapshot of the store and never changes.
 *
 * @module
 */
import type { BgpView } from '../../ipam/bgp-records.ts'
import type {
  AllowRecord,
  AttachmentRecord,
  BlockClaim,
  NetworkRecord,
  NodeRecord,
} from '../../ipam/records.ts'

export type { BgpNode, BgpPeer, BgpRack, BgpSettings, BgpView } from '../../ipam/bgp-records.ts'
export type {
  AllowedPort,
  AllowRecord,
  Attachment,
  AttachmentKey,
  AttachmentRecord,
  BlockClaim,
  Flavour,
  Mode,
  NetworkRecord,
  NodeRecord,
  Pool,
} from '../../ipam/records.ts'
export { isFloating, isLinkOurs } from '../../ipam/records.ts'

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
  /** Absent: nobody speaks BGP. */
  readonly bgp?: BgpView
}
