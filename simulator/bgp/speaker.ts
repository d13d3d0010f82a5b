/**
 * One speaker in virtual time: the product's machine, held back as its daemon would be.
 *
 * Held back are the first attempt to connect, own routes until the kernel is scanned,
 * UPDATEs until a new session's peers were gathered or the advertisement interval is
 * over, and decisions for the time that they take. Other messages are not.
 *
 * @module
 */

import type { Originated, PeerConfig, SpeakerConfig } from '../../src/bgp/config.ts'
import {
  createSpeaker,
  type Speaker,
  type SpeakerEffect,
  type SpeakerInput,
  type SpeakerReport,
} from '../../src/bgp/speaker.ts'
import { type Driven, drive } from '../../src/driver.ts'
import { assertNever } from '../../src/errors.ts'
import type { Ip, Prefix } from '../../src/net/mod.ts'
import { type Engine, EVENT, TICKS_PER_MS, virtualClock } from '../clock.ts'
import { coalescedFor } from './daemons.ts'
import type { SpeakerPlan } from './plan.ts'
import type { Side, Transport } from './transport.ts'
import { type About, birdOrder, messagesOf } from './update-order.ts'

/** A session as one of its speakers has it. */
export interface Seat {
  readonly session: number
  readonly side: Side
  readonly peer: PeerConfig
}

export interface SpeakerWorld {
  readonly engine: Engine
  readonly transport: Transport
  readonly routes: (effect: Extract<SpeakerEffect, { readonly kind: 'routes' }>) => void
  readonly report: (report: SpeakerReport) => void
  /** So many inputs and outputs more, or less, are held back. */
  readonly onHeld: (count: number) => void
  /** It chose at last, so long after its start. */
  readonly onDeferred?: (ticks: number) => void
  /** UPDATE messages that left, by their octets. */
  readonly sent: (bytes: Uint8Array) => void
}

const TYPE_OFFSET = 18
const UPDATE = 2
/** Octets of a prefix in a message, about: a /24 is four. */
const PREFIX_OCTETS = 4
const TICKS_PER_SECOND = 1000 * TICKS_PER_MS

/** UPDATEs to one peer that wait. */
interface Gate {
  /** When the next ones may leave. */
  openTick: number
  readonly waiting: { readonly connection: number; readonly bytes: Uint8Array }[]
}

export class SimSpeaker {
  /** Grows with each start and end. */
  life = 0
  /** Inputs and output that are held back. */
  private held = 0

  private readonly index: number
  private readonly plan: SpeakerPlan
  private readonly seats: ReadonlyMap<Ip, Seat>
  private readonly world: SpeakerWorld
  private machine: Speaker | undefined
  private driven: Driven<SpeakerInput> | undefined
  private readonly gates = new Map<Ip, Gate>()
  /** UPDATEs of this turn, where their order is the daemon's. */
  private gathered:
    | Map<Seat, { readonly connection: number; readonly bytes: Uint8Array[] }>
    | undefined
  private readonly lastAbout = new Map<Seat, About>()
  private readonly connected = new Set<Ip>()
  private startTick = 0
  private isReconfigured = false
  /** Octets of UPDATEs that no turn has decided about. */
  private undecided = 0
  /** Whether it waits for what peers have to say before it chooses. */
  private isDeferring = false
  private toAdd = new Map<Prefix, Originated>()
  private toRemove = new Set<Prefix>()

  constructor(index: number, plan: SpeakerPlan, seats: ReadonlyMap<Ip, Seat>, world: SpeakerWorld) {
    this.index = index
    this.plan = plan
    this.seats = seats
    this.world = world
  }

  get isRunning(): boolean {
    return this.driven !== undefined
  }

  /** The product's, for checks and figures. */
  get core(): Speaker | undefined {
    return this.machine
  }

  /** @param own What it announces of itself from the start. */
  start(own: readonly Prefix[], isRestarting: boolean): void {
    const { engine } = this.world
    this.life++
    this.startTick = engine.tick
    const { life, plan } = this
    const { deferralSeconds } = plan.daemon
    const costs = plan.costOf && { costOf: plan.costOf }
    const machine = createSpeaker({ isRestarting, deferralSeconds, ...costs })
    this.defer(isRestarting)
    this.machine = machine
    const clock = virtualClock(engine, this.index)
    this.driven = drive(machine, clock, (effect) => {
      if (life === this.life) this.perform(effect)
    })
    this.feed({ kind: 'configure', config: plan.config })
    const add = own.map((prefix) => ({ prefix }))
    if (add.length > 0) this.feed({ kind: 'originate', add, remove: [] })
  }

  /** The process ends at once; what it said stays with its peers as their sessions have it. */
  end(): void {
    this.driven?.stop()
    this.driven = undefined
    this.machine = undefined
    this.life++
    this.hold(-this.held)
    this.isDeferring = false
    this.undecided = 0
    this.isReconfigured = false
    this.gates.clear()
    this.connected.clear()
    this.gathered = undefined
    this.lastAbout.clear()
    this.toAdd.clear()
    this.toRemove.clear()
  }

  feed(input: SpeakerInput): void {
    if (input.kind === 'session' && input.input.kind === 'received') {
      const { bytes } = input.input
      if (bytes[TYPE_OFFSET] === UPDATE) this.undecided += bytes.length
    }
    this.driven?.feed(input)
  }

  /** The configuration is to be another one, e.g. of other summaries: when what happens now is through. */
  reconfigure(config: () => SpeakerConfig): void {
    if (!this.isRunning || this.isReconfigured) return
    this.isReconfigured = true
    this.later(1, () => {
      this.isReconfigured = false
      this.feed({ kind: 'configure', config: config() })
    })
  }

  /** An own route comes or goes; what comes at one moment is said together. */
  originate(prefix: Prefix, add: boolean): void {
    if (!this.isRunning) return
    if (this.toAdd.size + this.toRemove.size === 0) {
      this.later(this.untilScan(), () => this.tellOwn())
    }
    if (add) {
      this.toRemove.delete(prefix)
      this.toAdd.set(prefix, { prefix })
    } else {
      this.toAdd.delete(prefix)
      this.toRemove.add(prefix)
    }
  }

  private tellOwn(): void {
    const { toAdd, toRemove } = this
    this.toAdd = new Map()
    this.toRemove = new Set()
    this.feed({ kind: 'originate', add: [...toAdd.values()], remove: [...toRemove] })
  }

  private untilScan(): number {
    const scanTicks = this.plan.daemon.kernelScanMs * TICKS_PER_MS
    if (scanTicks === 0) return 1
    return scanTicks - ((this.world.engine.tick - this.startTick) % scanTicks)
  }

  private perform(effect: SpeakerEffect): void {
    const { world } = this
    switch (effect.kind) {
      case 'connect':
        this.connect(effect.peer, effect.connection)
        break
      case 'send':
        this.send(effect.peer, effect.connection, effect.bytes)
        break
      case 'close':
        this.close(effect)
        break
      case 'routes':
        world.routes(effect)
        break
      case 'turn.give':
        this.turn()
        break
      case 'report':
        this.note(effect.report)
        break
      case 'routes.complete':
        this.defer(false)
        break
      default:
        assertNever(effect)
    }
  }

  private connect(peer: Ip, connection: number): void {
    const seat = this.seats.get(peer)
    if (seat === undefined) return
    const { transport } = this.world
    const { connectDelaySeconds } = this.plan.daemon
    if (connectDelaySeconds === 0 || this.connected.has(peer)) {
      transport.connect(seat.session, seat.side, connection)
      return
    }
    this.connected.add(peer)
    this.later(connectDelaySeconds * TICKS_PER_SECOND, () =>
      transport.connect(seat.session, seat.side, connection),
    )
  }

  private send(peer: Ip, connection: number, bytes: Uint8Array): void {
    const seat = this.seats.get(peer)
    if (seat === undefined) return
    const { gathered } = this
    if (gathered !== undefined && bytes[TYPE_OFFSET] === UPDATE) {
      const waiting = gathered.get(seat)
      if (waiting === undefined) gathered.set(seat, { connection, bytes: [...messagesOf(bytes)] })
      else waiting.bytes.push(...messagesOf(bytes))
      return
    }
    this.gate(seat, connection, bytes)
  }

  /** UPDATEs leave when their peer's gate is open, all others at once. */
  private gate(seat: Seat, connection: number, bytes: Uint8Array): void {
    const gate = bytes[TYPE_OFFSET] === UPDATE ? this.gates.get(seat.peer.address) : undefined
    if (gate === undefined) {
      this.put(seat, connection, bytes)
      return
    }
    gate.waiting.push({ connection, bytes })
    const { tick } = this.world.engine
    if (gate.waiting.length > 1) return
    if (gate.openTick <= tick) this.open(seat, gate)
    else this.later(gate.openTick - tick, () => this.open(seat, gate))
  }

  private open(seat: Seat, gate: Gate): void {
    for (const { connection, bytes } of gate.waiting.splice(0)) this.put(seat, connection, bytes)
    const ticks = this.intervalTicks(seat.peer)
    if (ticks > 0) gate.openTick = this.world.engine.tick + ticks
    // A session that came up since has one of its own.
    else if (this.gates.get(seat.peer.address) === gate) this.gates.delete(seat.peer.address)
  }

  private put(seat: Seat, connection: number, bytes: Uint8Array): void {
    this.world.sent(bytes)
    this.world.transport.send(seat.session, seat.side, connection, bytes)
  }

  private close(effect: Extract<SpeakerEffect, { readonly kind: 'close' }>): void {
    const seat = this.seats.get(effect.peer)
    if (seat === undefined) return
    const { session, side } = seat
    this.world.transport.close(session, side, effect.connection, effect.isAbort)
  }

  private turn(): void {
    const prefixes = Math.ceil(this.undecided / PREFIX_OCTETS)
    this.undecided = 0
    const { routesPerSecond, turnMs } = this.plan.daemon
    const leastTicks = Math.max(1, Math.round(turnMs * TICKS_PER_MS))
    const ticks = Math.max(leastTicks, Math.ceil((prefixes * TICKS_PER_SECOND) / routesPerSecond))
    this.later(ticks, () => {
      if (this.plan.daemon.hasNagle) this.gathered = new Map()
      this.feed({ kind: 'turn.given' })
      this.scatter()
    })
  }

  private scatter(): void {
    const { gathered, lastAbout } = this
    this.gathered = undefined
    for (const [seat, { connection, bytes }] of gathered ?? []) {
      const { messages, last } = birdOrder(bytes, lastAbout.get(seat) ?? 'ipv4')
      lastAbout.set(seat, last)
      for (const message of messages) this.gate(seat, connection, message)
    }
  }

  private note(report: SpeakerReport): void {
    if (report.event === 'up') {
      const seat = this.seats.get(report.peer)
      const coalesceMs = coalescedFor(this.plan.daemon, this.seats.size)
      const isHeld = seat !== undefined && coalesceMs + this.intervalTicks(seat.peer) > 0
      const openTick = this.world.engine.tick + coalesceMs * TICKS_PER_MS
      if (isHeld) this.gates.set(report.peer, { openTick, waiting: [] })
    } else if (report.event === 'down') {
      this.gates.get(report.peer)?.waiting.splice(0)
      this.gates.delete(report.peer)
    }
    this.world.report(report)
  }

  private intervalTicks({ asn }: PeerConfig): number {
    const { daemon, config } = this.plan
    const { ebgp, ibgp } = daemon.advertiseSeconds
    return (asn === config.asn ? ibgp : ebgp) * TICKS_PER_SECOND
  }

  /** Something that others wait for, in this life. */
  private later(ticks: number, run: () => void): void {
    const { life } = this
    this.hold(1)
    this.world.engine.later(ticks, EVENT.bgp, this.index, 0, () => {
      if (life !== this.life) return
      this.hold(-1)
      run()
    })
  }

  private defer(isDeferring: boolean): void {
    if (isDeferring === this.isDeferring) return
    this.isDeferring = isDeferring
    this.hold(isDeferring ? 1 : -1)
    if (!isDeferring) this.world.onDeferred?.(this.world.engine.tick - this.startTick)
  }

  private hold(count: number): void {
    this.held += count
    this.world.onHeld(count)
  }
}
