/**
 * Kernel operations as netlink requests.
 *
 * Still pure: it builds messages; `live` moves the bytes.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { assertNever, invariant, TriviumError, unreachable } from '../errors.ts'
import { ipFamily, prefixLength } from '../net/mod.ts'
import { type KernelOp, linkChanges, subjectOf } from './op.ts'
import type { Addr, Fdb, Link, LinkKind, Neigh, Route, Vni } from './state.ts'

/** Link names to interface indexes. */
export type IndexOf = (name: string) => number

/** What an operation needs besides names. */
export interface RequestContext {
  readonly indexOf: IndexOf
  /** Open file descriptor of the namespace in which a pair's other end, or a macvlan, is born. */
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
    netnsFd: link.link.type === 'macvlan' ? context.peerNetnsFd : undefined,
  })
  return alias === undefined ? [add] : [add, nl.link.set({ name }, { alias })]
}

function kindSpec(kind: LinkKind, context: RequestContext, mtu: number | undefined): nl.LinkKind {
  switch (kind.type) {
    case 'veth': {
      const { peer } = kind
      invariant(peer !== undefined, 'a pair to create names its other end')
      const { name, mac } = peer
      return { type: 'veth', peer: { name, mac, mtu, netnsFd: context.peerNetnsFd } }
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
    case 'macvlan': {
      const { mode, parent } = kind
      invariant(parent !== undefined, 'a macvlan to create names its parent')
      return { type: 'macvlan', mode, link: context.indexOf(parent) }
    }
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

/** Over IPv6 a UDP checksum of zero is dropped on arrival. Source: RFC 8200 section 8.1. */
function encapOf({ encapVni: id, encapDst: dst }: Route): nl.IpEncap | undefined {
  if (id === undefined || dst === undefined) return undefined
  return ipFamily(dst) === 6 ? { type: 'ip6', id, dst, flags: ['csum'] } : { type: 'ip', id, dst }
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
  // Never create alone: where ours was missing, traffic has left an entry that failed to resolve.
  return nl.neigh.replace(spec)
}

function fdbRequest(verb: KernelOp['kind'], { link, mac, dst }: Fdb, indexOf: IndexOf): nl.Request {
  const spec = { index: indexOf(link), mac, dst, state: 'permanent' } as const
  if (verb === 'remove') return nl.fdb.remove(spec)
  // A unicast MAC has one tunnel endpoint: never append, which would flood to both.
  return verb === 'add' ? nl.fdb.add(spec) : nl.fdb.replace(spec)
}

/** A name no link has. */
export function unknownLink(name: string): TriviumError {
  return new TriviumError('KERNEL', `Cannot find link ${name}: no such device`)
}
