/**
 * What changed: a notification of any kind, as one union.
 *
 * @module
 */
import type { Message } from '../message.ts'
import { type Addr, decodeAddr } from './addr.ts'
import { RTM } from './constants.ts'
import { decodeFdb, type Fdb } from './fdb.ts'
import { decodeLink, type Link } from './link.ts'
import { decodeNeigh, type Neigh } from './neigh.ts'
import { decodeNexthop, type Nexthop } from './nexthop-object.ts'
import { decodeRoute, type Route } from './route.ts'
import { decodeRule, type Rule } from './rule.ts'
import { decodeVnis, type Vni } from './vni.ts'

/** One notification. `new` also means "changed". */
export type Event = { readonly change: 'new' | 'del' } & (
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'addr'; readonly addr: Addr }
  | { readonly kind: 'route'; readonly route: Route }
  | { readonly kind: 'neigh'; readonly neigh: Neigh }
  | { readonly kind: 'fdb'; readonly fdb: Fdb }
  | { readonly kind: 'rule'; readonly rule: Rule }
  | { readonly kind: 'nexthop'; readonly nexthop: Nexthop }
  | { readonly kind: 'vni'; readonly vnis: readonly Vni[] }
)

const REMOVALS: ReadonlySet<number> = new Set([
  RTM.delLink,
  RTM.delAddr,
  RTM.delRoute,
  RTM.delNeigh,
  RTM.delRule,
  RTM.delNexthop,
  RTM.delTunnel,
])

/**
 * Reads a notification; undefined when it is about something else.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeEvent(message: Message): Event | undefined {
  const change = REMOVALS.has(message.type) ? 'del' : 'new'
  switch (message.type) {
    case RTM.newLink:
    case RTM.delLink: {
      const link = decodeLink(message)
      return link && { change, kind: 'link', link }
    }
    case RTM.newAddr:
    case RTM.delAddr: {
      const addr = decodeAddr(message)
      return addr && { change, kind: 'addr', addr }
    }
    case RTM.newRoute:
    case RTM.delRoute: {
      const route = decodeRoute(message)
      return route && { change, kind: 'route', route }
    }
    case RTM.newNeigh:
    case RTM.delNeigh: {
      const fdb = decodeFdb(message)
      if (fdb !== undefined) return { change, kind: 'fdb', fdb }
      const neigh = decodeNeigh(message)
      return neigh && { change, kind: 'neigh', neigh }
    }
    case RTM.newRule:
    case RTM.delRule: {
      const rule = decodeRule(message)
      return rule && { change, kind: 'rule', rule }
    }
    case RTM.newTunnel:
    case RTM.delTunnel:
      return { change, kind: 'vni', vnis: decodeVnis(message) }
    case RTM.newNexthop:
    case RTM.delNexthop: {
      const nexthop = decodeNexthop(message)
      return nexthop && { change, kind: 'nexthop', nexthop }
    }
    default:
      return undefined
  }
}
