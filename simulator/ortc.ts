/**
 * The fewest prefixes that forward as a table does: ORTC.
 *
 * Source: R. Draves, C. King, S. Venkatachary, B. Zill, "Constructing Optimal IP
 * Routing Tables", INFOCOM 1999. Three passes over a binary trie: routes are pushed
 * down to leaves; each node learns the next hops that serve it best, the common ones
 * of its halves or else all of both; each node takes one of them, or that of its
 * parent for nothing.
 *
 * What no route covers is discarded, and discarding counts as a next hop like others:
 * a prefix that discards inside a shorter one is an entry, too. With `unrouted: 'any'`
 * nobody sends there, so that any next hop serves.
 *
 * IPv4 only: a prefix is a number and a length.
 *
 * @module
 */
import { ADDRESS_BITS } from '../src/net/mod.ts'

/** A prefix by its first address, and where it leads: a number from 0 on. */
export interface PlainRoute {
  readonly start: number
  readonly length: number
  readonly nextHop: number
}

/** Next hop of what discards; only among the fewest, never given. */
export const DISCARD = -1

export interface OrtcOptions {
  /** @default 'discard' */
  readonly unrouted?: 'discard' | 'any'
}

/** Next hops in ascending order; undefined: every one there is. */
type Hops = readonly number[] | undefined

/**
 * A table of the same forwarding with the fewest entries. Of two routes of one prefix the later counts.
 */
export function fewestRoutes(
  routes: Iterable<PlainRoute>,
  { unrouted = 'discard' }: OrtcOptions = {},
): readonly PlainRoute[] {
  const trie = new Trie()
  for (const route of routes) trie.add(route)
  trie.settle(unrouted === 'discard' ? [DISCARD] : undefined)
  return trie.choose()
}

const NONE = 0
const ROOT = 1

/** Nodes in columns; node 0 is none. */
class Trie {
  private readonly low: number[] = [NONE, NONE]
  private readonly high: number[] = [NONE, NONE]
  private readonly own: (number | undefined)[] = [undefined, undefined]
  /** What serves a node best; what its closest route says. */
  private readonly hops: Hops[] = []
  private readonly inherited: Hops[] = []

  add({ start, length, nextHop }: PlainRoute): void {
    let node = ROOT
    for (let depth = 0; depth < length; depth++) node = this.half(node, bitOf(start, depth))
    this.own[node] = nextHop
  }

  /** The first two passes. @param outside What serves where no route is. */
  settle(outside: Hops): void {
    this.serve(ROOT, outside)
  }

  /** The third pass. */
  choose(): readonly PlainRoute[] {
    const chosen: PlainRoute[] = []
    // Above the root everything is discarded, for nothing.
    this.take(ROOT, 0, 0, DISCARD, chosen)
    return chosen
  }

  private half(node: number, bit: number): number {
    const column = bit === 0 ? this.low : this.high
    const present = column[node]!
    if (present !== NONE) return present
    const made = this.low.length
    this.low.push(NONE)
    this.high.push(NONE)
    this.own.push(undefined)
    column[node] = made
    return made
  }

  /** What serves a node best. @param above What its closest route says. */
  private serve(node: number, above: Hops): Hops {
    const own = this.own[node]
    const inherited = own === undefined ? above : [own]
    const [low, high] = [this.low[node]!, this.high[node]!]
    const hops =
      low === NONE && high === NONE
        ? inherited
        : together(
            low === NONE ? inherited : this.serve(low, inherited),
            high === NONE ? inherited : this.serve(high, inherited),
          )
    this.hops[node] = hops
    // A half that is not there is a leaf of that.
    this.inherited[node] = inherited
    return hops
  }

  private take(node: number, start: number, length: number, above: number, to: PlainRoute[]): void {
    const nextHop = this.write(this.hops[node], start, length, above, to)
    const [low, high] = [this.low[node]!, this.high[node]!]
    if (low === NONE && high === NONE) return
    const middle = start + 2 ** (ADDRESS_BITS[4] - length - 1)
    for (const [half, from] of [
      [low, start],
      [high, middle],
    ] as const) {
      if (half === NONE) this.write(this.inherited[node], from, length + 1, nextHop, to)
      else this.take(half, from, length + 1, nextHop, to)
    }
  }

  /** An entry, where the one above does not serve. @returns the next hop there. */
  private write(
    hops: Hops,
    start: number,
    length: number,
    above: number,
    to: PlainRoute[],
  ): number {
    if (hops === undefined || hops.includes(above)) return above
    const [nextHop = DISCARD] = hops
    to.push({ start, length, nextHop })
    return nextHop
  }
}

const bitOf = (start: number, depth: number): number =>
  Math.floor(start / 2 ** (ADDRESS_BITS[4] - 1 - depth)) % 2

/** What both have; where they have nothing in common, what either has. */
function together(left: Hops, right: Hops): Hops {
  if (left === undefined) return right
  if (right === undefined) return left
  const common = left.filter((hop) => right.includes(hop))
  if (common.length > 0) return common
  return [...new Set([...left, ...right])].sort((a, b) => a - b)
}

/** Where a table sends an address; `DISCARD` where nowhere. For checks: looks at every route. */
export function nextHopOf(routes: Iterable<PlainRoute>, address: number): number {
  let longest = -1
  let found = DISCARD
  for (const { start, length, nextHop } of routes) {
    const size = 2 ** (ADDRESS_BITS[4] - length)
    if (length <= longest || address < start || address >= start + size) continue
    longest = length
    found = nextHop
  }
  return found
}
