/**
 * Next hops of a route: RTA_MULTIPATH, an array of struct rtnexthop, each with
 * attributes of its own; and RTA_VIA, a gateway of the other family.
 *
 * Source: include/uapi/linux/rtnetlink.h, struct rtnexthop, struct rtvia, RTNH_F_*.
 *
 * @module
 */
import { attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { bytesAt, type Codec, inRange, ip } from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import { familyOf, formatIp, type IpFamily, parseIp } from '../ip.ts'
import { aligned, HOST_LITTLE, type Writer } from '../writer.ts'
import { present } from './body.ts'
import { afOf } from './constants.ts'
import { type Encap, encapRows, readEncap, writeEncap } from './encap.ts'

/** Bytes of struct rtnexthop: length u16, flags u8, hops u8, ifindex s32. */
const RTNEXTHOP_BYTES = 8
const WEIGHT_MAX = 256

/** Source: rtnetlink.h, RTNH_F_*. */
export const RTNH_F = { dead: 1, pervasive: 2, onlink: 4, offload: 8, linkDown: 16 } as const

/** One of several next hops. */
export interface NextHop {
  readonly gateway?: string | undefined
  /** Index of the link out. */
  readonly oif?: number | undefined
  /** 1..256. @default 1 */
  readonly weight?: number | undefined
  /** The gateway is reachable on the link although no address says so. */
  readonly onlink?: boolean | undefined
  /** Wraps packets into a tunnel's. Only `IpEncap` can be written. */
  readonly encap?: Encap | undefined
  /** Not in use: its link is down. Never written. */
  readonly dead?: boolean | undefined
}

/** RTA_VIA: a u16 family and an address of it. */
export const via: Codec<string> = {
  write(out, value) {
    out.u16(afOf(familyOf(value)))
    out.append(parseIp(value))
  },
  read(view, offset, length, name) {
    if (length !== 6 && length !== 18) throw new DecodeError(name, offset, '6 or 18 bytes', length)
    return formatIp(bytesAt(view, offset + 2, length - 2))
  },
}

const nextHopAttrs = attrTable({
  gateway: attr(5, ip), // RTA_GATEWAY
  via: attr(18, via), //   RTA_VIA
  ...encapRows,
})

/** A gateway goes into RTA_VIA when its family is not the route's. */
export const isForeign = (gateway: string | undefined, family: IpFamily): boolean =>
  gateway !== undefined && familyOf(gateway) !== family

/** Appends the payload of RTA_MULTIPATH. */
export function writeNextHops(out: Writer, hops: readonly NextHop[], family: IpFamily): void {
  for (const { gateway, oif, weight = 1, onlink, encap } of hops) {
    inRange(weight, 1, WEIGHT_MAX, 'weight')
    const start = out.reserve(RTNEXTHOP_BYTES)
    out.view.setUint8(start + 2, onlink ? RTNH_F.onlink : 0)
    out.view.setUint8(start + 3, weight - 1)
    out.view.setInt32(start + 4, oif ?? 0, HOST_LITTLE)
    const foreign = isForeign(gateway, family)
    writeAttrs(out, nextHopAttrs, foreign ? { via: gateway } : { gateway })
    if (encap !== undefined) writeEncap(out, encap)
    out.view.setUint16(start, out.length - start, HOST_LITTLE)
  }
}

/** Reads the payload of RTA_MULTIPATH. */
export function readNextHops(view: DataView, start: number, length: number): readonly NextHop[] {
  const end = start + length
  const hops: NextHop[] = []
  for (let offset = start; offset < end; ) {
    const left = end - offset
    if (left < RTNEXTHOP_BYTES) {
      throw new DecodeError('struct rtnexthop', offset, `${RTNEXTHOP_BYTES} bytes`, left)
    }
    const size = view.getUint16(offset, HOST_LITTLE)
    if (size < RTNEXTHOP_BYTES || size > left) {
      throw new DecodeError('next hop length', offset, `${RTNEXTHOP_BYTES}..${left}`, size)
    }
    const attrs = readAttrs(nextHopAttrs, view, offset + RTNEXTHOP_BYTES, offset + size)
    const oif = view.getInt32(offset + 4, HOST_LITTLE)
    hops.push(
      present({
        gateway: attrs.gateway ?? attrs.via,
        oif: oif === 0 ? undefined : oif,
        weight: view.getUint8(offset + 3) + 1,
        onlink: (view.getUint8(offset + 2) & RTNH_F.onlink) !== 0 ? true : undefined,
        encap: readEncap(attrs),
        dead: (view.getUint8(offset + 2) & RTNH_F.dead) !== 0 ? true : undefined,
      }),
    )
    offset += aligned(size)
  }
  return hops
}
