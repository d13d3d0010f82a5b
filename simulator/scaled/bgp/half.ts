/**
 * One end's view of one connection: how far it has come, and its timers.
 *
 * @module
 */
import type { Conn } from './transport.ts'
import type { OpenSaid } from './types.ts'

export type Phase =
  | 'connecting'
  | 'waiting'
  | 'open-sent'
  | 'open-confirm'
  | 'established'
  | 'closed'

export const NEVER = Number.POSITIVE_INFINITY
/** Until the peer's OPEN. Source: RFC 4271 section 8.2.2. */
const OPEN_HOLD_MS = 240_000

export class Half {
  readonly isOutgoing: boolean
  conn: Conn | undefined
  phase: Phase
  hasTransport = false
  /** What was said here, and what was heard. */
  ours: OpenSaid | undefined
  theirs: OpenSaid | undefined
  holdMs = 0
  /** Moments in milliseconds. */
  heardAt = 0
  holdAt = NEVER
  keepaliveAt = NEVER

  constructor(isOutgoing: boolean) {
    this.isOutgoing = isOutgoing
    this.phase = isOutgoing ? 'connecting' : 'waiting'
  }

  /** Our OPEN waits. */
  held(now: number): void {
    this.phase = 'waiting'
    this.hold(OPEN_HOLD_MS, now)
  }

  greeted(ours: OpenSaid, now: number): void {
    this.ours = ours
    this.phase = 'open-sent'
    this.hold(OPEN_HOLD_MS, now)
  }

  confirmed(theirs: OpenSaid, holdMs: number, now: number): void {
    this.theirs = theirs
    this.phase = 'open-confirm'
    this.hold(holdMs, now)
  }

  isSilent(now: number): boolean {
    if (now < this.holdAt) return false
    this.holdAt = this.heardAt + this.holdMs
    return now >= this.holdAt
  }

  close(): void {
    this.phase = 'closed'
    this.holdAt = NEVER
    this.keepaliveAt = NEVER
  }

  /** Whether both said that they know graceful restart (RFC 4724, RFC 8538). */
  get canRestart(): boolean {
    return this.ours?.restart !== undefined && this.theirs?.restart !== undefined
  }

  private hold(ms: number, now: number): void {
    this.holdMs = ms
    this.heardAt = now
    this.holdAt = ms === 0 ? NEVER : now + ms
  }
}
