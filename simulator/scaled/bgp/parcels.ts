/**
 * Prefixes of one turn by what is said of them and to whom, and those to which a way
 * came or went by whose they are. One of each is enough for everybody: a turn fills it,
 * and empties it before it ends.
 *
 * @module
 */
import type { Group, Outlet } from './outlet.ts'
import type { BgpPlan } from './plan.ts'
import { grown, type Prefixes } from './prefixes.ts'
import { attributeOctets, VIA, WITHDRAWN } from './variants.ts'

const NOBODY = -1
const FIRST_ROOM = 64
/** Kinds of groups, at most. */
const GROUPS = 4

/** Prefixes in bundles, in the order in which bundles were begun, then of their own. */
class Bundles {
  count = 0
  private size = 0
  private prefixes = new Int32Array(FIRST_ROOM)
  private nexts = new Int32Array(FIRST_ROOM)
  private firsts = new Int32Array(FIRST_ROOM)
  private lasts = new Int32Array(FIRST_ROOM)

  /** @returns the number of a new one. */
  begin(): number {
    const bundle = this.count++
    if (bundle === this.firsts.length) {
      this.firsts = grown(this.firsts, 2 * bundle)
      this.lasts = grown(this.lasts, 2 * bundle)
    }
    this.firsts[bundle] = NOBODY
    return bundle
  }

  add(bundle: number, prefix: number): void {
    const item = this.size++
    if (item === this.nexts.length) {
      this.nexts = grown(this.nexts, 2 * item)
      this.prefixes = grown(this.prefixes, 2 * item)
    }
    this.prefixes[item] = prefix
    this.nexts[item] = NOBODY
    if (this.firsts[bundle] === NOBODY) this.firsts[bundle] = item
    else this.nexts[this.lasts[bundle]!] = item
    this.lasts[bundle] = item
  }

  /** An item, or -1. */
  first(bundle: number): number {
    return this.firsts[bundle]!
  }

  next(item: number): number {
    return this.nexts[item]!
  }

  prefixAt(item: number): number {
    return this.prefixes[item]!
  }

  clear(): void {
    this.count = 0
    this.size = 0
  }
}

/** Ways that came and went: by owner, and those that are gone. */
export class Routes {
  private readonly table: Prefixes
  private readonly bundles = new Bundles()
  private readonly keys: number[] = []
  /** Number of a bundle by owner, and behind them that of those gone; 0: none. */
  private readonly byOwner: Int32Array
  private readonly gone: number

  constructor(table: Prefixes, plan: BgpPlan) {
    this.table = table
    this.gone = plan.speakers
    this.byOwner = new Int32Array(plan.speakers + 1)
  }

  /** There is a way to a prefix, or none any more. */
  add(prefix: number, isThere: boolean): void {
    const key = isThere ? this.table.owners[prefix]! : this.gone
    let bundle = this.byOwner[key]! - 1
    if (bundle < 0) {
      bundle = this.bundles.begin()
      this.byOwner[key] = bundle + 1
      this.keys[bundle] = key
    }
    this.bundles.add(bundle, prefix)
  }

  /** @returns whether there were any. */
  flush(tell: (prefix: number, isThere: boolean) => void): boolean {
    const { bundles, keys, byOwner, gone } = this
    const { count } = bundles
    for (let bundle = 0; bundle < count; bundle++) {
      const key = keys[bundle]!
      byOwner[key] = 0
      for (let item = bundles.first(bundle); item >= 0; item = bundles.next(item)) {
        tell(bundles.prefixAt(item), key !== gone)
      }
    }
    bundles.clear()
    return count > 0
  }
}

export class Parcels {
  private readonly table: Prefixes
  private readonly plan: BgpPlan
  private readonly bundles = new Bundles()
  /** Of each parcel; whom to leave out, and who alone hears it, are numbers of ends. */
  private readonly groups: Group[] = []
  private readonly variants: number[] = []
  private readonly owners: number[] = []
  private readonly excepts: number[] = []
  private readonly onlies: number[] = []
  /** The one before it that is found in the same place, or -1. */
  private readonly befores: number[] = []
  /** What is announced by owner, and what is withdrawn by whom it is told; the last parcel, and 0: none. */
  private readonly announced: Int32Array
  private readonly withdrawn = new Map<number, number>()
  private last = NOBODY

  constructor(table: Prefixes, plan: BgpPlan) {
    this.table = table
    this.plan = plan
    this.announced = new Int32Array(plan.speakers)
  }

  say(group: Group, prefix: number, variant: number, except: number, only: number): void {
    if (group.members.size === 0) return
    const owner = variant === WITHDRAWN ? NOBODY : this.table.owners[prefix]!
    let parcel = this.last
    if (parcel < 0 || !this.is(parcel, group, variant, owner, except, only)) {
      parcel = this.parcelFor(group, variant, owner, except, only)
      this.last = parcel
    }
    this.bundles.add(parcel, prefix)
  }

  flush(outlet: Outlet): void {
    const { bundles, owners } = this
    const { count } = bundles
    if (count === 0) return
    for (let parcel = 0; parcel < count; parcel++) {
      this.sayAll(parcel, outlet)
      if (owners[parcel] !== NOBODY) this.announced[owners[parcel]!] = 0
    }
    bundles.clear()
    this.last = NOBODY
    if (this.withdrawn.size > 0) this.withdrawn.clear()
  }

  /** Messages as few and as full as can be. */
  private sayAll(parcel: number, outlet: Outlet): void {
    const { bundles, plan } = this
    const variant = this.variants[parcel]!
    const isViaOwner = variant >= VIA && plan.reflectors[variant - VIA] === this.owners[parcel]
    const attributes = variant === WITHDRAWN ? 0 : attributeOctets(variant, isViaOwner)
    const group = this.groups[parcel]!
    if (!outlet.begin(group, this.excepts[parcel]!, this.onlies[parcel]!, attributes)) return
    const { octets } = this.table
    for (let item = bundles.first(parcel); item >= 0; item = bundles.next(item)) {
      const prefix = bundles.prefixAt(item)
      outlet.add(prefix, variant, octets[prefix]!)
    }
  }

  private is(
    parcel: number,
    group: Group,
    variant: number,
    owner: number,
    except: number,
    only: number,
  ): boolean {
    return (
      this.owners[parcel] === owner &&
      this.variants[parcel] === variant &&
      this.excepts[parcel] === except &&
      this.onlies[parcel] === only &&
      this.groups[parcel] === group
    )
  }

  private parcelFor(
    group: Group,
    variant: number,
    owner: number,
    except: number,
    only: number,
  ): number {
    const isGone = owner === NOBODY
    // One of both is nobody.
    const key = isGone ? ((except + 1) * 2 + (only < 0 ? 0 : 2 * only + 3)) * GROUPS + group.key : 0
    const newest = (isGone ? this.withdrawn.get(key) : this.announced[owner]) ?? 0
    for (let found = newest - 1; found >= 0; found = this.befores[found]!) {
      if (this.is(found, group, variant, owner, except, only)) return found
    }
    const parcel = this.bundles.begin()
    this.groups[parcel] = group
    this.variants[parcel] = variant
    this.owners[parcel] = owner
    this.excepts[parcel] = except
    this.onlies[parcel] = only
    this.befores[parcel] = newest - 1
    if (isGone) this.withdrawn.set(key, parcel + 1)
    else this.announced[owner] = parcel + 1
    return parcel
  }
}
