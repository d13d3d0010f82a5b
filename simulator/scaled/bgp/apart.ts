/**
 * What a member of a flock decides by itself: what it says of its own prefixes, and what
 * came while it had that to do.
 *
 * @module
 */
import type { End } from './end.ts'
import type { Flock } from './flock.ts'
import { Group, Outlet, octetsOfOne, type Senders } from './outlet.ts'
import type { Parcels, Routes } from './parcels.ts'
import { Piece } from './piece.ts'
import type { Prefixes } from './prefixes.ts'
import type { Undecided } from './undecided.ts'
import { attributeOctets, OWN, WITHDRAWN } from './variants.ts'

const TURN_PREFIXES = 2048
const NOBODY = -1

export interface Apart extends Senders {
  readonly index: number
  readonly isNode: boolean
  readonly ends: readonly End[]
  /** Own routes that were told to it. */
  readonly added: ReadonlySet<number>
  /** Own routes that it told others. */
  readonly told: Set<number>
  /** What is to be decided while it is apart. */
  readonly queue: Undecided
}

export interface ApartWorld {
  readonly prefixes: Prefixes
  readonly parcels: Parcels
  readonly routes: Routes
  routed(speaker: number): void
}

/** A turn: the table is the others', but for what is its own. */
export function decideApart(member: Apart, flock: Flock, world: ApartWorld): void {
  const { queue, index } = member
  const many = queue.size > 1 ? { outlet: new Outlet(member), group: groupOf(member) } : undefined
  let hasRouted = false
  for (let count = 0; count < TURN_PREFIXES && queue.take(); count++) {
    const { prefix } = queue
    if (world.prefixes.owners[prefix] !== index) {
      const isThere = flock.has(prefix)
      if (isThere === queue.wasThere) continue
      hasRouted = true
      if (!member.isNode) world.routes.add(prefix, isThere)
      continue
    }
    const variant = news(member, prefix)
    if (variant === undefined) continue
    if (many === undefined) tellAll(member, world, prefix, variant)
    else world.parcels.say(many.group, prefix, variant, NOBODY, NOBODY)
  }
  if (hasRouted) world.routed(index)
  if (many === undefined) return
  world.parcels.flush(many.outlet)
  many.outlet.flush()
}

function groupOf({ ends }: Apart): Group {
  const group = new Group(0, false, 0)
  for (const end of ends) group.add(end)
  return group
}

/** What is to be said of an own prefix, if that is new. */
function news({ added, told }: Apart, prefix: number): number | undefined {
  const isThere = added.has(prefix)
  if (isThere === told.has(prefix)) return undefined
  if (isThere) told.add(prefix)
  else told.delete(prefix)
  return isThere ? OWN : WITHDRAWN
}

function tellAll(member: Apart, { prefixes }: ApartWorld, prefix: number, variant: number): void {
  const attributes = variant === WITHDRAWN ? 0 : attributeOctets(variant, false)
  const piece = Piece.ofOne(octetsOfOne(prefixes.octets[prefix]!, attributes), prefix, variant)
  for (const end of member.ends) member.one(end, piece)
}
