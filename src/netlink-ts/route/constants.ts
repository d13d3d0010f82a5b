/**
 * Numbers of rtnetlink that more than one object uses.
 *
 * Source: include/uapi/linux/{rtnetlink,if_addr,neighbour,if}.h, v6.12.
 *
 * @module
 */
import type { IpFamily } from '../ip.ts'

/** Address families of messages. Source: include/linux/socket.h. */
export const AF = { unspec: 0, inet: 2, bridge: 7, inet6: 10 } as const

/** Message types. Source: rtnetlink.h, enum RTM_*. */
export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  setLink: 19,
  newAddr: 20,
  delAddr: 21,
  getAddr: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newNeigh: 28,
  delNeigh: 29,
  getNeigh: 30,
  newRule: 32,
  delRule: 33,
  getRule: 34,
  newQdisc: 36,
  delQdisc: 37,
  getQdisc: 38,
  newNsid: 88,
  getNsid: 90,
  newNexthop: 104,
  delNexthop: 105,
  getNexthop: 106,
  newTunnel: 120,
  delTunnel: 121,
  getTunnel: 122,
} as const

/** Multicast groups. Source: rtnetlink.h, enum rtnetlink_groups. */
export const RTNLGRP = {
  link: 1,
  neigh: 3,
  addr4: 5,
  route4: 7,
  rule4: 8,
  addr6: 9,
  route6: 11,
  rule6: 19,
  nexthop: 32,
  /** VNI filters; Linux 5.18. */
  tunnel: 35,
} as const

/** How far a destination or address reaches. Source: rtnetlink.h, enum rt_scope_t. */
export const SCOPES = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const

/** A scope's name, or its number when it has none. */
export type Scope = keyof typeof SCOPES | number

/**
 * Who installed a route. Numbers of your own may be anything from 5 to 255 that
 * no daemon in /etc/iproute2/rt_protos uses. Source: rtnetlink.h, RTPROT_*.
 */
export const routeProtocol = {
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  ra: 9,
  bird: 12,
  dhcp: 16,
  bgp: 186,
} as const

/** Routing tables with a meaning. Source: rtnetlink.h, RT_TABLE_*. */
export const routeTable = { default: 253, main: 254, local: 255 } as const

/** The family number of an IP version. */
export const afOf = (family: IpFamily): number => (family === 4 ? AF.inet : AF.inet6)

/** The IP version of a family number; undefined for any other family. */
export function ipFamilyOf(af: number): IpFamily | undefined {
  if (af === AF.inet) return 4
  return af === AF.inet6 ? 6 : undefined
}
