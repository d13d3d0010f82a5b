/**
 * The pairs of pods that are watched: a sample by chance, half of it with an end on
 * a node that a fault is about. A pod that is no more gives its place to another, and
 * every fourth place is that of a pod that came last.
 *
 * @module
 */
import type { Prng } from '../../src/prng.ts'
import type { SimPod } from '../node.ts'
import type { Cluster } from '../world.ts'

/** One place of so many is for pods that come later. */
const ONE_FOR_NEW_OF = 4
/** Drawn so often before a place stays empty: networks may be closed to each other. */
const DRAWS_MAX = 16

export interface WatchedPair {
  readonly from: SimPod
  readonly to: SimPod
}

export const isAlive = (pod: SimPod): boolean => pod.node.pods.get(pod.id) === pod

export class PairSample {
  /** By place; undefined: nobody to watch. */
  readonly pairs: (WatchedPair | undefined)[]

  private readonly cluster: Cluster
  private readonly victims: ReadonlySet<number>
  private readonly chance: Prng
  /** Pods that were there at the last look, by number. */
  private known: Set<number> | undefined
  private added = -1
  private newPlace = 0

  /** @param victims Indexes of nodes that faults are about. */
  constructor(cluster: Cluster, size: number, victims: ReadonlySet<number>, chance: Prng) {
    this.cluster = cluster
    this.victims = victims
    this.chance = chance
    this.pairs = Array.from({ length: size }, () => undefined)
  }

  /**
   * Fills every place whose pair is no more, and gives some to pods that are new.
   *
   * @param gone Called with each pair that leaves.
   */
  renew(gone: (place: number) => void): void {
    const places = [...this.pairs.entries()].flatMap(([place, pair]) => {
      return pair === undefined || !isAlive(pair.from) || !isAlive(pair.to) ? [place] : []
    })
    const { podsAdded } = this.cluster
    if (places.length === 0 && podsAdded === this.added) return
    this.added = podsAdded
    const pods = this.cluster.pods()
    const { known } = this
    const fresh = known === undefined ? [] : pods.filter(({ id }) => !known.has(id))
    this.known = new Set(pods.map(({ id }) => id))
    const near = pods.filter(({ node }) => this.victims.has(node.index))
    for (const place of places) {
      this.put(place, this.draw(pods, place % 2 === 0 ? near : pods), gone)
    }
    const room = Math.ceil(this.pairs.length / ONE_FOR_NEW_OF)
    for (const pod of fresh.slice(-room)) {
      const pair = this.draw(pods, [pod])
      if (pair !== undefined) this.put(this.newPlace, pair, gone)
      this.newPlace += ONE_FOR_NEW_OF
      if (this.newPlace >= this.pairs.length) this.newPlace = 0
    }
  }

  private put(place: number, pair: WatchedPair | undefined, gone: (place: number) => void): void {
    if (this.pairs[place] !== undefined) gone(place)
    this.pairs[place] = pair
  }

  private draw(pods: readonly SimPod[], first: readonly SimPod[]): WatchedPair | undefined {
    const { chance } = this
    const ends = first.length === 0 ? pods : first
    for (let draw = 0; pods.length > 1 && draw < DRAWS_MAX; draw++) {
      const near = ends[chance.below(ends.length)]!
      const other = pods[chance.below(pods.length)]!
      const [from, to] = chance.below(2) === 0 ? [near, other] : [other, near]
      const { mayReach } = this.cluster
      if (from === to) continue
      if (mayReach.call(this.cluster, from.attachment.network, to.attachment.network)) {
        return { from, to }
      }
    }
    return undefined
  }
}
