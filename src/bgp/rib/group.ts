/**
 * Adj-RIB-Out of peers that are told the same: what has been said, and what is
 * new to say. A prefix is worked out and packed once for all of them.
 *
 * Who taught a path is not told it. So with each path goes its source, and a
 * change of source takes the path back from the new one. A path that was told costs
 * 14 bytes, and 4 for its prefix.
 *
 * @module
 */
import type { Attributes } from '../attributes.ts'
import { AttributeStore, NO_ATTRIBUTES } from './attribute-store.ts'
import { grown, ROWS_MIN } from './columns.ts'
import type { Decision, DecisionTables } from './decision.ts'
import { ExportContext, type ExportTerms } from './export.ts'
import type { Imported, Self } from './import.ts'
import type { Packer, Parcel } from './packing.ts'
import { NO_PATH } from './paths.ts'
import { OWN } from './peers.ts'
import type { PrefixTable } from './prefix-table.ts'

/** What is said to whom: to all of the group but `except`, or to `to` alone. */
export interface Saying {
  readonly group: Group
  /** Undefined: the prefixes are withdrawn. */
  readonly attributes: Attributes | undefined
  /** The peer that is left out; `OWN` is nobody. */
  readonly except: number
  readonly only: number | undefined
}

const NOT_WORKED_OUT = 0
const HELD_BACK = -1
const NO_ENTRY = 0

export class Group {
  /** Peers by number. */
  members: readonly number[] = []
  #context: ExportContext
  readonly #tables: DecisionTables
  readonly #table: PrefixTable
  readonly #packer: Packer<Saying>
  readonly #out = new AttributeStore()
  /** Attributes out by attributes used, for prefixes of class 0. */
  #outOf = new Int32Array(ROWS_MIN)
  /** The same for other classes. */
  readonly #outOfClass = new Map<number, Map<number, number>>()
  /** What was told, a list for each prefix. */
  #head: Int32Array
  #told = new Int32Array(ROWS_MIN)
  #source = new Uint16Array(ROWS_MIN)
  #pathId = new Uint32Array(ROWS_MIN)
  #next = new Int32Array(ROWS_MIN)
  #end = 1
  #free = NO_ENTRY
  /** Parcels of this turn, and the one that was used last. */
  readonly #parcels = new Map<Attributes | undefined, Parcel<Saying>[]>()
  #last: Parcel<Saying> | undefined

  constructor(
    terms: ExportTerms,
    self: Self,
    world: { tables: DecisionTables; table: PrefixTable; packer: Packer<Saying> },
  ) {
    this.#context = new ExportContext(terms, self)
    this.#tables = world.tables
    this.#table = world.table
    this.#packer = world.packer
    this.#head = new Int32Array(world.table.capacity)
  }

  get terms(): ExportTerms {
    return this.#context.terms
  }

  get bytes(): number {
    return this.#head.byteLength + 14 * this.#told.length + this.#outOf.byteLength + this.#out.bytes
  }

  /** Whether nothing of the prefix is known outside. */
  isSilent(prefix: number): boolean {
    return (this.#head[prefix] ?? NO_ENTRY) === NO_ENTRY
  }

  /** Says what is new about a prefix, of which `decision` has just been made. */
  update(prefix: number, decision: Decision): void {
    if (prefix >= this.#head.length) this.#head = grown(this.#head, this.#table.capacity)
    const count = this.terms.addPath ? decision.eligible : Math.min(decision.chosen, 1)
    const hasOne = this.#head[prefix] !== NO_ENTRY
    if (count === 0 && !hasOne) return
    if (!this.terms.addPath) {
      const path = count === 0 ? NO_PATH : decision.candidates[0]!
      this.#put(prefix, this.#head[prefix]!, path, 0)
      return
    }
    this.#dropMissing(prefix, decision, count)
    for (let at = 0; at < count; at++) {
      const path = decision.candidates[at]!
      this.#put(prefix, this.#entryOf(prefix, path), path, path)
    }
  }

  /** Says to one member what the group was told of a prefix. */
  repeat(prefix: number, member: number): void {
    for (let entry = this.#head[prefix] ?? 0; entry !== NO_ENTRY; entry = this.#next[entry]!) {
      if (this.#source[entry] === member) continue
      this.#say(prefix, this.#told[entry]!, OWN, member, this.#pathId[entry]!)
    }
  }

  /** What a member knows of a prefix. */
  *toldTo(member: number, prefix: number): Generator<{ pathId: number; attributes: Attributes }> {
    for (let entry = this.#head[prefix] ?? 0; entry !== NO_ENTRY; entry = this.#next[entry]!) {
      if (this.#source[entry] === member) continue
      yield {
        pathId: this.#pathId[entry]!,
        attributes: this.#out.attributesOf(this.#told[entry]!),
      }
    }
  }

  /** What becomes of a path on its way out, and why. */
  explain(prefix: number, path: number): Imported {
    const { loc } = this.#tables
    const id = this.#tables.paths.loc[path]!
    return this.#context.decide(loc.attributesOf(id), loc.kindOf(id), this.#classOf(prefix))
  }

  /** Attributes used are gone: what was worked out of them goes, too. */
  forget(loc: number): void {
    const out = this.#outOf[loc] ?? NOT_WORKED_OUT
    if (out > 0) this.#out.release(out)
    if (out !== NOT_WORKED_OUT) this.#outOf[loc] = NOT_WORKED_OUT
    for (const outs of this.#outOfClass.values()) {
      const other = outs.get(loc)
      if (other !== undefined && other > 0) this.#out.release(other)
      outs.delete(loc)
    }
  }

  /** A turn is over: what comes next is said anew. */
  endTurn(): void {
    this.#parcels.clear()
    this.#last = undefined
  }

  /** The same Adj-RIB-Out, whose members are to be told something else from now on. */
  retarget(terms: ExportTerms, self: Self): void {
    for (let loc = 0; loc < this.#outOf.length; loc++) this.forget(loc)
    for (const outs of this.#outOfClass.values()) for (const loc of outs.keys()) this.forget(loc)
    this.#outOfClass.clear()
    this.#context = new ExportContext(terms, self)
  }

  /**
   * The same Adj-RIB-Out for others who are to be told something else from now on. Columns
   * are copied as they are: some 20 octets a path, in one stretch.
   */
  fork(terms: ExportTerms, self: Self): Group {
    const fork = new Group(this.terms, self, {
      tables: this.#tables,
      table: this.#table,
      packer: this.#packer,
    })
    fork.#out.copyFrom(this.#out)
    fork.#outOf = this.#outOf.slice()
    for (const [prefixClass, outs] of this.#outOfClass) {
      fork.#outOfClass.set(prefixClass, new Map(outs))
    }
    fork.#head = this.#head.slice()
    fork.#told = this.#told.slice()
    fork.#source = this.#source.slice()
    fork.#pathId = this.#pathId.slice()
    fork.#next = this.#next.slice()
    fork.#end = this.#end
    fork.#free = this.#free
    fork.retarget(terms, self)
    return fork
  }

  /** Makes one told path what it should be; `entry` is 0 where nothing was told, `path` where nothing should be. */
  #put(prefix: number, entry: number, path: number, pathId: number): void {
    const { paths } = this.#tables
    const out = path === NO_PATH ? NO_ATTRIBUTES : this.#outFor(prefix, paths.loc[path]!)
    const source = path === NO_PATH ? OWN : paths.peer[path]!
    if (entry === NO_ENTRY) {
      if (out === NO_ATTRIBUTES) return
      this.#out.hold(out)
      this.#link(prefix, out, source, pathId)
      this.#say(prefix, out, source, undefined, pathId)
      return
    }
    const [before, from] = [this.#told[entry]!, this.#source[entry]!]
    if (out === NO_ATTRIBUTES) {
      this.#say(prefix, NO_ATTRIBUTES, from, undefined, pathId)
      this.#unlink(prefix, entry)
      this.#out.release(before)
      return
    }
    if (out === before && source === from) return
    this.#say(prefix, out, source, undefined, pathId)
    if (source !== from && source !== OWN && this.members.includes(source)) {
      this.#say(prefix, NO_ATTRIBUTES, OWN, source, pathId)
    }
    this.#out.hold(out)
    this.#out.release(before)
    this.#told[entry] = out
    this.#source[entry] = source
  }

  /** Takes back what no candidate stands for any more. */
  #dropMissing(prefix: number, decision: Decision, count: number): void {
    let entry = this.#head[prefix]!
    while (entry !== NO_ENTRY) {
      const after = this.#next[entry]!
      const path = this.#pathId[entry]!
      let isThere = false
      for (let at = 0; at < count; at++) isThere ||= decision.candidates[at] === path
      if (!isThere) this.#put(prefix, entry, NO_PATH, path)
      entry = after
    }
  }

  #entryOf(prefix: number, pathId: number): number {
    let entry = this.#head[prefix]!
    while (entry !== NO_ENTRY && this.#pathId[entry] !== pathId) entry = this.#next[entry]!
    return entry
  }

  #link(prefix: number, out: number, source: number, pathId: number): void {
    let entry = this.#free
    if (entry !== NO_ENTRY) this.#free = this.#next[entry]!
    else {
      if (this.#end === this.#told.length) this.#grow(2 * this.#end)
      entry = this.#end++
    }
    this.#told[entry] = out
    this.#source[entry] = source
    this.#pathId[entry] = pathId
    this.#next[entry] = this.#head[prefix]!
    this.#head[prefix] = entry
  }

  #unlink(prefix: number, entry: number): void {
    if (this.#head[prefix] === entry) this.#head[prefix] = this.#next[entry]!
    else {
      let before = this.#head[prefix]!
      while (this.#next[before] !== entry) before = this.#next[before]!
      this.#next[before] = this.#next[entry]!
    }
    this.#next[entry] = this.#free
    this.#free = entry
  }

  #grow(length: number): void {
    this.#told = grown(this.#told, length)
    this.#source = grown(this.#source, length)
    this.#pathId = grown(this.#pathId, length)
    this.#next = grown(this.#next, length)
  }

  /** Attributes out, or none; worked out once for attributes used and a class of prefixes. */
  #outFor(prefix: number, loc: number): number {
    const prefixClass = this.#classOf(prefix)
    if (prefixClass === 0) {
      if (loc >= this.#outOf.length) this.#outOf = grown(this.#outOf, 2 * loc)
      let out = this.#outOf[loc]!
      if (out === NOT_WORKED_OUT) {
        out = this.#workOut(loc, 0)
        this.#outOf[loc] = out
      }
      return out === HELD_BACK ? NO_ATTRIBUTES : out
    }
    let outs = this.#outOfClass.get(prefixClass)
    if (outs === undefined) {
      outs = new Map()
      this.#outOfClass.set(prefixClass, outs)
    }
    let out = outs.get(loc)
    if (out === undefined) {
      out = this.#workOut(loc, prefixClass)
      outs.set(loc, out)
    }
    return out === HELD_BACK ? NO_ATTRIBUTES : out
  }

  #workOut(id: number, prefixClass: number): number {
    const { loc } = this.#tables
    const verdict = this.#context.decide(loc.attributesOf(id), loc.kindOf(id), prefixClass)
    if (verdict.kind === 'reject') return HELD_BACK
    const out = this.#out.intern(verdict.attributes, 0)
    this.#out.hold(out)
    return out
  }

  #classOf(prefix: number): number {
    return this.#context.policy?.classOf(this.#table, prefix) ?? 0
  }

  #say(
    prefix: number,
    out: number,
    except: number,
    only: number | undefined,
    pathId: number,
  ): void {
    if (this.members.length === 0) return
    // By the set itself: its number may be another's before the turn is over.
    const attributes = out === NO_ATTRIBUTES ? undefined : this.#out.attributesOf(out)
    let parcel = this.#last
    if (
      parcel === undefined ||
      parcel.key.attributes !== attributes ||
      parcel.key.except !== except ||
      parcel.key.only !== only
    ) {
      parcel = this.#parcelFor(attributes, except, only)
      this.#last = parcel
    }
    this.#packer.add(parcel, prefix, pathId)
  }

  #parcelFor(
    attributes: Attributes | undefined,
    except: number,
    only: number | undefined,
  ): Parcel<Saying> {
    const parcels = this.#parcels.get(attributes) ?? []
    const known = parcels.find(({ key }) => key.except === except && key.only === only)
    if (known !== undefined) return known
    const parcel = this.#packer.open({ group: this, attributes, except, only }, this.terms.addPath)
    if (parcels.push(parcel) === 1) this.#parcels.set(attributes, parcels)
    return parcel
  }
}
