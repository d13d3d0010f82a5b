/**
 * Typed Linux netlink: links, addresses, routes, neighbours and forwarding
 * entries.
 *
 * This half is pure. Requests are plain values, made here and sent by a `Conn`:
 * a `NetlinkSocket` of `netlink-ts/live`, or a scripted kernel of
 * `netlink-ts/testing`.
 *
 * @example
 * import { link, addr, route } from 'netlink-ts'
 * import { NetlinkSocket, openNetns } from 'netlink-ts/live'
 *
 * // A pod's link: one end here, the other born in the pod's namespace.
 * const netnsFd = openNetns('/run/netns/blue')
 * const host = NetlinkSocket.open()
 * const pod = NetlinkSocket.open({ netnsFd })
 *
 * host.run(link.add({ name: 'blue0', up: true, kind: { type: 'veth', peer: { name: 'eth0', netnsFd } } }))
 *
 * const index = pod.get(link.get({ name: 'eth0' }))!.index
 * const results = pod.execute([
 *   addr.add({ index, address: '10.0.0.2', prefixLength: 24 }),
 *   link.set({ index }, { up: true, mtu: 1450 }),
 *   route.add({ family: 4, gateway: '10.0.0.1' }),
 * ])
 * for (const error of results) if (error) throw error
 *
 * @module
 */
export type { AttrsOf } from './attrs.ts'
export type { Conn } from './conn.ts'
export {
  DecodeError,
  NetlinkError,
  NetnsError,
  type Refusal,
  SessionError,
  SyscallError,
} from './errors.ts'
export { formatIp, type IpFamily, type PrefixBytes, parseIp, parsePrefix } from './ip.ts'
export { joinMessages, type Message, NLM_F, splitMessages } from './message.ts'
export * as nft from './nft/mod.ts'
export type { DumpRequest, GetRequest, Request } from './request.ts'
export {
  type Addr,
  type AddrFilter,
  type AddrFlag,
  type AddrLifetime,
  type AddrSpec,
  addr,
} from './route/addr.ts'
export {
  type BridgeVlan,
  type BridgeVlanFilter,
  type BridgeVlanSpec,
  bridgeVlan,
} from './route/bridge-vlan.ts'
export { RTM, routeProtocol, routeTable, type Scope } from './route/constants.ts'
export type { Encap, EncapFlag, IpEncap, OtherEncap } from './route/encap.ts'
export { decodeEvent, type Event } from './route/event.ts'
export { type Fdb, type FdbFilter, type FdbSpec, type FdbState, fdb } from './route/fdb.ts'
export {
  type Link,
  type LinkChange,
  type LinkFilter,
  type LinkPlace,
  type LinkRef,
  type LinkSpec,
  link,
} from './route/link.ts'
export type { OperState } from './route/link-attrs.ts'
export type { BridgeAttrs, BridgeKind, BridgePort } from './route/link-bridge.ts'
export type { DummyKind, IfbKind, LinkKind } from './route/link-kind.ts'
export type { VethKind, VethPeer } from './route/link-veth.ts'
export type {
  IpvlanAttrs,
  IpvlanKind,
  MacvlanAttrs,
  MacvlanKind,
  VlanAttrs,
  VlanKind,
} from './route/link-vlan.ts'
export type { PortRange, VxlanAttrs, VxlanKind } from './route/link-vxlan.ts'
export {
  type Neigh,
  type NeighFilter,
  type NeighSpec,
  type NeighState,
  neigh,
} from './route/neigh.ts'
export type { NextHop } from './route/nexthop.ts'
export {
  type Nexthop,
  type NexthopFilter,
  type NexthopMember,
  type NexthopSpec,
  nexthop,
} from './route/nexthop-object.ts'
export { type NsidSpec, nsid } from './route/nsid.ts'
export {
  type ClsactKind,
  type IngressKind,
  type Qdisc,
  type QdiscFilter,
  type QdiscHandle,
  type QdiscKind,
  type QdiscRef,
  type QdiscSpec,
  qdisc,
} from './route/qdisc.ts'
export type { TbfKind } from './route/qdisc-tbf.ts'
export {
  type Route,
  type RouteFilter,
  type RouteSpec,
  route,
} from './route/route.ts'
export type { RouteType } from './route/route-attrs.ts'
export { type RouteTemplate, routeTemplate } from './route/route-template.ts'
export { type Rule, type RuleAction, type RuleFilter, type RuleSpec, rule } from './route/rule.ts'
export type { NumberRange } from './route/rule-attrs.ts'
export {
  type LinkIdentity,
  movedLabel,
  type PutOptions,
  type RawAttribute,
  type Told,
  type ToldKind,
  told,
} from './route/told.ts'
export { type Vni, type VniFilter, type VniSpec, type VniStats, vni } from './route/vni.ts'
