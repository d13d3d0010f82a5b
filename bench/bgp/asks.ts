/**
 * What the bench asks of the program that plays all peers, and what that answers.
 */
import type { Ip } from '../../src/net/mod.ts'
import type { End } from './speaker.ts'

export type Ask =
  /** Opens all sessions. Feeders teach, monitors are told and counted exactly. */
  | {
      readonly do: 'open'
      readonly to: Ip
      /** The daemon. */
      readonly pid: number
      readonly holdSeconds: number
      readonly feeders: readonly End[]
      readonly monitors: readonly End[]
      /** Done when monitors know so many prefixes. @default 0 */
      readonly told?: number
    }
  /** Each feeder says something about `each` prefixes of its own. */
  | {
      readonly do: 'say'
      readonly what: 'announce' | 'withdraw'
      readonly each: number
      readonly perUpdate: number
      readonly version: number
      readonly until: Until
    }
  /** Every tick, other prefixes of the one feeder change their path. */
  | {
      readonly do: 'churn'
      readonly prefixes: number
      readonly perTick: number
      readonly tickMs: number
      readonly ticks: number
      readonly version: number
    }
  /** Nothing is said but keepalives. */
  | { readonly do: 'idle'; readonly seconds: number }
  | { readonly do: 'close' }

/** When the daemon is done. */
export type Until =
  /** Monitors know exactly so many prefixes, and feeders were told so many, where that is asked. */
  | { readonly kind: 'told'; readonly monitors: number; readonly feeders?: number }
  /** It uses no processor any more. */
  | { readonly kind: 'quiet' }

export interface Answer {
  /** Until done. */
  readonly ms: number
  /** The daemon's processor time until it is quiet. */
  readonly cpuMs: number
  /** PSS when it is quiet, in octets. */
  readonly memory: number
  /** What this program used itself meanwhile. */
  readonly ownCpuMs: number
  /** Until the kernel had taken the last octet from the feeders. */
  readonly sentMs?: number
  /** Until all sessions were up. */
  readonly upMs?: number
  /** UPDATEs that monitors received. */
  readonly updates?: number
  /** Of churn: from a tick to the last monitor's having all of it. */
  readonly delaysMs?: readonly number[]
}
