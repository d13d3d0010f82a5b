/**
 * What a kernel does with packets of a route: a set of gateways, each on a link, by
 * small numbers. Two routes with the same set have the same number, so that comparing
 * what is wanted with what is installed is comparing two numbers.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'

/** One way out. */
export interface ForwardHop {
  /** Of any family; absent: the destination is on the link itself. */
  readonly gateway?: Ip
  /** Interface index. */
  readonly link: number
  /** 1 to 256, against the other hops of the set. */
  readonly weight: number
  /** The gateway is on the link although no address says so (RTNH_F_ONLINK). */
  readonly isOnlink?: true
  /** A tunnel's header that goes around the packet, in the words of whoever installs it. */
  readonly encap?: object
}

/** No way: nothing is to be installed, or nothing is. */
export const NO_FORWARD = 0
/** Installed is something, nobody knows what. */
export const UNKNOWN_FORWARD = -1

const WEIGHT_MAX = 256

/** Sets by number, counted by their holders. */
export class ForwardSets {
  readonly #ids = new Map<string, number>()
  readonly #keys: string[] = ['']
  readonly #sets: (readonly ForwardHop[])[] = [[]]
  readonly #holders: number[] = [0]
  readonly #free: number[] = []

  get size(): number {
    return this.#ids.size
  }

  /** The number does not depend on the order. */
  hold(hops: readonly ForwardHop[]): number {
    if (hops.length === 0) return NO_FORWARD
    const byKey = merged(hops)
    const keys = [...byKey.keys()].sort()
    const key = keys.map((each) => `${each} ${byKey.get(each)!.weight}`).join()
    let id = this.#ids.get(key)
    if (id === undefined) {
      id = this.#free.pop() ?? this.#sets.length
      this.#ids.set(key, id)
      this.#keys[id] = key
      this.#sets[id] = Object.freeze(keys.map((each) => byKey.get(each)!))
      this.#holders[id] = 0
    }
    this.#holders[id]!++
    return id
  }

  share(id: number): number {
    if (id > NO_FORWARD) this.#holders[id]!++
    return id
  }

  release(id: number): void {
    if (id <= NO_FORWARD || --this.#holders[id]! > 0) return
    this.#ids.delete(this.#keys[id]!)
    this.#free.push(id)
  }

  of(id: number): readonly ForwardHop[] {
    return this.#sets[id]!
  }

  /** Whether a hop of the set leaves by the link. */
  uses(id: number, link: number): boolean {
    return id > NO_FORWARD && this.of(id).some((hop) => hop.link === link)
  }
}

const keyOf = ({ gateway, link, isOnlink, encap }: ForwardHop): string =>
  `${gateway ?? '-'}%${link}${isOnlink ? ' onlink' : ''}${encap ? ` ${JSON.stringify(encap)}` : ''}`

/** A hop that is there twice counts twice. A single one has weight 1: there is nothing to compare it with. */
function merged(hops: readonly ForwardHop[]): Map<string, ForwardHop> {
  const byKey = new Map<string, ForwardHop>()
  for (const hop of hops) {
    const key = keyOf(hop)
    const weight = hop.weight + (byKey.get(key)?.weight ?? 0)
    byKey.set(key, { ...hop, weight: Math.min(weight, WEIGHT_MAX) })
  }
  if (byKey.size === 1) for (const [key, hop] of byKey) byKey.set(key, { ...hop, weight: 1 })
  return byKey
}
