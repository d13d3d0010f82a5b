/**
 * A network of BGP routers as plain data: what one speaker and another are both made of.
 *
 * Every router has a number, from which its addresses follow; a session is two ends. All
 * of it is what configurations say, nothing is derived, so a smaller network is made by
 * leaving things out.
 *
 * @module
 */
import type { Originated } from '../../../src/bgp/config.ts'
import type { Family } from '../../../src/bgp/nlri.ts'
import type { Policy } from '../../../src/bgp/policy/policy.ts'
import type { MedMissing } from '../../../src/bgp/rib/loc-store.ts'
import type { PeerKind, PeerRole } from '../../../src/bgp/rib/peers.ts'
import type { Ip, Prefix } from '../../../src/net/mod.ts'

export interface Topology {
  readonly seed: number
  readonly routers: readonly Router[]
  readonly sessions: readonly Session[]
  readonly medMissing: MedMissing
  readonly alwaysCompareMed: boolean
  readonly events: readonly Event[]
}

export interface Router {
  readonly id: number
  readonly asn: number
  readonly routerId: Ip
  readonly clusterId?: Ip
  readonly originate: readonly Originated[]
  /** The IGP's metric to every address of another router; none: there is no way to it. */
  readonly costs: Readonly<Record<number, number>>
}

export interface Session {
  readonly id: number
  /** What carries it. */
  readonly transport: Family
  readonly families: readonly Family[]
  readonly ends: readonly [End, End]
}

export interface End {
  readonly router: number
  /** Which of the router's addresses. */
  readonly alias: number
  /** What the router at the other end is to this one. */
  readonly kind: PeerKind
  readonly role?: PeerRole
  readonly importPolicy?: Policy
  readonly exportPolicy?: Policy
}

/** What happens once everything is quiet. */
export type Event =
  | { readonly kind: 'announce'; readonly router: number; readonly route: Originated }
  | { readonly kind: 'withdraw'; readonly router: number; readonly prefix: Prefix }
  | { readonly kind: 'cut'; readonly session: number }

export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6']

/** Address of a router in a family. */
export const addressOf = (router: number, alias: number, family: Family): Ip =>
  (family === 'ipv4'
    ? `10.0.${router}.${alias}`
    : `fd00::${router.toString(16)}:${alias.toString(16)}`) as Ip

/** The router that has an address. */
export function ownerOf(address: Ip): number {
  return address.includes(':')
    ? Number.parseInt(address.split(':').at(-2) ?? '', 16)
    : Number(address.split('.')[2])
}

export const endAddress = ({ transport }: Session, { router, alias }: End): Ip =>
  addressOf(router, alias, transport)

export const routerOf = ({ routers }: Topology, id: number): Router => {
  const found = routers.find((each) => each.id === id)
  if (found === undefined) throw new Error(`there is no router ${id}`)
  return found
}

/** The sessions of a router, this end first. */
export function sidesOf(
  { sessions }: Topology,
  router: number,
): readonly { readonly session: Session; readonly near: End; readonly far: End }[] {
  return sessions.flatMap((session) => {
    const [left, right] = session.ends
    if (left.router === router) return [{ session, near: left, far: right }]
    return right.router === router ? [{ session, near: right, far: left }] : []
  })
}
