/**
 * Kernel operations as netlink requests, and dumps as kernel state.
 *
 * Still pure: it builds and reads messages; `live` moves the bytes.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { assertNever, invariant, TriviumError, unreachable } from '../errors.ts'
import { type Ip, ipFamily, type Mac, type Prefix, prefixLength } from '../net/mod.ts'
import { type KernelOp, linkChanges, subjectOf } from './op.ts'
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

/** Link names to interface indexes. */
export type IndexOf = (name: string) => number

/** What an operation needs besides names. */
export interface RequestContext {
  readonly indexOf: IndexOf
  /** Open file descriptor of the namespace in which a pair's other end is born. */
  readonly peerNetnsFd?: number
}

/**
 * Requests for one operation, in order. Not for what rtnetlink does not carry:
 * sysctls are files, nftables has a protocol of its own (nft.ts).
 */
export function opRequests(op: KernelOp, context: RequestContext): readonly nl.Request[] {
  const object = subjectOf(op)
  switch (object.kind) {
    case 'link':
      return linkRequests(op, object, context)
    case 'addr':
      return [addrRequest(op.kind, object, context.indexOf)]
    case 'route':
      return routeRequests(op, object, context.indexOf)
    case 'neigh':
      return [neighRequest(op.kind, object, context.indexOf)]
    case 'fdb':
      return [fdbRequest(op.kind, object, context.indexOf)]
    case 'vni':
      return [vniRequest(op.kind, object, context.indexOf)]
    case 'sysctl':
    case 'offload-off':
    case 'nft-table':
    case 'nft-set':
    case 'nft-element':
    case 'nft-chain':
      return unreachable(`${object.kind} does not go through rtnetlink`)
    default:
      return assertNever(object)
  }
}

const NO_MASTER = 0

/** The alias goes in a second message: the kernel does not take it at creation. */
function linkRequests(op: KernelOp, link: Link, context: RequestContext): readonly nl.Request[] {
  const { indexOf } = context
  if (op.kind === 'remove') return [nl.link.remove({ name: link.name })]
  if (op.kind === 'change') {
    const { mac, mtuBytes, alias, up, master } = linkChanges(op.from as Link, link)
    const joined = master === undefined ? undefined : master === '' ? NO_MASTER : indexOf(master)
    return [nl.link.set({ name: link.name }, { mac, mtu: mtuBytes, alias, up, master: joined })]
  }
  const { name, mac, mtuBytes, alias, up, master } = link
  const add = nl.link.add({
    name,
    kind: kindSpec(link.link, context, mtuBytes),
    mac,
    mtu: mtuBytes,
    master: master === undefined ? undefined : indexOf(master),
    up,
  })
  return alias === undefined ? [add] : [add, nl.link.set({ name }, { alias })]
}

function kindSpec(kind: LinkKind, context: RequestContext, mtu: number | undefined): nl.LinkKind {
  switch (kind.type) {
    case 'veth': {
      const { peer } = kind
      invariant(peer !== undefined, 'a pair to create names its other end')
      return { type: 'veth', peer: { ...peer, mtu, netnsFd: context.peerNetnsFd } }
    }
    case 'vxlan': {
      const local = ipFamily(kind.local) === 4 ? { local: kind.local } : { local6: kind.local }
      const link = context.indexOf(kind.underlay)
      return { type: 'vxlan', vni: kind.vni, port: kind.port, link, learning: false, ...local }
    }
    case 'vxlan-gpe':
      return {
        type: 'vxlan',
        port: kind.port,
        external: true,
        gpe: true,
        vnifilter: true,
        learning: false,
      }
    case 'bridge':
      return { type: 'bridge' }
    case 'vlan':
      return { type: 'vlan', id: kind.id, link: context.indexOf(kind.parent) }
    case 'other':
      return unreachable(`planners make no link of type ${kind.name}`)
    default:
      return assertNever(kind)
  }
}

function addrRequest(
  verb: KernelOp['kind'],
  { link, ip, prefixLength }: Addr,
  indexOf: IndexOf,
): nl.Request {
  const place = { index: indexOf(link), address: ip, prefixLength }
  if (verb === 'remove') return nl.addr.remove(place)
  // Addresses are handed out once: duplicate detection would only delay the pod by a second.
  const flags: readonly nl.AddrFlag[] = ipFamily(ip) === 6 ? ['nodad'] : []
  const spec = { ...place, flags }
  return verb === 'add' ? nl.addr.add(spec) : nl.addr.replace(spec)
}

/**
 * IPv6 refuses an onlink gateway that its table reaches over another link, and
 * a tunnel endpoint lies inside the block that the old route still covers. So
 * the old one goes first, microseconds earlier in the same batch.
 * Source: net/ipv6/route.c, ip6_route_check_nh_onlink, Linux 6.18.
 */
function routeRequests(op: KernelOp, route: Route, indexOf: IndexOf): readonly nl.Request[] {
  if (op.kind === 'change' && op.from.kind === 'route') {
    const moves = op.from.link !== undefined && op.from.link !== route.link
    if (moves && route.onlink === true && ipFamily(route.dst) === 6) {
      return [routeRequest('remove', op.from, indexOf), routeRequest('add', route, indexOf)]
    }
  }
  return [routeRequest(op.kind, route, indexOf)]
}

function routeRequest(verb: KernelOp['kind'], route: Route, indexOf: IndexOf): nl.Request {
  const family = ipFamily(route.dst)
  const spec: nl.RouteSpec = {
    family,
    dst: prefixLength(route.dst) === 0 ? undefined : route.dst,
    type: route.type,
    protocol: route.protocol,
    priority: route.metric,
    gateway: route.via,
    oif: route.link === undefined ? undefined : indexOf(route.link),
    onlink: route.onlink,
    encap: encapOf(route),
    scope: family === 4 && route.type === 'unicast' && route.via === undefined ? 'link' : undefined,
  }
  if (verb === 'remove') return nl.route.remove(spec)
  return verb === 'add' ? nl.route.add(spec) : nl.route.replace(spec)
}

function encapOf({ encapVni: id, encapDst: dst }: Route): nl.IpEncap | undefined {
  if (id === undefined || dst === undefined) return undefined
  return { type: ipFamily(dst) === 6 ? 'ip6' : 'ip', id, dst }
}

function vniRequest(verb: KernelOp['kind'], { link, vni }: Vni, indexOf: IndexOf): nl.Request {
  const spec = { index: indexOf(link), vni }
  return verb === 'remove' ? nl.vni.remove(spec) : nl.vni.add(spec)
}

function neighRequest(
  verb: KernelOp['kind'],
  { link, ip, mac }: Neigh,
  indexOf: IndexOf,
): nl.Request {
  const spec = { index: indexOf(link), address: ip, mac, state: 'permanent' } as const
  if (verb === 'remove') return nl.neigh.remove(spec)
  return verb === 'add' ? nl.neigh.add(spec) : nl.neigh.replace(spec)
}

function fdbRequest(verb: KernelOp['kind'], { link, mac, dst }: Fdb, indexOf: IndexOf): nl.Request {
  const spec = { index: indexOf(link), mac, dst, state: 'permanent' } as const
  if (verb === 'remove') return nl.fdb.remove(spec)
  // A unicast MAC has one tunnel endpoint: never append, which would flood to both.
  return verb === 'add' ? nl.fdb.add(spec) : nl.fdb.replace(spec)
}

/** Reads one namespace's tables: links, addresses, routes of the main table, permanent neighbours. */
export function readState(conn: nl.Conn): readonly KernelObject[] {
  const links = conn.dump(nl.link.list())
  const names = new Map(links.map(({ index, name }) => [index, name]))
  const nameOf = (index: number): string => names.get(index) ?? `#${index}`
  const objects: KernelObject[] = links.map((link) => ({
    ...linkObject(link, nameOf),
    ...peerMtu(link, conn),
  }))
  const filters = links.filter(({ data }) => data?.type === 'vxlan' && data.vnifilter === true)
  if (filters.length > 0) {
    for (const entry of conn.dump(nl.vni.list())) objects.push(...vniObjects(entry, nameOf))
  }
  for (const { index, address, prefixLength } of conn.dump(nl.addr.list())) {
    objects.push({ kind: 'addr', link: nameOf(index), ip: address as Ip, prefixLength })
  }
  for (const family of [4, 6] as const) {
    for (const route of conn.dump(nl.route.list({ family, table: MAIN_TABLE }))) {
      const object = routeObject(route, nameOf)
      if (object !== undefined) objects.push(object)
    }
  }
  for (const { index, address, mac, state } of conn.dump(nl.neigh.list())) {
    if (state !== 'permanent' || mac === undefined) continue
    objects.push({ kind: 'neigh', link: nameOf(index), ip: address as Ip, mac: mac as Mac })
  }
  for (const { index, mac, dst } of conn.dump(nl.fdb.list())) {
    if (dst !== undefined)
      objects.push({ kind: 'fdb', link: nameOf(index), mac: mac as Mac, dst: dst as Ip })
  }
  return objects
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

type NameOf = (index: number) => string

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
  return {
    encapVni: encap.id ?? 0,
    ...(encap.dst === undefined ? {} : { encapDst: encap.dst as Ip }),
  }
}

/** A name no link has. */
export function unknownLink(name: string): TriviumError {
  return new TriviumError('KERNEL', `Cannot find link ${name}: no such device`)
}
