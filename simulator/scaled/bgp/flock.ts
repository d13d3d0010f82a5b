/**
 * Clients in lockstep: they have sessions with the same reflectors over ways that take
 * as long, heard everything that these said, and have nothing under way. From then on
 * the same octets come to all of them at the same moments, so one table and one count of
 * time is enough for all, until a session of one of them is another than the others'.
 *
 * What a client announced itself is not told to it. So a member whose own prefixes are
 * on their way decides at moments of its own (it is apart) until it has nothing to do at
 * the same time as the others.
 *
 * @module
 */
import type { IdTable } from './ids.ts'
import type { Routes } from './parcels.ts'
import type { Piece } from './piece.ts'
import { grown, type Prefixes } from './prefixes.ts'
import { Undecided } from './undecided.ts'
import { WITHDRAWN } from './variants.ts'

const BUDGET = 2048
const FIRST_ROOM = 64
const NOBODY = -1

/** A member, as far as the others must know it. */
export interface Member {
  readonly index: number
  /** A member that is apart: a piece of so many octets has come, and what it touched. */
  hear(octets: number, touched: Touches): void
  /** It has decided, when all others have, too. */
  readonly isAtRest: boolean
  undecided: number
}

/** Prefixes of which something else is said now, and whether there was a way to them before. */
export class Touches {
  count = 0
  readonly prefixes: number[] = []
  readonly were: boolean[] = []

  add(prefix: number, wasThere: boolean): void {
    this.prefixes[this.count] = prefix
    this.were[this.count++] = wasThere
  }
}

export interface FlockWorld {
  readonly prefixes: Prefixes
  /** Takes the state of the others as its own. */
  part(member: Member, flock: Flock): void
  now(): number
  postArrival(ticks: number, flock: Flock, slot: number): void
  postTurn(ticks: number, flock: Flock): void
  await(count: number): void
  /** Ticks that decisions about so many octets take. */
  turnTicks(octets: number, flock: Flock): number
  /** Of the turn that goes on. */
  readonly routes: Routes
  readonly touches: Touches
  /** Ways came and went at all members but those apart. */
  routed(flock: Flock): void
}

/** What a reflector said and nobody heard yet: those from `head` to `tail`. */
class Stream {
  head = 0
  tail = 0
  readonly pieces: (Piece | undefined)[] = []
  /** The member that is left out, or -1. */
  readonly excepts: number[] = []
  readonly ticks: number[] = []
  /** When it was heard last, in ticks; who was left out then, and when that one heard it last. */
  heardTick = 0
  heardExcept = NOBODY
  heardBefore = 0

  push(piece: Piece, except: number, tick: number): void {
    const at = this.tail++
    this.pieces[at] = piece
    this.excepts[at] = except
    this.ticks[at] = tick
  }

  /** @returns where the first one is, which is taken. */
  shift(): number {
    const at = this.head++
    if (this.head === this.tail) this.clear()
    return at
  }

  clear(): void {
    this.head = 0
    this.tail = 0
    // A long list that is over needs no room.
    if (this.pieces.length > FIRST_ROOM) this.pieces.length = 0
  }

  heard(except: number, tick: number): void {
    if (except !== this.heardExcept) this.heardBefore = this.heardTick
    this.heardExcept = except
    this.heardTick = tick
  }
}

export class Flock {
  readonly number: number
  readonly key: string
  readonly isSwitches: boolean
  /** By number of the speaker. */
  readonly members = new Map<number, Member>()
  readonly apart = new Set<Member>()
  readonly latencies: readonly number[]
  /** What each reflector says of each prefix. */
  readonly via: Uint8Array[]
  readonly ids: IdTable
  undecided: number
  isTurnAsked = false
  turnTick = 0
  /** Prefixes to decide about, and whether there was a way before. */
  readonly queue = new Undecided()
  private readonly streams: readonly Stream[]
  /** Members, as whoever drives lists them; undefined: they are others now. */
  list: Int32Array | undefined
  private readonly world: FlockWorld

  constructor(
    world: FlockWorld,
    options: {
      readonly number: number
      readonly key: string
      readonly isSwitches: boolean
      readonly latencies: readonly number[]
      readonly via: Uint8Array[]
      readonly ids: IdTable
      readonly undecided: number
    },
  ) {
    this.world = world
    this.number = options.number
    this.key = options.key
    this.isSwitches = options.isSwitches
    this.latencies = options.latencies
    this.via = options.via
    this.ids = options.ids
    this.undecided = options.undecided
    this.streams = options.latencies.map(() => new Stream())
  }

  /** Whether nothing is on its way to it, and nothing to decide. */
  get isAtRest(): boolean {
    return !this.isTurnAsked && this.queue.size === 0 && this.isSilent
  }

  get isSilent(): boolean {
    for (const { head, tail } of this.streams) if (head !== tail) return false
    return true
  }

  get bytes(): number {
    return this.via.reduce((sum, { byteLength }) => sum + byteLength, this.ids.bytes)
  }

  has(prefix: number): boolean {
    for (const column of this.via) if ((column[prefix] ?? WITHDRAWN) !== WITHDRAWN) return true
    return false
  }

  /** A reflector says something to all members but one. */
  send(slot: number, piece: Piece, except: number): void {
    const ticks = this.latencies[slot]!
    this.streams[slot]!.push(piece, except, this.world.now() + ticks)
    this.world.await(1)
    this.world.postArrival(ticks, this, slot)
  }

  /** When a member heard a reflector last, in ticks. */
  heardTick(slot: number, member: number): number {
    const { heardTick, heardExcept, heardBefore } = this.streams[slot]!
    return heardExcept === member ? heardBefore : heardTick
  }

  /** What is on its way from a reflector to a member. */
  *underWay(slot: number, member: number): Generator<{ piece: Piece; tick: number }> {
    const { head, tail, pieces, excepts, ticks } = this.streams[slot]!
    for (let at = head; at < tail; at++) {
      if (excepts[at] !== member) yield { piece: pieces[at]!, tick: ticks[at]! }
    }
  }

  /** Nobody is there any more to hear what is on its way. */
  end(): void {
    for (const stream of this.streams) {
      this.world.await(stream.head - stream.tail)
      stream.clear()
    }
    if (this.isTurnAsked) this.world.await(-1)
    this.isTurnAsked = false
  }

  arrive(slot: number): void {
    const stream = this.streams[slot]!
    if (stream.head === stream.tail) return
    const piece = stream.pieces[stream.head]!
    const except = stream.excepts[stream.head]!
    stream.shift()
    this.world.await(-1)
    stream.heard(except, this.world.now())
    this.hear(slot, piece, except)
  }

  /** Decides. */
  turn(): void {
    this.world.await(-1)
    this.isTurnAsked = false
    if (this.members.size === this.apart.size) this.queue.clear()
    const { queue, world } = this
    let hasRouted = false
    for (let count = 0; count < BUDGET && queue.take(); count++) {
      const isThere = this.has(queue.prefix)
      if (isThere === queue.wasThere) continue
      hasRouted = true
      if (this.isSwitches) world.routes.add(queue.prefix, isThere)
    }
    if (hasRouted) world.routed(this)
    this.askTurn()
    this.reunite()
  }

  /** Those apart that have nothing to do at the same time as all others are one of them again. */
  reunite(): void {
    if (this.apart.size === 0 || this.isTurnAsked || this.queue.size > 0) return
    for (const member of this.apart) {
      if (member.isAtRest && member.undecided === this.undecided) this.apart.delete(member)
    }
  }

  part(member: Member): void {
    if (this.apart.has(member)) return
    this.world.part(member, this)
    this.apart.add(member)
  }

  private hear(slot: number, piece: Piece, except: number): void {
    const { owners } = this.world.prefixes
    // Who announced it hears it in another way than the others, or not at all.
    let owner = NOBODY
    for (let at = 0; at < piece.count; at++) {
      const next = owners[piece.prefixAt(at)]!
      if (next === owner) continue
      owner = next
      const own = this.members.get(owner)
      if (own !== undefined) this.part(own)
    }
    const left = this.members.get(except)
    if (left !== undefined) this.part(left)
    const { touches } = this.world
    this.learn(slot, piece, touches)
    const { octets } = piece
    if (this.members.size > this.apart.size) {
      this.undecided += octets
      for (let at = 0; at < touches.count; at++) {
        this.queue.add(touches.prefixes[at]!, touches.were[at]!)
      }
      this.askTurn()
    }
    if (this.apart.size === 0) return
    for (const member of this.apart) if (member !== left) member.hear(octets, touches)
  }

  private learn(slot: number, piece: Piece, touches: Touches): void {
    this.widen()
    touches.count = 0
    const column = this.via[slot]!
    for (let at = 0; at < piece.count; at++) {
      const prefix = piece.prefixAt(at)
      const variant = piece.variantAt(at)
      if (column[prefix] === variant) continue
      const wasThere = this.has(prefix)
      column[prefix] = variant
      if (variant !== WITHDRAWN) this.ids.add(prefix)
      else if (!this.has(prefix)) this.ids.remove(prefix)
      touches.add(prefix, wasThere)
    }
  }

  private askTurn(): void {
    if (this.isTurnAsked || this.queue.size === 0) return
    this.isTurnAsked = true
    const ticks = this.world.turnTicks(this.undecided, this)
    this.undecided = 0
    this.turnTick = this.world.now() + ticks
    this.world.await(1)
    this.world.postTurn(ticks, this)
  }

  /** Columns reach as far as there are prefixes. */
  widen(): void {
    const { count } = this.world.prefixes
    let room = Math.max(FIRST_ROOM, this.via[0]?.length ?? 0)
    if (count <= room) return
    while (room < count) room *= 2
    for (const [slot, column] of this.via.entries()) this.via[slot] = grown(column, room)
  }
}
