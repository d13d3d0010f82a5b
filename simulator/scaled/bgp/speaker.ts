/**
 * One speaker: its ends of sessions, its table, and when it does what. Held back are,
 * as its daemon would, the first attempt to connect, own routes until the kernel is
 * scanned, UPDATEs of a new session, and decisions for the time that they take.
 *
 * @module
 */
import type { DaemonProfile } from '../../bgp/daemons.ts'
import { Alarms } from './alarms.ts'
import type { End, Owner } from './end.ts'
import type { Half } from './half.ts'
import { Outlet } from './outlet.ts'
import type { BgpPlan } from './plan.ts'
import type { Prefixes } from './prefixes.ts'
import { Rib } from './rib.ts'
import type { Transport } from './transport.ts'
import { BGP_EVENT, msOf, type OpenSaid, type Piece, ticksUntil, type World } from './types.ts'

const TICKS_PER_MS = 1000
const TICKS_PER_SECOND = 1_000_000
/** Octets of a prefix in a message, about. */
const PREFIX_OCTETS = 4

interface Gate {
  openTick: number
  readonly waiting: Piece[]
}

/** What happens outside of it. */
export interface SpeakerWorld extends World {
  readonly prefixes: Prefixes
  readonly transport: Transport
  routes(speaker: BgpSpeaker, prefixes: readonly number[], isThere: boolean): void
  reportUp(end: End): void
  reportDown(end: End): void
}

export class BgpSpeaker implements Owner {
  readonly index: number
  hasPower = true
  life = 0
  isRunning = false
  readonly ends: End[] = []
  rib: Rib | undefined
  private readonly world: SpeakerWorld
  private readonly plan: BgpPlan
  private readonly daemon: DaemonProfile
  private readonly byPeer = new Map<number, End>()
  private readonly gates = new Map<End, Gate>()
  private readonly connected = new Set<End>()
  private readonly alarms = new Alarms<End>()
  /** What the one timer is set to, and which one that is. */
  private armedMs: number | undefined
  private timer = 0
  private held = 0
  private startTick = 0
  private undecided = 0
  private isTurnAsked = false
  private isComplete = false
  /** Others wait for it to choose. */
  private isDeferring = false
  /** Peers that are waited for after a restart. */
  private deferral: { readonly waiting: Set<End>; readonly untilMs: number } | undefined
  private toAdd = new Set<number>()
  private toRemove = new Set<number>()
  /** Own routes that were told to it. */
  private readonly added = new Set<number>()

  constructor(world: SpeakerWorld, index: number) {
    this.world = world
    this.index = index
    this.plan = world.plan
    this.daemon = world.plan.daemonOf(index)
  }

  get hasNagle(): boolean {
    return this.daemon.hasNagle
  }

  get isRestarting(): boolean {
    return this.deferral !== undefined
  }

  addEnd(end: End): void {
    this.ends.push(end)
    this.byPeer.set(end.peer, end)
  }

  endOf(peer: number): End | undefined {
    return this.byPeer.get(peer)
  }

  start(own: Iterable<number>, isRestarting: boolean): void {
    const { clock } = this.world
    this.life++
    this.isRunning = true
    this.startTick = clock.tick
    this.isTurnAsked = false
    this.isComplete = false
    this.added.clear()
    const outlet = new Outlet((to, piece) => {
      for (const end of to) this.send(end, piece)
    })
    const rib = new Rib({
      plan: this.plan,
      prefixes: this.world.prefixes,
      self: this.index,
      outlet,
      endOf: (speaker) => this.byPeer.get(speaker),
      routes: (prefixes, isThere) => this.world.routes(this, prefixes, isThere),
    })
    this.rib = rib
    if (isRestarting) this.defer(rib)
    for (const end of this.ends) end.start()
    this.finish()
    for (const prefix of own) this.originateNow(prefix)
    this.finish()
  }

  /** The process ends at once. */
  stop(): void {
    this.life++
    this.isRunning = false
    this.rib = undefined
    this.deferral = undefined
    this.world.await(-this.held)
    this.held = 0
    this.isDeferring = false
    this.undecided = 0
    this.gates.clear()
    this.connected.clear()
    this.toAdd.clear()
    this.toRemove.clear()
    for (const end of this.ends) end.forget()
    this.alarms.clear()
    this.armedMs = undefined
    this.timer++
  }

  isCurrent(timer: number): boolean {
    return this.timer === timer
  }

  arm(end: End, atMs: number | undefined): void {
    this.alarms.set(end, atMs)
  }

  /** The time of one session or more has come. */
  wake(): void {
    const { alarms } = this
    const now = msOf(this.world.clock.tick)
    this.armedMs = undefined
    for (let end = alarms.dueAt(now); end !== undefined; end = alarms.dueAt(now)) {
      end.wake()
      alarms.set(end, undefined)
      end.arm()
    }
    this.finish()
  }

  /** An own route comes or goes; what comes at one moment is said together. */
  originate(prefix: number, add: boolean): void {
    if (!this.isRunning) return
    if (this.toAdd.size + this.toRemove.size === 0) {
      this.later(this.untilScan(), () => this.tellOwn())
    }
    if (add) {
      this.toRemove.delete(prefix)
      this.toAdd.add(prefix)
    } else {
      this.toAdd.delete(prefix)
      this.toRemove.add(prefix)
    }
  }

  connect(end: End, half: Half): void {
    const { transport } = this.world
    const { connectDelaySeconds } = this.daemon
    if (connectDelaySeconds === 0 || this.connected.has(end)) {
      transport.connect(end.session, end.side, half)
      return
    }
    this.connected.add(end)
    this.later(connectDelaySeconds * TICKS_PER_SECOND, () =>
      transport.connect(end.session, end.side, half),
    )
  }

  up(end: End, theirs: OpenSaid): void {
    const { rib, deferral, world } = this
    rib?.peerUp(end)
    const isMute = theirs.restart === undefined || theirs.restart.isRestarting
    if (isMute) deferral?.waiting.delete(end)
    const coalesceMs = this.plan.coalesceMsOf(this.index, this.ends.length)
    if (coalesceMs + this.intervalTicks() > 0) {
      const openTick = world.clock.tick + coalesceMs * TICKS_PER_MS
      this.gates.set(end, { openTick, waiting: [] })
    }
    world.reportUp(end)
  }

  down(end: End, retains: boolean): void {
    this.rib?.peerDown(end, retains)
    this.gates.delete(end)
    this.world.reportDown(end)
  }

  staleEnd(end: End): void {
    this.rib?.staleEnd(end)
  }

  heard(octets: number): void {
    this.undecided += octets
  }

  learn(end: End, piece: Piece): void {
    this.rib?.learn(end, piece)
    if (piece.isEndOfRib) this.deferral?.waiting.delete(end)
  }

  finish(): void {
    const { rib } = this
    if (rib === undefined) return
    this.endDeferral(rib)
    this.askTurn(rib)
    this.setTimer()
  }

  private askTurn(rib: Rib): void {
    if (this.isTurnAsked) return
    const isTelling = !this.isComplete && this.deferral === undefined
    if (rib.isIdle && !isTelling) return
    this.isTurnAsked = true
    this.hold(1)
    this.world.clock.post(this.turnTicks(), BGP_EVENT.turn, this.index, this.life)
  }

  private setTimer(): void {
    const { clock } = this.world
    const next = this.nextWake()
    if (next === this.armedMs) return
    this.armedMs = next
    this.timer++
    if (next !== undefined) {
      clock.post(ticksUntil(clock.tick, next), BGP_EVENT.wake, this.index, this.timer)
    }
  }

  private nextWake(): number | undefined {
    const { next } = this.alarms
    const until = this.deferral?.untilMs
    if (next === undefined || until === undefined) return next ?? until
    return Math.min(next, until)
  }

  /** The time of decisions is over. */
  turn(life: number): void {
    const { rib } = this
    if (life !== this.life || rib === undefined) return
    this.hold(-1)
    this.isTurnAsked = false
    rib.work()
    if (this.deferral === undefined && rib.isIdle) this.complete()
    this.finish()
  }

  /** Everything that is known is chosen and told. */
  private complete(): void {
    this.isComplete = true
    if (!this.isDeferring) return
    this.isDeferring = false
    this.hold(-1)
  }

  private turnTicks(): number {
    const prefixes = Math.ceil(this.undecided / PREFIX_OCTETS)
    this.undecided = 0
    const { routesPerSecond } = this.daemon
    return Math.max(1, Math.ceil((prefixes * TICKS_PER_SECOND) / routesPerSecond))
  }

  private defer(rib: Rib): void {
    const { clock } = this.world
    const untilMs = msOf(clock.tick) + 1000 * this.daemon.deferralSeconds
    this.deferral = { waiting: new Set(this.ends), untilMs }
    rib.isDeferred = true
    this.isDeferring = true
    this.hold(1)
  }

  private endDeferral(rib: Rib): void {
    const { deferral } = this
    if (deferral === undefined) return
    const isOver = msOf(this.world.clock.tick) >= deferral.untilMs
    if (!isOver && deferral.waiting.size > 0) return
    this.deferral = undefined
    rib.isDeferred = false
  }

  private tellOwn(): void {
    const { toAdd, toRemove } = this
    this.toAdd = new Set()
    this.toRemove = new Set()
    for (const prefix of toRemove) if (this.added.delete(prefix)) this.rib?.withdraw(prefix)
    for (const prefix of toAdd) this.originateNow(prefix)
    this.finish()
  }

  private originateNow(prefix: number): void {
    this.added.add(prefix)
    this.rib?.originate(prefix)
  }

  private untilScan(): number {
    const scanTicks = this.daemon.kernelScanMs * TICKS_PER_MS
    if (scanTicks === 0) return 1
    return scanTicks - ((this.world.clock.tick - this.startTick) % scanTicks)
  }

  private send(end: End, piece: Piece): void {
    const gate = this.gates.get(end)
    if (gate === undefined) {
      end.tell(piece)
      return
    }
    const { tick } = this.world.clock
    gate.waiting.push(piece)
    if (gate.waiting.length > 1) return
    if (gate.openTick <= tick) this.open(end, gate)
    else this.later(gate.openTick - tick, () => this.open(end, gate))
  }

  private open(end: End, gate: Gate): void {
    for (const piece of gate.waiting.splice(0)) end.tell(piece)
    const ticks = this.intervalTicks()
    if (ticks > 0) gate.openTick = this.world.clock.tick + ticks
    else if (this.gates.get(end) === gate) this.gates.delete(end)
  }

  private intervalTicks(): number {
    return this.daemon.advertiseSeconds.ibgp * TICKS_PER_SECOND
  }

  /** Something that others wait for, in this life. */
  private later(ticks: number, run: () => void): void {
    const { life } = this
    this.hold(1)
    this.world.later(ticks, false, () => {
      if (life !== this.life) return
      this.hold(-1)
      run()
    })
  }

  private hold(count: number): void {
    this.held += count
    this.world.await(count)
  }
}
