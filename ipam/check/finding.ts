/**
 * What `trivium ipam check` finds, as data.
 *
 * @module
 */
import type { Ip, Prefix } from '../../src/net/mod.ts'
import type { AttachmentKey, PodName } from '../records.ts'

/** Every kind of finding. Stable: reports and scripts name them. */
export type FindingCode =
  | 'unknown-network' // records of a network that is not there
  | 'claim-outside-pool' // a block in no pool of its network, or of another length
  | 'claim-overlap' // two blocks share addresses
  | 'claim-without-use' // its owner does not know of it
  | 'use-without-claim' // a node uses a block that it does not own
  | 'first-differs' // claim and use do not agree on the tunnel endpoint
  | 'first-twice' // a node has two tunnel endpoints in a family
  | 'first-missing' // a node has blocks in a family and no tunnel endpoint
  | 'use-count' // `used` is not the number of address records
  | 'cooling-wrong' // a place rests that is held, is none of the block's, or is there twice
  | 'address-without-attachment' // nobody holds it: a leak
  | 'attachment-without-address' // held, and not written down as taken: a duplicate to come
  | 'address-twice' // two attachments hold it
  | 'address-outside-block' // its block is not the holder's node's, or does not contain it
  | 'address-reserved' // a tunnel endpoint, a gateway, a pool's edge
  | 'reservation-misplaced' // where no allocation looks for it
  | 'reservation-unusable' // of an address that no pod may have
  | 'reservation-twice' // a pod has two of a family
  | 'reservation-index' // its pod does not know of it, or of one that is not there
  | 'reservation-held' // by another pod
  | 'exclusion-outside-pool' // keeps nothing from anybody
  | 'history-misplaced' // remembered where nobody looks for it
  | 'block-disputed' // two nodes have pods in it, so neither gives an address of it
  | 'restore-unfinished' // some of a backup is there, and gives no address yet
  | 'sequence-behind' // the next allocation would repeat a number
  | 'earlier-boot' // its pod ended with the machine
  | 'namespace-gone' // its pod's namespace and link are not there
  | 'record-without-link' // its pod is there, its link is not
  | 'link-without-record' // a link of ours that no record asks for

/** `fail`: packets or addresses are wrong, now or soon. `warn`: addresses are wasted. */
export type FindingSeverity = 'warn' | 'fail'

/** What would mend a finding. Each is tried again against what the store says by then. */
export type Repair =
  | {
      readonly kind: 'remove-address'
      readonly network: string
      readonly ip: Ip
      readonly sequence: number
    }
  | {
      /** Writes the address down as the attachment's. */
      readonly kind: 'write-address'
      readonly node: string
      readonly key: AttachmentKey
      readonly ip: Ip
      readonly sequence: number
    }
  /** Counts the block's addresses anew, and what rests in it; makes the use where there is none. */
  | {
      readonly kind: 'count-block'
      readonly node: string
      readonly network: string
      readonly cidr: Prefix
    }
  | {
      readonly kind: 'remove-use'
      readonly node: string
      readonly network: string
      readonly cidr: Prefix
    }
  | {
      readonly kind: 'release'
      readonly node: string
      readonly key: AttachmentKey
      readonly sequence: number
    }
  | { readonly kind: 'raise-sequence'; readonly node: string; readonly to: number }
  /** Writes the reservation down in its block; removes it where no pool contains it. */
  | { readonly kind: 'place-reservation'; readonly network: string; readonly ip: Ip }
  /** Makes the pod's list what the reservations say. */
  | { readonly kind: 'index-reservations'; readonly network: string; readonly pod: PodName }
  /** Forgets what is remembered in no block's ring. */
  | { readonly kind: 'trim-history'; readonly network: string }
  /** The one that is the kernel's; never in the store. */
  | { readonly kind: 'remove-link'; readonly name: string; readonly owner?: LinkOwner }

/** Who a pod's link belongs to, as its alias tells. */
export interface LinkOwner extends AttachmentKey {
  readonly sequence: number
}

/** One thing that is wrong. */
export interface IpamFinding {
  readonly code: FindingCode
  readonly severity: FindingSeverity
  /** What it is about, e.g. `10.42.0.7` or `eth0 of container c0ffee`. */
  readonly subject: string
  readonly network: string
  readonly node?: string
  readonly found: string
  readonly wanted: string
  /** undefined: only a person can tell which side is right. */
  readonly repair?: Repair
}

/** What the kernel of one node said, read *before* the store. */
export interface KernelLook {
  readonly node: string
  /** This boot. */
  readonly bootId: string
  /** Pods' links of ours. */
  readonly links: readonly PodLink[]
  /** Whether there is a network namespace at a path; undefined: nobody looked. */
  readonly namespace: (path: string) => boolean | undefined
}

export interface PodLink {
  readonly name: string
  /** undefined: its alias is empty or shortened. */
  readonly owner?: LinkOwner
}
