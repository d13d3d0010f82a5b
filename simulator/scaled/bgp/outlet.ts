/**
 * From what is new to say to messages: prefixes of one turn by what is said of them
 * and to whom, then messages that leave together because the same peers hear them.
 *
 * @module
 */
import type { End } from './end.ts'
import type { Flock } from './flock.ts'
import type { BgpPlan } from './plan.ts'
import { grown, type Prefixes } from './prefixes.ts'
import { HEADER_OCTETS, type Piece } from './types.ts'
import { attributeOctets, VIA, WITHDRAWN } from './variants.ts'

const NOBODY = -1
/** Extended messages are agreed on everywhere. Source: RFC 8654. */
const MESSAGE_OCTETS_MAX = 65_535
/** Header, and the two lengths. */
const FIXED_OCTETS = HEADER_OCTETS + 4
const NO_PREFIXES = new Int32Array(0)
const NO_VARIANTS = new Uint8Array(0)
export const END_OF_RIB: Piece = {
  octets: FIXED_OCTETS,
  messages: 1,
  prefixes: NO_PREFIXES,
  variants: NO_VARIANTS,
  isEndOfRib: true,
}

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

interface Parcel {
  readonly group: Group
  readonly variant: number
  readonly owner: number
  /** Numbers of ends. */
  readonly except: number
  readonly only: number
  readonly prefixes: number[]
}

interface Flushed {
  readonly outlet: Outlet
  routes(prefixes: readonly number[], isThere: boolean): void
}

const WORDS = 2 ** 16

export class Parcels {
  private readonly table: Prefixes
  private readonly plan: BgpPlan
  private parcels: Parcel[] = []
  /** By to whom, then by what. */
  private byScope = new Map<string, Map<number, Parcel>>()
  private scope = new Map<number, Parcel>()
  private last: Parcel | undefined
  private ways = new Map<number, { prefixes: number[]; isThere: boolean }>()

  constructor(table: Prefixes, plan: BgpPlan) {
    this.table = table
    this.plan = plan
  }

  /** There is a way to a prefix, or none any more. */
  route(prefix: number, isThere: boolean): void {
    const key = isThere ? this.table.owners[prefix]! : NOBODY
    const known = this.ways.get(key)
    if (known === undefined) this.ways.set(key, { prefixes: [prefix], isThere })
    else known.prefixes.push(prefix)
  }

  say(group: Group, prefix: number, variant: number, except: number, only: number): void {
    if (group.members.size === 0) return
    const owner = variant === WITHDRAWN ? NOBODY : this.table.owners[prefix]!
    const { last } = this
    const isLast =
      last !== undefined &&
      last.group === group &&
      last.variant === variant &&
      last.owner === owner &&
      last.except === except &&
      last.only === only
    const parcel = isLast ? last : this.parcelFor(group, variant, owner, except, only)
    this.last = parcel
    parcel.prefixes.push(prefix)
  }

  flush({ outlet, routes }: Flushed): void {
    const { ways, parcels } = this
    if (ways.size > 0) {
      this.ways = new Map()
      for (const { prefixes, isThere } of ways.values()) routes(prefixes, isThere)
    }
    if (parcels.length === 0) return
    this.parcels = []
    this.byScope = new Map()
    this.last = undefined
    for (const parcel of parcels) {
      const { group, variant, owner, except, only, prefixes } = parcel
      const isViaOwner = variant >= VIA && this.plan.reflectors[variant - VIA] === owner
      const attributes = variant === WITHDRAWN ? 0 : attributeOctets(variant, isViaOwner)
      outlet.say({ group, except, only }, prefixes, variant, this.packed(prefixes, attributes))
    }
  }

  /** Messages as few and as full as can be. */
  private packed(prefixes: readonly number[], attributes: number): Packed {
    const room = MESSAGE_OCTETS_MAX - FIXED_OCTETS - attributes
    const { octets } = this.table
    let messages = 1
    let filled = 0
    let sum = 0
    for (const prefix of prefixes) {
      const size = octets[prefix]!
      sum += size
      filled += size
      if (filled <= room) continue
      messages++
      filled = size
    }
    return { messages, octets: sum + messages * (FIXED_OCTETS + attributes) }
  }

  private parcelFor(
    group: Group,
    variant: number,
    owner: number,
    except: number,
    only: number,
  ): Parcel {
    const { last } = this
    const isSameScope =
      last !== undefined && last.group === group && last.except === except && last.only === only
    if (!isSameScope) {
      const name = `${group.key} ${except} ${only}`
      const scope = this.byScope.get(name) ?? new Map<number, Parcel>()
      this.byScope.set(name, scope)
      this.scope = scope
    }
    const key = owner * WORDS + variant
    const found = this.scope.get(key)
    if (found !== undefined) return found
    const parcel: Parcel = { group, variant, owner, except, only, prefixes: [] }
    this.scope.set(key, parcel)
    this.parcels.push(parcel)
    return parcel
  }
}

export interface Packed {
  readonly messages: number
  readonly octets: number
}

/** Who hears something: all of a group but one, or one alone. */
export interface Audience {
  readonly group: Group
  readonly except: number
  readonly only: number
}

/** To whom messages go that are ready. */
export interface Senders {
  one(end: End, piece: Piece): void
  /** To all members of a flock but one speaker, or -1. */
  flock(flock: Flock, piece: Piece, except: number): void
}

/** Gathers what the same peers hear, one behind the other. */
export class Outlet {
  private readonly senders: Senders
  private audience: Audience | undefined
  private messages = 0
  private octets = 0
  private prefixes: number[] = []
  private variants: number[] = []

  constructor(senders: Senders) {
    this.senders = senders
  }

  say(audience: Audience, prefixes: readonly number[], variant: number, packed: Packed): void {
    if (sizeOf(audience) === 0) return
    if (this.audience === undefined || !isSame(this.audience, audience)) {
      this.flush()
      this.audience = audience
    }
    this.messages += packed.messages
    this.octets += packed.octets
    for (const prefix of prefixes) {
      this.prefixes.push(prefix)
      this.variants.push(variant)
    }
  }

  endOfRib(to: End): void {
    this.flush()
    this.senders.one(to, END_OF_RIB)
  }

  flush(): void {
    const { audience, messages, octets } = this
    this.audience = undefined
    if (audience === undefined) return
    const piece: Piece = {
      ...{ octets, messages, isEndOfRib: false },
      prefixes: Int32Array.from(this.prefixes),
      variants: Uint8Array.from(this.variants),
    }
    this.messages = 0
    this.octets = 0
    this.prefixes = []
    this.variants = []
    this.send(audience, piece)
  }

  private send({ group, except, only }: Audience, piece: Piece): void {
    const { senders } = this
    if (only !== NOBODY) {
      const end = group.members.get(only)
      if (end !== undefined) senders.one(end, piece)
      return
    }
    for (const end of group.singles) if (end.number !== except) senders.one(end, piece)
    const left = group.members.get(except)?.peer ?? NOBODY
    for (const flock of group.flocks) senders.flock(flock, piece, left)
  }
}

const leftOut = ({ group, except }: Audience): number =>
  group.members.has(except) ? except : NOBODY

function sizeOf(audience: Audience): number {
  const { group, only } = audience
  if (only !== NOBODY) return group.members.has(only) ? 1 : 0
  return group.members.size - (leftOut(audience) === NOBODY ? 0 : 1)
}

function isSame(one: Audience, other: Audience): boolean {
  const size = sizeOf(one)
  if (size !== sizeOf(other)) return false
  if (size === 1) return onlyOf(one) === onlyOf(other)
  return one.group === other.group && leftOut(one) === leftOut(other)
}

/** The number of the only one. */
function onlyOf({ group, except, only }: Audience): number {
  if (only !== NOBODY) return only
  for (const number of group.members.keys()) if (number !== except) return number
  return NOBODY
}
