/**
 * The attributes of a route.
 *
 * Source: include/uapi/linux/rtnetlink.h, enum rtattr_type_t, RTAX_*, RTN_*, v6.12.
 *
 * @module
 */
import { attr, attrTable, nested } from '../attrs.ts'
import { type Codec, ip, u32 } from '../codecs.ts'
import { familyOf } from '../ip.ts'
import { encapRows } from './encap.ts'
import { type NextHop, readNextHops, via, writeNextHops } from './nexthop.ts'

export const RTA_DST = 1
export const RTA_MULTIPATH = 9

/** What happens to a packet. Source: rtnetlink.h, RTN_*. */
export const ROUTE_TYPES = {
  unspec: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
  nat: 10,
} as const

/** A route type's name, or its number when it has none. */
export type RouteType = keyof typeof ROUTE_TYPES | number

/** RTAX_*, in RTA_METRICS. */
export const routeMetrics = attrTable({
  mtu: attr(2, u32), //    RTAX_MTU, bytes
  advmss: attr(8, u32), // RTAX_ADVMSS, bytes
})

/** Any number of bytes: read as a place, written by the caller. */
const hops: Codec<readonly NextHop[]> = {
  write: (out, value) => writeNextHops(out, value, familyOf(value[0]?.gateway ?? '')),
  read: (view, offset, length) => readNextHops(view, offset, length),
}

/** RTA_*. */
export const routeAttrs = attrTable({
  dst: attr(RTA_DST, ip), //           RTA_DST, with rtm_dst_len
  oif: attr(4, u32), //                RTA_OIF
  gateway: attr(5, ip), //             RTA_GATEWAY
  priority: attr(6, u32), //           RTA_PRIORITY
  prefSrc: attr(7, ip), //             RTA_PREFSRC
  metrics: attr(8, nested(routeMetrics)), // RTA_METRICS
  multipath: attr(RTA_MULTIPATH, hops), // RTA_MULTIPATH
  table: attr(15, u32), //             RTA_TABLE
  via: attr(18, via), //               RTA_VIA
  ...encapRows,
  nexthopId: attr(30, u32), //         RTA_NH_ID
})
