/**
 * struct ndmsg and its attributes: neighbours and forwarding entries share them.
 *
 * Source: include/uapi/linux/neighbour.h, struct ndmsg, NDA_*, NUD_*, NTF_*, v6.12.
 *
 * @module
 */
import { attr, attrTable } from '../attrs.ts'
import { inRange, ip, lladdr, namesOf, u8, u16be, u32, vlanId, vni } from '../codecs.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'

/** Bytes of struct ndmsg: family u8, pad, ifindex s32, state u16, flags u8, type u8. */
export const NDMSG_BYTES = 12

/** NUD_*: what is known about a neighbour. */
export const NUD = {
  none: 0,
  incomplete: 0x1,
  reachable: 0x2,
  stale: 0x4,
  delay: 0x8,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
} as const

export const NUD_NAMES = namesOf(NUD)

/** NTF_*. */
export const NTF = {
  use: 0x1,
  self: 0x2,
  master: 0x4,
  proxy: 0x8,
  externLearn: 0x10,
  offloaded: 0x20,
  sticky: 0x40,
  router: 0x80,
} as const

/** NDA_*. */
export const neighAttrs = attrTable({
  dst: attr(1, ip), //        NDA_DST
  mac: attr(2, lladdr), //    NDA_LLADDR
  vlan: attr(5, vlanId), //      NDA_VLAN
  port: attr(6, u16be), //    NDA_PORT, UDP
  vni: attr(7, vni), //       NDA_VNI
  ifIndex: attr(8, u32), //   NDA_IFINDEX
  master: attr(9, u32), //    NDA_MASTER, index of a bridge
  srcVni: attr(11, vni), //   NDA_SRC_VNI
  protocol: attr(12, u8), //  NDA_PROTOCOL
  nexthopId: attr(13, u32), // NDA_NH_ID
})

/** The fields of struct ndmsg in use. */
export interface NdMsg {
  readonly family: number
  readonly index: number
  readonly state: number
  readonly flags: number
}

/** Appends struct ndmsg. */
export function writeNdMsg(out: Writer, { family, index, state, flags }: NdMsg): void {
  const at = out.reserve(NDMSG_BYTES)
  out.view.setUint8(at, family)
  out.view.setInt32(at + 4, inRange(index, 0, 0x7fff_ffff, 'index'), HOST_LITTLE)
  out.view.setUint16(at + 8, inRange(state, 0, 0xffff, 'state'), HOST_LITTLE)
  out.view.setUint8(at + 10, flags)
}

/** Reads struct ndmsg; the caller has checked that it is there. */
export function readNdMsg(view: DataView): NdMsg {
  return {
    family: view.getUint8(0),
    index: view.getInt32(4, HOST_LITTLE),
    state: view.getUint16(8, HOST_LITTLE),
    flags: view.getUint8(10),
  }
}
