/**
 * Bridges and their ports.
 *
 * Source: include/uapi/linux/if_link.h, enum IFLA_BR_* and IFLA_BRPORT_*, v6.12.
 *
 * @module
 */
import { type AttrsOf, attr, attrTable } from '../attrs.ts'
import { bool, type Codec, named, u8, u16, u16be, u32, vlanId } from '../codecs.ts'

/** Times in the bridge's unit, 1/100 s (USER_HZ), as seconds. */
const centiseconds: Codec<number> = {
  write: (out, value, name) => u32.write(out, Math.round(value * 100), name),
  read: (view, offset, length, name) => u32.read(view, offset, length, name) / 100,
}

/** A u32 that is 0 or more than 0. */
const bool32: Codec<boolean> = {
  write: (out, value) => out.u32(value ? 1 : 0),
  read: (view, offset, length, name) => u32.read(view, offset, length, name) !== 0,
}

/** EtherTypes of VLAN tags. Source: include/uapi/linux/if_ether.h, ETH_P_8021Q, ETH_P_8021AD. */
export const VLAN_PROTOCOLS = { '802.1Q': 0x8100, '802.1ad': 0x88a8 } as const

/** IFLA_BR_*, in IFLA_INFO_DATA. */
export const bridgeAttrs = attrTable({
  forwardDelaySeconds: attr(1, centiseconds), // IFLA_BR_FORWARD_DELAY
  helloSeconds: attr(2, centiseconds), //        IFLA_BR_HELLO_TIME
  maxAgeSeconds: attr(3, centiseconds), //       IFLA_BR_MAX_AGE
  ageingSeconds: attr(4, centiseconds), //       IFLA_BR_AGEING_TIME
  stp: attr(5, bool32), //                       IFLA_BR_STP_STATE
  priority: attr(6, u16), //                     IFLA_BR_PRIORITY
  vlanFiltering: attr(7, bool), //               IFLA_BR_VLAN_FILTERING
  vlanProtocol: attr(8, named(u16be, VLAN_PROTOCOLS)), // IFLA_BR_VLAN_PROTOCOL
  groupForwardMask: attr(9, u16), //             IFLA_BR_GROUP_FWD_MASK
  mcastSnooping: attr(23, bool), //              IFLA_BR_MCAST_SNOOPING
  nfCallIptables: attr(36, bool), //             IFLA_BR_NF_CALL_IPTABLES
  nfCallIp6tables: attr(37, bool), //            IFLA_BR_NF_CALL_IP6TABLES
  nfCallArptables: attr(38, bool), //            IFLA_BR_NF_CALL_ARPTABLES
  vlanDefaultPvid: attr(39, vlanId), //             IFLA_BR_VLAN_DEFAULT_PVID, 0 = none
})

/** What a bridge is made of. */
export type BridgeAttrs = AttrsOf<typeof bridgeAttrs>

/** A bridge. */
export interface BridgeKind extends BridgeAttrs {
  readonly type: 'bridge'
}

/** States of a port. Source: include/uapi/linux/if_bridge.h, BR_STATE_*. */
const PORT_STATES = { disabled: 0, listening: 1, learning: 2, forwarding: 3, blocking: 4 } as const

/** IFLA_BRPORT_*, in IFLA_INFO_SLAVE_DATA. */
export const bridgePortAttrs = attrTable({
  state: attr(1, named(u8, PORT_STATES)), // IFLA_BRPORT_STATE
  priority: attr(2, u16), //     IFLA_BRPORT_PRIORITY
  cost: attr(3, u32), //         IFLA_BRPORT_COST
  hairpin: attr(4, bool), //     IFLA_BRPORT_MODE
  guard: attr(5, bool), //       IFLA_BRPORT_GUARD
  learning: attr(8, bool), //    IFLA_BRPORT_LEARNING
  flood: attr(9, bool), //       IFLA_BRPORT_UNICAST_FLOOD
  proxyArp: attr(10, bool), //   IFLA_BRPORT_PROXYARP
  mcastFlood: attr(27, bool), // IFLA_BRPORT_MCAST_FLOOD
  vlanTunnel: attr(29, bool), // IFLA_BRPORT_VLAN_TUNNEL
  bcastFlood: attr(30, bool), // IFLA_BRPORT_BCAST_FLOOD
  neighSuppress: attr(32, bool), // IFLA_BRPORT_NEIGH_SUPPRESS
  isolated: attr(33, bool), //   IFLA_BRPORT_ISOLATED
  locked: attr(39, bool), //     IFLA_BRPORT_LOCKED
})

/** Settings of a link as a port of a bridge. */
export type BridgePort = AttrsOf<typeof bridgePortAttrs>
