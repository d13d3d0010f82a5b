/**
 * From what is new to say to messages: prefixes of one turn by what is said of them
 * and to whom, then messages that leave together because the same peers hear them.
 *
 * @module
 */
import type { End } from './end.ts'
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
  readonly members = new Set<End>()
  /** By prefix: as what it was told. */
  told: Uint8Array
  private readonly numbers = new Map<number, End>()

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

  hasNumber(number: number): boolean {
    return this.memberOf(number) !== undefined
  }

  memberOf(number: number): End | undefined {
    const known = this.numbers.get(number)
    if (known !== undefined) return this.members.has(known) ? known : undefined
    for (const end of this.members) {
      if (end.number !== number) continue
      this.numbers.set(number, end)
      return end
    }
    return undefined
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
  private byKey = new Map<Group, Map<string, Parcel>>()
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
    this.byKey = new Map()
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
    let known = this.byKey.get(group)
    if (known === undefined) {
      known = new Map()
      this.byKey.set(group, known)
    }
    const key = `${owner * WORDS + variant} ${except} ${only}`
    const found = known.get(key)
    if (found !== undefined) return found
    const parcel: Parcel = { group, variant, owner, except, only, prefixes: [] }
    known.set(key, parcel)
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

/** Gathers what the same peers hear, one behind the other. */
export class Outlet {
  private readonly send: (to: readonly End[], piece: Piece) => void
  private to: readonly End[] = []
  private audience: Audience | undefined
  private messages = 0
  private octets = 0
  private prefixes: number[] = []
  private variants: number[] = []

  constructor(send: (to: readonly End[], piece: Piece) => void) {
    this.send = send
  }

  say(audience: Audience, prefixes: readonly number[], variant: number, packed: Packed): void {
    if (sizeOf(audience) === 0) return
    if (!this.isSame(audience)) {
      this.flush()
      this.to = membersOf(audience)
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
    this.send([to], END_OF_RIB)
  }

  flush(): void {
    const { to, messages, octets, prefixes, variants } = this
    this.audience = undefined
    if (messages === 0) return
    this.messages = 0
    this.octets = 0
    this.prefixes = []
    this.variants = []
    this.to = []
    this.send(to, {
      octets,
      messages,
      prefixes: Int32Array.from(prefixes),
      variants: Uint8Array.from(variants),
      isEndOfRib: false,
    })
  }

  private isSame(audience: Audience): boolean {
    const before = this.audience
    if (before === undefined) return false
    if (isOne(before, this.to.length) || isOne(audience, sizeOf(audience))) {
      const [one] = membersOf(audience)
      return this.to.length === 1 && sizeOf(audience) === 1 && this.to[0] === one
    }
    return before.group === audience.group && leftOut(before) === leftOut(audience)
  }
}

const isOne = ({ only }: Audience, size: number): boolean => only !== NOBODY || size === 1
const leftOut = ({ group, except }: Audience): number =>
  except !== NOBODY && group.hasNumber(except) ? except : NOBODY

function sizeOf(audience: Audience): number {
  const { group, only } = audience
  if (only !== NOBODY) return group.hasNumber(only) ? 1 : 0
  return group.members.size - (leftOut(audience) === NOBODY ? 0 : 1)
}

function membersOf({ group, except, only }: Audience): readonly End[] {
  if (only === NOBODY) return [...group.members].filter(({ number }) => number !== except)
  const member = group.memberOf(only)
  return member === undefined ? [] : [member]
}
