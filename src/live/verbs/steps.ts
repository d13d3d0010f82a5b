/**
 * Where the time of one call goes, and what its log line will say.
 *
 * @module
 */
import type { AttachmentRecord } from '../../../ipam/records.ts'
import type { CniErrorObject, CniRequest } from '../../cni/mod.ts'
import type { Ip, Mac } from '../../net/mod.ts'

/**
 * The stretches of a call, in the order of an ADD, then of a DEL. A closed
 * list: each is a label of a metric.
 *
 * - `queue`: behind other calls of the same attachment
 * - `parse`: environment and configuration
 * - `netns`: opening the pod's namespace
 * - `store`: reading and committing; in the agent the link is made meanwhile
 * - `pair`: what is left to do of the link, then
 * - `pod`, `node`: the pod's addresses and routes; what leads to it
 * - `look`: CHECK's comparison, GC's search
 * - `unlink`, `guards`: DEL's link (GC: everything); its elements of the nftables table
 * - `undo`: from where an ADD failed to where nothing of it was left
 * - `answer`: the result's text, or from where the call failed
 */
export const STEPS = [
  'queue',
  'parse',
  'netns',
  'store',
  'pair',
  'pod',
  'node',
  'look',
  'unlink',
  'guards',
  'undo',
  'answer',
] as const
export type Step = (typeof STEPS)[number]

/** One call's clock. A verb marks the end of each step; the same step twice adds up (GC). */
export class Steps {
  /** What was understood of the call; each is missing where it ended before. */
  request?: CniRequest
  attachment?: AttachmentRecord
  error?: CniErrorObject
  /** Of a cluster's lease that nears its end. */
  leaseLeftMs: number | undefined
  /** Addresses that others on the segment had, and whose MAC answered. */
  readonly taken: { readonly ip: Ip; readonly mac: Mac }[] = []
  readonly #started = performance.now()
  #marked = this.#started
  readonly #ms: Partial<Record<Step, number>> = {}

  /** Everything since the last mark was this step. */
  mark(step: Step): void {
    const now = performance.now()
    this.#ms[step] = (this.#ms[step] ?? 0) + now - this.#marked
    this.#marked = now
  }

  /** Milliseconds by step, in the order in which they were first marked. */
  get ms(): Readonly<Partial<Record<Step, number>>> {
    return this.#ms
  }

  /** Milliseconds from the beginning to the last mark. */
  get totalMs(): number {
    return this.#marked - this.#started
  }
}
