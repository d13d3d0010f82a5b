/**
 * One transport of a session: its stream, its timers, and how far it has come.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import type { Capabilities } from '../wire/capabilities.ts'
import { Framer, MESSAGE_OCTETS_MAX } from '../wire/framing.ts'
import type { Open } from '../wire/open.ts'
import type { Agreement } from './negotiate.ts'
import type { Phase } from './table.ts'
import { OPEN_HOLD_MS } from './timing.ts'
import type { Agreed, ConnectionId, SessionState } from './types.ts'

/** Of a timer that does not run. */
export const NEVER = Number.POSITIVE_INFINITY
/**
 * A process that was held up for longer than this has not read what waits: the peer is
 * given as long again before it counts as silent.
 */
const LATE_MS = 1000

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

  /** 0: no limit. */
  holdMs = 0
  /** Without jitter; 0: none. */
  keepaliveMs = 0
  /** Moments; a message only moves `heardAt`, and `isSilent` lets the timer follow. */
  heardAt = 0
  holdAt = NEVER
  keepaliveAt = NEVER
  sendHoldAt = NEVER

  /** One that the peer began waits for an OPEN, one of ours for its transport. */
  constructor(id: ConnectionId) {
    this.id = id
    this.phase = this.isOutgoing ? 'connecting' : 'waiting'
  }

  /** Whether this side began it. */
  get isOutgoing(): boolean {
    return this.id % 2 === 1
  }

  nextWake(): number {
    return Math.min(this.holdAt, this.keepaliveAt, this.sendHoldAt)
  }

  /** Our OPEN waits, until the peer's comes or another connection is gone. */
  held(now: number): void {
    this.phase = 'waiting'
    this.#hold(OPEN_HOLD_MS, now)
  }

  /** Our OPEN was sent. */
  greeted(ours: Capabilities, now: number): void {
    this.ours = ours
    this.phase = 'open-sent'
    this.#hold(OPEN_HOLD_MS, now)
  }

  /** The peer's OPEN was accepted. */
  confirmed(open: Open, agreement: Agreement, local: Ip, now: number): void {
    const { routerId, holdSeconds, context, refresh } = agreement
    const { id: connection, linkLocal, ours } = this
    this.agreed = {
      connection,
      local,
      ...(linkLocal !== undefined && { linkLocal }),
      routerId,
      holdSeconds,
      context,
      refresh,
      capabilities: open.capabilities,
      ours,
    }
    if (context.messageOctetsMax > MESSAGE_OCTETS_MAX) this.framer.allowExtendedMessages()
    this.phase = 'open-confirm'
    this.#hold(holdSeconds * 1000, now)
    this.keepaliveMs = this.holdMs / 3
  }

  /** Whether the hold time is over. */
  isSilent(now: number): boolean {
    if (now < this.holdAt) return false
    const isLate = now - this.holdAt > LATE_MS
    this.holdAt = isLate ? now + LATE_MS : this.heardAt + this.holdMs
    return now >= this.holdAt
  }

  close(): void {
    this.phase = 'closed'
    this.holdAt = NEVER
    this.keepaliveAt = NEVER
    this.sendHoldAt = NEVER
  }

  #hold(ms: number, now: number): void {
    this.holdMs = ms
    this.heardAt = now
    this.holdAt = ms === 0 ? NEVER : now + ms
  }
}

const STATES: Readonly<Record<Phase, SessionState>> = {
  closed: 'idle',
  waiting: 'active',
  connecting: 'connect',
  'open-sent': 'open-sent',
  'open-confirm': 'open-confirm',
  established: 'established',
}
const ORDER: readonly Phase[] = Object.keys(STATES) as Phase[]

/** The state of the connection that has come furthest; `without`: that of none. */
export function stateOf(connections: readonly Connection[], without: SessionState): SessionState {
  let furthest = -1
  for (const { phase } of connections) furthest = Math.max(furthest, ORDER.indexOf(phase))
  const phase = ORDER[furthest]
  return phase === undefined ? without : STATES[phase]
}
