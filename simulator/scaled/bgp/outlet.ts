/**
 * Who is told the same, and messages that leave together because the same peers hear them.
 *
 * @module
 */
import type { End } from './end.ts'
import type { Flock } from './flock.ts'
import { Piece } from './piece.ts'
import type { BgpPlan } from './plan.ts'
import { grown } from './prefixes.ts'
import { HEADER_OCTETS } from './types.ts'

const NOBODY = -1
/** Extended messages are agreed on everywhere. Source: RFC 8654. */
const MESSAGE_OCTETS_MAX = 65_535
/** Header, and the two lengths. */
const FIXED_OCTETS = HEADER_OCTETS + 4
const FIRST_ROOM = 8
const NO_PREFIXES = new Int32Array(0)
const NO_VARIANTS = new Uint8Array(0)
export const END_OF_RIB = Piece.endOfRib(FIXED_OCTETS)

/** Octets of an UPDATE about one prefix. */
export const octetsOfOne = (prefix: number, attributes: number): number =>
  FIXED_OCTETS + attributes + prefix

/** Peers that are told the same. */
export class Group {
  readonly key: number
  readonly isClient: boolean
  /** By number. */
  readonly members = new Map<number, End>()
  /** Members that hear by themselves, and those that hear together. */
  readonly singles = new Set<End>()
  readonly flocks = new Set<Flock>()
  /** By prefix: as what it was told. */
  told: Uint8Array

  constructor(key: number, isClient: boolean, room: number) {
    this.key = key
    this.isClient = isClient
    this.told = new Uint8Array(room)
  }

  /** Clients or not, and whether the product's own policies are in between. */
  static keyOf({ shape }: BgpPlan, { owner, peer, isClient }: End): number {
    const isNodes = owner.index < shape.nodes && peer < shape.nodes
    return (isClient ? 2 : 0) + (isNodes && !shape.hasHosts ? 1 : 0)
  }

  add(end: End): void {
    this.members.set(end.number, end)
    this.singles.add(end)
  }

  remove(end: End): void {
    this.members.delete(end.number)
    this.singles.delete(end)
  }

  widen(room: number): void {
    if (this.told.length < room) this.told = grown(this.told, room)
  }
}

/** To whom messages go that are ready. */
export interface Senders {
  one(end: End, piece: Piece): void
  /** To all members of a flock but one speaker, or -1. */
  tellFlock(flock: Flock, piece: Piece, except: number): void
}

/** Gathers what the same peers hear, one behind the other. */
export class Outlet {
  private readonly senders: Senders
  /** Who hears it: all of a group but one, or one alone. */
  private group: Group | undefined
  private except = NOBODY
  private only = NOBODY
  private messages = 0
  private octets = 0
  private count = 0
  private prefixes = NO_PREFIXES
  private variants = NO_VARIANTS
  /** Of the message that is being filled: its prefixes' octets, how many can be, what all others take. */
  private filled = 0
  private room = 0
  private fixed = 0

  constructor(senders: Senders) {
    this.senders = senders
  }

  /** Messages with the same attributes. @returns whether somebody hears them. */
  begin(group: Group, except: number, only: number, attributes: number): boolean {
    const isSame = this.group === group && this.except === except && this.only === only
    if (!isSame && sizeOf(group, except, only) === 0) return false
    if (!isSame && !this.isFor(group, except, only)) {
      this.flush()
      this.group = group
      this.except = except
      this.only = only
    }
    this.fixed = FIXED_OCTETS + attributes
    this.room = MESSAGE_OCTETS_MAX - this.fixed
    this.filled = 0
    this.messages++
    this.octets += this.fixed
    return true
  }

  add(prefix: number, variant: number, octets: number): void {
    const at = this.count++
    if (at === this.prefixes.length) {
      const room = Math.max(FIRST_ROOM, 2 * at)
      this.prefixes = grown(this.prefixes, room)
      this.variants = grown(this.variants, room)
    }
    this.prefixes[at] = prefix
    this.variants[at] = variant
    this.octets += octets
    this.filled += octets
    if (this.filled <= this.room) return
    this.messages++
    this.octets += this.fixed
    this.filled = octets
  }

  endOfRib(to: End): void {
    this.flush()
    this.senders.one(to, END_OF_RIB)
  }

  flush(): void {
    const { group, except, only, messages, octets, count } = this
    if (group === undefined) return
    const piece =
      count === 1
        ? Piece.ofOne(octets, this.prefixes[0]!, this.variants[0]!)
        : Piece.ofMany({ octets, messages, count }, this.prefixes, this.variants)
    this.group = undefined
    this.messages = 0
    this.octets = 0
    this.count = 0
    this.send(piece, group, except, only)
  }

  private send(piece: Piece, group: Group, except: number, only: number): void {
    const { senders } = this
    if (only !== NOBODY) {
      const end = group.members.get(only)
      if (end !== undefined) senders.one(end, piece)
      return
    }
    for (const end of group.singles) if (end.number !== except) senders.one(end, piece)
    if (group.flocks.size === 0) return
    const left = group.members.get(except)?.peer ?? NOBODY
    for (const flock of group.flocks) senders.tellFlock(flock, piece, left)
  }

  private isFor(group: Group, except: number, only: number): boolean {
    if (this.group === undefined) return false
    const size = sizeOf(group, except, only)
    if (size !== sizeOf(this.group, this.except, this.only)) return false
    if (size === 1) {
      return onlyOf(group, except, only) === onlyOf(this.group, this.except, this.only)
    }
    return this.group === group && leftOut(this.group, this.except) === leftOut(group, except)
  }
}

const leftOut = (group: Group, except: number): number =>
  except !== NOBODY && group.members.has(except) ? except : NOBODY

function sizeOf(group: Group, except: number, only: number): number {
  if (only !== NOBODY) return group.members.has(only) ? 1 : 0
  return group.members.size - (leftOut(group, except) === NOBODY ? 0 : 1)
}

/** The number of the only one. */
function onlyOf({ members }: Group, except: number, only: number): number {
  if (only !== NOBODY) return only
  for (const number of members.keys()) if (number !== except) return number
  return NOBODY
}
