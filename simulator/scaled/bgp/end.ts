/**
 * One end of a session: RFC 4271 section 8 as far as speakers of one plan meet it.
 * Nobody here says anything wrong, so what only a fault could lead to is left out.
 *
 * @module
 */
import type { Alarmed } from './alarms.ts'
import { Half, NEVER } from './half.ts'
import type { Piece } from './piece.ts'
import type { PeerTimes } from './plan.ts'
import { Timing, type Wait } from './timing.ts'
import type { Conn, Session, Terminal, Transport } from './transport.ts'
import {
  HEADER_OCTETS,
  KEEPALIVE,
  msOf,
  type OpenSaid,
  type Segment,
  type Side,
  type World,
} from './types.ts'

/** OPEN with the capabilities of a session of IPv4; with graceful restart. */
const OPEN_OCTETS = 57
const RESTART_OCTETS = 8
const NOTIFICATION_OCTETS = HEADER_OCTETS + 2
/** A Cease inside of a Hard Reset: RFC 8538. */
const HARD_OCTETS = NOTIFICATION_OCTETS + 2
const LONG_MS = 300_000
const YOUNG_MS = 10_000
/** How long a peer that is back may take to say everything again. */
const REFILL_MS = 360_000

/** Whose end it is. */
export interface Owner {
  readonly index: number
  readonly hasPower: boolean
  readonly isRunning: boolean
  readonly life: number
  /** It has just restarted, and is not told everything yet (RFC 4724). */
  readonly isRestarting: boolean
  connect(end: End, half: Half): void
  up(end: End, theirs: OpenSaid): void
  down(end: End, retains: boolean): void
  staleEnd(end: End): void
  learn(end: End, piece: Piece): void
  heard(octets: number): void
  /** When one of its ends is to be woken; undefined: not at all. */
  arm(end: End, atMs: number | undefined): void
  /** What came in is through. */
  finish(): void
}

interface Ending {
  readonly notification?: Segment
  readonly isGone?: true
  readonly isAbort?: true
  readonly hasNotification: boolean
  readonly isHard: boolean
  readonly wait: Wait
}

type Next = 'none' | 'active' | 'idle'

const notify = (octets: number, isHard: boolean, isPatient: boolean): Segment => ({
  kind: 'notification',
  octets,
  isHard,
  isPatient,
})
const NOT_NOW = notify(NOTIFICATION_OCTETS, false, true)
const GONE: Ending = { isGone: true, hasNotification: false, isHard: false, wait: 'longer' }
const RENEWED: Ending = { isAbort: true, hasNotification: false, isHard: false, wait: 'retry' }
const LOST: Ending = {
  notification: NOT_NOW,
  hasNotification: true,
  isHard: false,
  wait: 'longer',
}
/** RFC 6608: the data is the message's type. */
const UNEXPECTED: Ending = { ...LOST, notification: notify(NOTIFICATION_OCTETS + 1, false, false) }
const SILENT: Ending = { ...LOST, notification: notify(NOTIFICATION_OCTETS, false, false) }

export class End implements Terminal, Alarmed {
  readonly number: number
  readonly owner: Owner
  readonly peer: number
  readonly side: Side
  readonly isClient: boolean
  session!: Session
  /** Of which the session is up. */
  established: Half | undefined
  private readonly world: World
  private readonly transport: Transport
  private readonly times: PeerTimes
  private readonly isPassive: boolean
  private timing!: Timing
  private halves: Half[] = []
  private isStarted = false
  private isKeeping = false
  private establishedAt: number | undefined
  private establishments = 0
  private keptUntil = NEVER
  /** Of the speaker's alarms. */
  due: number | undefined
  place = -1

  constructor(
    world: World,
    transport: Transport,
    options: {
      readonly number: number
      readonly owner: Owner
      readonly peer: number
      readonly side: Side
      readonly isClient: boolean
      readonly isPassive: boolean
    },
  ) {
    this.world = world
    this.transport = transport
    this.number = options.number
    this.owner = options.owner
    this.peer = options.peer
    this.side = options.side
    this.isClient = options.isClient
    this.isPassive = options.isPassive
    this.times = world.plan.timesOf(options.owner.index, options.peer)
  }

  /** What the peer taught before is kept. */
  get isStale(): boolean {
    return this.isKeeping
  }

  private set isStale(isStale: boolean) {
    if (isStale !== this.isKeeping) this.world.keep(isStale ? 1 : -1)
    this.isKeeping = isStale
  }

  get host(): Owner {
    return this.owner
  }

  /** The speaker has started: nothing is known from before. */
  start(): void {
    const { plan } = this.world
    this.timing = new Timing(this.times, this.isPassive, () =>
      plan.seedOf(this.owner.index, this.peer),
    )
    this.halves = []
    this.established = undefined
    this.isStale = false
    this.establishedAt = undefined
    this.establishments = 0
    this.keptUntil = NEVER
    this.isStarted = true
    this.begin(this.now)
    this.arm()
  }

  /** The speaker has ended. */
  forget(): void {
    this.halves = []
    this.established = undefined
    this.isStale = false
    this.isStarted = false
  }

  /** Its time has come; whoever wakes it carries on. */
  wake(): void {
    const { now } = this
    for (const half of this.halves) this.wakeHalf(half, now)
    if (now >= this.timing.idleUntil) this.begin(now)
    if (now >= this.timing.retryAt) this.retry(now)
    if (now >= this.keptUntil) this.endStale()
  }

  /** Asks for the time when it is to be woken next. */
  arm(): void {
    const { timing } = this
    let next = Math.min(timing.idleUntil, timing.retryAt, this.keptUntil)
    for (const { holdAt, keepaliveAt } of this.halves) next = Math.min(next, holdAt, keepaliveAt)
    this.owner.arm(this, next === NEVER ? undefined : next)
  }

  connected(half: Half): void {
    if (half.phase === 'connecting' && this.halves.includes(half)) this.open(half, this.now)
    this.through()
  }

  accepted(conn: Conn): void {
    const { now } = this
    const half = new Half(false)
    half.conn = conn
    conn.halves[this.side] = half
    const { established } = this
    if (!this.isStarted || this.timing.isRefusing || (established && !established.canRestart)) {
      this.say(half, NOT_NOW)
      this.transport.close(half, this.side, false)
    } else {
      const before = this.halves.find((each) => !each.isOutgoing && each !== established)
      this.halves.push(half)
      this.timing.idleUntil = NEVER
      this.open(half, now)
      // A peer that begins again has given up what it began before.
      if (before !== undefined) this.lose(before, now)
    }
    this.through()
  }

  failed(half: Half): void {
    this.transportDown(half)
  }

  closed(half: Half): void {
    this.transportDown(half)
  }

  received(half: Half, segment: Segment): void {
    if (segment.kind === 'update') this.owner.heard(segment.octets)
    if (this.halves.includes(half) && half.hasTransport) this.take(half, segment, this.now)
    this.through()
  }

  /** BFD says that the peer is away. */
  bfdDown(): void {
    const half = this.established
    if (half !== undefined) {
      const octets = half.canRestart ? HARD_OCTETS : NOTIFICATION_OCTETS
      const notification = notify(octets, half.canRestart, false)
      this.end(
        half,
        { notification, hasNotification: true, isHard: true, wait: 'longer' },
        'idle',
        this.now,
      )
    }
    this.through()
  }

  /** An UPDATE on the established connection. */
  tell(piece: Piece): void {
    const half = this.established
    if (half === undefined) return
    this.world.sent.update += piece.messages
    this.world.sent.bytes += piece.octets
    this.transport.send(this.session, this.side, half, piece)
  }

  /** Everything that came in is carried out: timers follow. */
  through(): void {
    this.arm()
    this.owner.finish()
  }

  private get now(): number {
    return msOf(this.world.clock.tick)
  }

  private begin(now: number): void {
    this.timing.clear()
    if (this.halves.length > 0 || this.isPassive) return
    this.timing.retryLater(now)
    const half = new Half(true)
    this.halves.push(half)
    this.owner.connect(this, half)
  }

  /** The attempt that hangs is given up for another. */
  private retry(now: number): void {
    const hanging = this.halves.find(({ phase }) => phase === 'connecting')
    if (hanging !== undefined) {
      this.drop(hanging)
      this.transport.close(hanging, this.side, true)
    }
    this.begin(now)
  }

  private open(half: Half, now: number): void {
    half.hasTransport = true
    const isAhead = this.halves.some(
      ({ phase }) => phase === 'open-confirm' || phase === 'established',
    )
    if (isAhead) half.held(now)
    else this.greet(half, now)
  }

  private greet(half: Half, now: number): void {
    const { restartSeconds, holdSeconds } = this.times
    const { isRestarting } = this.owner
    const restart =
      restartSeconds === false
        ? undefined
        : {
            isRestarting,
            seconds: restartSeconds,
            isForwarding: isRestarting || this.establishments > 0,
          }
    const said: OpenSaid = { holdSeconds, restart }
    const octets = OPEN_OCTETS + (restart === undefined ? 0 : RESTART_OCTETS)
    this.say(half, { kind: 'open', octets, said })
    half.greeted(said, now)
    if (!this.halves.some(({ phase }) => phase === 'connecting')) this.timing.clear()
  }

  private take(half: Half, segment: Segment, now: number): void {
    const { phase } = half
    switch (segment.kind) {
      case 'open':
        if (phase === 'waiting' || phase === 'open-sent') this.confirm(half, segment.said, now)
        else this.end(half, UNEXPECTED, 'idle', now)
        break
      case 'keepalive':
        if (phase === 'open-confirm' || phase === 'established') half.heardAt = now
        if (phase === 'open-confirm') this.establish(half, now)
        else if (phase !== 'established') this.end(half, UNEXPECTED, 'idle', now)
        break
      case 'notification': {
        const { isHard, isPatient } = segment
        const wait = isPatient ? 'retry' : 'longer'
        this.end(half, { hasNotification: true, isHard, wait }, 'idle', now)
        break
      }
      case 'update':
        if (phase === 'established') this.learn(half, segment, now)
        else this.end(half, UNEXPECTED, 'idle', now)
        break
      case 'end':
        break
    }
  }

  private learn(half: Half, piece: Piece, now: number): void {
    half.heardAt = now
    this.owner.learn(this, piece)
    if (!piece.isEndOfRib || !this.isStale) return
    this.isStale = false
    this.keptUntil = NEVER
  }

  private confirm(half: Half, said: OpenSaid, now: number): void {
    if (!this.replaces(said, now)) {
      this.lose(half, now)
      return
    }
    if (half.phase === 'waiting') this.greet(half, now)
    const rival = this.halves.find(
      (each) => each !== half && (each.phase === 'open-sent' || each.phase === 'open-confirm'),
    )
    // Those of the speaker with the higher identifier stay.
    const isOurs = this.world.plan.isBefore(this.peer, this.owner.index)
    if (rival !== undefined && isOurs !== half.isOutgoing) {
      this.lose(half, now)
      return
    }
    half.confirmed(said, 1000 * Math.min(this.times.holdSeconds, said.holdSeconds), now)
    this.keepalive(half, now)
    if (rival !== undefined) this.lose(rival, now)
  }

  /** An OPEN beside an established session: has the peer restarted? */
  private replaces({ restart }: OpenSaid, now: number): boolean {
    const { established } = this
    if (established === undefined) return true
    const isYoung = this.establishedAt !== undefined && now - this.establishedAt < YOUNG_MS
    if (restart?.isRestarting !== true && isYoung) return false
    this.end(established, RENEWED, 'none', now)
    return true
  }

  private establish(half: Half, now: number): void {
    half.phase = 'established'
    for (const other of [...this.halves]) if (other !== half) this.lose(other, now)
    this.timing.clear()
    this.establishedAt = now
    this.establishments++
    this.established = half
    this.owner.up(this, half.theirs!)
    if (!this.isStale) return
    if (half.theirs?.restart?.isForwarding !== true) this.endStale()
    else this.keptUntil = now + REFILL_MS
  }

  private transportDown(half: Half): void {
    if (this.halves.includes(half)) {
      const { phase } = half
      const isRetry = phase === 'connecting' || phase === 'waiting' || phase === 'open-sent'
      this.end(half, GONE, isRetry ? 'active' : 'idle', this.now)
    }
    this.through()
  }

  private wakeHalf(half: Half, now: number): void {
    if (half.isSilent(now) && half.phase !== 'connecting') this.end(half, SILENT, 'idle', now)
    const isTold = half.phase === 'open-confirm' || half.phase === 'established'
    if (now >= half.keepaliveAt && isTold) this.keepalive(half, now)
  }

  private keepalive(half: Half, now: number): void {
    this.say(half, KEEPALIVE)
    half.keepaliveAt = half.holdMs === 0 ? NEVER : now + this.timing.keepaliveMs(half.holdMs / 3)
  }

  private lose(half: Half, now: number): void {
    this.end(half, LOST, 'none', now)
  }

  private end(half: Half, ending: Ending, next: Next, now: number): void {
    const { phase } = half
    const isAttempt = phase === 'connecting'
    if (ending.notification !== undefined && !isAttempt) this.say(half, ending.notification)
    if (ending.isGone !== true) {
      this.transport.close(half, this.side, isAttempt || ending.isAbort === true)
    }
    this.drop(half)
    if (phase === 'established') this.down(half, ending, now)
    if (this.halves.length > 0) {
      for (const each of [...this.halves]) {
        if (each.phase === 'waiting' && each.hasTransport) this.greet(each, now)
      }
    } else if (next === 'active') this.timing.retryLater(now)
    else if (next === 'idle') this.timing.stayIdle(ending.hasNotification, ending.wait, now)
  }

  private down(half: Half, { hasNotification, isHard }: Ending, now: number): void {
    const isLong = this.establishedAt !== undefined && now - this.establishedAt >= LONG_MS
    if (isLong) this.timing.forgetFailures()
    this.establishedAt = undefined
    this.established = undefined
    const theirs = half.theirs?.restart
    const isKept = half.canRestart && !isHard && theirs !== undefined && theirs.seconds > 0
    // Where both know graceful restart they know RFC 8538, too.
    this.isStale = isKept && (!hasNotification || half.canRestart)
    this.keptUntil = this.isStale ? now + theirs!.seconds * 1000 : NEVER
    this.owner.down(this, this.isStale)
  }

  private endStale(): void {
    this.keptUntil = NEVER
    if (!this.isStale) return
    this.isStale = false
    this.owner.staleEnd(this)
  }

  private say(half: Half, segment: Segment): void {
    const { sent } = this.world
    if (segment.kind !== 'end' && segment.kind !== 'update') sent[segment.kind]++
    sent.bytes += segment.octets
    this.transport.send(this.session, this.side, half, segment)
  }

  private drop(half: Half): void {
    half.close()
    this.halves = this.halves.filter((each) => each !== half)
  }
}
