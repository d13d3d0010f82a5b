/**
 * How long a session waits for what: RFC 4271 section 10, RFC 9687.
 *
 * @module
 */
import { type Prng, prng } from '../../prng.ts'
import { NEVER } from './connection.ts'
import type { Ending, Wait } from './ending.ts'
import type { SessionTerms } from './types.ts'

const SECOND = 1000

/** Until the peer's OPEN: RFC 4271 section 8.2.2 proposes four minutes. */
export const OPEN_HOLD_MS = 240 * SECOND
/** RFC 9687 section 4: twice the hold time, and not less than eight minutes. */
const SEND_HOLD_MS_MIN = 480 * SECOND
/** The longest wait in Idle. */
const IDLE_MS_MAX = 60 * SECOND
/** How long a peer that is back may take to say everything again: RFC 4724 section 4.2 leaves it open. */
export const REFILL_MS = 360 * SECOND
/** RFC 4271 section 4.4: not more than one a second. */
const KEEPALIVE_MS_MIN = SECOND

const CONNECT_RETRY_SECONDS_DEFAULT = 5
const IDLE_SECONDS_DEFAULT = 1

/** The timers of one session; chance comes from the names of both ends, so it can be played again. */
export class Timing {
  #terms: SessionTerms
  readonly #random: Prng
  #idleMs: number
  /** The end of the wait in Idle. */
  idleUntil = NEVER
  /** The next attempt to connect. */
  retryAt = NEVER
  /** Whether a peer's connection has to wait in Idle as well. */
  isRefusing = false

  constructor(terms: SessionTerms) {
    const { self, peer } = terms
    this.#terms = terms
    this.#random = prng(`session/${self.asn}/${self.routerId}/${peer.asn}/${peer.address}`)
    this.#idleMs = this.#idleFirst()
  }

  amend(terms: SessionTerms): void {
    this.#terms = terms
  }

  /** Nothing waits. */
  clear(): void {
    this.idleUntil = NEVER
    this.retryAt = NEVER
    this.isRefusing = false
  }

  /** Active, or another attempt: ConnectRetry, unless it is the peer's to begin. */
  retryLater(now: number): void {
    this.clear()
    if (this.#terms.peer.passive !== true) this.retryAt = now + this.#connectRetryMs()
  }

  /** Idle, until it is time to begin again. */
  stayIdle({ hasNotification, wait }: Ending, now: number): void {
    this.clear()
    this.idleUntil = now + this.#waitMs(wait)
    this.isRefusing = hasNotification && wait !== 'retry'
  }

  #connectRetryMs(): number {
    const { connectRetrySeconds = CONNECT_RETRY_SECONDS_DEFAULT } = this.#terms.peer
    return this.#jittered(connectRetrySeconds * SECOND)
  }

  /** `keepaliveMs` without jitter. */
  keepaliveMs(keepaliveMs: number): number {
    return Math.max(KEEPALIVE_MS_MIN, this.#jittered(keepaliveMs))
  }

  sendHoldMs(holdMs: number): number {
    return Math.max(SEND_HOLD_MS_MIN, 2 * holdMs)
  }

  /** DampPeerOscillations. */
  #waitMs(wait: Wait): number {
    if (wait === 'retry') return this.#connectRetryMs()
    if (wait === 'longest') this.#idleMs = IDLE_MS_MAX
    const ms = this.#jittered(this.#idleMs)
    this.#idleMs = Math.min(IDLE_MS_MAX, 2 * this.#idleMs)
    return ms
  }

  forgetFailures(): void {
    this.#idleMs = this.#idleFirst()
  }

  #idleFirst(): number {
    return Math.min(IDLE_MS_MAX, (this.#terms.peer.idleSeconds ?? IDLE_SECONDS_DEFAULT) * SECOND)
  }

  /** RFC 4271 section 10: 75 to 100 %, whole milliseconds. */
  #jittered(ms: number): number {
    return Math.round(ms * (0.75 + 0.25 * this.#random.unit()))
  }
}
