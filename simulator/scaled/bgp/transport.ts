/**
 * Connections, as far as BGP sees them: what is sent arrives in its order after the
 * latency of the way, waits while the way is cut, and is there at the first
 * retransmission after it is back.
 *
 * @module
 */
import type { Half } from './half.ts'
import { BGP_EVENT, END, otherOf, type Segment, type Side, type World } from './types.ts'
import { NO_WAY } from './ways.ts'

const TICKS_PER_MS = 1000
/** Three ARP requests, a second apart. Source: arp(7), mcast_solicit. */
const UNREACHABLE_TICKS = 3000 * TICKS_PER_MS
/** Source: include/net/tcp.h, TCP_RTO_MIN, TCP_RTO_MAX. */
const RTO_TICKS = 200 * TICKS_PER_MS
const RTO_MAX_TICKS = 120_000 * TICKS_PER_MS

/** One end of a session, as its transport needs it. */
export interface Terminal {
  readonly number: number
  readonly host: Host
  bfdDown(): void
  connected(half: Half): void
  /** The peer's connection. */
  accepted(conn: Conn): void
  failed(half: Half): void
  received(half: Half, segment: Segment): void
  closed(half: Half): void
}

/** The machine of a speaker. */
export interface Host {
  readonly index: number
  readonly hasPower: boolean
  readonly isRunning: boolean
  /** Grows with each start and end. */
  readonly life: number
}

export interface Session {
  readonly ends: readonly [Terminal, Terminal]
  readonly conns: Set<Conn>
}

interface Pipe {
  queue: Segment[]
  head: number
  arrival: number
  lostTick: number | undefined
}

const newPipe = (): Pipe => ({ queue: [], head: 0, arrival: 0, lostTick: undefined })

export class Conn {
  readonly session: Session
  readonly number: number
  readonly lives: readonly [number, number]
  /** As the ends know it. */
  readonly halves: [Half | undefined, Half | undefined] = [undefined, undefined]
  readonly isClosed: [boolean, boolean] = [false, false]
  readonly pipes: readonly [Pipe, Pipe] = [newPipe(), newPipe()]
  isForgotten = false

  constructor(session: Session, number: number, lives: readonly [number, number]) {
    this.session = session
    this.number = number
    this.lives = lives
  }
}

export class Transport {
  private readonly world: World
  private readonly conns: (Conn | undefined)[] = []

  constructor(world: World) {
    this.world = world
  }

  connect(session: Session, side: Side, half: Half): void {
    const { world } = this
    const own = session.ends[side].host
    const far = session.ends[otherOf(side)].host
    const { life } = own
    const ticks = this.way(session)
    const isOff = ticks === NO_WAY || !far.hasPower
    if (isOff || !far.isRunning) {
      world.later(isOff ? UNREACHABLE_TICKS : 2 * ticks, false, () => {
        if (own.life === life) session.ends[side].failed(half)
      })
      return
    }
    const farLife = far.life
    const lives = side === 0 ? ([life, farLife] as const) : ([farLife, life] as const)
    const conn = new Conn(session, this.conns.length, lives)
    this.conns.push(conn)
    conn.halves[side] = half
    half.conn = conn
    session.conns.add(conn)
    world.later(2 * ticks, true, () => {
      if (own.life === life && !conn.isClosed[side]) session.ends[side].connected(half)
    })
    world.later(3 * ticks, true, () => {
      if (far.life !== farLife || conn.isClosed[otherOf(side)]) return
      session.ends[otherOf(side)].accepted(conn)
    })
  }

  send(session: Session, side: Side, half: Half, segment: Segment): void {
    const { conn } = half
    if (conn === undefined || conn.isForgotten) this.refuse(session, side, half)
    else if (!conn.isClosed[side]) this.put(conn, side, segment)
  }

  /** @param isAbort What waits is thrown away, and a reset goes out once. */
  close(half: Half, side: Side, isAbort: boolean): void {
    const { conn } = half
    if (conn === undefined || conn.isForgotten || conn.isClosed[side]) return
    const isHeard = this.way(conn.session) !== NO_WAY && conn.pipes[side].lostTick === undefined
    if (!isAbort || isHeard) {
      this.finish(conn, side)
      return
    }
    conn.isClosed[side] = true
    this.clear(conn.pipes[side])
    if (conn.isClosed[otherOf(side)]) this.forget(conn)
  }

  /** Whether nothing of a side is on its way, or waits. */
  isSilent(conn: Conn, side: Side): boolean {
    const { queue, head, lostTick } = conn.pipes[side]
    return lostTick === undefined && head >= queue.length && !conn.isForgotten
  }

  /** Something that is on its way already. */
  inject(conn: Conn, side: Side, segment: Segment, tick: number): void {
    const pipe = conn.pipes[side]
    const { clock } = this.world
    this.world.await(1)
    pipe.queue.push(segment)
    pipe.arrival = Math.max(pipe.arrival, tick)
    clock.post(tick - clock.tick, BGP_EVENT.segment, conn.number, side)
  }

  /** The process at one side ended, and its kernel closes what it had. */
  endProcess(session: Session, side: Side): void {
    for (const conn of [...session.conns]) if (!conn.isClosed[side]) this.finish(conn, side)
  }

  powerOff(session: Session, side: Side): void {
    for (const conn of [...session.conns]) {
      conn.isClosed[side] = true
      this.forget(conn)
    }
  }

  /** The way is another one now: what was lost is sent again. */
  changed(session: Session): void {
    if (session.conns.size === 0 || this.way(session) === NO_WAY) return
    for (const conn of session.conns) {
      this.resume(conn, 0)
      this.resume(conn, 1)
    }
  }

  /** The first segment of a side is there, unless its way is cut meanwhile. */
  arrive(number: number, side: Side): void {
    const conn = this.conns[number]
    if (conn === undefined) return
    const pipe = conn.pipes[side]
    if (pipe.lostTick !== undefined || pipe.head >= pipe.queue.length) return
    const { isClosed } = conn
    if (this.way(conn.session) === NO_WAY) {
      pipe.lostTick = this.world.clock.tick
      if (isClosed[0] && isClosed[1]) this.forget(conn)
      return
    }
    const segment = pipe.queue[pipe.head++]!
    if (pipe.head === pipe.queue.length) {
      // Where there is one, which is nearly always, its room stays.
      if (pipe.head === 1) pipe.queue.pop()
      else pipe.queue.length = 0
      pipe.head = 0
    }
    if (counts(segment)) this.world.await(-1)
    this.deliver(conn, side, segment)
  }

  private way({ ends }: Session): number {
    return this.world.ways.between(ends[0].host.index, ends[1].host.index)
  }

  /** What is sent to a machine that lost its power meanwhile: it is reset once that is back. */
  private refuse(session: Session, side: Side, half: Half): void {
    const ticks = this.way(session)
    const { host } = session.ends[side]
    if (ticks === NO_WAY || !session.ends[otherOf(side)].host.hasPower) return
    const { life } = host
    this.world.later(2 * ticks, true, () => {
      if (host.life === life) session.ends[side].closed(half)
    })
  }

  private finish(conn: Conn, side: Side): void {
    conn.isClosed[side] = true
    const { isClosed, session } = conn
    // What neither end hears any more is not waited for.
    if (isClosed[0] && isClosed[1] && this.way(session) === NO_WAY) this.forget(conn)
    else this.put(conn, side, END)
  }

  private put(conn: Conn, side: Side, segment: Segment): void {
    const pipe = conn.pipes[side]
    const ticks = this.way(conn.session)
    if (counts(segment)) this.world.await(1)
    pipe.queue.push(segment)
    if (ticks === NO_WAY) pipe.lostTick ??= this.world.clock.tick
    if (pipe.lostTick === undefined) this.schedule(conn, side, ticks)
  }

  private schedule(conn: Conn, side: Side, ticks: number): void {
    const { clock } = this.world
    const pipe = conn.pipes[side]
    pipe.arrival = Math.max(pipe.arrival, clock.tick + ticks)
    clock.post(pipe.arrival - clock.tick, BGP_EVENT.segment, conn.number, side)
  }

  private deliver(conn: Conn, side: Side, segment: Segment): void {
    const { session, isClosed, lives } = conn
    const far = otherOf(side)
    const end = session.ends[far]
    const { host } = end
    if (!host.hasPower) return
    const half = conn.halves[far]
    const isKnown = host.isRunning && host.life === lives[far]
    if (segment.kind === 'end') {
      if (!isClosed[far]) {
        isClosed[far] = true
        if (isKnown && half !== undefined) end.closed(half)
      }
      if (isClosed[0] && isClosed[1]) this.forget(conn)
    } else if (isKnown && !isClosed[far] && half !== undefined) {
      end.received(half, segment)
    } else if (!isClosed[side]) {
      // A stranger's segment: it is reset.
      isClosed[far] = true
      this.put(conn, far, END)
    }
  }

  private resume(conn: Conn, side: Side): void {
    const pipe = conn.pipes[side]
    const { lostTick } = pipe
    if (lostTick === undefined) return
    const { tick } = this.world.clock
    let waitTicks = RTO_TICKS
    let sentTick = lostTick + waitTicks
    while (sentTick < tick) {
      waitTicks = Math.min(2 * waitTicks, RTO_MAX_TICKS)
      sentTick += waitTicks
    }
    this.world.later(sentTick - tick, true, () => {
      const ticks = this.way(conn.session)
      if (pipe.lostTick !== lostTick || ticks === NO_WAY || conn.isForgotten) return
      pipe.lostTick = undefined
      for (let at = pipe.head; at < pipe.queue.length; at++) this.schedule(conn, side, ticks)
    })
  }

  /** What waits in one direction will not come any more. */
  private clear(pipe: Pipe): void {
    for (const segment of pipe.queue.slice(pipe.head)) if (counts(segment)) this.world.await(-1)
    pipe.queue = []
    pipe.head = 0
  }

  private forget(conn: Conn): void {
    if (conn.isForgotten) return
    for (const pipe of conn.pipes) this.clear(pipe)
    conn.isForgotten = true
    this.conns[conn.number] = undefined
    conn.session.conns.delete(conn)
  }
}

const counts = ({ kind }: Segment): boolean => kind !== 'keepalive'
