/**
 * Dumps and notifications of netlink as kernel objects.
 *
 * Still pure: it reads messages; `live` moves the bytes.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import type { Ip, Mac, Prefix } from '../net/mod.ts'
import type { KernelEvent } from './op.ts'
import { ownsLink } from './ownership.ts'
import {
  type Addr,
  DEFAULT_METRIC,
  type Fdb,
  type KernelObject,
  type Link,
  type LinkKind,
  type Neigh,
  type Route,
  type Vni,
} from './state.ts'

/** Reads one namespace's tables: links, addresses, routes of the main table, permanent neighbours. */
export function readState(conn: nl.Conn): readonly KernelObject[] {
  return [...readTables(conn)].flat()
}

/** The same table by table, so that a caller may do something else in between. */
export function* readTables(conn: nl.Conn): Generator<readonly KernelObject[]> {
  const links = conn.dump(nl.link.list())
  const names = new Map(links.map(({ index, name }) => [index, name]))
  const nameOf = (index: number): string => names.get(index) ?? `#${index}`
  yield links.map((link) => ({ ...linkObject(link, nameOf), ...peerMtu(link, conn) }))
  const filters = links.filter(({ data }) => data?.type === 'vxlan' && data.vnifilter === true)
  if (filters.length > 0) {
    yield conn.dump(nl.vni.list()).flatMap((entry) => vniObjects(entry, nameOf))
  }
  yield conn.dump(nl.addr.list()).map((addr) => addrObject(addr, nameOf))
  for (const family of [4, 6] as const) {
    const routes = conn.dump(nl.route.list({ family, table: MAIN_TABLE }))
    yield routes.map((route) => routeObject(route, nameOf)).filter(isSpokenOf)
  }
  yield conn
    .dump(nl.neigh.list())
    .filter(isPermanent)
    .map((neigh) => neighObject(neigh, nameOf))
  yield conn
    .dump(nl.fdb.list())
    .map((fdb) => fdbObject(fdb, nameOf))
    .filter(isSpokenOf)
}

const isSpokenOf = <T>(object: T | undefined): object is T => object !== undefined

/**
 * A notification in our words; nothing for what planners do not speak of. An
 * entry that is not permanent any more counts as gone.
 */
export function eventObjects(event: nl.Event, nameOf: NameOf): readonly KernelEvent[] {
  const { change } = event
  const told = (object: KernelObject | undefined): readonly KernelEvent[] =>
    object === undefined ? [] : [{ change, object }]
  switch (event.kind) {
    case 'link':
      return told(linkObject(event.link, nameOf))
    case 'addr':
      return told(addrObject(event.addr, nameOf))
    case 'route':
      return told(routeObject(event.route, nameOf))
    case 'neigh': {
      const object = neighObject(event.neigh, nameOf)
      return [{ change: isPermanent(event.neigh) ? change : 'del', object }]
    }
    case 'fdb':
      return told(fdbObject(event.fdb, nameOf))
    case 'vni':
      return event.vnis.flatMap((entry) => vniObjects(entry, nameOf).flatMap(told))
    default:
      return []
  }
}

function addrObject({ index, address, prefixLength }: nl.Addr, nameOf: NameOf): Addr {
  return { kind: 'addr', link: nameOf(index), ip: address as Ip, prefixLength }
}

const isPermanent = ({ state, mac }: nl.Neigh): boolean =>
  state === 'permanent' && mac !== undefined

function neighObject({ index, address, mac }: nl.Neigh, nameOf: NameOf): Neigh {
  return { kind: 'neigh', link: nameOf(index), ip: address as Ip, mac: mac as Mac }
}

/** Those of tunnels; a bridge's have no destination. */
function fdbObject({ index, mac, dst }: nl.Fdb, nameOf: NameOf): Fdb | undefined {
  if (dst === undefined) return undefined
  return { kind: 'fdb', link: nameOf(index), mac: mac as Mac, dst: dst as Ip }
}

/** Most VNIs of a range that we look at one by one; ours stand alone. */
const VNI_RANGE_MAX = 64

function vniObjects({ index, vni, end = vni }: nl.Vni, nameOf: NameOf): readonly Vni[] {
  const length = Math.min(end - vni + 1, VNI_RANGE_MAX)
  return Array.from({ length }, (_, offset) => ({
    kind: 'vni',
    link: nameOf(index),
    vni: vni + offset,
  }))
}

/** Of our pairs only: one round trip each, 15 µs. */
function peerMtu(
  { name, alias, kind, link, linkNetnsId }: nl.Link,
  conn: nl.Conn,
): Pick<Link, 'peerMtuBytes'> {
  if (kind !== 'veth' || link === undefined || linkNetnsId === undefined) return {}
  if (!ownsLink({ name, ...(alias === undefined ? {} : { alias }) })) return {}
  try {
    const mtu = conn.get(nl.link.get({ index: link }, { targetNetnsId: linkNetnsId }))?.mtu
    return mtu === undefined ? {} : { peerMtuBytes: mtu }
  } catch {
    return {} // the namespace went away meanwhile, and the pair with it
  }
}

/** Interface indexes to link names. */
export type NameOf = (index: number) => string

function linkObject(link: nl.Link, nameOf: NameOf): Link {
  const { name, up, mtu, mac, alias, master } = link
  return {
    kind: 'link',
    name,
    link: linkKind(link, nameOf),
    up,
    mtuBytes: mtu,
    ...(mac === undefined ? {} : { mac: mac as Mac }),
    ...(alias === undefined ? {} : { alias }),
    ...(master === undefined ? {} : { master: nameOf(master) }),
  }
}

function linkKind({ kind, data, link }: nl.Link, nameOf: NameOf): LinkKind {
  if (kind === 'veth') return { type: 'veth' }
  if (kind === 'bridge') return { type: 'bridge' }
  if (data?.type === 'vlan' && link !== undefined && data.id !== undefined) {
    return { type: 'vlan', parent: nameOf(link), id: data.id }
  }
  if (data?.type === 'vxlan' && data.external === true) {
    const filters = data.gpe === true && data.vnifilter === true
    if (filters) return { type: 'vxlan-gpe', port: data.port ?? 0 }
  } else if (data?.type === 'vxlan') {
    const local = data.local ?? data.local6
    if (local !== undefined && data.link !== undefined && data.vni !== undefined) {
      const { vni, port } = data
      return {
        type: 'vxlan',
        vni,
        port: port ?? 0,
        underlay: nameOf(data.link),
        local: local as Ip,
      }
    }
  }
  return { type: 'other', name: kind ?? 'device' }
}

const MAIN_TABLE = 254 // RT_TABLE_MAIN

/** Routes that planners speak of; kernel-made multicast and local ones are left out. */
function routeObject(route: nl.Route, nameOf: NameOf): Route | undefined {
  const { family, type, gateway, oif, onlink, protocol, table, encap } = route
  if (table !== MAIN_TABLE || (type !== 'unicast' && type !== 'blackhole')) return undefined
  const dst = (route.dst ?? (family === 4 ? '0.0.0.0/0' : '::/0')) as Prefix
  // IPv6 hangs a blackhole on the loopback device; nobody asked for that.
  const link = oif === undefined || type === 'blackhole' ? undefined : nameOf(oif)
  return {
    kind: 'route',
    dst,
    type,
    metric: route.priority ?? DEFAULT_METRIC[4],
    protocol,
    ...(link === undefined ? {} : { link }),
    ...(gateway === undefined ? {} : { via: gateway as Ip }),
    ...(onlink === true ? { onlink } : {}),
    ...encapFields(encap),
  }
}

/** What is not ours is neither understood nor needed: the field then differs from any plan. */
function encapFields(encap: nl.Encap | undefined): Pick<Route, 'encapVni' | 'encapDst'> {
  if (encap === undefined) return {}
  if (encap.type !== 'ip' && encap.type !== 'ip6') return { encapVni: 0 }
  // See netlink.ts: an IPv6 header without UDP checksum is not ours.
  if (encap.type === 'ip6' && encap.flags?.includes('csum') !== true) return { encapVni: 0 }
  return {
    encapVni: encap.id ?? 0,
    ...(encap.dst === undefined ? {} : { encapDst: encap.dst as Ip }),
  }
}
