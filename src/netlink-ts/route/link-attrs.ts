/**
 * struct ifinfomsg and the attributes every link has.
 *
 * Source: include/uapi/linux/rtnetlink.h, struct ifinfomsg;
 * include/uapi/linux/if_link.h, enum IFLA_*; include/uapi/linux/if.h, IFF_*.
 *
 * @module
 */
import { attr, attrTable, nested } from '../attrs.ts'
import { ifname, lladdr, named, s32, text, u8, u32 } from '../codecs.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'

/** Bytes of struct ifinfomsg: family, pad, type u16, index s32, flags u32, change u32. */
export const IFINFO_BYTES = 16

/** Interface flags. Source: if.h, enum net_device_flags. */
export const IFF = { up: 0x1, running: 0x40, lowerUp: 0x1_0000 } as const

/** Operational states of RFC 2863. Source: if.h, IF_OPER_*. */
export const OPER_STATES = {
  unknown: 0,
  notPresent: 1,
  down: 2,
  lowerLayerDown: 3,
  testing: 4,
  dormant: 5,
  up: 6,
} as const

/** An operational state's name, or its number when it has none. */
export type OperState = keyof typeof OPER_STATES | number

/** IFLA_INET6_*, of IFLA_AF_SPEC, with which a link gets its link-local address. */
export const inet6Attrs = attrTable({
  /** Source: if_link.h, enum in6_addr_gen_mode: 0 = EUI-64, 1 = none, 2 = stable, 3 = random. */
  addrGenMode: attr(8, u8), // IFLA_INET6_ADDR_GEN_MODE
})

/** IFLA_AF_SPEC: settings by address family. */
export const familyAttrs = attrTable({ inet6: attr(10, nested(inet6Attrs)) }) // AF_INET6

/** IFLA_XDP_*. */
export const xdpAttrs = attrTable({ attached: attr(2, u8) }) // IFLA_XDP_ATTACHED: 0 = no program

/** IFLA_*: what links of every kind have. */
export const linkAttrs = attrTable({
  mac: attr(1, lladdr), //           IFLA_ADDRESS
  broadcast: attr(2, lladdr), //     IFLA_BROADCAST
  name: attr(3, ifname), //          IFLA_IFNAME
  mtu: attr(4, u32), //              IFLA_MTU, bytes
  link: attr(5, u32), //             IFLA_LINK, index of the lower device or of the peer
  master: attr(10, u32), //          IFLA_MASTER, index; 0 leaves the master
  txQueueLen: attr(13, u32), //      IFLA_TXQLEN, packets
  operState: attr(16, named(u8, OPER_STATES)), // IFLA_OPERSTATE
  alias: attr(20, text), //        IFLA_IFALIAS
  families: attr(26, nested(familyAttrs)), // IFLA_AF_SPEC
  group: attr(27, u32), //           IFLA_GROUP
  netnsFd: attr(28, u32), //         IFLA_NET_NS_FD, requests only
  extMask: attr(29, u32), //         IFLA_EXT_MASK, requests only
  numTxQueues: attr(31, u32), //     IFLA_NUM_TX_QUEUES
  numRxQueues: attr(32, u32), //     IFLA_NUM_RX_QUEUES
  linkNetnsId: attr(37, s32), //     IFLA_LINK_NETNSID, where `link` is, when elsewhere
  xdp: attr(43, nested(xdpAttrs)), // IFLA_XDP
  targetNetnsId: attr(46, s32), //   IFLA_TARGET_NETNSID, whose links the message is about
  permanentMac: attr(54, lladdr), // IFLA_PERM_ADDRESS
})

/** Fields of struct ifinfomsg that requests set. */
export interface IfInfo {
  readonly family?: number
  readonly index?: number | undefined
  /** true or false changes IFF_UP; undefined leaves it. */
  readonly up?: boolean | undefined
}

/** Appends struct ifinfomsg. */
export function writeIfInfo(out: Writer, info: IfInfo): void {
  const at = out.reserve(IFINFO_BYTES)
  out.view.setUint8(at, info.family ?? 0)
  out.view.setInt32(at + 4, info.index ?? 0, HOST_LITTLE)
  if (info.up === undefined) return
  out.view.setUint32(at + 8, info.up ? IFF.up : 0, HOST_LITTLE)
  out.view.setUint32(at + 12, IFF.up, HOST_LITTLE)
}
