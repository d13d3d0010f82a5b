/**
 * How what nodes announce comes to the switches: the seam between kernels and fabric.
 *
 * Two things fill it: timers alone (`announce-timed.ts`), for quick runs and for what
 * frames teach, and real BGP speakers on simulated links (`bgp/announce-bgp.ts`).
 *
 * @module
 */
import type { Announcement } from './fabric-device.ts'

/** A change that a node's kernel made, on its way to the switches. */
export interface Change {
  readonly add: boolean
  /** Undefined: only the number of pods changed. */
  readonly entry: Announcement | undefined
  readonly pods: number
  readonly atTick: number
}

/** Carries changes of nodes to the switches, each in its own time. */
export interface Announcements {
  /** What is under way, or will be without anything else happening; 0: every switch knows everything. */
  readonly pending: number
  /** The kernel of node `owner` changed something. */
  send(owner: number, change: Change): void
  /** The node lost its power without a word; what its kernel held goes, but nobody is told. */
  silence(owner: number): void
  /** Its power is back, its kernel empty. */
  speak(owner: number): void
  /** The node's routing process starts, or ends while the kernel goes on. */
  agent(owner: number, runs: boolean): void
}
