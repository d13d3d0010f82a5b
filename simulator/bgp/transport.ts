/**
 * Connections between speakers: TCP as far as BGP sees it.
 *
 * What is sent arrives in its order after the latency of the way. When the way is cut it
 * waits, and is there at the first retransmission after the way is back. Small
 * segments wait for each other where a daemon has it so (`nagle.ts`). A machine without power says nothing; one that is back refuses what it does not know. A process
 * that ends closes its connections. There is no flow control: whoever receives reads.
 *
 * @module
 */
import { invariant } from '../../src/errors.ts'
import type { Prng } from '../../src/prng.ts'
import { type Engine, EVENT, TICKS_PER_MS } from '../clock.ts'
import { retransmissionTicks, transmissionTicks } from '../tcp.ts'
import { Nagle } from './nagle.ts'
import type { SessionPlan } from './plan.ts'

/** What is at one end of a way now. */
export interface WayState {
  readonly isUp: boolean
  /** One way. */
  readonly latencyTicks: number
  readonly lossPpm: number
  readonly mbps: number | undefined
}

/** A connection's end as its speaker knows it; `id` as in `session/types.ts`. */
export interface Ends {
  connected(session: number, side: Side, id: number): void
  failed(session: number, side: Side, id: number, reason: string): void
  received(session: number, side: Side, id: number, bytes: Uint8Array): void
  closed(session: number, side: Side, id: number, reason: string): void
  /** Whether the machine has power, and whether its speaker runs. */
  hostOf(session: number, side: Side): 'off' | 'idle' | 'runs'
  /** Grows with each start of the speaker. */
  lifeOf(session: number, side: Side): number
}

export type Side = 0 | 1
const otherOf = (side: Side): Side => (side === 0 ? 1 : 0)

/** What a message is: a KEEPALIVE is not waited for. */
const TYPE_OFFSET = 18
const KEEPALIVE = 4
/** A host that nobody answers for is unreachable after three ARP requests, a second apart. Source: arp(7), mcast_solicit. */
const UNREACHABLE_TICKS = 3000 * TICKS_PER_MS
/** Source: include/net/tcp.h, TCP_RTO_MIN. */
const RTO_TICKS = 200 * TICKS_PER_MS
const RTO_MAX_TICKS = 120_000 * TICKS_PER_MS

type Segment = Uint8Array | 'end' | 'reset'

/** One direction of a connection. */
interface Pipe {
  readonly queue: Segment[]
  head: number
  /** When the last segment arrives. */
  arrival: number
  /** When the first one was lost; undefined: nothing is. */
  lostTick: number | undefined
}

interface Connection {
  readonly session: number
  readonly ids: [number | undefined, number | undefined]
  readonly lives: readonly [number, number]
  /** By the side that sends. */
  readonly pipes: readonly [Pipe, Pipe]
  /** Where small segments of a side wait. */
  nagle?: Nagle
  /** Sides that know of its end. */
  readonly isClosed: [boolean, boolean]
}

const newPipe = (): Pipe => ({ queue: [], head: 0, arrival: 0, lostTick: undefined })

export class Transport {
  /** Messages under way that change something, and connections that begin or end. */
  pending = 0
  /** So far. */
  bytes = 0

  private readonly engine: Engine
  private readonly sessions: readonly SessionPlan[]
  private readonly ends: Ends
  private readonly wayOf: (session: number) => WayState
  private readonly chance: Prng
  private readonly isNagle: (session: number, side: Side) => boolean
  private readonly open: Set<Connection>[]
  private readonly accepted: number[]
  private readonly byNumber: (Connection | undefined)[] = []
  private readonly numbers = new Map<Connection, number>()

  constructor(
    engine: Engine,
    options: {
      readonly sessions: readonly SessionPlan[]
      readonly ends: Ends
      readonly wayOf: (session: number) => WayState
      readonly chance: Prng
      /** Whether small segments of a side wait for each other (RFC 896). @default none do */
      readonly isNagle?: (session: number, side: Side) => boolean
    },
  ) {
    this.engine = engine
    this.sessions = options.sessions
    this.ends = options.ends
    this.wayOf = options.wayOf
    this.chance = options.chance
    this.isNagle = options.isNagle ?? (() => false)
    this.open = this.sessions.map(() => new Set())
    this.accepted = this.sessions.flatMap(() => [0, 0])
    engine.on(EVENT.segment, (number, side) => {
      const connection = this.byNumber[number]
      if (connection !== undefined) this.arrive(connection, side as Side)
    })
  }

  connect(session: number, side: Side, id: number): void {
    const { engine, ends } = this
    const far = otherOf(side)
    const life = ends.lifeOf(session, side)
    const { isUp, latencyTicks } = this.wayOf(session)
    const host = isUp ? ends.hostOf(session, far) : 'off'
    const answer = (ticks: number, run: () => void): void => {
      this.later(session, ticks, () => {
        if (ends.lifeOf(session, side) === life) run()
      })
    }
    if (host !== 'runs') {
      const ticks = host === 'off' ? UNREACHABLE_TICKS : 2 * latencyTicks
      const reason = host === 'off' ? 'EHOSTUNREACH' : 'ECONNREFUSED'
      // Nobody waits for an attempt that goes wrong.
      engine.later(ticks, EVENT.bgp, session, side, () => {
        if (ends.lifeOf(session, side) === life) ends.failed(session, side, id, reason)
      })
      return
    }
    const farLife = ends.lifeOf(session, far)
    const lives = side === 0 ? ([life, farLife] as const) : ([farLife, life] as const)
    const connection: Connection = {
      session,
      ids: [undefined, undefined],
      lives,
      pipes: [newPipe(), newPipe()],
      isClosed: [false, false],
    }
    connection.ids[side] = id
    const isOn = [this.isNagle(session, 0), this.isNagle(session, 1)] as const
    if (isOn[0] || isOn[1]) connection.nagle = this.newNagle(connection, isOn)
    const number = this.byNumber.length
    this.byNumber[number] = connection
    this.numbers.set(connection, number)
    this.open[session]?.add(connection)
    answer(2 * latencyTicks, () => {
      if (!connection.isClosed[side]) ends.connected(session, side, id)
    })
    this.later(session, 3 * latencyTicks, () => {
      if (ends.lifeOf(session, far) !== farLife || connection.isClosed[far]) return
      const place = 2 * session + far
      const accepted = (this.accepted[place] ?? 0) + 2
      this.accepted[place] = accepted
      connection.ids[far] = accepted
      ends.connected(session, far, accepted)
    })
  }

  send(session: number, side: Side, id: number, bytes: Uint8Array): void {
    const connection = this.find(session, side, id)
    if (connection === undefined) {
      this.refuse(session, side, id)
      return
    }
    if (connection.isClosed[side]) return
    this.bytes += bytes.length
    if (connection.nagle === undefined) this.put(connection, side, bytes)
    else connection.nagle.send(side, bytes)
  }

  /** @param isAbort What waits is thrown away, and a reset goes out once: who does not hear it finds out when it sends. */
  close(session: number, side: Side, id: number, isAbort = false): void {
    const connection = this.find(session, side, id)
    if (connection === undefined || connection.isClosed[side]) return
    if (!isAbort) {
      this.finish(connection, side)
      return
    }
    connection.nagle?.clear(side)
    if (this.wayOf(session).isUp && connection.pipes[side].lostTick === undefined) {
      this.finish(connection, side, 'reset')
      return
    }
    connection.isClosed[side] = true
    this.clear(connection, side)
    if (connection.isClosed[otherOf(side)]) this.forget(connection)
  }

  /** The process at one side ended, and its kernel closes what it had. */
  endProcess(session: number, side: Side): void {
    for (const connection of [...(this.open[session] ?? [])]) {
      if (!connection.isClosed[side]) this.finish(connection, side)
    }
  }

  /** The machine at one side has no power any more. */
  powerOff(session: number, side: Side): void {
    for (const connection of [...(this.open[session] ?? [])]) {
      connection.isClosed[side] = true
      this.clear(connection, side)
      this.clear(connection, otherOf(side))
      this.forget(connection)
    }
  }

  /** The way is another one now: what was lost is sent again. */
  changed(session: number): void {
    const { isUp } = this.wayOf(session)
    if (!isUp) return
    for (const connection of this.open[session] ?? []) {
      for (const side of [0, 1] as const) this.resume(connection, side)
    }
  }

  /** What is sent to a machine that lost its power meanwhile: it is reset once that is back. */
  private refuse(session: number, side: Side, id: number): void {
    const { ends } = this
    const { isUp, latencyTicks } = this.wayOf(session)
    if (!isUp || ends.hostOf(session, otherOf(side)) === 'off') return
    const life = ends.lifeOf(session, side)
    this.later(session, 2 * latencyTicks, () => {
      if (ends.lifeOf(session, side) === life) ends.closed(session, side, id, 'reset by the peer')
    })
  }

  private newNagle(connection: Connection, isOn: readonly [boolean, boolean]): Nagle {
    const { session, pipes } = connection
    return new Nagle({
      ...{ engine: this.engine, session, isOn },
      latencyTicks: () => this.wayOf(session).latencyTicks,
      put: (side, bytes) => {
        this.put(connection, side, bytes)
        return pipes[side].lostTick === undefined ? pipes[side].arrival : undefined
      },
      onHeld: (bytes, change) => {
        if (counts(bytes)) this.pending += change
      },
    })
  }

  private finish(connection: Connection, side: Side, last: 'end' | 'reset' = 'end'): void {
    connection.isClosed[side] = true
    connection.nagle?.flush(side)
    const { isClosed, session } = connection
    // What neither end hears any more is not waited for.
    if (isClosed[0] && isClosed[1] && !this.wayOf(session).isUp) this.forget(connection)
    else this.put(connection, side, last)
  }

  private put(connection: Connection, side: Side, segment: Segment): void {
    const pipe = connection.pipes[side]
    if (counts(segment)) this.pending++
    pipe.queue.push(segment)
    const way = this.wayOf(connection.session)
    const { tick } = this.engine
    if (!way.isUp) pipe.lostTick ??= tick
    if (pipe.lostTick !== undefined) return
    this.schedule(connection, side, segment, way)
  }

  private schedule(
    connection: Connection,
    side: Side,
    segment: Segment,
    { latencyTicks, lossPpm, mbps }: WayState,
  ): void {
    const pipe = connection.pipes[side]
    const { tick } = this.engine
    const octets = typeof segment === 'string' ? 0 : segment.length
    const lostTicks = retransmissionTicks(this.chance, octets, lossPpm, 2 * latencyTicks)
    const arrival = tick + latencyTicks + transmissionTicks(octets, mbps) + lostTicks
    pipe.arrival = Math.max(pipe.arrival, arrival)
    const number = this.numbers.get(connection)
    invariant(number !== undefined, 'a connection has a number')
    this.engine.post(pipe.arrival - tick, EVENT.segment, number, side)
  }

  /** The first segment of a side is there, unless its way is cut meanwhile. */
  private arrive(connection: Connection, side: Side): void {
    const pipe = connection.pipes[side]
    if (pipe.lostTick !== undefined || pipe.head >= pipe.queue.length) return
    const { session, isClosed } = connection
    if (!this.wayOf(session).isUp) {
      pipe.lostTick = this.engine.tick
      if (isClosed[0] && isClosed[1]) this.forget(connection)
      return
    }
    const segment = pipe.queue[pipe.head++]!
    if (pipe.head === pipe.queue.length) {
      pipe.queue.length = 0
      pipe.head = 0
    }
    if (counts(segment)) this.pending--
    this.deliver(connection, side, segment)
  }

  private deliver(connection: Connection, side: Side, segment: Segment): void {
    const { session, ids, isClosed, lives } = connection
    const { ends } = this
    const far = otherOf(side)
    const host = ends.hostOf(session, far)
    if (host === 'off') return
    const id = ids[far]
    const isKnown = host === 'runs' && ends.lifeOf(session, far) === lives[far]
    if (typeof segment === 'string') {
      if (!isClosed[far]) {
        isClosed[far] = true
        const reason = segment === 'end' ? 'closed by the peer' : 'reset by the peer'
        if (isKnown && id !== undefined) ends.closed(session, far, id, reason)
      }
      if (isClosed[0] && isClosed[1]) this.forget(connection)
    } else if (isKnown && !isClosed[far] && id !== undefined) {
      // An acknowledgement goes before the answer.
      connection.nagle?.arrived(side)
      ends.received(session, far, id, segment)
    } else if (!isClosed[side]) {
      // A stranger's segment: it is reset.
      isClosed[far] = true
      this.put(connection, far, 'end')
    }
  }

  private resume(connection: Connection, side: Side): void {
    const pipe = connection.pipes[side]
    const { lostTick } = pipe
    if (lostTick === undefined) return
    const { tick } = this.engine
    let waitTicks = RTO_TICKS
    let sentTick = lostTick + waitTicks
    while (sentTick < tick) {
      waitTicks = Math.min(2 * waitTicks, RTO_MAX_TICKS)
      sentTick += waitTicks
    }
    this.later(connection.session, sentTick - tick, () => {
      const way = this.wayOf(connection.session)
      if (pipe.lostTick !== lostTick || !way.isUp || !this.numbers.has(connection)) return
      pipe.lostTick = undefined
      for (const segment of pipe.queue.slice(pipe.head)) {
        this.schedule(connection, side, segment, way)
      }
    })
  }

  /** What waits in one direction will not come any more. */
  private clear(connection: Connection, side: Side): void {
    const pipe = connection.pipes[side]
    for (const segment of pipe.queue.slice(pipe.head)) if (counts(segment)) this.pending--
    pipe.queue.length = 0
    pipe.head = 0
    connection.nagle?.clear(side)
  }

  private forget(connection: Connection): void {
    const number = this.numbers.get(connection)
    if (number === undefined) return
    this.clear(connection, 0)
    this.clear(connection, 1)
    this.numbers.delete(connection)
    // Events of what was cleared may still come: the number is not used again.
    this.byNumber[number] = undefined
    this.open[connection.session]?.delete(connection)
  }

  private find(session: number, side: Side, id: number): Connection | undefined {
    // A speaker that starts anew counts from the beginning, beside what is left of its last life.
    const life = this.ends.lifeOf(session, side)
    for (const connection of this.open[session] ?? []) {
      if (connection.ids[side] === id && connection.lives[side] === life) return connection
    }
    return undefined
  }

  /** Something that others wait for. */
  private later(session: number, ticks: number, run: () => void): void {
    this.pending++
    this.engine.later(ticks, EVENT.bgp, session, 2, () => {
      this.pending--
      run()
    })
  }
}

const counts = (segment: Segment): boolean =>
  typeof segment === 'string' || segment[TYPE_OFFSET] !== KEEPALIVE
