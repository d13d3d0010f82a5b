/**
 * What was, for people; nothing is decided by it but whether a session lived long.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import type { DownReason, SessionCounters } from './types.ts'

/** A session that lived so long makes up for failures before it. */
const LONG_MS = 300_000

export class History {
  establishedAt: Instant | undefined
  establishments = 0
  lastError: DownReason | undefined
  readonly counters: SessionCounters = {
    messagesIn: 0,
    messagesOut: 0,
    updatesIn: 0,
    updatesOut: 0,
  }

  up(now: Instant): void {
    this.establishedAt = now
    this.establishments++
  }

  /** Whether it lived long. */
  down(now: Instant): boolean {
    const isLong = this.establishedAt !== undefined && now - this.establishedAt >= LONG_MS
    this.establishedAt = undefined
    return isLong
  }
}
