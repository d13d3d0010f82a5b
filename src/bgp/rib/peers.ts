/**
 * Whom routes come from and go to, as far as decision and export must know it.
 *
 * @module
 */
import { unreachable } from '../../errors.ts'
import { type Ip, ipToInteger, ipToSortable } from '../../net/mod.ts'
import type { Family } from '../nlri.ts'
import type { Hop } from '../policy/compiled.ts'
import type { Policy } from '../policy/policy.ts'
import { grown, ROWS_MIN } from './columns.ts'

/** A client is an iBGP peer that this speaker reflects routes to (RFC 4456 section 4). */
export type PeerKind = 'ebgp' | 'ibgp' | 'client'

/** What the peer is to us (RFC 9234 section 3). */
export type PeerRole = 'provider' | 'customer' | 'peer' | 'route-server' | 'route-server-client'

/** What a session agreed on, when it comes up. */
export interface Peer {
  /** Its end of the session: the peer's name in everything this RIB says, and the last step of a decision. */
  readonly address: Ip
  readonly kind: PeerKind
  readonly asn: number
  readonly routerId: Ip
  readonly families: Readonly<Partial<Record<Family, PeerFamily>>>
  /** None: eBGP takes nothing (RFC 8212), iBGP everything. */
  readonly importPolicy?: Policy
  /** None: eBGP sends nothing (RFC 8212), iBGP everything. */
  readonly exportPolicy?: Policy
  readonly role?: PeerRole
  /** Its session is about to end (RFC 8326). @default false */
  readonly gracefulShutdown?: boolean
  /** It is told what others say as they say it (RFC 7947); external peers only. @default false */
  readonly transparent?: boolean
}

/** What of a peer may be different from one moment to the next. */
export type PeerPolicies = Pick<
  Peer,
  'importPolicy' | 'exportPolicy' | 'gracefulShutdown' | 'transparent'
>

export interface PeerFamily {
  /** This end of the session, as a next hop. */
  readonly self: Hop
  /** Whether the peer takes more than one path a prefix (RFC 7911). @default false */
  readonly addPathSend?: boolean
  readonly prefixesMax?: PrefixLimit
}

/** RFC 4486 section 4: how many paths a peer may teach, and what happens beyond. */
export interface PrefixLimit {
  readonly count: number
  /** `warn` says so, `ignore` also leaves out new prefixes, `down` asks for the session's end. */
  readonly action: 'warn' | 'ignore' | 'down'
}

/** The peer with other limits. */
export function withLimits(
  peer: Peer,
  limits: Readonly<Partial<Record<Family, PrefixLimit>>>,
): Peer {
  const families: Partial<Record<Family, PeerFamily>> = {}
  for (const family of ['ipv4', 'ipv6'] as const) {
    const known = peer.families[family]
    if (known === undefined) continue
    const { prefixesMax: _old, ...rest } = known
    const limit = limits[family]
    families[family] = { ...rest, ...(limit && { prefixesMax: limit }) }
  }
  return { ...peer, families }
}

/** The number of this speaker among peers: what it originates. */
export const OWN = 0

/** Peers by small numbers, with what a decision reads in columns. */
export class Peers {
  readonly #byAddress = new Map<Ip, number>()
  readonly #peers: (Peer | undefined)[] = [undefined]
  readonly #free: number[] = []
  /** By address, IPv4 first. */
  #order: { readonly key: string; readonly id: number }[] = []
  /** BGP identifiers as numbers. */
  routerId = new Uint32Array(ROWS_MIN)
  /** The order of addresses; this speaker first. */
  rank = new Uint16Array(ROWS_MIN)

  /** The peer's number; the same as before when it comes back. */
  add(peer: Peer): number {
    const known = this.#byAddress.get(peer.address)
    const id = known ?? this.#free.pop() ?? this.#peers.length
    this.#peers[id] = peer
    this.#byAddress.set(peer.address, id)
    if (id >= this.rank.length) {
      this.routerId = grown(this.routerId, 2 * this.rank.length)
      this.rank = grown(this.rank, 2 * this.rank.length)
    }
    this.routerId[id] = Number(ipToInteger(peer.routerId))
    if (known === undefined) this.#insert(id)
    return id
  }

  remove(id: number): void {
    this.#byAddress.delete(this.of(id).address)
    this.#peers[id] = undefined
    const place = this.#order.findIndex((each) => each.id === id)
    this.#order.splice(place, 1)
    // Otherwise the next that comes would have the rank of one that is there.
    this.#rankFrom(place)
    this.#free.push(id)
  }

  of(id: number): Peer {
    return this.#peers[id] ?? unreachable(`a path of peer ${id}, which there is not`)
  }

  find(address: Ip): number | undefined {
    return this.#byAddress.get(address)
  }

  /** For people: the address, or that it is ours. */
  nameOf(id: number): Ip | 'own' {
    return id === OWN ? 'own' : this.of(id).address
  }

  /** Finds the place by halving: a thousand sessions come up at once. */
  #insert(id: number): void {
    const key = ipToSortable(this.of(id).address)
    let [low, high] = [0, this.#order.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#order[middle]!.key < key) low = middle + 1
      else high = middle
    }
    this.#order.splice(low, 0, { key, id })
    this.#rankFrom(low)
  }

  #rankFrom(first: number): void {
    for (let place = first; place < this.#order.length; place++) {
      this.rank[this.#order[place]!.id] = place + 1
    }
  }
}
