/**
 * What a cluster store holds beside the records of one node, and what a node
 * remembers of it.
 *
 * @module
 */
import type { Ip, IpFamily, Prefix } from '../../src/net/mod.ts'

/** Which machine, and which of its stores: two machines with one node's name are told apart. */
export interface Incarnation {
  /** `/etc/machine-id`. */
  readonly machine: string
  /** Random, made with the node's store. */
  readonly store: string
}

/** Who is a node. */
export interface MemberRecord {
  /** undefined: nobody since it was deleted. */
  readonly incarnation?: Incarnation
  /** Stores that lost their blocks when the node was deleted: they never give an address of them again. */
  readonly gone?: readonly string[]
}

/** A block that another node claims, while pods of ours have addresses in it. */
export interface Dispute {
  readonly network: string
  readonly cidr: Prefix
  readonly node: string
  /** As in the claim that the node had. */
  readonly first: boolean
}

/** Signs of life of a node, below its own prefix: nobody else watches them. */
export interface Beat {
  /** Grows with each. */
  readonly count: number
  /** Of one run of one agent. */
  readonly session: string
  /** Of the machine's kernel. */
  readonly bootId: string
}

/** A question below a node's own prefix: whether the agent is alive that gave this sign of life. */
export interface Knock {
  readonly session: string
  readonly count: number
}

/** A stretch of time by the one clock that nobody sets (/proc/uptime), of one boot. */
export interface Lease {
  readonly bootId: string
  readonly fromUptimeMs: number
  readonly lengthMs: number
}

/** What a node knows of its own standing. In its own store, so that calls without an agent know it, too. */
export interface Membership {
  readonly incarnation: Incarnation
  /** Whether it has taken over what the cluster knows of it: no address is given before. */
  readonly joined: boolean
  /** How long the cluster is known to count on it. */
  readonly lease?: Lease
  /** Count of the last sign of life that etcd has acknowledged. */
  readonly beats: number
  /** Newest revision of etcd that was seen; a lower one is another history. */
  readonly revision: number
  /** Why it may give no address, until that changes. */
  readonly refused?: 'deleted' | 'taken' | 'doubled'
  /** Grows with each lease, and with each block that went: an older copy of the store has an older one. */
  readonly mark?: number
  /** Where its agent found the cluster, for commands that change what all nodes share. */
  readonly url?: string
}

/** Blocks that a node wants. */
export interface Demand {
  readonly network: string
  readonly family: IpFamily
  /** Of these, in order. */
  readonly pools: readonly Prefix[]
  /** The block with this address, and no other. */
  readonly ip?: Ip
}
