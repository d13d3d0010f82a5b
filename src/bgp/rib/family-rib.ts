/**
 * The RIB of one family: prefixes with their paths, the queue of those to be decided
 * anew, and what has come of them, for the kernel and for groups of peers.
 *
 * A prefix costs 9 bytes here besides its paths.
 *
 * @module
 */
import type { Attributes } from '../attributes.ts'
import type { Family, NlriSlice } from '../nlri.ts'
import { type Decode, NO_ATTRIBUTES, RawStore } from './attribute-store.ts'
import { grown, ROWS_MIN } from './columns.ts'
import { Decision, type DecisionTables, type StepName } from './decision.ts'
import type { Group, Saying } from './group.ts'
import type { ImportContext } from './import.ts'
import { LOC_KINDS, LocStore, type MedMissing } from './loc-store.ts'
import { type CostOf, NextHops, NO_ROUTE, type RouteHop, RouteSets } from './next-hops.ts'
import { Packer, type Parcel, readPathId } from './packing.ts'
import { NO_PATH, Paths } from './paths.ts'
import { OWN, type Peers, type PrefixLimit } from './peers.ts'
import { PrefixTable } from './prefix-table.ts'

export interface FamilyOptions {
  readonly costOf: CostOf
  readonly multipath: number
  readonly medMissing: MedMissing
  readonly alwaysCompareMed: boolean
  readonly steps: readonly StepName[]
}

const REJECTED = -1
const NOT_WORKED_OUT = 0

export class FamilyRib {
  readonly table: PrefixTable
  readonly paths = new Paths()
  readonly nextHops: NextHops
  readonly loc: LocStore
  readonly raw: RawStore
  readonly routeSets = new RouteSets()
  readonly decision: Decision
  readonly peers: Peers
  readonly groups = new Set<Group>()
  readonly packer: Packer<Saying>
  readonly routePacker: Packer<readonly RouteHop[]>
  /** By number, as `RawStore` knows them. */
  readonly contexts = new Map<number, ImportContext>()
  /** By peer: the context, the session's number, and how many paths it taught. */
  readonly contextOf: number[] = []
  readonly epochOf: number[] = []
  readonly pathsOf: number[] = []
  /** First path of a prefix. */
  head = new Int32Array(ROWS_MIN)
  /** What the kernel is to have: a number of `routeSets`. */
  #route = new Int32Array(ROWS_MIN)
  #isDirty = new Uint8Array(ROWS_MIN)
  #queue = new Int32Array(ROWS_MIN)
  #queued = 0
  #dequeued = 0
  /** Attributes after import by those received, for prefixes of class 0. */
  #locOf = new Int32Array(ROWS_MIN)
  readonly #locOfClass: (Map<number, number> | undefined)[] = []
  /** The set of the one next hop that attributes name; 0: not asked for yet. */
  #routeOfLoc = new Int32Array(ROWS_MIN)
  readonly #routeParcels = new Map<readonly RouteHop[], Parcel<readonly RouteHop[]>>()

  constructor(family: Family, peers: Peers, options: FamilyOptions) {
    this.table = new PrefixTable(family)
    this.peers = peers
    this.nextHops = new NextHops(options.costOf)
    this.loc = new LocStore(this.nextHops, options.medMissing)
    this.raw = new RawStore((id) => this.#rawIsGone(id))
    this.decision = new Decision(this.tables, options)
    this.packer = new Packer(this.table)
    this.routePacker = new Packer(this.table)
  }

  get tables(): DecisionTables {
    return this
  }

  get family(): Family {
    return this.table.family
  }

  /** Of all typed arrays. */
  get bytes(): number {
    let bytes = this.table.bytes + this.paths.bytes + this.loc.bytes + this.raw.bytes
    bytes += 9 * this.head.length + this.#queue.byteLength
    bytes += this.#locOf.byteLength + this.#routeOfLoc.byteLength
    for (const group of this.groups) bytes += group.bytes
    return bytes
  }

  /** Prefixes whose decision waits. */
  get waiting(): number {
    return this.#queued - this.#dequeued
  }

  withdraw(peer: number, { bytes, start, end, hasPathIds }: NlriSlice): void {
    let at = start
    while (at < end) {
      const pathId = hasPathIds ? readPathId(bytes, at) : 0
      at = this.table.read(bytes, hasPathIds ? at + 4 : at)
      const prefix = this.table.find()
      if (prefix >= 0) this.#drop(peer, prefix, pathId)
    }
  }

  /** Takes an announcement in; the number of prefixes that `limit` left out. */
  announce(peer: number, nlri: NlriSlice, raw: number, limit: PrefixLimit | undefined): number {
    const { bytes, end, hasPathIds } = nlri
    const most = limit?.action === 'ignore' ? limit.count : Number.POSITIVE_INFINITY
    let ignored = 0
    let at = nlri.start
    while (at < end) {
      const pathId = hasPathIds ? readPathId(bytes, at) : 0
      at = this.table.read(bytes, hasPathIds ? at + 4 : at)
      const prefix = this.add()
      let path = this.pathOf(peer, prefix, pathId)
      if (path === NO_PATH) {
        if (this.pathsOf[peer]! >= most) {
          ignored++
          this.touch(prefix)
          continue
        }
        path = this.#newPath(peer, prefix, pathId)
      }
      this.paths.epoch[path] = this.epochOf[peer]!
      if (this.paths.raw[path] !== raw) this.#setRaw(prefix, path, raw)
    }
    return ignored
  }

  /** A prefix of this speaker's own, which the table has in hand. */
  originate(attributes: Attributes): void {
    const prefix = this.add()
    const known = this.pathOf(OWN, prefix, 0)
    const path = known === NO_PATH ? this.#newPath(OWN, prefix, 0) : known
    this.#setLoc(prefix, path, this.loc.intern(attributes, LOC_KINDS.indexOf('own')))
  }

  /** The number of the prefix that the table has in hand. */
  add(): number {
    const prefix = this.table.add()
    if (prefix >= this.head.length) {
      const length = this.table.capacity
      this.head = grown(this.head, length)
      this.#route = grown(this.#route, length)
      this.#isDirty = grown(this.#isDirty, length)
    }
    return prefix
  }

  withdrawOwn(prefix: number): void {
    this.#drop(OWN, prefix, 0)
  }

  pathOf(peer: number, prefix: number, pathId: number): number {
    const { paths } = this
    let path = this.head[prefix]!
    while (path !== NO_PATH && (paths.peer[path] !== peer || paths.pathId[path] !== pathId)) {
      path = paths.next[path]!
    }
    return path
  }

  /** The set received, held until `raw.release`; none when it is to be treated as withdrawn. */
  internRaw(peer: number, from: Parameters<RawStore['intern']>[1], decode: Decode): number {
    const raw = this.raw.intern(this.contextOf[peer]!, from, decode)
    if (raw !== NO_ATTRIBUTES) this.raw.hold(raw)
    return raw
  }

  /** Removes a path of a prefix; `before` is the one in front of it. */
  removePath(prefix: number, path: number, before: number): void {
    const { paths } = this
    if (before === NO_PATH) this.head[prefix] = paths.next[path]!
    else paths.next[before] = paths.next[path]!
    const peer = paths.peer[path]!
    if (peer !== OWN) this.pathsOf[peer]!--
    const [raw, loc] = [paths.raw[path]!, paths.loc[path]!]
    paths.raw[path] = NO_ATTRIBUTES
    paths.loc[path] = NO_ATTRIBUTES
    if (loc !== NO_ATTRIBUTES) this.#releaseLoc(loc)
    if (raw !== NO_ATTRIBUTES) this.raw.release(raw)
    paths.remove(path)
    this.touch(prefix)
  }

  /** Decides about the path's attributes anew, in its peer's context of now. */
  reimport(prefix: number, path: number): void {
    const { paths, raw } = this
    const context = this.contextOf[paths.peer[path]!]!
    if (raw.contextOf(paths.raw[path]!) === context) return
    const moved = raw.moved(paths.raw[path]!, context)
    this.#setRaw(prefix, path, moved)
  }

  /** Puts a prefix into the queue of those to be decided. */
  touch(prefix: number): void {
    if (this.#isDirty[prefix] !== 0) return
    this.#isDirty[prefix] = 1
    const length = this.#queue.length
    if (this.waiting === length) {
      const larger = new Int32Array(2 * length)
      const first = this.#dequeued & (length - 1)
      larger.set(this.#queue.subarray(first))
      larger.set(this.#queue.subarray(0, first), length - first)
      this.#queue = larger
      this.#queued = length
      this.#dequeued = 0
    }
    this.#queue[this.#queued++ & (this.#queue.length - 1)] = prefix
  }

  isWaiting(prefix: number): boolean {
    return this.#isDirty[prefix] !== 0
  }

  /** Decides about up to `count` prefixes; those that nothing is known of any more lose their number later. */
  decide(count: number, gone: number[]): number {
    const many = Math.min(count, this.waiting)
    const mask = this.#queue.length - 1
    for (let done = 0; done < many; done++) {
      const prefix = this.#queue[this.#dequeued++ & mask]!
      this.#isDirty[prefix] = 0
      this.#settle(prefix)
      if (this.head[prefix] === NO_PATH) gone.push(prefix)
    }
    return many
  }

  /** After `flush`: numbers of prefixes that nobody speaks of go back. */
  forget(gone: readonly number[]): void {
    for (const prefix of gone) {
      const isInUse = this.head[prefix] !== NO_PATH || this.#isDirty[prefix] !== 0
      if (!isInUse && this.table.has(prefix)) this.table.remove(prefix)
    }
    this.#routeParcels.clear()
  }

  /** The number of the set of next hops that the kernel is to use. */
  routeOf(prefix: number): number {
    return this.#route[prefix]!
  }

  /** Why import did not take a path. */
  rejectionOf(prefix: number, path: number): string {
    const raw = this.paths.raw[path]!
    const context = this.contexts.get(this.raw.contextOf(raw))!
    const prefixClass = context.policy?.classOf(this.table, prefix) ?? 0
    const verdict = context.decide(this.raw.attributesOf(raw), prefixClass)
    return verdict.kind === 'reject' ? verdict.reason : `accepted by ${verdict.rule}`
  }

  /** What becomes of attributes on their way in, for a prefix: their number after import, or 0. */
  #locFor(prefix: number, raw: number): number {
    const context = this.contexts.get(this.raw.contextOf(raw))!
    const prefixClass = context.policy?.classOf(this.table, prefix) ?? 0
    if (prefixClass === 0) {
      if (raw >= this.#locOf.length) this.#locOf = grown(this.#locOf, 2 * raw)
      let loc = this.#locOf[raw]!
      if (loc === NOT_WORKED_OUT) {
        loc = this.#workOut(context, raw, 0)
        this.#locOf[raw] = loc
      }
      return loc === REJECTED ? NO_ATTRIBUTES : loc
    }
    this.#locOfClass[raw] ??= new Map()
    const locs = this.#locOfClass[raw]!
    let loc = locs.get(prefixClass)
    if (loc === undefined) {
      loc = this.#workOut(context, raw, prefixClass)
      locs.set(prefixClass, loc)
    }
    return loc === REJECTED ? NO_ATTRIBUTES : loc
  }

  #workOut(context: ImportContext, raw: number, prefixClass: number): number {
    const verdict = context.decide(this.raw.attributesOf(raw), prefixClass)
    if (verdict.kind === 'reject') return REJECTED
    const loc = this.loc.intern(verdict.attributes, LOC_KINDS.indexOf(context.peer.kind))
    this.loc.hold(loc)
    return loc
  }

  #rawIsGone(raw: number): void {
    const loc = this.#locOf[raw] ?? NOT_WORKED_OUT
    if (loc !== NOT_WORKED_OUT) this.#locOf[raw] = NOT_WORKED_OUT
    if (loc > 0) this.#releaseLoc(loc)
    for (const other of this.#locOfClass[raw]?.values() ?? []) {
      if (other > 0) this.#releaseLoc(other)
    }
    this.#locOfClass[raw] = undefined
  }

  #releaseLoc(loc: number): void {
    const size = this.loc.size
    this.loc.release(loc)
    if (this.loc.size === size) return
    this.routeSets.release(this.#routeOfLoc[loc] ?? NO_ROUTE)
    if (loc < this.#routeOfLoc.length) this.#routeOfLoc[loc] = NO_ROUTE
    for (const group of this.groups) group.forget(loc)
  }

  #newPath(peer: number, prefix: number, pathId: number): number {
    const { paths } = this
    const path = paths.add()
    paths.peer[path] = peer
    paths.pathId[path] = pathId
    paths.next[path] = this.head[prefix]!
    this.head[prefix] = path
    if (peer !== OWN) this.pathsOf[peer]!++
    return path
  }

  #setRaw(prefix: number, path: number, raw: number): void {
    const before = this.paths.raw[path]!
    this.raw.hold(raw)
    this.paths.raw[path] = raw
    this.#setLoc(prefix, path, this.#locFor(prefix, raw))
    if (before !== NO_ATTRIBUTES) this.raw.release(before)
  }

  #setLoc(prefix: number, path: number, loc: number): void {
    const before = this.paths.loc[path]!
    if (before === loc) return
    if (loc !== NO_ATTRIBUTES) this.loc.hold(loc)
    this.paths.loc[path] = loc
    if (before !== NO_ATTRIBUTES) this.#releaseLoc(before)
    this.touch(prefix)
  }

  #drop(peer: number, prefix: number, pathId: number): void {
    const { paths } = this
    let before = NO_PATH
    for (let path = this.head[prefix]!; path !== NO_PATH; path = paths.next[path]!) {
      if (paths.peer[path] === peer && paths.pathId[path] === pathId) {
        this.removePath(prefix, path, before)
        return
      }
      before = path
    }
  }

  #settle(prefix: number): void {
    this.decision.decide(this.head[prefix]!)
    this.#setRoute(prefix)
    for (const group of this.groups) group.update(prefix, this.decision)
  }

  #setRoute(prefix: number): void {
    const before = this.#route[prefix]!
    const after = this.#holdRoute()
    this.#route[prefix] = after
    this.routeSets.release(before)
    if (after === before) return
    // By the set itself: its number may be another's before the turn is over.
    const hops = this.routeSets.of(after)
    let parcel = this.#routeParcels.get(hops)
    if (parcel === undefined) {
      parcel = this.routePacker.open(hops, false)
      this.#routeParcels.set(hops, parcel)
    }
    this.routePacker.add(parcel, prefix, 0)
  }

  #holdRoute(): number {
    const { candidates, chosen } = this.decision
    if (chosen === 0) return NO_ROUTE
    if (this.loc.kindOf(this.paths.loc[candidates[0]!]!) === 'own') return NO_ROUTE
    if (chosen === 1) return this.#holdSingle(candidates[0]!)
    const hops: RouteHop[] = []
    for (let at = 0; at < chosen; at++) hops.push(this.#hopOf(candidates[at]!))
    return this.routeSets.hold(hops)
  }

  /** Most prefixes have one next hop, which their attributes hold for all of them. */
  #holdSingle(path: number): number {
    const loc = this.paths.loc[path]!
    const known = this.#routeOfLoc[loc] ?? NO_ROUTE
    if (known !== NO_ROUTE) return this.routeSets.share(known)
    const hop = this.#hopOf(path)
    const route = this.routeSets.hold([hop])
    if (hop.linkLocal !== undefined) return route
    if (loc >= this.#routeOfLoc.length) this.#routeOfLoc = grown(this.#routeOfLoc, 2 * loc)
    this.#routeOfLoc[loc] = route
    return this.routeSets.share(route)
  }

  #hopOf(path: number): RouteHop {
    const { nextHop, linkLocal } = this.loc.attributesOf(this.paths.loc[path]!)
    if (linkLocal === undefined) return { nextHop }
    return { nextHop, linkLocal, peer: this.peers.of(this.paths.peer[path]!).address }
  }
}
