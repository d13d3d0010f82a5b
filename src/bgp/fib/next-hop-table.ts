/**
 * What is known of next hops: by which ways of this node each is reached, at what cost.
 *
 * A next hop on a link of this node is used as it is. Another is reached as the kernel
 * reaches it: the route to it is looked up, and its gateways take the packets (recursive
 * resolution, RFC 4271 section 5.1.3). A route of this speaker's own may be that route
 * when its next hops are on links themselves; otherwise two routes could lead to each
 * other and outlive what they came from. Its own default route never is.
 *
 * @module
 */
import { hostPrefix, type Ip, ipFamily, type Prefix, prefixLength } from '../../net/mod.ts'
import { grown, ROWS_MIN } from '../rib/columns.ts'
import type { RouteHop } from '../rib/next-hops.ts'
import { PrefixTable } from '../rib/prefix-table.ts'
import type { ForwardHop } from './forward-sets.ts'

/** What the kernel says about the way to an address. */
export type RouteAnswer =
  | { readonly kind: 'none' }
  /** It is this node's own. */
  | { readonly kind: 'own' }
  | {
      readonly kind: 'route'
      readonly prefix: Prefix
      /** One of this speaker's routes. */
      readonly isOurs: boolean
      readonly metric: number
      /** Those in use. One without a gateway: the address is on that link. */
      readonly hops: readonly ForwardHop[]
    }

export interface NextHopSources {
  readonly ask: (ip: Ip) => RouteAnswer
  /** The link with an address whose prefix holds `ip`, whatever routes say. */
  readonly linkOf: (ip: Ip) => number | undefined
  /** Next hops that are wanted for a prefix; undefined: none are. */
  readonly wantedFor: (prefix: Prefix) => readonly RouteHop[] | undefined
}

/** How a next hop is reached. */
export type Resolution =
  | { readonly kind: 'direct'; readonly link: number; readonly hop: ForwardHop }
  | { readonly kind: 'recursive'; readonly cost: number; readonly hops: readonly ForwardHop[] }
  | { readonly kind: 'none' }

const NONE: Resolution = { kind: 'none' }

export const isLinkLocal = (ip: Ip): boolean => /^fe[89ab]/.test(ip)

export class NextHopTable {
  readonly #sources: NextHopSources
  readonly #known = new Map<Ip, Resolution>()
  readonly #covering = { 4: new Covering('ipv4'), 6: new Covering('ipv6') } as const

  constructor(sources: NextHopSources) {
    this.#sources = sources
  }

  get size(): number {
    return this.#known.size
  }

  addresses(): Iterable<Ip> {
    return this.#known.keys()
  }

  /** What is known of it; the kernel is asked once. */
  resolution(ip: Ip): Resolution {
    let found = this.#known.get(ip)
    if (found === undefined) {
      found = this.#ask(ip)
      this.#known.set(ip, found)
      this.#covering[ipFamily(ip)].add(ip)
    }
    return found
  }

  /** RibOptions.costOf: 0 on a link; the route's metric, at least 1, elsewhere. */
  costOf(ip: Ip): number | undefined {
    const found = this.resolution(ip)
    switch (found.kind) {
      case 'direct':
        return 0
      case 'recursive':
        return found.cost
      case 'none':
        return undefined
    }
  }

  /** The ways to what a peer named. */
  hopsOf({ nextHop, linkLocal, peer }: RouteHop): readonly ForwardHop[] {
    const there = isLinkLocal(nextHop) ? nextHop : linkLocal
    const link = peer === undefined ? undefined : this.#linkTo(peer)
    if (there !== undefined && link !== undefined) return [{ gateway: there, link, weight: 1 }]
    const found = this.resolution(nextHop)
    if (found.kind === 'direct') return [found.hop]
    return found.kind === 'recursive' ? found.hops : []
  }

  #linkTo(peer: Ip): number | undefined {
    const found = this.resolution(peer)
    return found.kind === 'direct' ? found.link : undefined
  }

  /** Asks again; returns those with another answer. */
  recheck(ips: Iterable<Ip>): ReadonlySet<Ip> {
    const changed = new Set<Ip>()
    for (const ip of ips) {
      const before = this.#known.get(ip)
      if (before === undefined) continue
      const now = this.#ask(ip)
      if (sameResolution(before, now)) continue
      this.#known.set(ip, now)
      changed.add(ip)
    }
    return changed
  }

  /** Whether a route to the prefix could be the way to a known next hop. */
  covers(prefix: Prefix): boolean {
    return this.#covering[ipFamily(prefix)].has(prefix)
  }

  /** The same of a prefix that a table of its family has under this number. */
  coversRow(table: PrefixTable, row: number): boolean {
    return this.#covering[table.family === 'ipv4' ? 4 : 6].hasRow(table, row)
  }

  forget(ip: Ip): void {
    if (this.#known.delete(ip)) this.#covering[ipFamily(ip)].remove(ip)
  }

  #ask(ip: Ip): Resolution {
    // Such an address is on every link: only its peer's tells which is meant.
    if (isLinkLocal(ip)) return NONE
    const answer = this.#sources.ask(ip)
    if (answer.kind !== 'route') return NONE
    if (answer.isOurs) return this.#byOwnRoute(ip, answer.prefix)
    const [first] = answer.hops
    if (first === undefined) return NONE
    if (answer.hops.every(({ gateway }) => gateway === undefined)) return directly(ip, first)
    return {
      kind: 'recursive',
      cost: Math.max(1, answer.metric),
      hops: withGateways(ip, answer.hops),
    }
  }

  #byOwnRoute(ip: Ip, prefix: Prefix): Resolution {
    const link = this.#sources.linkOf(ip)
    if (link !== undefined) return directly(ip, { link, weight: 1 })
    // Otherwise everything would be reachable as long as somebody teaches one.
    if (prefixLength(prefix) === 0) return NONE
    const wanted = this.#sources.wantedFor(prefix) ?? []
    if (wanted.some(({ nextHop }) => nextHop === ip)) return NONE
    const hops = wanted.flatMap((hop) => {
      const there = this.#sources.linkOf(hop.peer ?? hop.nextHop)
      if (there === undefined) return []
      const gateway = hop.linkLocal ?? hop.nextHop
      return [{ gateway, link: there, weight: 1 }]
    })
    return hops.length === 0 ? NONE : { kind: 'recursive', cost: 1, hops }
  }
}

function directly(gateway: Ip, { link, isOnlink, encap }: ForwardHop): Resolution {
  const hop: ForwardHop = {
    gateway,
    link,
    weight: 1,
    ...(isOnlink ? { isOnlink } : {}),
    ...(encap ? { encap } : {}),
  }
  return { kind: 'direct', link, hop }
}

const withGateways = (ip: Ip, hops: readonly ForwardHop[]): readonly ForwardHop[] =>
  hops.map((hop) => (hop.gateway === undefined ? { ...hop, gateway: ip } : hop))

const sameResolution = (left: Resolution, right: Resolution): boolean =>
  JSON.stringify(left) === JSON.stringify(right)

/** Every prefix that holds one of some addresses, counted. */
class Covering {
  readonly #table: PrefixTable
  #counts = new Int32Array(ROWS_MIN)

  constructor(family: 'ipv4' | 'ipv6') {
    this.#table = new PrefixTable(family)
  }

  add(ip: Ip): void {
    this.#each(ip, () => {
      const row = this.#table.add()
      if (this.#table.capacity > this.#counts.length) {
        this.#counts = grown(this.#counts, this.#table.capacity)
      }
      this.#counts[row]!++
    })
  }

  remove(ip: Ip): void {
    this.#each(ip, () => {
      const row = this.#table.find()
      if (--this.#counts[row]! === 0) this.#table.remove(row)
    })
  }

  has(prefix: Prefix): boolean {
    if (this.#table.size === 0) return false
    this.#table.readPrefix(prefix)
    return this.#table.find() >= 0
  }

  hasRow(table: PrefixTable, row: number): boolean {
    if (this.#table.size === 0) return false
    this.#table.readId(table, row, table.lengthOf(row))
    return this.#table.find() >= 0
  }

  #each(ip: Ip, visit: () => void): void {
    const whole = hostPrefix(ip)
    for (let bits = prefixLength(whole); bits >= 0; bits--) {
      this.#table.readPrefix(whole)
      this.#table.cut(bits)
      visit()
    }
  }
}
