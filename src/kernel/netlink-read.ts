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
import { BGP_ROUTE_PROTOCOL, ownsLink } from './ownership.ts'
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

/**
 * What a reading does next: it asks the kernel, and goes on with the answer
 * (rows of a dump; an object, undefined when it is not there or cannot be
 * told), or hands over some objects.
 */
export type ReadStep =
  | { readonly kind: 'dump'; readonly request: nl.DumpRequest<unknown> }
  | { readonly kind: 'get'; readonly request: nl.GetRequest<unknown> }
  | { readonly kind: 'objects'; readonly objects: readonly KernelObject[] }

/** A reading of tables. Who drives it may do something else after every step. */
export type Reading = Generator<ReadStep, void, unknown>

/** Objects that are handed over together. */
const PIECE_OBJECTS = 64

/** Reads one namespace's tables: links, addresses, routes of the main table, permanent neighbours. */
export function* readTables(): Reading {
  const links = yield* dump(nl.link.list())
  const names = new Map(links.map(({ index, name }) => [index, name]))
  const nameOf = (index: number): string => names.get(index) ?? `#${index}`
  for (const link of links) {
    const object = { ...linkObject(link, nameOf), ...(yield* peerMtu(link)) }
    yield { kind: 'objects', objects: [object] }
  }
  const filters = links.filter(({ data }) => data?.type === 'vxlan' && data.vnifilter === true)
  if (filters.length > 0) yield* table(nl.vni.list(), (entry) => vniObjects(entry, nameOf))
  yield* table(nl.addr.list(), (addr) => [addrObject(addr, nameOf)])
  for (const family of [4, 6] as const) {
    const request = nl.route.list({
      family,
      table: MAIN_TABLE,
      exceptProtocol: BGP_ROUTE_PROTOCOL,
    })
    yield* table(request, (route) => routeObject(route, nameOf))
  }
  yield* table(nl.neigh.list(), (neigh) => (isPermanent(neigh) ? [neighObject(neigh, nameOf)] : []))
  yield* table(nl.fdb.list(), (fdb) => fdbObject(fdb, nameOf))
}

function* dump<T>(request: nl.DumpRequest<T>): Generator<ReadStep, readonly T[], unknown> {
  return (yield { kind: 'dump', request }) as readonly T[]
}

function* table<T>(
  request: nl.DumpRequest<T>,
  objectsOf: (row: T) => KernelObject | readonly KernelObject[] | undefined,
): Reading {
  const rows = yield* dump(request)
  for (let start = 0; start < rows.length; start += PIECE_OBJECTS) {
    const objects = rows.slice(start, start + PIECE_OBJECTS).flatMap((row) => objectsOf(row) ?? [])
    yield { kind: 'objects', objects }
  }
}

/** Reads all at once. */
export function readState(conn: nl.Conn): readonly KernelObject[] {
  const found: KernelObject[] = []
  const reading = readTables()
  let step = reading.next()
  while (step.done !== true) {
    const { value } = step
    if (value.kind === 'objects') found.push(...value.objects)
    step = reading.next(value.kind === 'objects' ? undefined : answer(conn, value))
  }
  return found
}

function answer(conn: nl.Conn, step: Exclude<ReadStep, { kind: 'objects' }>): unknown {
  return step.kind === 'dump' ? conn.dump(step.request) : getOrNot(() => conn.get(step.request))
}

/** An object that goes away meanwhile, with its namespace, is as good as one that is not there. */
export function getOrNot<T>(get: () => T): T | undefined {
  try {
    return get()
  } catch {
    return undefined
  }
}

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
function* peerMtu({
  name,
  alias,
  kind,
  link,
  linkNetnsId,
}: nl.Link): Generator<ReadStep, Pick<Link, 'peerMtuBytes'>, unknown> {
  if (kind !== 'veth' || link === undefined || linkNetnsId === undefined) return {}
  if (!ownsLink({ name, ...(alias === undefined ? {} : { alias }) })) return {}
  const request = nl.link.get({ index: link }, { targetNetnsId: linkNetnsId })
  const peer = (yield { kind: 'get', request }) as nl.Link | undefined
  return peer === undefined ? {} : { peerMtuBytes: peer.mtu }
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

function linkKind({ kind, data, link, linkNetnsId }: nl.Link, nameOf: NameOf): LinkKind {
  if (kind === 'veth') return { type: 'veth' }
  if (kind === 'bridge') return { type: 'bridge' }
  if (data?.type === 'vlan' && link !== undefined && data.id !== undefined) {
    return { type: 'vlan', parent: nameOf(link), id: data.id }
  }
  if (data?.type === 'macvlan' && data.mode !== undefined && typeof data.mode === 'string') {
    const isHere = link !== undefined && linkNetnsId === undefined
    return { type: 'macvlan', mode: data.mode, ...(isHere ? { parent: nameOf(link) } : {}) }
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

/** Routes that planners speak of. A speaker's may be a million. */
const routeObject = (route: nl.Route, nameOf: NameOf): Route | undefined =>
  route.protocol === BGP_ROUTE_PROTOCOL ? undefined : anyRouteObject(route, nameOf)

/** A route of the main table; kernel-made multicast and local ones are left out. */
export function anyRouteObject(route: nl.Route, nameOf: NameOf): Route | undefined {
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
