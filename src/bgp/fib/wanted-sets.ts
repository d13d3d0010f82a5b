/**
 * Sets of next hops as the decision named them, and what each comes to on this node.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import type { RouteHop } from '../rib/next-hops.ts'
import { type ForwardHop, type ForwardSets, NO_FORWARD } from './forward-sets.ts'

/** The ways to a next hop; none: it cannot be used now. */
export type Resolve = (hop: RouteHop) => readonly ForwardHop[]

/** Nothing is wanted. */
export const NOT_WANTED = 0

interface WantedSet {
  readonly key: string
  readonly hops: readonly RouteHop[]
  holders: number
  forward: number
}

export class WantedSets {
  readonly #ids = new Map<string, number>()
  readonly #sets: (WantedSet | undefined)[] = [undefined]
  readonly #free: number[] = []
  readonly #forwards: ForwardSets
  readonly #resolve: Resolve

  constructor(forwards: ForwardSets, resolve: Resolve) {
    this.#forwards = forwards
    this.#resolve = resolve
  }

  get size(): number {
    return this.#ids.size
  }

  hold(hops: readonly RouteHop[]): number {
    if (hops.length === 0) return NOT_WANTED
    const key = hops.map(keyOf).sort().join()
    let id = this.#ids.get(key)
    if (id === undefined) {
      id = this.#free.pop() ?? this.#sets.length
      this.#ids.set(key, id)
      const forward = this.#forwards.hold(hops.flatMap(this.#resolve))
      this.#sets[id] = { key, hops, holders: 0, forward }
    }
    this.#sets[id]!.holders++
    return id
  }

  share(id: number): number {
    if (id !== NOT_WANTED) this.#sets[id]!.holders++
    return id
  }

  release(id: number): void {
    if (id === NOT_WANTED) return
    const set = this.#sets[id]!
    if (--set.holders > 0) return
    this.#ids.delete(set.key)
    this.#forwards.release(set.forward)
    this.#sets[id] = undefined
    this.#free.push(id)
  }

  hopsOf(id: number): readonly RouteHop[] {
    return this.#sets[id]?.hops ?? []
  }

  /** What the set comes to: a number of `ForwardSets`, not held for the caller. */
  forwardOf(id: number): number {
    return this.#sets[id]?.forward ?? NO_FORWARD
  }

  /** Asks again for sets with one of these in them; returns those that come to something else. */
  changed(ips: ReadonlySet<Ip>): readonly number[] {
    return this.#sets.flatMap((set, id) => {
      const isMeant = set?.hops.some((hop) => addressesOf(hop).some((ip) => ips.has(ip)))
      if (set === undefined || isMeant !== true) return []
      const before = set.forward
      set.forward = this.#forwards.hold(set.hops.flatMap(this.#resolve))
      this.#forwards.release(before)
      return before === set.forward ? [] : [id]
    })
  }

  /** Every address that some set depends on. */
  addresses(): ReadonlySet<Ip> {
    return new Set(this.#sets.flatMap((set) => set?.hops.flatMap(addressesOf) ?? []))
  }
}

/** What must be known to use a hop. */
export const addressesOf = ({ nextHop, peer }: RouteHop): readonly Ip[] =>
  peer === undefined ? [nextHop] : [nextHop, peer]

const keyOf = ({ nextHop, linkLocal = '' as Ip, peer = '' as Ip }: RouteHop): string =>
  `${nextHop} ${linkLocal}%${peer}`
