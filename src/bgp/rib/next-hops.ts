/**
 * Next hops with what the IGP says of each, and the sets of them that the kernel is
 * to use for a prefix.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import { grown, ROWS_MIN } from './columns.ts'

/** The metric to a next hop in the IGP; undefined: there is no way to it. */
export type CostOf = (nextHop: Ip) => number | undefined

/** Where the kernel is to send packets. */
export interface RouteHop {
  readonly nextHop: Ip
  /** To be used instead of the global one (RFC 2545 section 3) … */
  readonly linkLocal?: Ip
  /** … on the link to this peer. */
  readonly peer?: Ip
}

/** In the `cost` column: no way there. */
export const UNREACHABLE = -1

/** Next hops of attributes by small numbers, counted by their holders. */
export class NextHops {
  readonly #ids = new Map<Ip, number>()
  readonly #ips: Ip[] = []
  readonly #free: number[] = []
  readonly #costOf: CostOf
  #holders = new Int32Array(ROWS_MIN)
  cost = new Int32Array(ROWS_MIN)

  constructor(costOf: CostOf) {
    this.#costOf = costOf
  }

  get size(): number {
    return this.#ids.size
  }

  hold(ip: Ip): number {
    let id = this.#ids.get(ip)
    if (id === undefined) {
      id = this.#free.pop() ?? this.#ips.length
      if (id >= this.cost.length) {
        this.#holders = grown(this.#holders, 2 * this.cost.length)
        this.cost = grown(this.cost, 2 * this.cost.length)
      }
      this.#ips[id] = ip
      this.#ids.set(ip, id)
      this.cost[id] = this.#costOf(ip) ?? UNREACHABLE
    }
    this.#holders[id]!++
    return id
  }

  release(id: number): void {
    if (--this.#holders[id]! > 0) return
    this.#ids.delete(this.#ips[id]!)
    this.#free.push(id)
  }

  /** Asks again; the number of the next hop if its cost is another now. */
  changed(ip: Ip): number | undefined {
    const id = this.#ids.get(ip)
    if (id === undefined) return undefined
    const cost = this.#costOf(ip) ?? UNREACHABLE
    if (this.cost[id] === cost) return undefined
    this.cost[id] = cost
    return id
  }
}

/** No next hop: no route of ours in the kernel. */
export const NO_ROUTE = 0

/** Sets of next hops by small numbers, counted by the prefixes that use them. */
export class RouteSets {
  readonly #ids = new Map<string, number>()
  readonly #keys: string[] = ['']
  readonly #sets: (readonly RouteHop[])[] = [[]]
  readonly #free: number[] = []
  #holders = new Int32Array(ROWS_MIN)

  get size(): number {
    return this.#ids.size
  }

  /** Members in the order of decision; the number does not depend on it. */
  hold(hops: readonly RouteHop[]): number {
    const key =
      hops.length === 1
        ? keyOf(hops[0]!)
        : [...new Set(hops.map(keyOf))].sort((left, right) => (left < right ? -1 : 1)).join()
    let id = this.#ids.get(key)
    if (id === undefined) {
      id = this.#free.pop() ?? this.#sets.length
      if (id >= this.#holders.length) this.#holders = grown(this.#holders, 2 * id)
      this.#ids.set(key, id)
      this.#keys[id] = key
      this.#sets[id] = distinct(hops)
    }
    this.#holders[id]!++
    return id
  }

  /** One more prefix uses a set that is held. */
  share(id: number): number {
    if (id !== NO_ROUTE) this.#holders[id]!++
    return id
  }

  release(id: number): void {
    if (id === NO_ROUTE || --this.#holders[id]! > 0) return
    this.#ids.delete(this.#keys[id]!)
    this.#free.push(id)
  }

  of(id: number): readonly RouteHop[] {
    return this.#sets[id]!
  }
}

const keyOf = ({ nextHop, linkLocal, peer }: RouteHop): string =>
  linkLocal === undefined ? nextHop : `${linkLocal}%${peer}`

function distinct(hops: readonly RouteHop[]): readonly RouteHop[] {
  const byKey = new Map<string, RouteHop>()
  for (const hop of hops) if (!byKey.has(keyOf(hop))) byKey.set(keyOf(hop), hop)
  return Object.freeze([...byKey.values()])
}
