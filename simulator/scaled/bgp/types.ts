/**
 * What the parts of the scaled speakers say to each other.
 *
 * @module
 */
import type { Piece } from './piece.ts'
import type { BgpPlan } from './plan.ts'
import type { Ways } from './ways.ts'

export type Side = 0 | 1
export const otherOf = (side: Side): Side => (side === 0 ? 1 : 0)

/** Events; their numbers leave room for those of whoever drives. */
export const BGP_EVENT = {
  segment: 64,
  wake: 65,
  later: 66,
  turn: 67,
  stream: 68,
  flock: 69,
  own: 70,
} as const

/** Virtual time, and events in it. */
export interface BgpClock {
  readonly tick: number
  post(ticks: number, kind: number, a: number, b: number): void
}

/** What an OPEN says. */
export interface OpenSaid {
  /** Seconds. */
  readonly holdSeconds: number
  /** Undefined: graceful restart is not known. */
  readonly restart:
    | {
        readonly isRestarting: boolean
        readonly seconds: number
        readonly isForwarding: boolean
      }
    | undefined
}

export type Segment =
  | { readonly kind: 'open'; readonly octets: number; readonly said: OpenSaid }
  | { readonly kind: 'keepalive'; readonly octets: number }
  | {
      readonly kind: 'notification'
      readonly octets: number
      /** Nothing is to be kept (RFC 8538). */
      readonly isHard: boolean
      /** Not now, but soon: another connection stays, or the peer has to wait. */
      readonly isPatient: boolean
    }
  | Piece
  | { readonly kind: 'end'; readonly octets: 0 }

export const HEADER_OCTETS = 19
export const KEEPALIVE: Segment = { kind: 'keepalive', octets: HEADER_OCTETS }
export const END: Segment = { kind: 'end', octets: 0 }

/** Messages that were sent, as the exact engine counts them. */
export interface Sent {
  open: number
  update: number
  notification: number
  keepalive: number
  bytes: number
}

/** What every part may ask. */
export interface World {
  readonly clock: BgpClock
  readonly plan: BgpPlan
  readonly ways: Ways
  readonly sent: Sent
  /** Runs something later, which others wait for where `isAwaited`. */
  later(ticks: number, isAwaited: boolean, run: () => void): void
  /** So many things more, or less, are waited for. */
  await(count: number): void
  /** So many ends more, or less, keep what a peer that is away taught. */
  keep(count: number): void
}

const TICKS_PER_MS = 1000

/** Ticks from now until a moment in milliseconds, as a clock of whole ticks rounds. */
export function ticksUntil(nowTick: number, ms: number): number {
  let due = Math.ceil(ms * TICKS_PER_MS)
  while (due / TICKS_PER_MS < ms) due++
  return Math.max(0, due - nowTick)
}

export const msOf = (tick: number): number => tick / TICKS_PER_MS
