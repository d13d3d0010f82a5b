/**
 * Announcements by BGP in columns: who speaks to whom over which ways, and what becomes
 * of a node's, a switch's or a link's loss and return.
 *
 * @module
 */
import { End } from './end.ts'
import { type Flock, Touches } from './flock.ts'
import { Flocks } from './flocks.ts'
import { Parcels, Routes } from './parcels.ts'
import { BgpPlan, type BgpShape } from './plan.ts'
import { Prefixes } from './prefixes.ts'
import { BgpSpeaker, type SpeakerWorld, turnTicks } from './speaker.ts'
import { type Session, Transport } from './transport.ts'
import { BGP_EVENT, type BgpClock, type Sent, type Side } from './types.ts'
import { NO_WAY, type WayChange, Ways } from './ways.ts'

const TICKS_PER_MS = 1000

export interface ScaledBgpOptions {
  readonly shape: BgpShape
  readonly clock: BgpClock
  /** A switch has a way to a prefix now, or none any more; `sinceTick`: a kernel changed it then. */
  readonly onRoute: (device: number, prefix: number, isThere: boolean, sinceTick: number) => void
  /** The same for switches that share a table, at once; they are the same ones while the list is. @default onRoute for each */
  readonly onRoutes?: (
    devices: Int32Array,
    prefix: number,
    isThere: boolean,
    sinceTick: number,
  ) => void
  /** A switch has started anew, and knows nothing. */
  readonly onReset: (device: number) => void
  /** A speaker's session with another is up, or is over. */
  /** Whether clients in lockstep share a table. @default true */
  readonly shares?: boolean
  readonly onSession?: (speaker: number, peer: number, isUp: boolean) => void
}

/** As the exact engine counts them; times in ticks. */
export interface ScaledBgpFigure {
  readonly speakers: number
  readonly sessions: number
  readonly established: number
  readonly ended: number
  readonly sent: Readonly<Sent>
  readonly upTick: number
  readonly learnedTick: number
  readonly routes: number
}

export class ScaledBgp {
  readonly plan: BgpPlan
  readonly prefixes = new Prefixes()
  readonly ways: Ways
  private readonly routeChanges: Routes
  readonly speakers: readonly BgpSpeaker[]
  readonly sent: Sent = { open: 0, update: 0, notification: 0, keepalive: 0, bytes: 0 }
  /** Choices of switches. */
  prefixesTold = 0
  ended = 0
  upTick = 0
  learnedTick = 0
  established = 0
  private readonly options: ScaledBgpOptions
  private readonly transport: Transport
  readonly flocks: Flocks
  private readonly sessions: Session[] = []
  private readonly ends: End[] = []
  private awaited = 0
  private kept = 0
  private wrong = 0
  private readonly isWrong: Uint8Array
  private readonly isUp: Uint8Array
  private readonly isRestart: Uint8Array
  /** What each node's kernel holds that is to be announced. */
  private readonly own: (Set<number> | undefined)[] = []
  private readonly closures: ((() => void) | undefined)[] = []
  private readonly freeClosures: number[] = []

  constructor(options: ScaledBgpOptions) {
    this.options = options
    this.plan = new BgpPlan(options.shape)
    this.ways = new Ways(this.plan)
    this.routeChanges = new Routes(this.prefixes, this.plan)
    const { plan } = this
    const world = this.world()
    this.transport = new Transport(world)
    world.transport = this.transport
    this.flocks = this.newFlocks()
    this.speakers = Array.from(
      { length: plan.speakers },
      (_, index) => new BgpSpeaker(world, index),
    )
    this.isWrong = new Uint8Array(plan.sessions)
    this.isUp = new Uint8Array(2 * plan.sessions)
    this.isRestart = new Uint8Array(plan.speakers)
    for (let session = 0; session < plan.sessions; session++) this.join(world, session)
  }

  /** Switches start at once; nodes when their agents do. */
  start(): void {
    for (let index = this.plan.shape.nodes; index < this.speakers.length; index++) {
      this.startSpeaker(index)
    }
  }

  /** What is under way, or will be without anything else happening. */
  get pending(): number {
    return this.awaited + this.wrong + this.kept
  }

  /** Whether an event is still what it was posted for. */
  isCurrent(kind: number, a: number, b: number): boolean {
    return kind !== BGP_EVENT.wake || this.speakers[a]!.isCurrent(b)
  }

  serve(kind: number, a: number, b: number): void {
    if (kind === BGP_EVENT.segment) this.transport.arrive(a, b as Side)
    else if (kind === BGP_EVENT.wake) this.speakers[a]!.wake()
    else if (kind === BGP_EVENT.turn) this.speakers[a]!.turn(b)
    else if (kind === BGP_EVENT.stream) this.flocks.flocks[a]?.arrive(b)
    else if (kind === BGP_EVENT.flock) this.flocks.turn(a)
    else if (kind === BGP_EVENT.own) this.speakers[a]!.tellOwn(b)
    else {
      const run = this.closures[a]!
      this.closures[a] = undefined
      this.freeClosures.push(a)
      run()
    }
  }

  /** The kernel of a node changed something. */
  send(node: number, prefix: number, add: boolean): void {
    this.prefixes.sinceTicks[prefix] = this.options.clock.tick
    this.own[node] ??= new Set()
    if (add) this.own[node].add(prefix)
    else this.own[node].delete(prefix)
    this.speakers[node]!.originate(prefix, add)
  }

  /** A node lost its power without a word. */
  silence(node: number): void {
    this.powerOff(node)
  }

  speak(node: number): void {
    this.speakers[node]!.hasPower = true
    this.isRestart[node] = 0
  }

  /** A node's routing process starts or ends. */
  agent(node: number, runs: boolean): void {
    const speaker = this.speakers[node]!
    if (speaker.isRunning === runs) return
    if (runs) {
      this.startSpeaker(node)
      return
    }
    this.isRestart[node] = 1
    this.end(speaker)
    for (const { session, side } of speaker.ends) this.transport.endProcess(session, side)
    this.judgeAll(speaker)
  }

  /** Something of the fabric is up or down, or the interior protocol knows it. */
  follow(change: WayChange, phase: 'happened' | 'known'): void {
    this.ways.change(change, phase)
    if (phase === 'happened' && change.kind === 'device') {
      const index = this.plan.shape.nodes + change.index
      if (change.up) this.powerOn(index)
      else this.powerOff(index)
    }
    for (const [index, session] of this.sessions.entries()) {
      this.partWhereAnother(session)
      this.transport.changed(session)
      this.judge(index)
      if (!this.hasWay(index)) this.missed(session)
    }
  }

  /** Prefixes that a speaker has a best path for, its own ones included. */
  *bestOf(speaker: number): Generator<number> {
    const { rib, flock, added } = this.speakers[speaker]!
    for (let prefix = 0; prefix < this.prefixes.count; prefix++) {
      if (rib?.hasBest(prefix)) yield prefix
      else if (flock === undefined) continue
      else if (added.has(prefix)) yield prefix
      else if (this.prefixes.owners[prefix] !== speaker && flock.has(prefix)) yield prefix
    }
  }

  figure(): ScaledBgpFigure {
    return {
      speakers: this.plan.speakers,
      sessions: this.plan.sessions,
      established: this.established,
      ended: this.ended,
      sent: { ...this.sent },
      upTick: this.upTick,
      learnedTick: this.learnedTick,
      routes: this.routes(),
    }
  }

  /** Of all tables: each shared one once. */
  get bytes(): number {
    let sum = this.prefixes.bytes
    for (const { rib } of this.speakers) sum += rib?.bytes ?? 0
    for (const { bytes } of this.flocks.all()) sum += bytes
    return sum
  }

  /** Best paths of all speakers. */
  private routes(): number {
    let sum = 0
    for (const { rib } of this.speakers) sum += rib?.best ?? 0
    const { count, owners } = this.prefixes
    for (const flock of this.flocks.all()) {
      const { members } = flock
      for (let prefix = 0; prefix < count; prefix++) {
        if (flock.has(prefix)) sum += members.size - (members.has(owners[prefix]!) ? 1 : 0)
      }
      for (const index of members.keys()) sum += this.speakers[index]!.added.size
    }
    return sum
  }

  private world(): SpeakerWorld & { transport: Transport } {
    const { clock } = this.options
    const { nodes } = this.options.shape
    return {
      clock,
      plan: this.plan,
      ways: this.ways,
      sent: this.sent,
      prefixes: this.prefixes,
      transport: undefined as unknown as Transport,
      later: (ticks, isAwaited, run) => this.later(ticks, isAwaited, run),
      await: (count) => {
        this.awaited += count
      },
      ...{ parcels: new Parcels(this.prefixes, this.plan), routes: this.routeChanges },
      routed: (index) => {
        this.learnedTick = clock.tick
        if (index >= nodes) this.tellSwitches(Int32Array.of(index - nodes))
      },
      keep: (count) => {
        this.kept += count
      },
      alone: (speaker) => this.flocks.part(this.speakers[speaker]!, false),
      rested: (speaker) => this.flocks.join(speaker),
      tellFlock: (flock, slot, piece, except) => {
        const count = flock.members.size - (flock.members.has(except) ? 1 : 0)
        this.sent.update += count * piece.messages
        this.sent.bytes += count * piece.octets
        flock.send(slot, piece, except)
      },
      reportUp: (end) => {
        this.options.onSession?.(end.owner.index, end.peer, true)
        this.setUp(end, true)
        this.upTick = clock.tick
        this.judge(end.number >> 1)
      },
      reportDown: (end) => {
        this.options.onSession?.(end.owner.index, end.peer, false)
        if (this.isUp[end.number] === 1) this.ended++
        this.setUp(end, false)
        this.judge(end.number >> 1)
      },
    }
  }

  private newFlocks(): Flocks {
    const { clock } = this.options
    return new Flocks(
      {
        ...{ plan: this.plan, ways: this.ways, transport: this.transport },
        speaker: (index) => this.speakers[index]!,
        flock: {
          prefixes: this.prefixes,
          part: ({ index }, flock) => this.speakers[index]!.part(flock),
          now: () => clock.tick,
          postArrival: (ticks, { number }, slot) =>
            clock.post(ticks, BGP_EVENT.stream, number, slot),
          postTurn: (ticks, { number }) => clock.post(ticks, BGP_EVENT.flock, number, 0),
          await: (count) => {
            this.awaited += count
          },
          turnTicks: (octets, { members }) => {
            const [first] = members.keys()
            return turnTicks(this.plan.daemonOf(first!), octets)
          },
          ...{ routes: this.routeChanges, touches: new Touches() },
          routed: (flock) => {
            this.learnedTick = clock.tick
            if (flock.isSwitches) this.tellSwitches(this.devicesOf(flock))
          },
        },
      },
      this.options.shares ?? true,
    )
  }

  /** Members but those apart, by numbers of switches. */
  private devicesOf(flock: Flock): Int32Array {
    const { nodes } = this.plan.shape
    const { members, apart } = flock
    if (apart.size === 0 && flock.list !== undefined) return flock.list
    const together: number[] = []
    for (const [index, member] of members) if (!apart.has(member)) together.push(index - nodes)
    const list = Int32Array.from(together)
    if (apart.size === 0) flock.list = list
    return list
  }

  private tellSwitches(devices: Int32Array): void {
    const { onRoute, onRoutes } = this.options
    const { sinceTicks } = this.prefixes
    this.routeChanges.flush((prefix, isThere) => {
      this.prefixesTold += devices.length
      const since = sinceTicks[prefix]!
      if (onRoutes !== undefined) onRoutes(devices, prefix, isThere, since)
      else for (const device of devices) onRoute(device, prefix, isThere, since)
    })
  }

  private join(world: SpeakerWorld, index: number): void {
    const { plan, speakers } = this
    const [one, other] = [plan.ends[2 * index]!, plan.ends[2 * index + 1]!]
    const isBoth = plan.slotOf(one) >= 0
    const newEnd = (side: Side, own: number, peer: number): End => {
      const isPassive = side === 1 && !isBoth
      return new End(world, this.transport, {
        number: 2 * index + side,
        owner: speakers[own]!,
        peer,
        side,
        isPassive,
        isClient: isPassive && !plan.isMesh,
      })
    }
    const ends = [newEnd(0, one, other), newEnd(1, other, one)] as const
    const session: Session = { ends, conns: new Set() }
    for (const end of ends) {
      end.session = session
      this.ends.push(end)
      speakers[end.owner.index]!.addEnd(end)
    }
    this.sessions.push(session)
  }

  private startSpeaker(index: number): void {
    const speaker = this.speakers[index]!
    speaker.start(this.own[index] ?? [], this.restarts(speaker))
    this.judgeAll(speaker)
  }

  /** Whether it starts as one whose peers may have kept what it said. */
  private restarts({ index, ends }: BgpSpeaker): boolean {
    if (this.isRestart[index] === 0 && !this.plan.daemonOf(index).alwaysRestarts) return false
    return ends.some(({ peer }) => this.plan.timesOf(index, peer).restartSeconds !== false)
  }

  private end(speaker: BgpSpeaker): void {
    if (this.plan.slotOf(speaker.index) >= 0) this.partAll(speaker)
    this.flocks.part(speaker, true)
    speaker.stop()
    for (const end of speaker.ends) this.setUp(end, false)
  }

  private powerOff(index: number): void {
    const speaker = this.speakers[index]!
    if (!speaker.hasPower) return
    speaker.hasPower = false
    this.end(speaker)
    for (const { session, side } of speaker.ends) {
      this.transport.powerOff(session, side)
      this.missed(session)
    }
    this.judgeAll(speaker)
  }

  private powerOn(index: number): void {
    const speaker = this.speakers[index]!
    if (speaker.hasPower) return
    speaker.hasPower = true
    this.options.onReset(this.plan.deviceOf(index))
    this.startSpeaker(index)
  }

  /** Whom a reflector that ends has told everything. */
  private partAll({ ends }: BgpSpeaker): void {
    for (const { peer } of ends) this.flocks.part(this.speakers[peer]!)
  }

  private partWhereAnother({ ends }: Session): void {
    for (const { host } of ends) {
      const speaker = this.speakers[host.index]!
      const { flock } = speaker
      if (flock === undefined) continue
      const slot = speaker.ends.findIndex(({ session }) => session.ends === ends)
      const ticks = this.ways.between(ends[0].host.index, ends[1].host.index)
      if (ticks !== flock.latencies[slot]) this.flocks.part(speaker)
    }
  }

  private setUp({ number }: End, isUp: boolean): void {
    const both = (): number => this.isUp[number]! & this.isUp[number ^ 1]!
    const before = both()
    this.isUp[number] = isUp ? 1 : 0
    this.established += both() - before
  }

  private hasWay(session: number): boolean {
    const { ends } = this.plan
    return this.ways.between(ends[2 * session]!, ends[2 * session + 1]!) !== NO_WAY
  }

  /** Whether a session is as it should be; others wait for one that is not. */
  private judge(session: number): void {
    const { ends } = this.sessions[session]!
    const isPossible =
      ends[0].host.isRunning && ends[1].host.isRunning && this.hasWay(session) ? 1 : 0
    const isWrong =
      this.isUp[2 * session] !== isPossible || this.isUp[2 * session + 1] !== isPossible ? 1 : 0
    this.wrong += isWrong - this.isWrong[session]!
    this.isWrong[session] = isWrong
  }

  private judgeAll({ ends }: BgpSpeaker): void {
    for (const { number } of ends) this.judge(number >> 1)
  }

  /** The two ends do not hear each other any more; who finds out, but for hold times? */
  private missed({ ends }: Session): void {
    const { bfd } = this.plan.shape.words
    if (bfd === false) return
    const ticks = bfd.intervalMs * bfd.multiplier * TICKS_PER_MS
    for (const [side, end] of ends.entries()) {
      const { life } = end.host
      if (this.isUp[end.number] !== 1) continue
      this.later(ticks, false, () => {
        if (end.host.life !== life) return
        if (this.hasWay(end.number >> 1) && ends[1 - side]!.host.hasPower) return
        end.bfdDown()
      })
    }
  }

  private later(ticks: number, isAwaited: boolean, run: () => void): void {
    const slot = this.freeClosures.pop() ?? this.closures.length
    if (isAwaited) this.awaited++
    this.closures[slot] = isAwaited
      ? () => {
          this.awaited--
          run()
        }
      : run
    this.options.clock.post(ticks, BGP_EVENT.later, slot, 0)
  }
}
