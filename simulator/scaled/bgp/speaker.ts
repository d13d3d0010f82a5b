/**
 * One speaker: its ends of sessions, its table, and when it does what. Held back are,
 * as its daemon would, the first attempt to connect, own routes until the kernel is
 * scanned, UPDATEs of a new session, and decisions for the time that they take.
 *
 * @module
 */
import type { DaemonProfile } from '../../bgp/daemons.ts'
import { Alarms } from './alarms.ts'
import { type Apart, decideApart } from './apart.ts'
import type { End, Owner } from './end.ts'
import type { Flock, Member, Touches } from './flock.ts'
import type { Half } from './half.ts'
import { Outlet } from './outlet.ts'
import type { Parcels, Routes } from './parcels.ts'
import type { Piece } from './piece.ts'
import type { BgpPlan } from './plan.ts'
import type { Prefixes } from './prefixes.ts'
import { Rib } from './rib.ts'
import type { Transport } from './transport.ts'
import { BGP_EVENT, msOf, type OpenSaid, ticksUntil, type World } from './types.ts'
import { Undecided } from './undecided.ts'

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
  /** Of the turn that goes on. */
  readonly parcels: Parcels
  readonly routes: Routes
  /** A speaker chose other ways in this turn: those of a switch are in `routes`. */
  routed(speaker: number): void
  reportUp(end: End): void
  reportDown(end: End): void
  /** Something becomes of a speaker that others do not share. */
  alone(speaker: number): void
  /** It has nothing to do. */
  rested(speaker: BgpSpeaker): void
  tellFlock(flock: Flock, slot: number, piece: Piece, except: number): void
}

export class BgpSpeaker implements Owner, Member, Apart {
  readonly index: number
  hasPower = true
  life = 0
  isRunning = false
  readonly ends: End[] = []
  /** Undefined: it does not run, or hears together with others. */
  rib: Rib | undefined
  flock: Flock | undefined
  /** Octets of UPDATEs that no turn has decided about. */
  undecided = 0
  /** Own routes that were told to it. */
  readonly added = new Set<number>()
  private readonly world: SpeakerWorld
  private readonly plan: BgpPlan
  private readonly daemon: DaemonProfile
  /** Its place among those that reflect, or -1. */
  private readonly slot: number
  readonly isNode: boolean
  private readonly byPeer = new Map<number, End>()
  private readonly gates = new Map<End, Gate>()
  private readonly connected = new Set<End>()
  private readonly alarms = new Alarms<End>()
  /** What the one timer is set to, and which one that is. */
  private armedMs: number | undefined
  private timer = 0
  private held = 0
  private startTick = 0
  private isTurnAsked = false
  private isComplete = false
  /** Others wait for it to choose. */
  private isDeferring = false
  /** Peers that are waited for after a restart. */
  private deferral: { readonly waiting: Set<End>; readonly untilMs: number } | undefined
  private readonly toAdd: number[] = []
  private readonly toRemove: number[] = []
  /** In a flock: own routes that it told others, and while it is apart what is to be decided. */
  told = new Set<number>()
  readonly queue = new Undecided()

  constructor(world: SpeakerWorld, index: number) {
    this.world = world
    this.index = index
    this.plan = world.plan
    this.daemon = world.plan.daemonOf(index)
    this.slot = world.plan.slotOf(index)
    this.isNode = world.plan.isNode(index)
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
    const rib = this.newRib()
    this.rib = rib
    if (isRestarting) this.defer(rib)
    for (const end of this.ends) end.start()
    this.finish()
    for (const prefix of own) this.originateNow(prefix)
    this.finish()
  }

  /** The process ends at once. */
  stop(): void {
    this.world.alone(this.index)
    this.life++
    this.isRunning = false
    this.rib = undefined
    this.queue.clear()
    this.told.clear()
    this.deferral = undefined
    this.world.await(-this.held)
    this.held = 0
    this.isDeferring = false
    this.undecided = 0
    this.gates.clear()
    this.connected.clear()
    this.toAdd.length = 0
    this.toRemove.length = 0
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
    const { toAdd, toRemove } = this
    if (toAdd.length + toRemove.length === 0) {
      this.hold(1)
      this.world.clock.post(this.untilScan(), BGP_EVENT.own, this.index, this.life)
    }
    const [to, from] = add ? [toAdd, toRemove] : [toRemove, toAdd]
    const at = from.indexOf(prefix)
    if (at >= 0) from.splice(at, 1)
    if (!to.includes(prefix)) to.push(prefix)
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
    this.world.alone(this.index)
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
    this.world.alone(this.index)
    this.world.alone(end.peer)
    this.rib?.peerDown(end, retains)
    this.gates.get(end)?.waiting.splice(0)
    this.gates.delete(end)
    this.world.reportDown(end)
  }

  staleEnd(end: End): void {
    this.world.alone(this.index)
    this.rib?.staleEnd(end)
  }

  heard(octets: number): void {
    this.world.alone(this.index)
    this.undecided += octets
  }

  /** Whether nothing of its own keeps it from hearing together with others. */
  get canJoin(): boolean {
    const { rib } = this
    if (rib === undefined || !rib.isIdle || this.isTurnAsked || !this.isComplete) return false
    return this.gates.size + this.toAdd.length + this.toRemove.length === 0 && !this.isRestarting
  }

  /** Whether a peer is told things as they come. */
  isTelling(end: End): boolean {
    return !this.gates.has(end) && !this.isRestarting
  }

  join(flock: Flock): void {
    this.flock = flock
    this.told = new Set(this.added)
    this.rib = undefined
  }

  /** It goes on by itself. */
  leave(flock: Flock, isGone: boolean): void {
    this.flock = undefined
    if (isGone) return
    const rib = this.newRib()
    this.rib = rib
    rib.take(flock, this.ends, { added: this.added, told: this.told })
    const { queue } = this
    while (queue.take()) rib.resume(queue.prefix, queue.wasThere)
    this.told.clear()
  }

  get isAtRest(): boolean {
    return !this.isTurnAsked && this.queue.size === 0
  }

  /** In a flock, it decides by itself from now on. */
  part(flock: Flock): void {
    this.undecided = flock.undecided
    this.queue.clear()
    this.queue.addAll(flock.queue)
    if (!flock.isTurnAsked) return
    const { clock } = this.world
    this.postTurn(flock.turnTick - clock.tick)
  }

  hear(octets: number, { count, prefixes, were }: Touches): void {
    const { owners } = this.world.prefixes
    this.undecided += octets
    for (let at = 0; at < count; at++) {
      const prefix = prefixes[at]!
      if (owners[prefix] !== this.index) this.queue.add(prefix, were[at]!)
    }
    this.askTurn()
  }

  learn(end: End, piece: Piece): void {
    this.world.alone(this.index)
    this.rib?.learn(end, piece)
    if (piece.isEndOfRib) this.deferral?.waiting.delete(end)
  }

  finish(): void {
    const { rib } = this
    if (rib !== undefined) this.endDeferral(rib)
    else if (this.flock === undefined) return
    this.askTurn()
    this.setTimer()
    if (rib !== undefined && !this.isTurnAsked) this.world.rested(this)
  }

  /** The time of decisions is over. */
  turn(life: number): void {
    if (life !== this.life) return
    const { rib, flock } = this
    this.hold(-1)
    this.isTurnAsked = false
    if (rib !== undefined) {
      rib.work()
      if (this.deferral === undefined && rib.isIdle) this.complete()
    } else if (flock !== undefined) decideApart(this, flock, this.world)
    this.finish()
    flock?.reunite()
  }

  private get hasWork(): boolean {
    const { rib } = this
    if (rib === undefined) return this.queue.size > 0
    return !rib.isIdle || (!this.isComplete && this.deferral === undefined)
  }

  private askTurn(): void {
    if (!this.isTurnAsked && this.hasWork) this.postTurn(this.turnTicks())
  }

  private postTurn(ticks: number): void {
    this.isTurnAsked = true
    this.hold(1)
    this.world.clock.post(ticks, BGP_EVENT.turn, this.index, this.life)
  }

  private newRib(): Rib {
    return new Rib({
      plan: this.plan,
      prefixes: this.world.prefixes,
      self: this.index,
      outlet: new Outlet(this),
      parcels: this.world.parcels,
      changes: this.world.routes,
      isSwitch: !this.isNode,
      endOf: (speaker) => this.byPeer.get(speaker),
      routed: () => this.world.routed(this.index),
    })
  }

  one(end: End, piece: Piece): void {
    this.world.alone(end.peer)
    this.send(end, piece)
  }

  tellFlock(flock: Flock, piece: Piece, except: number): void {
    this.world.tellFlock(flock, this.slot, piece, except)
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

  /** Everything that is known is chosen and told. */
  private complete(): void {
    this.isComplete = true
    if (!this.isDeferring) return
    this.isDeferring = false
    this.hold(-1)
  }

  private turnTicks(): number {
    const { undecided } = this
    this.undecided = 0
    return turnTicks(this.daemon, undecided)
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

  /** The kernel was scanned. */
  tellOwn(life: number): void {
    if (life !== this.life) return
    this.hold(-1)
    const { toAdd, toRemove } = this
    this.flock?.part(this)
    for (const prefix of toRemove) {
      if (!this.added.delete(prefix)) continue
      if (this.rib === undefined) this.queue.add(prefix, false)
      else this.rib.withdraw(prefix)
    }
    for (const prefix of toAdd) this.originateNow(prefix)
    toAdd.length = 0
    toRemove.length = 0
    this.finish()
  }

  private originateNow(prefix: number): void {
    if (this.rib !== undefined) this.rib.originate(prefix)
    else if (!this.added.has(prefix)) this.queue.add(prefix, false)
    this.added.add(prefix)
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
    this.world.rested(this)
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

/** How long a daemon decides about UPDATEs of so many octets. */
export function turnTicks({ routesPerSecond }: DaemonProfile, octets: number): number {
  const prefixes = Math.ceil(octets / PREFIX_OCTETS)
  return Math.max(1, Math.ceil((prefixes * TICKS_PER_SECOND) / routesPerSecond))
}
