/**
 * What was, for people; nothing is decided by it but whether a session lived long.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import type { DownReason, SessionCounters } from './types.ts'

/** A session that lived so long makes up for failures before it. */
const LONG_MS = 300_000
/** As long as this a connection of the same attempt may still come up. */
const YOUNG_MS = 10_000

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

  /** Whether the session has only just come up. */
  isYoung(now: Instant): boolean {
    return this.establishedAt !== undefined && now - this.establishedAt < YOUNG_MS
  }

  /** Whether it lived long. */
  down(now: Instant): boolean {
    const isLong = this.establishedAt !== undefined && now - this.establishedAt >= LONG_MS
    this.establishedAt = undefined
    return isLong
  }
}
