/**
 * What a driver needs from the world. Every port has a live and a simulated
 * implementation; none may answer before it returns.
 *
 * @module
 */
import type { KernelFailure, KernelOp, KernelState } from './kernel/mod.ts'
import type { Instant } from './machine.ts'

/** Time. Live: `performance.now` and `setTimeout`. Simulated: the event queue. */
export interface Clock {
  now(): Instant
  /** Calls `run` once, at `when` or later, never before returning. Returns a cancel function. */
  at(when: Instant, run: () => void): () => void
}

/** Carries out one effect; its answer comes back through `feed`, later. */
export type Perform<Input, Effect> = (effect: Effect, feed: (input: Input) => void) => void

/** One node's kernel. Live: netlink. Simulated: tables with the kernel's rules. */
export interface KernelPort {
  /** Everything the kernel holds, and the named sysctls. */
  observe(sysctls: readonly string[], done: (observed: Observed) => void): void
  /**
   * Applies operations in order. One that fails does not stop the others.
   * Answers one entry an operation; undefined is success.
   */
  apply(
    ops: readonly KernelOp[],
    done: (failures: readonly (KernelFailure | undefined)[]) => void,
  ): void
}

export type Observed =
  | { readonly kind: 'state'; readonly state: KernelState }
  | { readonly kind: 'failed'; readonly reason: string }
