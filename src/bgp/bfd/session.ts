/**
 * One BFD session: is the way to a neighbour and back alive?
 *
 * Asynchronous mode without echo and authentication. Times are milliseconds inside,
 * microseconds in packets. Variables have the names of RFC 5880 section 6.8.1.
 *
 * @module
 */
import { assertNever } from '../../errors.ts'
import type { Instant, Machine } from '../../machine.ts'
import type { Prng } from '../../prng.ts'
import { type BfdPacket, type BfdState, DIAGNOSTIC } from './packet.ts'

export interface BfdTerms {
  /** Unique among this system's sessions, not 0. */
  readonly localDiscriminator: number
  /** Both wanted between sent packets and allowed between received ones. */
  readonly intervalMs: number
  /** Packets that may be missed, 1 to 255. */
  readonly multiplier: number
}

export type BfdInput =
  /** Decoded, and meant for this session. */
  | { readonly kind: 'packet'; readonly packet: BfdPacket }
  | { readonly kind: 'configure'; readonly intervalMs: number; readonly multiplier: number }
  /** The administrator takes the session down, or lets it come up again. */
  | { readonly kind: 'admin'; readonly isDown: boolean }

export type BfdEffect =
  | { readonly kind: 'send'; readonly packet: BfdPacket }
  | {
      readonly kind: 'state'
      readonly from: BfdState
      readonly to: BfdState
      readonly diagnostic: number
      /** The neighbour says that it only stopped looking: no sign of a broken way (RFC 5882 section 3.2). */
      readonly isByAdministrator: boolean
    }

/** RFC 5880 section 6.8.3: a session that is not up is not in a hurry. */
const SLOW_MS = 1000
const US = 1000

export type BfdSession = Machine<BfdInput, BfdEffect> & {
  readonly state: BfdState
  /** Milliseconds; undefined: nothing was heard yet. */
  readonly detectionMs: number | undefined
}

export function bfdSession(terms: BfdTerms, random: Prng): BfdSession {
  return new Session(terms, random)
}

class Session implements BfdSession {
  state: BfdState = 'down'
  readonly #discriminator: number
  readonly #random: Prng
  #intervalMs: number
  #multiplier: number
  #diagnostic: number = DIAGNOSTIC.none
  /** The timing that packets name, and the one that is kept to until the neighbour has agreed. */
  #desiredMinTxMs = SLOW_MS
  #sendingMinTxMs = SLOW_MS
  #requiredMinRxMs: number
  #expectingMinRxMs: number
  #isPolling = false
  #remoteState: BfdState = 'down'
  #remoteDiscriminator = 0
  #remoteMinRxMs = 0.001
  #remoteMinTxMs = 0
  #remoteMultiplier = 0
  #isRemoteDemand = false
  #lastHeard: Instant | undefined
  #lastSent: Instant | undefined
  /** Of the wait that is under way: a part of the interval. */
  #jitter: number
  #effects: BfdEffect[] = []

  constructor({ localDiscriminator, intervalMs, multiplier }: BfdTerms, random: Prng) {
    this.#discriminator = localDiscriminator
    this.#intervalMs = intervalMs
    this.#multiplier = multiplier
    this.#requiredMinRxMs = intervalMs
    this.#expectingMinRxMs = intervalMs
    this.#random = random
    this.#jitter = this.#nextJitter()
  }

  get detectionMs(): number | undefined {
    if (this.#lastHeard === undefined) return undefined
    return this.#remoteMultiplier * Math.max(this.#expectingMinRxMs, this.#remoteMinTxMs)
  }

  handle(input: BfdInput, now: Instant): readonly BfdEffect[] {
    switch (input.kind) {
      case 'packet':
        this.#received(input.packet, now)
        break
      case 'configure':
        this.#configure(input.intervalMs, input.multiplier)
        break
      case 'admin':
        this.#administer(input.isDown, now)
        break
      default:
        assertNever(input)
    }
    return this.#taken()
  }

  wake(now: Instant): readonly BfdEffect[] {
    if (this.#isDue(this.#expiry(), now)) this.#expire(now)
    if (this.#isDue(this.#nextSend(now), now)) this.#send(now, false)
    return this.#taken()
  }

  nextWake(): Instant | undefined {
    const moments = [this.#expiry(), this.#nextSend(undefined)].filter((each) => each !== undefined)
    return moments.length === 0 ? undefined : (Math.min(...moments) as Instant)
  }

  #isDue(moment: Instant | undefined, now: Instant): boolean {
    return moment !== undefined && moment <= now
  }

  #taken(): readonly BfdEffect[] {
    return this.#effects.splice(0)
  }

  /** RFC 5880 section 6.8.6, from where the session is known. */
  #received(packet: BfdPacket, now: Instant): void {
    this.#remoteDiscriminator = packet.myDiscriminator
    this.#remoteState = packet.state
    this.#isRemoteDemand = packet.isDemand
    this.#remoteMinRxMs = packet.requiredMinRxUs / US
    this.#remoteMinTxMs = packet.desiredMinTxUs / US
    this.#remoteMultiplier = packet.detectMultiplier
    if (this.#isPolling && packet.isFinal) this.#endPoll()
    if (this.state === 'admin-down') return
    this.#lastHeard = now
    const before = this.state
    this.#transition(packet.state)
    if (packet.isPoll) this.#send(now, true)
    else if (this.state !== before) this.#send(now, false)
  }

  /** The state machine of RFC 5880 section 6.2. */
  #transition(remote: BfdState): void {
    if (remote === 'admin-down') {
      if (this.state !== 'down') this.#become('down', DIAGNOSTIC.neighborSignaledDown, true)
    } else if (this.state === 'down') {
      if (remote === 'down') this.#become('init', this.#diagnostic)
      else if (remote === 'init') this.#become('up', DIAGNOSTIC.none)
    } else if (this.state === 'init') {
      if (remote === 'init' || remote === 'up') this.#become('up', DIAGNOSTIC.none)
    } else if (remote === 'down') {
      this.#become('down', DIAGNOSTIC.neighborSignaledDown)
    }
  }

  #become(to: BfdState, diagnostic: number, isByAdministrator = false): void {
    const from = this.state
    this.state = to
    this.#diagnostic = diagnostic
    this.#effects.push({ kind: 'state', from, to, diagnostic, isByAdministrator })
    this.#retime()
  }

  #configure(intervalMs: number, multiplier: number): void {
    this.#intervalMs = intervalMs
    this.#multiplier = multiplier
    this.#retime()
  }

  /** RFC 5880 section 6.8.3: new times are said in a poll, and kept to when the neighbour has heard. */
  #retime(): void {
    const desired = this.state === 'up' ? this.#intervalMs : Math.max(SLOW_MS, this.#intervalMs)
    const isChanged = desired !== this.#desiredMinTxMs || this.#requiredMinRxMs !== this.#intervalMs
    const isSlower = desired > this.#desiredMinTxMs
    const isFaster = this.#intervalMs < this.#requiredMinRxMs
    this.#desiredMinTxMs = desired
    this.#requiredMinRxMs = this.#intervalMs
    const isUp = this.state === 'up'
    if (!(isUp && isSlower)) this.#sendingMinTxMs = desired
    if (!(isUp && isFaster)) this.#expectingMinRxMs = this.#intervalMs
    if (isChanged && isUp) this.#isPolling = true
    if (!isUp) this.#isPolling = false
  }

  #endPoll(): void {
    this.#isPolling = false
    this.#sendingMinTxMs = this.#desiredMinTxMs
    this.#expectingMinRxMs = this.#requiredMinRxMs
  }

  #administer(isDown: boolean, now: Instant): void {
    if (isDown === (this.state === 'admin-down')) return
    this.#become(isDown ? 'admin-down' : 'down', isDown ? DIAGNOSTIC.administrativelyDown : 0)
    this.#lastHeard = undefined
    this.#send(now, false)
  }

  /** RFC 5880 section 6.8.4. */
  #expire(now: Instant): void {
    this.#lastHeard = undefined
    this.#remoteDiscriminator = 0
    this.#isRemoteDemand = false
    this.#remoteMinRxMs = 1 / US
    if (this.state !== 'init' && this.state !== 'up') return
    this.#become('down', DIAGNOSTIC.timeExpired)
    this.#send(now, false)
  }

  /** When nothing heard since means that the way is broken. */
  #expiry(): Instant | undefined {
    const { detectionMs } = this
    if (detectionMs === undefined || this.#lastHeard === undefined) return undefined
    return (this.#lastHeard + detectionMs) as Instant
  }

  /** RFC 5880 section 6.8.7; `now` where there was none before. */
  #nextSend(now: Instant | undefined): Instant | undefined {
    if (this.#remoteMinRxMs === 0) return undefined
    // A neighbour in demand mode hears from us only when it asks.
    const isBothUp = this.state === 'up' && this.#remoteState === 'up'
    if (this.#isRemoteDemand && isBothUp && !this.#isPolling) return undefined
    if (this.#lastSent === undefined) return now ?? (0 as Instant)
    const intervalMs = Math.max(this.#sendingMinTxMs, this.#remoteMinRxMs)
    return (this.#lastSent + intervalMs * this.#jitter) as Instant
  }

  /** A quarter off, so that sessions do not fall into step; with multiplier 1 at least a tenth. */
  #nextJitter(): number {
    const most = this.#multiplier === 1 ? 0.9 : 1
    return 0.75 + (most - 0.75) * this.#random.unit()
  }

  #send(now: Instant, isFinal: boolean): void {
    // The answer to a poll comes beside the others: it moves none of them.
    if (!isFinal) {
      this.#lastSent = now
      this.#jitter = this.#nextJitter()
    }
    this.#effects.push({
      kind: 'send',
      packet: {
        diagnostic: this.#diagnostic,
        state: this.state,
        isPoll: this.#isPolling && !isFinal,
        isFinal,
        isIndependent: false,
        isDemand: false,
        detectMultiplier: this.#multiplier,
        myDiscriminator: this.#discriminator,
        yourDiscriminator: this.#remoteDiscriminator,
        desiredMinTxUs: Math.round(this.#desiredMinTxMs * US),
        requiredMinRxUs: Math.round(this.#requiredMinRxMs * US),
        requiredMinEchoRxUs: 0,
      },
    })
  }
}
