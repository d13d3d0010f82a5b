/**
 * One transport of a session: its stream, its timers, and how far it has come.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import type { Capabilities } from '../wire/capabilities.ts'
import { Framer } from '../wire/framing.ts'
import type { Phase } from './table.ts'
import type { Agreed, ConnectionId } from './types.ts'

/** Of a timer that does not run. */
export const NEVER = Number.POSITIVE_INFINITY

export class Connection {
  readonly id: ConnectionId
  readonly framer = new Framer()
  phase: Phase
  local: Ip | undefined
  linkLocal: Ip | undefined
  /** What our OPEN on this connection announced. */
  ours: Capabilities = {}
  /** Once the peer's OPEN was accepted. */
  agreed: Agreed | undefined

  /** Of the timers, ms; `holdAt` may be late: `heardAt` says what counts. */
  holdMs = 0
  keepaliveMs = 0
  heardAt = 0
  openAt = NEVER
  holdAt = NEVER
  keepaliveAt = NEVER
  sendHoldAt = NEVER

  constructor(id: ConnectionId, phase: Phase) {
    this.id = id
    this.phase = phase
  }

  /** Whether this side began it. */
  get isOutgoing(): boolean {
    return this.id % 2 === 1
  }

  nextWake(): number {
    return Math.min(this.openAt, this.holdAt, this.keepaliveAt, this.sendHoldAt)
  }

  /** Whether the hold time is over. A message since it was set only moves the timer, here. */
  isSilent(now: number): boolean {
    if (now < this.holdAt) return false
    this.holdAt = this.heardAt + this.holdMs
    return now >= this.holdAt
  }

  close(): void {
    this.phase = 'closed'
    this.openAt = NEVER
    this.holdAt = NEVER
    this.keepaliveAt = NEVER
    this.sendHoldAt = NEVER
  }
}
