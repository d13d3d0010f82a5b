/**
 * Everything that a walk needs to know of one node, as plain JSON: it is taken
 * on the node and may be read anywhere.
 *
 * @module
 */
import type { AttachmentKey } from '../cluster/view.ts'
import type { KernelObject } from '../kernel/mod.ts'

/** Grows when a reader of the older layout would misunderstand the new one. */
export const SNAPSHOT_VERSION = 1

/** A base chain of somebody else's nftables rules. */
export interface ForeignChain {
  /** nft's word, e.g. `inet`. */
  readonly family: string
  readonly table: string
  readonly chain: string
  readonly hook: string
  readonly priority: number
  /** What becomes of a packet that no rule decides about. */
  readonly policy: 'accept' | 'drop'
  /** How many rules it has. What they say is not read. */
  readonly rules: number
}

/** One attachment's side of its pair, seen in its namespace. */
export interface PodSnapshot extends AttachmentKey {
  /** Path of the namespace at ADD. */
  readonly netns: string
  readonly objects: readonly KernelObject[]
  /** Why the namespace could not be read. */
  readonly problem?: string
}

export interface NodeSnapshot {
  readonly version: typeof SNAPSHOT_VERSION
  readonly node: string
  /** Unix milliseconds. */
  readonly takenMs: number
  /** `uname -r`. */
  readonly kernelRelease: string
  /**
   * The node's own namespace. Sysctls are named as sysctl(8) prints them: a dot
   * in a link's name is a slash.
   */
  readonly objects: readonly KernelObject[]
  readonly pods: readonly PodSnapshot[]
  readonly chains: readonly ForeignChain[]
  /** Neighbour entries that are resolved, not written: they count towards gc_thresh3. */
  readonly dynamicNeighbours: { readonly 4: number; readonly 6: number }
  /** UDP ports of every VXLAN device, also of sorts that we do not make. */
  readonly tunnelPorts: readonly { readonly link: string; readonly port: number }[]
  /** Entries of connection tracking, and how many fit. */
  readonly conntrack?: { readonly count: number; readonly max: number }
  /** What could not be read, and why. */
  readonly unread: readonly string[]
}
