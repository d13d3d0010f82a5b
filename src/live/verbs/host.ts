/**
 * What every verb is given: where it acts, and what arrived.
 *
 * @module
 */
import type { Demand, Incarnation } from '../../../ipam/cluster/records.ts'
import type { AttachmentKey } from '../../../ipam/records.ts'
import type { Store } from '../../../ipam/store.ts'
import type { CniInput, CniRequest } from '../../cni/mod.ts'
import type { AttachmentLocks } from '../attachment-locks.ts'
import type { LiveKernel } from '../kernel.ts'
import type { NetnsIdentity, NetnsQuestion } from '../netns.ts'
import type { UnrecordedLinks } from '../unrecorded-links.ts'
import type { Steps } from './steps.ts'

/** Blocks of a cluster. */
export interface ClusterBlocks {
  /**
   * Asks for a block. Resolves when there may be room; with the reason when there
   * will be none soon, or `performance.now` has come to `untilMs`.
   */
  wait(demand: Demand, untilMs: number): Promise<string | undefined>
}

/** Where the verbs act. */
export interface CniHost {
  readonly nodeName: string
  readonly bootId: string
  readonly store: Store
  /** The node's own namespace. */
  readonly kernel: LiveKernel
  /** Keeps other verbs from an attachment, those of other processes too. */
  readonly locks: AttachmentLocks
  /** Whether a new block may be claimed: the agent's privilege, unless a cluster has a say. */
  readonly mayClaim: boolean
  /** How the agent gets one there. Absent: there is no cluster, or no agent. */
  readonly blocks?: ClusterBlocks
  /**
   * The newest mark that a cluster member's store had in this boot. Absent in the agent,
   * which has looked before it serves anybody.
   */
  readonly newestMark?: (incarnation: Incarnation) => number
  /** A verb is at work on this link of ours, until the returned function is called. */
  hold(hostLink: string): () => void
  /** Whether no more than one link is held: what takes long then keeps nobody waiting. */
  isAlone(): boolean
  /**
   * Keeps the reconciler from pairs whose records are not written yet. Absent where it
   * lives in another process: then the record comes first.
   */
  readonly unrecorded?: UnrecordedLinks
  /** Why ADD cannot be served; undefined when it can. */
  unavailable(): string | undefined
}

/** One call, with what the launcher saw. */
export interface CniCallInput extends CniInput {
  readonly netns?: NetnsIdentity
  readonly callerPid?: number
  /** Clock of this call, for logs and metrics. */
  readonly steps: Steps
}

export const keyOf = ({ config, containerId, ifname }: CniRequest): AttachmentKey => ({
  network: config.name,
  containerId,
  ifname,
})

export function netnsQuestion(request: CniRequest, input: CniCallInput): NetnsQuestion {
  return {
    path: request.netns,
    allowOwn: request.netnsOverride,
    ...(input.netns === undefined ? {} : { identity: input.netns }),
    ...(input.callerPid === undefined ? {} : { callerPid: input.callerPid }),
  }
}
