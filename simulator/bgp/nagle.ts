/**
 * Small segments that wait: Nagle's rule where a daemon leaves it on, and how Linux
 * acknowledges them.
 *
 * A small segment waits until the small one before is acknowledged (RFC 896); what waits
 * goes together then. Whoever receives one acknowledges it as soon as its process has read
 * it. But an end that answered within 40 ms of what it received (pingpong mode) waits so
 * long for data to go with the acknowledgement; if there is none, it acknowledges the next
 * ones at once. Source: net/ipv4/tcp_output.c, tcp_nagle_test and tcp_event_data_sent;
 * tcp.c, tcp_cleanup_rbuf; tcp_timer.c, tcp_delack_timer_handler. Seen packet by packet in
 * networks of BIRD 2.0.12 under Linux 6.18 (`bench -- sim-bird`): 523 of 524 so.
 *
 * @module
 */
import { type Engine, EVENT, TICKS_PER_MS } from '../clock.ts'
import type { Side } from './transport.ts'
import { messagesOf } from './update-order.ts'

/** Octets of a segment that is not small. Source: RFC 879, an MTU of 1500. */
const SEGMENT_OCTETS = 1460
/** Source: include/net/tcp.h, TCP_ATO_MIN. */
const ATO_TICKS = 40 * TICKS_PER_MS
/** The same by a timer of 250 Hz, as seen: 40 to 48 ms. */
const DELAYED_TICKS = 44 * TICKS_PER_MS

/** What it needs of its connection. */
export interface NagleWorld {
  readonly engine: Engine
  readonly session: number
  /** By side. */
  readonly isOn: readonly [boolean, boolean]
  readonly latencyTicks: () => number
  /** Sends now. @returns When it arrives; undefined: not before the way is back. */
  readonly put: (side: Side, bytes: Uint8Array) => number | undefined
  /** So many messages more, or less, are held back. */
  readonly onHeld: (bytes: Uint8Array, change: 1 | -1) => void
}

/** What one end knows. */
interface End {
  readonly held: Uint8Array[]
  /** When the last small segment is acknowledged; infinite as long as nobody knows. */
  ackTick: number
  /** Segments that it sent, and of these arrived; the last small one among them. */
  sent: number
  arrived: number
  small: number
  isPingPong: boolean
  receivedTick: number
  /** When it acknowledges at the latest what it received. */
  dueTick: number | undefined
}

const newEnd = (): End => ({
  ...{ held: [], ackTick: 0, sent: 0, arrived: 0, small: 0 },
  ...{ isPingPong: false, receivedTick: Number.NEGATIVE_INFINITY, dueTick: undefined },
})

export class Nagle {
  private readonly world: NagleWorld
  private readonly ends: readonly [End, End] = [newEnd(), newEnd()]

  constructor(world: NagleWorld) {
    this.world = world
  }

  /** Messages, each of which its daemon writes on its own. */
  send(side: Side, bytes: Uint8Array): void {
    const { isOn, engine } = this.world
    if (!isOn[side]) {
      this.put(side, bytes)
      return
    }
    const end = this.ends[side]
    for (const message of messagesOf(bytes)) {
      end.held.push(message)
      this.world.onHeld(message, 1)
      if (end.ackTick <= engine.tick) this.release(side, end.held.length)
      else this.release(side, this.wholeOf(end))
    }
    // Where it is not known yet, whoever acknowledges says so.
    if (end.held.length > 0 && end.ackTick < Number.POSITIVE_INFINITY) this.releaseAt(side)
  }

  /** What waits goes at once: the last segment of a connection does not wait. */
  flush(side: Side): void {
    this.release(side, this.ends[side].held.length)
  }

  /** What waits will not go any more. */
  clear(side: Side): void {
    for (const bytes of this.ends[side].held.splice(0)) this.world.onHeld(bytes, -1)
  }

  /** A segment of `side` is at the other end, and read. */
  arrived(side: Side): void {
    const { tick } = this.world.engine
    const [sender, receiver] = [this.ends[side], this.ends[side === 0 ? 1 : 0]]
    sender.arrived++
    receiver.receivedTick = tick
    if (sender.ackTick !== Number.POSITIVE_INFINITY || sender.arrived < sender.small) return
    if (receiver.isPingPong) this.delay(side, receiver)
    else this.acknowledge(side, tick + this.world.latencyTicks())
  }

  private release(side: Side, count: number): void {
    const end = this.ends[side]
    let octets = 0
    for (const bytes of end.held.splice(0, count)) {
      octets += bytes.length
      this.world.onHeld(bytes, -1)
      this.put(side, bytes)
    }
    // The rest of full segments still waits for the small one before them.
    if (octets === 0 || end.held.length > 0 || octets % SEGMENT_OCTETS === 0) return
    end.small = end.sent
    end.ackTick = Number.POSITIVE_INFINITY
  }

  private put(side: Side, bytes: Uint8Array): void {
    const end = this.ends[side]
    const { tick } = this.world.engine
    const arrivalTick = this.world.put(side, bytes)
    end.sent++
    if (tick - end.receivedTick < ATO_TICKS) end.isPingPong = true
    if (end.dueTick === undefined || arrivalTick === undefined) return
    end.dueTick = undefined
    this.acknowledge(side === 0 ? 1 : 0, arrivalTick)
  }

  /** `side` will hear at that time that everything arrived. */
  private acknowledge(side: Side, tick: number): void {
    const end = this.ends[side]
    end.ackTick = tick
    if (end.held.length > 0) this.releaseAt(side)
  }

  private delay(side: Side, receiver: End): void {
    const { engine, session } = this.world
    const dueTick = engine.tick + DELAYED_TICKS
    receiver.dueTick = dueTick
    engine.later(DELAYED_TICKS, EVENT.bgp, session, 3, () => {
      if (receiver.dueTick !== dueTick) return
      receiver.dueTick = undefined
      receiver.isPingPong = false
      this.acknowledge(side, engine.tick + this.world.latencyTicks())
    })
  }

  private releaseAt(side: Side): void {
    const { engine, session } = this.world
    const end = this.ends[side]
    engine.later(Math.max(0, end.ackTick - engine.tick), EVENT.bgp, session, 3, () => {
      if (end.ackTick <= engine.tick) this.release(side, end.held.length)
    })
  }

  /** Messages that fill segments. */
  private wholeOf({ held }: End): number {
    const octets = held.reduce((sum, { length }) => sum + length, 0)
    let left = octets - (octets % SEGMENT_OCTETS)
    let count = 0
    for (const { length } of held) {
      left -= length
      if (left < 0) break
      count++
    }
    return count
  }
}
