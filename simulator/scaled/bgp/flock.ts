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
import { grown, type Prefixes } from './prefixes.ts'
import type { Piece } from './types.ts'
import { WITHDRAWN } from './variants.ts'

const BUDGET = 2048
const FIRST_ROOM = 64

/** A member, as far as the others must know it. */
export interface Member {
  readonly index: number
  /** A member that is apart: a piece of so many octets has come, and what it touched. */
  hear(octets: number, touched: readonly Touch[]): void
  /** It has decided, when all others have, too. */
  readonly isAtRest: boolean
  undecided: number
}

/** A prefix of which something else is said now, and whether there was a way to it before. */
export interface Touch {
  readonly prefix: number
  readonly wasThere: boolean
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
  /** Ways came and went at all members but those apart. */
  routes(flock: Flock, prefixes: readonly number[], isThere: boolean): void
}

interface Coming {
  readonly piece: Piece
  /** The member that is left out, or -1. */
  readonly except: number
  readonly tick: number
}

export class Flock {
  readonly number: number
  readonly key: string
  /** By number of the speaker. */
  readonly members = new Map<number, Member>()
  readonly apart = new Set<Member>()
  readonly latencies: readonly number[]
  /** What each reflector says of each prefix. */
  readonly via: Uint8Array[]
  readonly ids: IdTable
  /** When each reflector was heard last, in ticks; who was left out then, and when that one heard it last. */
  private readonly heard: { tick: number; except: number; before: number }[]
  undecided: number
  isTurnAsked = false
  turnTick = 0
  /** Prefixes to decide about, and whether there was a way before. */
  readonly queue = new Map<number, boolean>()
  readonly coming: Coming[][]
  private readonly heads: number[]
  private readonly world: FlockWorld

  constructor(
    world: FlockWorld,
    options: {
      readonly number: number
      readonly key: string
      readonly latencies: readonly number[]
      readonly via: Uint8Array[]
      readonly ids: IdTable
      readonly undecided: number
    },
  ) {
    this.world = world
    this.number = options.number
    this.key = options.key
    this.latencies = options.latencies
    this.via = options.via
    this.ids = options.ids
    this.undecided = options.undecided
    this.coming = options.latencies.map(() => [])
    this.heads = options.latencies.map(() => 0)
    this.heard = options.latencies.map(() => ({ tick: 0, except: -1, before: 0 }))
  }

  /** Whether nothing is on its way to it, and nothing to decide. */
  get isAtRest(): boolean {
    return !this.isTurnAsked && this.queue.size === 0 && this.isSilent
  }

  get isSilent(): boolean {
    return this.coming.every((list, slot) => this.heads[slot] === list.length)
  }

  get bytes(): number {
    return this.via.reduce((sum, { byteLength }) => sum + byteLength, this.ids.bytes)
  }

  has(prefix: number): boolean {
    return this.via.some((column) => (column[prefix] ?? WITHDRAWN) !== WITHDRAWN)
  }

  /** A reflector says something to all members but one. */
  send(slot: number, piece: Piece, except: number): void {
    const ticks = this.latencies[slot]!
    this.coming[slot]!.push({ piece, except, tick: this.world.now() + ticks })
    this.world.await(1)
    this.world.postArrival(ticks, this, slot)
  }

  /** When a member heard a reflector last, in ticks. */
  heardTick(slot: number, member: number): number {
    const { tick, except, before } = this.heard[slot]!
    return except === member ? before : tick
  }

  /** What is on its way from a reflector. */
  underWay(slot: number): readonly Coming[] {
    return this.coming[slot]!.slice(this.heads[slot])
  }

  /** Nobody is there any more to hear what is on its way. */
  end(): void {
    for (const [slot, list] of this.coming.entries()) {
      this.world.await(this.heads[slot]! - list.length)
      this.heads[slot] = list.length
    }
    if (this.isTurnAsked) this.world.await(-1)
    this.isTurnAsked = false
  }

  arrive(slot: number): void {
    const list = this.coming[slot]!
    const head = this.heads[slot]!
    const next = list[head]
    if (next === undefined) return
    this.heads[slot] = head + 1
    if (head + 1 === list.length) {
      list.length = 0
      this.heads[slot] = 0
    }
    this.world.await(-1)
    const heard = this.heard[slot]!
    if (next.except !== heard.except) heard.before = heard.tick
    heard.except = next.except
    heard.tick = this.world.now()
    this.hear(slot, next)
  }

  /** Decides. @returns whether somebody chose another way. */
  turn(): void {
    this.world.await(-1)
    this.isTurnAsked = false
    if (this.members.size === this.apart.size) this.queue.clear()
    const ways = decided(this.queue, (prefix) => this.has(prefix), this.world.prefixes)
    if (this.members.size > this.apart.size) {
      for (const { prefixes, isThere } of ways) this.world.routes(this, prefixes, isThere)
    }
    this.askTurn()
    this.reunite()
  }

  /** Those apart that have nothing to do at the same time as all others are one of them again. */
  reunite(): void {
    if (this.isTurnAsked || this.queue.size > 0) return
    for (const member of this.apart) {
      if (member.isAtRest && member.undecided === this.undecided) this.apart.delete(member)
    }
  }

  part(member: Member): void {
    if (this.apart.has(member)) return
    this.world.part(member, this)
    this.apart.add(member)
  }

  private hear(slot: number, { piece, except }: Coming): void {
    const { owners } = this.world.prefixes
    const { prefixes, octets } = piece
    // Who announced it hears it in another way than the others, or not at all.
    let owner = -1
    for (const prefix of prefixes) {
      if (owners[prefix] === owner) continue
      owner = owners[prefix]!
      const own = this.members.get(owner)
      if (own !== undefined) this.part(own)
    }
    const left = this.members.get(except)
    if (left !== undefined) this.part(left)
    const touched = this.learn(slot, piece)
    if (this.members.size > this.apart.size) {
      this.undecided += octets
      for (const { prefix, wasThere } of touched) {
        if (!this.queue.has(prefix)) this.queue.set(prefix, wasThere)
      }
      this.askTurn()
    }
    for (const member of this.apart) if (member !== left) member.hear(octets, touched)
  }

  private learn(slot: number, { prefixes, variants }: Piece): readonly Touch[] {
    this.widen()
    const column = this.via[slot]!
    const touched: Touch[] = []
    for (let at = 0; at < prefixes.length; at++) {
      const prefix = prefixes[at]!
      const variant = variants[at]!
      if (column[prefix] === variant) continue
      const wasThere = this.has(prefix)
      column[prefix] = variant
      if (variant !== WITHDRAWN) this.ids.add(prefix)
      else if (!this.has(prefix)) this.ids.remove(prefix)
      touched.push({ prefix, wasThere })
    }
    return touched
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

export interface Way {
  readonly prefixes: number[]
  readonly isThere: boolean
}

/** What a turn decides, in the order in which it is told: by owner, and those that are gone. */
export function decided(
  queue: Map<number, boolean>,
  has: (prefix: number) => boolean,
  { owners }: Prefixes,
): readonly Way[] {
  let count = 0
  const ways = new Map<number, Way>()
  for (const [prefix, wasThere] of queue) {
    if (++count > BUDGET) break
    queue.delete(prefix)
    const isThere = has(prefix)
    if (isThere === wasThere) continue
    const key = isThere ? owners[prefix]! : -1
    const known = ways.get(key)
    if (known === undefined) ways.set(key, { prefixes: [prefix], isThere })
    else known.prefixes.push(prefix)
  }
  return [...ways.values()]
}
