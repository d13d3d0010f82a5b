/**
 * Announcements by BGP: every node and switch runs the product's speaker, sessions cross
 * the simulated fabric, and what a switch's speaker chooses is what its tables are asked
 * to hold.
 *
 * Who notices what, and when:
 *
 * - power that is gone and a cut way: carrier at once, BFD after its detection time,
 *   the hold time otherwise;
 * - a process that ends: its kernel closes its connections, which peers hear at once;
 * - power that is back: another kernel resets what it does not know.
 *
 * BFD is not spoken packet by packet: it says what its packets would say, when they
 * would. It lives in the kernel of its machine, and does not end with the speaker.
 *
 * @module
 */

import type { SessionInput } from '../../src/bgp/session/types.ts'
import type { SpeakerEffect, SpeakerReport } from '../../src/bgp/speaker.ts'
import { prefixesOf } from '../../src/bgp/wire/prefixes.ts'
import { containsPrefix, type Ip, type Prefix } from '../../src/net/mod.ts'
import { prng } from '../../src/prng.ts'
import type { Announcements, Change } from '../announcements.ts'
import { type Engine, EVENT, TICKS_PER_MS } from '../clock.ts'
import type { FabricChange, FabricPaths } from '../fabric-paths.ts'
import { BgpCounter, type BgpFigure } from './figures.ts'
import type { RoutingPlan } from './plan.ts'
import { type Seat, SimSpeaker } from './speaker.ts'
import { type RackSummary, summaryOf } from './summaries.ts'
import { type Side, Transport } from './transport.ts'
import { SessionWays } from './ways.ts'

/** What a switch is told; none of `nextHops`: it has no way there any more. */
export type OnRoute = (
  device: number,
  prefix: Prefix,
  nextHops: readonly Ip[],
  sinceTick: number,
) => void

export interface BgpOptions {
  readonly plan: RoutingPlan
  readonly paths: FabricPaths
  readonly seed: number
  readonly onRoute: OnRoute
  /** A switch has started anew, and knows nothing. */
  readonly onReset: (device: number) => void
}

/** A port without signal is noticed by the switch's software. Source: measured on SONiC, sonic-mgmt#18391: 59 to 114 ms with the failover. */
const CARRIER_TICKS = 10 * TICKS_PER_MS

export class BgpAnnouncements implements Announcements {
  readonly counter = new BgpCounter()
  readonly speakers: readonly SimSpeaker[]
  readonly ways: SessionWays
  readonly plan: RoutingPlan

  private readonly engine: Engine
  private readonly options: BgpOptions
  private readonly transport: Transport
  /** Sessions of each speaker. */
  private readonly seats: readonly (readonly Seat[])[]
  private readonly hasPower: boolean[]
  /** What each node's kernel holds that is to be announced. */
  private readonly own: readonly Set<Prefix>[]
  /** When a kernel changed a prefix last. */
  private readonly since = new Map<Prefix, number>()
  /** By session and side: what its speaker says of it. */
  private readonly isUp: boolean[]
  private readonly isWrong: boolean[]
  private wrong = 0
  private established = 0
  private held = 0
  /** Seats whose speaker keeps routes of a session that is gone. */
  private readonly keeping = new Map<number, { readonly speaker: number; readonly peer: Ip }>()
  private readonly isRestart: boolean[]
  /** By the speakers of top-of-rack switches, where they sum up. */
  private readonly summaries = new Map<number, RackSummary>()

  constructor(engine: Engine, options: BgpOptions) {
    const { plan, paths, seed } = options
    const { sessions, speakers } = plan
    this.engine = engine
    this.options = options
    this.plan = plan
    this.ways = new SessionWays(plan, paths)
    this.own = Array.from({ length: plan.nodes }, () => new Set())
    this.hasPower = speakers.map(() => true)
    this.isRestart = speakers.map(() => false)
    this.isUp = sessions.flatMap(() => [false, false])
    this.isWrong = sessions.map(() => false)
    const seats: Seat[][] = speakers.map(() => [])
    for (const [session, { ends, addresses }] of sessions.entries()) {
      for (const side of [0, 1] as const) {
        const address = addresses[1 - side]
        const peer = speakers[ends[side]]?.config.peers.find((each) => each.address === address)
        if (peer !== undefined) seats[ends[side]]?.push({ session, side, peer })
      }
    }
    this.seats = seats
    this.transport = new Transport(engine, {
      sessions,
      ends: this.ends(),
      wayOf: (session) => this.ways.of(session),
      chance: prng(seed).fork('sessions'),
      isNagle: (session, side) =>
        speakers[sessions[session]?.ends[side] ?? -1]?.daemon.hasNagle === true,
    })
    this.speakers = speakers.map((each, index) => this.newSpeaker(index, each))
    paths.watch((change, phase) => this.follow(change, phase))
  }

  /** Switches start at once; nodes when their agents do. */
  start(): void {
    for (let index = this.plan.nodes; index < this.speakers.length; index++) {
      this.startSwitch(index)
      this.judgeAll(index)
    }
  }

  get pending(): number {
    const busy = this.transport.pending + this.held + this.wrong
    if (busy > 0) return busy
    for (const [place, { speaker, peer }] of this.keeping) {
      const view = this.speakers[speaker]?.core?.peer(peer)
      // One that still does is enough.
      if (view !== undefined && view.session.stale.length > 0) break
      this.keeping.delete(place)
    }
    return this.keeping.size
  }

  send(owner: number, { entry, add }: Change): void {
    if (entry === undefined) return
    const prefix = entry.entry as Prefix
    this.since.set(prefix, this.engine.tick)
    if (add) this.own[owner]?.add(prefix)
    else this.own[owner]?.delete(prefix)
    this.speakers[owner]?.originate(prefix, add)
  }

  silence(owner: number): void {
    this.powerOff(owner)
  }

  speak(owner: number): void {
    this.hasPower[owner] = true
    this.isRestart[owner] = false
  }

  agent(owner: number, runs: boolean): void {
    const speaker = this.speakers[owner]
    if (speaker === undefined || speaker.isRunning === runs) return
    if (runs) {
      speaker.start([...(this.own[owner] ?? [])], this.restarts(owner))
    } else {
      this.isRestart[owner] = true
      this.end(owner)
      for (const { session, side } of this.seats[owner] ?? []) {
        this.transport.endProcess(session, side)
      }
    }
    this.judgeAll(owner)
  }

  /** Whether nodes take a prefix from their switches: of pools, or everything where pods are announced. */
  isTaken(prefix: Prefix): boolean {
    const { pools, hasHosts } = this.plan
    return hasHosts || pools.some((pool) => containsPrefix(pool, prefix))
  }

  /** Whether a session is up at both ends. */
  isEstablished(session: number): boolean {
    return this.isUp[2 * session] === true && this.isUp[2 * session + 1] === true
  }

  /** Whether there is nothing between a session and its being up. */
  isPossible(session: number): boolean {
    const ends = this.plan.sessions[session]?.ends ?? []
    return ends.every((end) => this.speakers[end]?.isRunning) && this.ways.of(session).isUp
  }

  /** What a node's kernel holds that is to be announced. */
  ownOf(node: number): ReadonlySet<Prefix> {
    return this.own[node] ?? new Set()
  }

  figure(): BgpFigure {
    let routes = 0
    let tableBytes = 0
    for (const { core } of this.speakers) {
      if (core === undefined) continue
      tableBytes += core.bytes
      for (const family of ['ipv4', 'ipv6'] as const) {
        for (const _ of core.routes(family)) routes++
      }
    }
    const { speakers, sessions } = this.plan
    return this.counter.figure({
      speakers: speakers.length,
      sessions: sessions.length,
      established: this.established,
      routes,
      tableBytes,
    })
  }

  private startSwitch(index: number): void {
    if (this.plan.summed.length > 0) this.summaries.set(index, summaryOf(this.plan, index))
    this.speakers[index]?.start([], this.restarts(index))
  }

  /** Whether it starts as one whose peers may have kept what it said (RFC 4724). */
  private restarts(owner: number): boolean {
    const { alwaysRestarts } = this.plan.speakers[owner]?.daemon ?? {}
    if (this.isRestart[owner] !== true && alwaysRestarts !== true) return false
    return (this.seats[owner] ?? []).some(({ peer }) => peer.gracefulRestart !== false)
  }

  private newSpeaker(index: number, plan: RoutingPlan['speakers'][number]): SimSpeaker {
    const seats = new Map((this.seats[index] ?? []).map((seat) => [seat.peer.address, seat]))
    return new SimSpeaker(index, plan, seats, {
      engine: this.engine,
      transport: this.transport,
      routes: (effect) => this.routes(index, effect),
      report: (report) => this.report(index, report),
      sent: (bytes) => this.counter.sent(bytes),
      onDeferred: (ticks) => this.counter.deferred(ticks),
      onHeld: (count) => {
        this.held += count
      },
    })
  }

  private ends(): ConstructorParameters<typeof Transport>[1]['ends'] {
    const speakerAt = (session: number, side: Side): number =>
      this.plan.sessions[session]?.ends[side] ?? -1
    const tell = (session: number, side: Side, input: SessionInput): void => {
      const peer = this.plan.sessions[session]?.addresses[side === 0 ? 1 : 0]
      if (peer === undefined) return
      this.speakers[speakerAt(session, side)]?.feed({ kind: 'session', peer, input })
    }
    return {
      connected: (session, side, connection) => {
        const local = this.plan.sessions[session]?.addresses[side]
        if (local !== undefined) tell(session, side, { kind: 'connected', connection, local })
      },
      failed: (session, side, connection, reason) =>
        tell(session, side, { kind: 'connect-failed', connection, reason }),
      received: (session, side, connection, bytes) =>
        tell(session, side, { kind: 'received', connection, bytes }),
      closed: (session, side, connection, reason) =>
        tell(session, side, { kind: 'closed', connection, reason }),
      hostOf: (session, side) => {
        const index = speakerAt(session, side)
        if (this.hasPower[index] !== true) return 'off'
        return this.speakers[index]?.isRunning === true ? 'runs' : 'idle'
      },
      lifeOf: (session, side) => this.speakers[speakerAt(session, side)]?.life ?? -1,
    }
  }

  private routes(
    index: number,
    { nextHops, prefixes }: Extract<SpeakerEffect, { readonly kind: 'routes' }>,
  ): void {
    const { tick } = this.engine
    this.counter.learnedTick = tick
    const plan = this.plan.speakers[index]
    if (plan === undefined || plan.node !== undefined) return
    const hops = nextHops.map(({ nextHop }) => nextHop)
    const summary = this.summaries.get(index)
    for (const { prefix } of prefixesOf(prefixes)) {
      this.counter.prefixesTold++
      this.options.onRoute(plan.device, prefix, hops, this.since.get(prefix) ?? tick)
      if (summary?.chosen(prefix, hops) !== true) continue
      this.speakers[index]?.reconfigure(() => summary.config)
    }
  }

  private report(index: number, report: SpeakerReport): void {
    if (report.event !== 'up' && report.event !== 'down') return
    const seat = this.seats[index]?.find(({ peer }) => peer.address === report.peer)
    if (seat === undefined) return
    const place = 2 * seat.session + seat.side
    const isUp = report.event === 'up'
    const wasUp = this.isUp[place] === true
    this.setUp(seat, isUp)
    if (isUp) this.counter.upTick = this.engine.tick
    else {
      if (wasUp) this.counter.ended++
      const view = this.speakers[index]?.core?.peer(report.peer)
      if (view !== undefined && view.session.stale.length > 0) {
        this.keeping.set(place, { speaker: index, peer: report.peer })
      }
    }
    this.judge(seat.session)
  }

  private setUp({ session, side }: Pick<Seat, 'session' | 'side'>, isUp: boolean): void {
    const before = this.isEstablished(session)
    this.isUp[2 * session + side] = isUp
    const after = this.isEstablished(session)
    if (before !== after) this.established += after ? 1 : -1
  }

  /** Whether a session is as it should be; others wait for one that is not. */
  private judge(session: number): void {
    const wanted = this.isPossible(session)
    const isWrong = this.isUp[2 * session] !== wanted || this.isUp[2 * session + 1] !== wanted
    if (isWrong === this.isWrong[session]) return
    this.isWrong[session] = isWrong
    this.wrong += isWrong ? 1 : -1
  }

  private judgeAll(speaker: number): void {
    for (const { session } of this.seats[speaker] ?? []) this.judge(session)
  }

  private end(index: number): void {
    this.speakers[index]?.end()
    for (const seat of this.seats[index] ?? []) {
      this.setUp(seat, false)
      this.keeping.delete(2 * seat.session + seat.side)
    }
  }

  private powerOff(index: number): void {
    if (this.hasPower[index] !== true) return
    this.hasPower[index] = false
    this.end(index)
    for (const { session, side } of this.seats[index] ?? []) {
      this.transport.powerOff(session, side)
      this.missed(session)
    }
    this.judgeAll(index)
  }

  private powerOn(index: number): void {
    if (this.hasPower[index] === true) return
    this.hasPower[index] = true
    const device = this.plan.speakers[index]?.device
    if (device !== undefined) this.options.onReset(device)
    this.startSwitch(index)
    this.judgeAll(index)
  }

  /** Something of the fabric is up or down, or the interior protocol knows it. */
  private follow({ target, up }: FabricChange, phase: 'happened' | 'known'): void {
    if (phase === 'happened' && target.kind === 'device') {
      const index = this.plan.nodes + target.device
      if (up) this.powerOn(index)
      else this.powerOff(index)
    }
    for (const [session] of this.plan.sessions.entries()) {
      this.transport.changed(session)
      this.judge(session)
      if (!this.ways.of(session).isUp) this.missed(session)
    }
  }

  /** The two ends of a session may not hear each other any more: who finds out, but for hold times? */
  private missed(session: number): void {
    const plan = this.plan.sessions[session]
    if (plan === undefined) return
    const { words } = this.plan
    for (const side of [0, 1] as const) {
      const index = plan.ends[side]
      const daemon = this.plan.speakers[index]?.daemon
      const seesCarrier = plan.way.kind !== 'path' && words.carrier && daemon?.watchesCarrier
      const { bfd } = words
      const ticks = seesCarrier
        ? CARRIER_TICKS
        : bfd === false
          ? undefined
          : bfd.intervalMs * bfd.multiplier * TICKS_PER_MS
      if (ticks === undefined || this.isUp[2 * session + side] !== true) continue
      const life = this.speakers[index]?.life
      this.engine.later(ticks, EVENT.bgp, index, 1, () => this.tellMissed(session, side, life))
    }
  }

  private tellMissed(session: number, side: Side, life: number | undefined): void {
    const plan = this.plan.sessions[session]
    const [index = -1, other = -1] =
      side === 0 ? (plan?.ends ?? []) : [...(plan?.ends ?? [])].reverse()
    const speaker = this.speakers[index]
    if (plan === undefined || speaker === undefined || speaker.life !== life) return
    if (this.ways.of(session).isUp && this.hasPower[other] === true) return
    const peer = plan.addresses[side === 0 ? 1 : 0]
    speaker.feed({ kind: 'bfd', peer, isUp: false })
  }
}
