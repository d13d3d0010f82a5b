/**
 * Links on top of another device: VLAN, macvlan and ipvlan.
 *
 * Source: include/uapi/linux/if_link.h, enum IFLA_VLAN_*, IFLA_MACVLAN_* and
 * IFLA_IPVLAN_*, v6.12.
 *
 * @module
 */
import { type AttrsOf, attr, attrTable } from '../attrs.ts'
import { flags, named, u16, u16be, u32, vlanId } from '../codecs.ts'
import { VLAN_PROTOCOLS } from './link-bridge.ts'

/** IFLA_VLAN_*, in IFLA_INFO_DATA. */
export const vlanAttrs = attrTable({
  id: attr(1, vlanId), //                            IFLA_VLAN_ID
  protocol: attr(5, named(u16be, VLAN_PROTOCOLS)), // IFLA_VLAN_PROTOCOL
})

/** What a VLAN link is made of. */
export type VlanAttrs = AttrsOf<typeof vlanAttrs>

/** An 802.1Q (or 802.1ad) link. The device below is `Link.link` when read. */
export interface VlanKind extends VlanAttrs {
  readonly type: 'vlan'
  /** Index of the device below. Requests only. */
  readonly link?: number | undefined
}

/** Source: if_link.h, enum macvlan_mode. */
const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const

/** IFLA_MACVLAN_*, in IFLA_INFO_DATA. */
export const macvlanAttrs = attrTable({
  mode: attr(1, named(u32, MACVLAN_MODES)), // IFLA_MACVLAN_MODE
  flags: attr(2, u16), //     IFLA_MACVLAN_FLAGS: 1 = leave the device below out of promiscuity
})

/** What a macvlan link is made of. */
export type MacvlanAttrs = AttrsOf<typeof macvlanAttrs>

/** A macvlan link. The device below is `Link.link` when read. */
export interface MacvlanKind extends MacvlanAttrs {
  readonly type: 'macvlan'
  /** Index of the device below. Requests only. */
  readonly link?: number | undefined
}

/** Source: if_link.h, enum ipvlan_mode. */
const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const

/** Source: if_link.h, IPVLAN_F_*. */
const IPVLAN_FLAGS = { private: 1, vepa: 2 } as const

/** IFLA_IPVLAN_*, in IFLA_INFO_DATA. */
export const ipvlanAttrs = attrTable({
  mode: attr(1, named(u16, IPVLAN_MODES)), //  IFLA_IPVLAN_MODE
  flags: attr(2, flags(u16, IPVLAN_FLAGS)), // IFLA_IPVLAN_FLAGS; none: links of one device see each other
})

/** What an ipvlan link is made of. */
export type IpvlanAttrs = AttrsOf<typeof ipvlanAttrs>

/** An ipvlan link, which shares the MAC address of the device below: `Link.link` when read. */
export interface IpvlanKind extends IpvlanAttrs {
  readonly type: 'ipvlan'
  /** Index of the device below. Requests only. */
  readonly link?: number | undefined
}
