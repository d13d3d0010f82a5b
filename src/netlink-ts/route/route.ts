/**
 * Routes.
 *
 * A destination is a prefix such as `10.0.0.0/24`; no destination is the
 * default route. Unless told otherwise a route goes into the main table, with
 * protocol `boot`, and with the scope iproute2 would choose.
 *
 * Source: include/uapi/linux/rtnetlink.h, struct rtmsg and enum rtattr_type_t, v6.12.
 *
 * @module
 */
import { readAttrs, writeAttrs } from '../attrs.ts'
import { inRange, namesOf, numberOf } from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import { ADDRESS_BYTES, familyOf, formatPrefix, type IpFamily, parsePrefix } from '../ip.ts'
import { type Message, NLM_F } from '../message.ts'
import {
  changeRequest,
  type DumpRequest,
  dumpRequest,
  type GetRequest,
  getRequest,
  type Request,
} from '../request.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'
import { bodyOf, present } from './body.ts'
import {
  AF,
  afOf,
  ipFamilyOf,
  RTM,
  routeProtocol,
  routeTable,
  SCOPES,
  type Scope,
} from './constants.ts'
import { type Encap, type IpEncap, readEncap, writeEncap } from './encap.ts'
import { isForeign, type NextHop, RTNH_F, writeNextHops } from './nexthop.ts'
import { ROUTE_TYPES, type RouteType, RTA_DST, RTA_MULTIPATH, routeAttrs } from './route-attrs.ts'
import { routeText } from './route-text.ts'

/** Bytes of struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type u8; flags u32. */
const RTMSG_BYTES = 12
const U8_MAX = 255
/** Source: rtnetlink.h, RTM_F_*. */
const RTM_F = { lookupTable: 0x1000, fibMatch: 0x2000 } as const
/** Offset of rtm_protocol. */
const RTM_PROTOCOL = 5

/** A route to add or remove. */
export interface RouteSpec {
  readonly family: IpFamily
  /** A prefix such as `10.0.0.0/24`. @default the default route */
  readonly dst?: string | undefined
  /** @default 254, main */
  readonly table?: number | undefined
  /** Who installs it, 0..255; see `routeProtocol`. @default 3, boot; for `remove`, any */
  readonly protocol?: number | undefined
  /** @default by type and gateway, as iproute2; always `global` for IPv6; for `remove`, any */
  readonly scope?: Scope | undefined
  /** @default 'unicast'; for `remove`, any */
  readonly type?: RouteType | undefined
  /** May be of the other family (IPv4 via an IPv6 gateway). */
  readonly gateway?: string | undefined
  /** Index of the link out. */
  readonly oif?: number | undefined
  /** The metric; the lower wins. The kernel makes 0 or nothing 1024 for IPv6. */
  readonly priority?: number | undefined
  /** Source address the host prefers. */
  readonly prefSrc?: string | undefined
  /** The gateway is reachable on the link although no address says so. */
  readonly onlink?: boolean | undefined
  /** Bytes. */
  readonly mtu?: number | undefined
  /** Bytes. */
  readonly advmss?: number | undefined
  /** Wraps packets into a tunnel's; `oif` is the tunnel, with `external`. */
  readonly encap?: IpEncap | undefined
  /** A nexthop object instead of `gateway`, `oif`, `encap` and `multipath`. */
  readonly nexthopId?: number | undefined
  /** Several next hops, instead of `gateway`, `oif` and `encap`. */
  readonly multipath?: readonly NextHop[] | undefined
}

/** A route as the kernel reports it. */
export interface Route {
  readonly family: IpFamily
  readonly table: number
  readonly protocol: number
  readonly scope: Scope
  readonly type: RouteType
  /** RTM_F_* and RTNH_F_*. */
  readonly flags: number
  /** Absent for the default route. */
  readonly dst?: string
  readonly gateway?: string
  readonly oif?: number
  readonly priority?: number
  readonly prefSrc?: string
  readonly onlink?: boolean
  readonly mtu?: number
  readonly advmss?: number
  readonly encap?: Encap
  /** The nexthop object it names; what that is made of is given as well. */
  readonly nexthopId?: number
  readonly multipath?: readonly NextHop[]
}

/** Adds a route; EEXIST when one with the same table, destination and priority is there. */
const add = (spec: RouteSpec): Request => change('add', spec, NLM_F.create | NLM_F.excl)

/** Adds a route or replaces the one with the same table, destination and priority. */
const replace = (spec: RouteSpec): Request => change('replace', spec, NLM_F.create | NLM_F.replace)

/** Removes the first route that has everything `spec` says; ESRCH when there is none. */
const remove = (spec: RouteSpec): Request => change('delete', spec, 0)

/** Which routes to read; the kernel does the filtering. */
export interface RouteFilter {
  /** @default both */
  readonly family?: IpFamily | undefined
  /** @default every table */
  readonly table?: number | undefined
  readonly protocol?: number | undefined
  readonly type?: RouteType | undefined
  /** Index of a link out. */
  readonly oif?: number | undefined
  /** Leaves out routes of this protocol. The kernel sends them, but they are not decoded. */
  readonly exceptProtocol?: number | undefined
}

/** Reads routes, of every table unless told otherwise; a table that does not exist is empty. */
function list(filter: RouteFilter = {}): DumpRequest<Route> {
  const { family, table, oif } = filter
  return dumpRequest(
    RTM.getRoute,
    (out) => {
      const at = out.reserve(RTMSG_BYTES)
      out.view.setUint8(at, family === undefined ? AF.unspec : afOf(family))
      out.view.setUint8(at + 5, inRange(filter.protocol ?? 0, 0, U8_MAX, 'protocol'))
      out.view.setUint8(at + 7, numberOf(ROUTE_TYPES, filter.type ?? 0, 'type'))
      writeAttrs(out, routeAttrs, { table, oif })
    },
    {
      text: routeText('show', { family: family ?? 4, table, oif }),
      missing: ['ENOENT', 'ENODEV'],
      decode: (message) => decodeMatching(message, filter),
    },
  )
}

/** Which way to ask for. */
export interface RouteQuery {
  readonly dst: string
  /** Only by this link. */
  readonly oif?: number | undefined
}

/**
 * Asks which route a packet of this host to `dst` would take: the route as it is in its
 * table, with every next hop. undefined when there is none; one that refuses packets is
 * an error (blackhole EINVAL, prohibit EACCES).
 */
function get({ dst, oif }: RouteQuery): GetRequest<Route> {
  const family = familyOf(dst)
  return getRequest(
    RTM.getRoute,
    (out) => {
      const at = out.reserve(RTMSG_BYTES)
      out.view.setUint8(at, afOf(family))
      out.view.setUint8(at + 1, ADDRESS_BYTES[family] * 8)
      // IPv6 always names the table, and takes no flag for it.
      const flags = family === 4 ? RTM_F.lookupTable | RTM_F.fibMatch : RTM_F.fibMatch
      out.view.setUint32(at + 8, flags, HOST_LITTLE)
      writeAttrs(out, routeAttrs, { dst, oif })
    },
    {
      text: routeText('get fibmatch', { family, dst, oif }),
      missing: ['ENETUNREACH', 'EHOSTUNREACH'],
      decode: decodeRoute,
    },
  )
}

/** Requests about routes. */
export const route = { add, replace, remove, get, list } as const

/**
 * Reads RTM_NEWROUTE and RTM_DELROUTE of IPv4 and IPv6; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeRoute(message: Message): Route | undefined {
  if (message.type !== RTM.newRoute && message.type !== RTM.delRoute) return undefined
  const view = bodyOf(message, 'struct rtmsg', RTMSG_BYTES)
  const family = ipFamilyOf(view.getUint8(0))
  if (family === undefined) return undefined
  const bits = view.getUint8(1)
  if (bits > ADDRESS_BYTES[family] * 8) {
    throw new DecodeError('rtm_dst_len', 1, `at most ${ADDRESS_BYTES[family] * 8}`, bits)
  }
  const attrs = readAttrs(routeAttrs, view, RTMSG_BYTES, view.byteLength)
  const dst = attrs.dst ?? (bits === 0 ? undefined : family === 4 ? '0.0.0.0' : '::')
  const flags = view.getUint32(8, HOST_LITTLE)
  const { oif, priority, prefSrc, nexthopId, multipath } = attrs
  return present({
    family,
    table: attrs.table ?? view.getUint8(4),
    protocol: view.getUint8(5),
    scope: SCOPE_NAMES.get(view.getUint8(6)) ?? view.getUint8(6),
    type: TYPE_NAMES.get(view.getUint8(7)) ?? view.getUint8(7),
    flags,
    dst: dst === undefined || bits === 0 ? undefined : formatPrefix(dst, bits),
    gateway: attrs.gateway ?? attrs.via,
    oif,
    priority,
    prefSrc,
    onlink: (flags & RTNH_F.onlink) !== 0 ? true : undefined,
    mtu: attrs.metrics?.mtu,
    advmss: attrs.metrics?.advmss,
    encap: readEncap(attrs),
    nexthopId,
    multipath,
  }) as Route
}

const SCOPE_NAMES = namesOf(SCOPES)
const TYPE_NAMES = namesOf(ROUTE_TYPES)

function change(verb: 'add' | 'replace' | 'delete', spec: RouteSpec, flags: number): Request {
  return changeRequest(
    verb === 'delete' ? RTM.delRoute : RTM.newRoute,
    flags,
    () => routeText(verb, spec),
    (out) => writeSpec(out, spec, verb === 'delete'),
  )
}

function writeSpec(out: Writer, spec: RouteSpec, removing: boolean): void {
  const { family, dst, oif, priority, prefSrc, mtu, advmss, multipath } = spec
  const prefix = dst === undefined ? undefined : parsePrefix(dst)
  if (prefix !== undefined && familyOf(dst!) !== family) {
    throw new RangeError(`Cannot encode dst: found ${dst}, wanted an IPv${family} prefix`)
  }
  const table = inRange(spec.table ?? routeTable.main, 0, 0xffff_ffff, 'table')
  const wide = table > U8_MAX // only RTA_TABLE has room for it
  const protocol = spec.protocol ?? (removing ? 0 : routeProtocol.boot)
  const type = numberOf(ROUTE_TYPES, spec.type ?? (removing ? 'unspec' : 'unicast'), 'type')
  const scope = numberOf(SCOPES, spec.scope ?? (removing ? 'nowhere' : scopeOf(spec)), 'scope')
  const at = out.reserve(RTMSG_BYTES)
  out.view.setUint8(at, afOf(family))
  out.view.setUint8(at + 1, prefix?.bits ?? 0)
  out.view.setUint8(at + 4, wide ? 0 : table)
  out.view.setUint8(at + 5, inRange(protocol, 0, U8_MAX, 'protocol'))
  out.view.setUint8(at + 6, inRange(scope, 0, U8_MAX, 'scope'))
  out.view.setUint8(at + 7, inRange(type, 0, U8_MAX, 'type'))
  out.view.setUint32(at + 8, spec.onlink ? RTNH_F.onlink : 0, HOST_LITTLE)
  if (prefix !== undefined) {
    const start = out.beginAttr(RTA_DST)
    out.append(prefix.bytes)
    out.endAttr(start)
  }
  const metrics = mtu === undefined && advmss === undefined ? undefined : { mtu, advmss }
  const foreign = isForeign(spec.gateway, family)
  // Named one by one: a spread here costs a third of the encoding time.
  writeAttrs(out, routeAttrs, {
    gateway: foreign ? undefined : spec.gateway,
    via: foreign ? spec.gateway : undefined,
    oif,
    priority,
    prefSrc,
    metrics,
    nexthopId: spec.nexthopId,
    table: wide ? table : undefined,
  })
  if (spec.encap !== undefined) writeEncap(out, spec.encap)
  if (multipath !== undefined) {
    const start = out.beginAttr(RTA_MULTIPATH)
    writeNextHops(out, multipath, family)
    out.endAttr(start)
  }
}

/** As iproute2 chooses: what needs no router stays on the link. */
function scopeOf(spec: RouteSpec): Scope {
  if (spec.family === 6) return 'global'
  const type = spec.type ?? 'unicast'
  if (type === 'local' || type === 'nat') return 'host'
  if (type === 'broadcast' || type === 'multicast' || type === 'anycast') return 'link'
  const direct =
    spec.gateway === undefined && spec.multipath === undefined && spec.nexthopId === undefined
  return (type === 'unicast' || type === 'unspec') && direct ? 'link' : 'global'
}

/** A dump of both families may ignore filters, so they are applied here as well. */
function decodeMatching(message: Message, filter: RouteFilter): Route | undefined {
  const { exceptProtocol } = filter
  if (exceptProtocol !== undefined && message.body[RTM_PROTOCOL] === exceptProtocol)
    return undefined
  const found = decodeRoute(message)
  if (found === undefined) return undefined
  const { family, table, protocol, type, oif } = filter
  const typeWanted = typeof type === 'number' ? (TYPE_NAMES.get(type) ?? type) : type
  const fits =
    (family === undefined || found.family === family) &&
    (table === undefined || found.table === table) &&
    (protocol === undefined || found.protocol === protocol) &&
    (typeWanted === undefined || found.type === typeWanted) &&
    (oif === undefined || found.oif === oif || (found.multipath ?? []).some((h) => h.oif === oif))
  return fits ? found : undefined
}
