/**
 * One family's routes for a kernel: what is wanted of each prefix, what is installed,
 * and which prefixes differ. Only numbers, some 25 bytes a prefix.
 *
 * Whoever owns the kernel takes changes with `next`, carries them out in order and says
 * with `settle` what came of each, before it asks or tells anything else.
 *
 * @module
 */
import { hostPrefix, type Ip, type Prefix } from '../../net/mod.ts'
import type { Family, NlriSlice } from '../nlri.ts'
import { grown, ROWS_MIN } from '../rib/columns.ts'
import type { RouteHop } from '../rib/next-hops.ts'
import { FAMILY_BITS, PrefixTable } from '../rib/prefix-table.ts'
import { type ForwardHop, ForwardSets, NO_FORWARD, UNKNOWN_FORWARD } from './forward-sets.ts'
import { isReserved } from './reserved.ts'
import { NOT_WANTED, type Resolve, WantedSets } from './wanted-sets.ts'

/** One route to write. */
export interface RouteChange {
  /** Of the prefix, for `settle`. */
  readonly row: number
  /**
   * `add` must not touch a route of somebody else at the same place; `replace` is of a
   * route of ours, which may have gone.
   */
  readonly how: 'add' | 'replace' | 'remove'
  /** Equal for changes with equal hops, as long as nothing is settled. */
  readonly forward: number
  /** None: to be removed. */
  readonly hops: readonly ForwardHop[]
}

/**
 * `done`; `absent`, there was nothing to remove; `failed`, it is as it was before, and
 * is tried again after `retry`.
 */
export type RouteOutcome = 'done' | 'absent' | 'failed'

export interface RefusedPrefixes {
  /** One of them. */
  readonly prefix: Prefix
  readonly count: number
}

const QUEUED = 1
/** Of an earlier life, and not told since. */
const STALE = 2
const FAILED = 4
/** Met in the reading that is under way. */
const SEEN = 8

/** Rows that a walk looks at before it lets changes be taken. */
const WALK_ROWS = 1 << 15

type Visit = (row: number) => void

export class FamilyFib {
  readonly family: Family
  readonly forwards = new ForwardSets()
  readonly wanted: WantedSets
  readonly table: PrefixTable
  readonly counts = { installed: 0, stale: 0, failed: 0 }
  readonly #isOwnAddress: (prefix: Prefix) => boolean
  #want = new Int32Array(ROWS_MIN)
  #have = new Int32Array(ROWS_MIN)
  #flags = new Uint8Array(ROWS_MIN)
  #queue: number[] = []
  #head = 0
  readonly #walks: { readonly visit: Visit; at: number }[] = []
  #isComplete = false

  constructor(family: Family, resolve: Resolve, isOwnAddress: (prefix: Prefix) => boolean) {
    this.family = family
    this.table = new PrefixTable(family)
    this.wanted = new WantedSets(this.forwards, resolve)
    this.#isOwnAddress = isOwnAddress
  }

  /** Changes that wait, at least. */
  get waiting(): number {
    return this.#queue.length - this.#head + this.#walks.length
  }

  get bytes(): number {
    return this.table.bytes + this.#want.byteLength + this.#have.byteLength + this.#flags.byteLength
  }

  /** These prefixes have these next hops now. Returns those that no peer may steer, if there are any. */
  set(nextHops: readonly RouteHop[], slice: NlriSlice): RefusedPrefixes | undefined {
    const set = this.wanted.hold(nextHops)
    let refused: RefusedPrefixes | undefined
    for (let at = slice.start; at < slice.end; ) {
      const from = slice.hasPathIds ? at + 4 : at
      const isRefused = set !== NOT_WANTED && isReserved(this.family, slice.bytes, from)
      at = this.table.read(slice.bytes, from)
      if (isRefused) {
        refused = {
          prefix: prefixAt(this.family, slice.bytes, from),
          count: 1 + (refused?.count ?? 0),
        }
      }
      this.#setRow(isRefused ? NOT_WANTED : set)
    }
    this.wanted.release(set)
    return refused
  }

  #setRow(set: number): void {
    const row = set === NOT_WANTED ? this.table.find() : this.#add()
    if (row < 0) return
    const before = this.#want[row]!
    this.#want[row] = this.wanted.share(set)
    this.wanted.release(before)
    this.#clear(row, STALE | FAILED)
    this.#consider(row)
  }

  /** Everything was told: what is left of an earlier life goes. */
  complete(): void {
    if (this.#isComplete) return
    this.#isComplete = true
    this.#walk((row) => {
      if (!this.#clear(row, STALE)) return
      this.#consider(row)
    })
  }

  /** Nothing is wanted any more. */
  clear(): void {
    this.complete()
    this.#walk((row) => {
      const before = this.#want[row]!
      this.#want[row] = NOT_WANTED
      this.wanted.release(before)
      this.#clear(row, FAILED)
      this.#consider(row)
    })
  }

  /** Something is different about these next hops. */
  nextHopsChanged(ips: ReadonlySet<Ip>): void {
    const sets = new Set(this.wanted.changed(ips))
    if (sets.size === 0) return
    this.#walk((row) => {
      if (!sets.has(this.#want[row]!)) return
      this.#clear(row, FAILED)
      this.#consider(row)
    })
  }

  /** The kernel forgets routes by a link that goes down, without a word about them. */
  linkLost(link: number): void {
    const isBy = (set: number): boolean => this.forwards.uses(set, link)
    this.#walk((row) => {
      if (isBy(this.#have[row]!)) this.#doubt(row)
    })
  }

  /** What failed may go well now. */
  retry(): void {
    if (this.counts.failed === 0) return
    this.#walk((row) => {
      if (this.#clear(row, FAILED)) this.#consider(row)
    })
  }

  /** An address of this node's own came or went. */
  ownAddressChanged(ip: Ip): void {
    this.table.readPrefix(hostPrefix(ip))
    const row = this.table.find()
    if (row >= 0) this.#consider(row)
  }

  /** Somebody else changed a route of ours, or made one. */
  changedBySomebody(prefix: Prefix): void {
    this.table.readPrefix(prefix)
    this.#doubt(this.#add())
  }

  /** A route of somebody else is, or was, where ours belongs; ours is not there. */
  takenBySomebody(prefix: Prefix): void {
    this.table.readPrefix(prefix)
    const row = this.table.find()
    if (row < 0) return
    this.#install(row, NO_FORWARD)
    this.#clear(row, FAILED | STALE)
    this.#consider(row)
  }

  /** What the next hops of the prefix are to be; undefined where it is not wanted. */
  nextHopsOf(prefix: Prefix): readonly RouteHop[] | undefined {
    this.table.readPrefix(prefix)
    const row = this.table.find()
    return row < 0 || this.#want[row] === NOT_WANTED
      ? undefined
      : this.wanted.hopsOf(this.#want[row]!)
  }

  /** A reading of the kernel begins: `read` for each route of ours, then `readEnd`. No changes meanwhile. */
  readBegin(): void {
    this.#flags = this.#flags.map((flags) => flags & ~SEEN)
  }

  /** @param hops undefined: a route of another kind. */
  read(prefix: Prefix, hops: readonly ForwardHop[] | undefined): void {
    this.table.readPrefix(prefix)
    const row = this.#add()
    this.#flags[row]! |= SEEN
    const isNew = this.#want[row] === NOT_WANTED && this.#have[row] === NO_FORWARD
    if (isNew && !this.#isComplete && (this.#flags[row]! & STALE) === 0) {
      this.#flags[row]! |= STALE
      this.counts.stale++
    }
    const have = hops === undefined ? UNKNOWN_FORWARD : this.forwards.hold(hops)
    this.#install(row, have === NO_FORWARD ? UNKNOWN_FORWARD : have)
    if (have !== this.wanted.forwardOf(this.#want[row]!)) this.#consider(row)
  }

  /** What was not met is not there. */
  readEnd(): void {
    this.#walk((row) => {
      if ((this.#flags[row]! & SEEN) !== 0) return
      this.#install(row, NO_FORWARD)
      this.#consider(row)
    })
  }

  /** Up to `max` changes; none are left when there is none and `waiting` is 0. */
  next(max: number): readonly RouteChange[] {
    this.#step()
    const changes: RouteChange[] = []
    while (changes.length < max && this.#head < this.#queue.length) {
      const row = this.#queue[this.#head++]!
      if (!this.table.has(row) || !this.#clear(row, QUEUED)) continue
      const change = this.#changeOf(row)
      if (change !== undefined) changes.push(change)
    }
    if (this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    }
    return changes
  }

  #changeOf(row: number): RouteChange | undefined {
    const have = this.#have[row]!
    const target = this.#target(row)
    if (have === target) {
      this.#forget(row)
      return undefined
    }
    const how = target === NO_FORWARD ? 'remove' : have === NO_FORWARD ? 'add' : 'replace'
    return { row, how, forward: target, hops: this.forwards.of(target) }
  }

  settle({ row, how, hops }: RouteChange, outcome: RouteOutcome): void {
    if (outcome === 'failed') {
      if ((this.#flags[row]! & FAILED) === 0) this.counts.failed++
      this.#flags[row]! |= FAILED
      return
    }
    this.#clear(row, FAILED)
    this.#install(row, how === 'remove' ? NO_FORWARD : this.forwards.hold(hops))
    // A walk after a reading may still come by.
    this.#flags[row]! |= SEEN
    this.#forget(row)
  }

  /** Whether a failure of the route was said already. */
  isFailed(row: number): boolean {
    return (this.#flags[row]! & FAILED) !== 0
  }

  #target(row: number): number {
    const target = this.wanted.forwardOf(this.#want[row]!)
    if (target === NO_FORWARD || this.table.lengthOf(row) < FAMILY_BITS[this.family]) return target
    return this.#isOwnAddress(this.table.prefixOf(row)) ? NO_FORWARD : target
  }

  #add(): number {
    const row = this.table.add()
    if (this.table.capacity > this.#want.length) {
      this.#want = grown(this.#want, this.table.capacity)
      this.#have = grown(this.#have, this.table.capacity)
      this.#flags = grown(this.#flags, this.table.capacity)
    }
    return row
  }

  /** Takes the caller's hold of `have`. */
  #install(row: number, have: number): void {
    const before = this.#have[row]!
    this.forwards.release(before)
    this.#have[row] = have
    this.counts.installed += Number(have !== NO_FORWARD) - Number(before !== NO_FORWARD)
  }

  #doubt(row: number): void {
    this.#install(row, UNKNOWN_FORWARD)
    this.#clear(row, FAILED)
    this.#consider(row)
  }

  #consider(row: number): void {
    if ((this.#flags[row]! & (QUEUED | STALE | FAILED)) !== 0) return
    this.#flags[row]! |= QUEUED
    this.#queue.push(row)
  }

  /** Whether one of these flags was set. */
  #clear(row: number, mask: number): boolean {
    const found = this.#flags[row]! & mask
    this.#flags[row]! &= ~mask
    if ((found & STALE) !== 0) this.counts.stale--
    if ((found & FAILED) !== 0) this.counts.failed--
    return found !== 0
  }

  /** A prefix of which nothing is wanted and nothing is there. */
  #forget(row: number): void {
    if (this.#want[row] !== NOT_WANTED || this.#have[row] !== NO_FORWARD) return
    this.#clear(row, STALE | FAILED | QUEUED)
    this.#flags[row] = 0
    this.table.remove(row)
  }

  #walk(visit: Visit): void {
    this.#walks.push({ visit, at: 0 })
  }

  /** A part of the oldest walk. */
  #step(): void {
    const [walk] = this.#walks
    if (walk === undefined) return
    const end = Math.min(walk.at + WALK_ROWS, this.table.end)
    for (; walk.at < end; walk.at++) if (this.table.has(walk.at)) walk.visit(walk.at)
    if (walk.at >= this.table.end) this.#walks.shift()
  }
}

/** As text; the one in hand stays there. */
function prefixAt(family: Family, bytes: Uint8Array, at: number): Prefix {
  const table = new PrefixTable(family)
  table.read(bytes, at)
  return table.prefixOf(table.add())
}
