/**
 * Which of a prefix's paths is best: RFC 4271 section 9.1, step by step.
 *
 * Steps of `NARROWING` each leave those that are equally good, so MED, which compares
 * only paths of one neighbour AS, does not depend on the order of arrival. What is
 * left behind them can be used together (multipath); `TIE_BREAKING` orders these.
 *
 * Against BIRD 2 (`test/bgp/differential`): the same order of steps. BIRD compares paths
 * two by two unless `deterministic med` is on; here it always is. BIRD prefers own routes
 * by a preference of their protocol, here they are a step. BIRD uses a path without a way
 * to its next hop when there is no other, here it is left out. RFC 5004 (the older external
 * path wins) is in neither by default, and not here at all: it would make the result
 * depend on history.
 *
 * @module
 */
import { grown, ROWS_MIN } from './columns.ts'
import { LOC_KINDS, type LocStore } from './loc-store.ts'
import { type NextHops, UNREACHABLE } from './next-hops.ts'
import { NO_PATH, type Paths } from './paths.ts'
import type { Peers } from './peers.ts'

/** The columns that a decision reads. */
export interface DecisionTables {
  readonly paths: Paths
  readonly loc: LocStore
  readonly nextHops: NextHops
  readonly peers: Peers
}

interface Step {
  readonly name: string
  /** The smaller the better. */
  key(tables: DecisionTables, path: number, loc: number): number
  /** Compared only among paths of one neighbour AS. */
  readonly isWithinNeighbourAs?: true
}

const OWN_KIND = LOC_KINDS.indexOf('own')
const EBGP_KIND = LOC_KINDS.indexOf('ebgp')

const NARROWING = [
  // What this speaker announces itself does not yield to what others say of it.
  { name: 'own', key: ({ loc }, _, id) => (loc.tagOf(id) === OWN_KIND ? 0 : 1) },
  // 9.1.1, 9.1.2
  { name: 'local-preference', key: ({ loc }, _, id) => -loc.localPref[id]! },
  // 9.1.2.2 a
  { name: 'as-path-length', key: ({ loc }, _, id) => loc.pathLength[id]! },
  // 9.1.2.2 b
  { name: 'origin', key: ({ loc }, _, id) => loc.origin[id]! },
  // 9.1.2.2 c
  { name: 'med', key: ({ loc }, _, id) => loc.med[id]!, isWithinNeighbourAs: true },
  // 9.1.2.2 d
  { name: 'ebgp-over-ibgp', key: ({ loc }, _, id) => (loc.tagOf(id) <= EBGP_KIND ? 0 : 1) },
  // 9.1.2.2 e
  { name: 'igp-cost', key: ({ loc, nextHops }, _, id) => nextHops.cost[loc.nextHop[id]!]! },
] as const satisfies readonly Step[]

const TIE_BREAKING = [
  // 9.1.2.2 f; ORIGINATOR_ID instead where there is one: RFC 4456 section 9
  {
    name: 'router-id',
    key: ({ loc, paths, peers }, path, id) =>
      loc.originator[id]! === 0 ? peers.routerId[paths.peer[path]!]! : loc.originator[id]!,
  },
  // RFC 4456 section 9
  { name: 'cluster-list-length', key: ({ loc }, _, id) => loc.clusters[id]! },
  // 9.1.2.2 g
  { name: 'peer-address', key: ({ paths, peers }, path) => peers.rank[paths.peer[path]!]! },
  // Two paths of one peer differ in nothing but what the peer calls them.
  { name: 'path-id', key: ({ paths }, path) => paths.pathId[path]! },
] as const satisfies readonly Step[]

export type StepName =
  | (typeof NARROWING)[number]['name']
  | (typeof TIE_BREAKING)[number]['name']
  | 'next-hop'

/** In the order in which they are taken; `next-hop` leaves out what cannot be reached (9.1.2.1). */
export const STEPS: readonly StepName[] = [
  'next-hop',
  ...NARROWING.map(({ name }) => name),
  ...TIE_BREAKING.map(({ name }) => name),
]

/** Is told of every path that loses, and at which step. */
export type OnLoss = (path: number, step: StepName) => void

const BEST = 0
const BEATEN = Number.POSITIVE_INFINITY

/** What a decision found: the number of candidates that were equally good, the best one first. */
export class Decision {
  readonly #tables: DecisionTables
  readonly #narrowing: readonly Step[]
  readonly #tieBreaking: readonly Step[]
  readonly #needsNextHop: boolean
  readonly #multipath: number
  readonly #alwaysMed: boolean
  /** Paths: first the best, then those to be used with it, then what takes no part. */
  candidates = new Int32Array(ROWS_MIN)
  /** Candidates whose next hop can be reached. */
  eligible = 0
  /** Of them, those to be used together. */
  chosen = 0
  #keys = new Float64Array(ROWS_MIN)

  constructor(
    tables: DecisionTables,
    options: {
      readonly multipath: number
      readonly alwaysCompareMed: boolean
      readonly steps: readonly StepName[]
    },
  ) {
    this.#tables = tables
    this.#narrowing = NARROWING.filter(({ name }) => options.steps.includes(name))
    this.#tieBreaking = TIE_BREAKING.filter(({ name }) => options.steps.includes(name))
    this.#needsNextHop = options.steps.includes('next-hop')
    this.#multipath = options.multipath
    this.#alwaysMed = options.alwaysCompareMed
  }

  /** Decides among the list that begins at `head` and returns the best path, or `NO_PATH`. */
  decide(head: number, onLoss?: OnLoss): number {
    const { paths, loc, nextHops } = this.#tables
    let count = 0
    for (let path = head; path !== NO_PATH; path = paths.next[path]!) {
      const id = paths.loc[path]!
      if (id === 0) continue
      const cost = nextHops.cost[loc.nextHop[id]!]!
      if (this.#needsNextHop && cost === UNREACHABLE && loc.tagOf(id) !== OWN_KIND) {
        onLoss?.(path, 'next-hop')
        continue
      }
      if (count === this.candidates.length) {
        this.candidates = grown(this.candidates, 2 * count)
        this.#keys = new Float64Array(2 * count)
      }
      this.candidates[count++] = path
    }
    this.eligible = count
    this.chosen = Math.min(count, 1)
    if (count === 0) return NO_PATH
    if (count === 1) return this.candidates[0]!
    for (const step of this.#narrowing) count = this.#narrow(step, count, onLoss)
    this.#order(count)
    if (onLoss !== undefined) this.#tellTies(count, onLoss)
    this.chosen = Math.min(count, this.#multipath)
    return this.candidates[0]!
  }

  /** Moves those that are best in this step to the front and returns how many they are. */
  #narrow(step: Step, count: number, onLoss?: OnLoss): number {
    if (count === 1) return 1
    const { candidates } = this
    const { paths } = this.#tables
    const keys = this.#keys
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (let at = 0; at < count; at++) {
      const path = candidates[at]!
      const key = step.key(this.#tables, path, paths.loc[path]!)
      keys[at] = key
      if (key < least) least = key
      if (key > most) most = key
    }
    if (least === most) return count
    if (step.isWithinNeighbourAs === true && !this.#alwaysMed) this.#markWithin(count)
    else for (let at = 0; at < count; at++) keys[at] = keys[at] === least ? BEST : BEATEN
    let kept = 0
    for (let at = 0; at < count; at++) {
      if (keys[at] === BEATEN) continue
      const path = candidates[at]!
      candidates[at] = candidates[kept]!
      keys[at] = keys[kept]!
      candidates[kept++] = path
    }
    if (onLoss !== undefined) {
      for (let at = kept; at < count; at++) onLoss(candidates[at]!, step.name as StepName)
    }
    return kept
  }

  /** Marks in `#keys` whom a path of the same neighbour AS beats. */
  #markWithin(count: number): void {
    const { loc, paths } = this.#tables
    const least = new Map<number, number>()
    const neighbourOf = (at: number): number => loc.neighbourAs[paths.loc[this.candidates[at]!]!]!
    for (let at = 0; at < count; at++) {
      const neighbour = neighbourOf(at)
      least.set(neighbour, Math.min(this.#keys[at]!, least.get(neighbour) ?? BEATEN))
    }
    for (let at = 0; at < count; at++) {
      this.#keys[at] = this.#keys[at] === least.get(neighbourOf(at)) ? BEST : BEATEN
    }
  }

  /** Insertion sort: what gets here is short. */
  #order(count: number): void {
    const { candidates } = this
    for (let at = 1; at < count; at++) {
      const path = candidates[at]!
      let to = at
      for (; to > 0 && this.#firstDifference(path, candidates[to - 1]!) < 0; to--) {
        candidates[to] = candidates[to - 1]!
      }
      candidates[to] = path
    }
  }

  /** Negative: `left` goes first, by the step whose place it is, counted from -1 down. */
  #firstDifference(left: number, right: number): number {
    const { paths } = this.#tables
    for (const [place, step] of this.#tieBreaking.entries()) {
      const difference =
        step.key(this.#tables, left, paths.loc[left]!) -
        step.key(this.#tables, right, paths.loc[right]!)
      if (difference !== 0) return difference < 0 ? -1 - place : 1 + place
    }
    return 0
  }

  #tellTies(count: number, onLoss: OnLoss): void {
    for (let at = 1; at < count; at++) {
      const place = this.#firstDifference(this.candidates[at]!, this.candidates[0]!)
      const step = this.#tieBreaking[Math.abs(place) - 1]
      if (step !== undefined) onLoss(this.candidates[at]!, step.name as StepName)
    }
  }
}
