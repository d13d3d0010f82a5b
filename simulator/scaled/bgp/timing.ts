/**
 * How long one end of a session waits for what: RFC 4271 section 10, in milliseconds.
 * Chance comes from the names of both ends.
 *
 * @module
 */
import { type Prng, prng } from '../../../src/prng.ts'
import { NEVER } from './half.ts'
import type { PeerTimes } from './plan.ts'

const SECOND = 1000
const IDLE_MS_MAX = 60 * SECOND
const KEEPALIVE_MS_MIN = SECOND

/** `longer` each time; `retry`: the peer was not ready. */
export type Wait = 'longer' | 'retry'

export class Timing {
  idleUntil = NEVER
  retryAt = NEVER
  isRefusing = false
  private readonly times: PeerTimes
  private readonly isPassive: boolean
  private readonly seed: () => string
  private random: Prng | undefined
  private idleMs: number

  constructor(times: PeerTimes, isPassive: boolean, seed: () => string) {
    this.times = times
    this.isPassive = isPassive
    this.seed = seed
    this.idleMs = this.idleFirst()
  }

  clear(): void {
    this.idleUntil = NEVER
    this.retryAt = NEVER
    this.isRefusing = false
  }

  /** Another attempt, unless it is the peer's to begin. */
  retryLater(now: number): void {
    this.clear()
    if (!this.isPassive) this.retryAt = now + this.retryMs()
  }

  stayIdle(hasNotification: boolean, wait: Wait, now: number): void {
    this.clear()
    this.idleUntil = now + this.waitMs(wait)
    this.isRefusing = hasNotification && wait !== 'retry'
  }

  keepaliveMs(ms: number): number {
    return Math.max(KEEPALIVE_MS_MIN, this.jittered(ms))
  }

  forgetFailures(): void {
    this.idleMs = this.idleFirst()
  }

  private retryMs(): number {
    return this.jittered(this.times.connectRetrySeconds * SECOND)
  }

  private waitMs(wait: Wait): number {
    if (wait === 'retry') return this.retryMs()
    const ms = this.jittered(this.idleMs)
    this.idleMs = Math.min(IDLE_MS_MAX, 2 * this.idleMs)
    return ms
  }

  private idleFirst(): number {
    return Math.min(IDLE_MS_MAX, this.times.idleSeconds * SECOND)
  }

  /** 75 to 100 %. */
  private jittered(ms: number): number {
    this.random ??= prng(this.seed())
    return Math.round(ms * (0.75 + 0.25 * this.random.unit()))
  }
}
