/**
 * VXLAN links.
 *
 * Source: include/uapi/linux/if_link.h, enum IFLA_VXLAN_*, v6.18;
 * drivers/net/vxlan/vxlan_core.c, vxlan_policy.
 *
 * @module
 */
import { type AttrsOf, attr, attrTable } from '../attrs.ts'
import { bool, type Codec, flag, ipv4, ipv6, named, u8, u16be, u32, u32be, vni } from '../codecs.ts'
import { DecodeError } from '../errors.ts'

/** First and last UDP source port. Source: struct ifla_vxlan_port_range. */
export interface PortRange {
  readonly low: number
  readonly high: number
}

const portRange: Codec<PortRange> = {
  write(out, { low, high }, name) {
    u16be.write(out, low, `${name}.low`)
    u16be.write(out, high, `${name}.high`)
  },
  read(view, offset, length, name) {
    if (length !== 4) throw new DecodeError(name, offset, '4 bytes', length)
    return { low: view.getUint16(offset), high: view.getUint16(offset + 2) }
  },
}

/** The outer IPv4 header's DF bit. Source: if_link.h, enum ifla_vxlan_df. */
const DF = { unset: 0, set: 1, inherit: 2 } as const

/** Where the IPv6 flow label comes from. Source: if_link.h, enum ifla_vxlan_label_policy. */
const LABEL_POLICY = { fixed: 0, inherit: 1 } as const

/** IFLA_VXLAN_*, in IFLA_INFO_DATA. */
export const vxlanAttrs = attrTable({
  vni: attr(1, vni), //             IFLA_VXLAN_ID
  remote: attr(2, ipv4), //         IFLA_VXLAN_GROUP, unicast or multicast
  link: attr(3, u32), //            IFLA_VXLAN_LINK, index of the underlay device
  local: attr(4, ipv4), //          IFLA_VXLAN_LOCAL
  ttl: attr(5, u8), //              IFLA_VXLAN_TTL, 0 = default
  tos: attr(6, u8), //              IFLA_VXLAN_TOS, 1 = inherit
  learning: attr(7, bool), //       IFLA_VXLAN_LEARNING
  ageingSeconds: attr(8, u32), //   IFLA_VXLAN_AGEING
  limit: attr(9, u32), //           IFLA_VXLAN_LIMIT, FDB entries, 0 = no limit
  portRange: attr(10, portRange), // IFLA_VXLAN_PORT_RANGE
  proxy: attr(11, bool), //         IFLA_VXLAN_PROXY
  rsc: attr(12, bool), //           IFLA_VXLAN_RSC
  l2miss: attr(13, bool), //        IFLA_VXLAN_L2MISS
  l3miss: attr(14, bool), //        IFLA_VXLAN_L3MISS
  port: attr(15, u16be), //         IFLA_VXLAN_PORT, UDP destination
  remote6: attr(16, ipv6), //       IFLA_VXLAN_GROUP6
  local6: attr(17, ipv6), //        IFLA_VXLAN_LOCAL6
  udpCsum: attr(18, bool), //       IFLA_VXLAN_UDP_CSUM
  udpZeroCsum6Tx: attr(19, bool), // IFLA_VXLAN_UDP_ZERO_CSUM6_TX
  udpZeroCsum6Rx: attr(20, bool), // IFLA_VXLAN_UDP_ZERO_CSUM6_RX
  remoteCsumTx: attr(21, bool), //  IFLA_VXLAN_REMCSUM_TX
  remoteCsumRx: attr(22, bool), //  IFLA_VXLAN_REMCSUM_RX
  gbp: attr(23, flag), //           IFLA_VXLAN_GBP
  remoteCsumNoPartial: attr(24, flag), // IFLA_VXLAN_REMCSUM_NOPARTIAL
  external: attr(25, bool), //      IFLA_VXLAN_COLLECT_METADATA
  label: attr(26, u32be), //        IFLA_VXLAN_LABEL, IPv6 flow label
  gpe: attr(27, flag), //           IFLA_VXLAN_GPE
  ttlInherit: attr(28, flag), //    IFLA_VXLAN_TTL_INHERIT
  df: attr(29, named(u8, DF)), //   IFLA_VXLAN_DF
  vnifilter: attr(30, bool), //     IFLA_VXLAN_VNIFILTER, with `external` only
  localbypass: attr(31, bool), //   IFLA_VXLAN_LOCALBYPASS
  labelPolicy: attr(32, named(u32, LABEL_POLICY)), // IFLA_VXLAN_LABEL_POLICY
  mcRoute: attr(34, bool), //       IFLA_VXLAN_MC_ROUTE
})

/** What a VXLAN link is made of, both asked for and reported. */
export type VxlanAttrs = AttrsOf<typeof vxlanAttrs>

/**
 * A VXLAN link. Without `port` the kernel takes 8472, not 4789 of IANA; without
 * `learning` it learns. `external` links take the VNI from each packet's tunnel
 * metadata and have no `vni`.
 */
export interface VxlanKind extends VxlanAttrs {
  readonly type: 'vxlan'
}
