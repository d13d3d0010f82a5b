/**
 * Encapsulation by route: packets that take the route get a tunnel's outer
 * header, without a link, neighbour or forwarding entry for each remote host.
 *
 * RTA_ENCAP_TYPE says what RTA_ENCAP holds.
 *
 * Source: include/uapi/linux/lwtunnel.h; net/ipv4/ip_tunnel_core.c,
 * ip_tun_build_state, v6.12.
 *
 * @module
 */
import { type AttrTable, attr, attrTable, readAttrs, writeAttrs } from '../attrs.ts'
import { binary, type Codec, flags, ipv4, ipv6, u8, u16, u16be, u64be } from '../codecs.ts'
import { viewOf } from '../message.ts'
import type { Writer } from '../writer.ts'
import { present, word, words } from './body.ts'

const NLA_F_NESTED = 0x8000
const RTA = { encapType: 21, encap: 22 } as const

/** Source: lwtunnel.h, enum lwtunnel_encap_types. */
const ENCAP_TYPES = { ip: 2, ip6: 4 } as const

/** Source: include/uapi/linux/if_tunnel.h, TUNNEL_*. */
const ENCAP_FLAGS = { csum: 0x1, key: 0x4, seq: 0x8 } as const

/** What the outer header carries besides: a checksum, a key, a sequence number. */
export type EncapFlag = keyof typeof ENCAP_FLAGS

/** LWTUNNEL_IP_*, in RTA_ENCAP. */
export const ipEncapAttrs = attrTable({
  id: attr(1, u64be), //   LWTUNNEL_IP_ID, the VNI of VXLAN, the key of GRE
  dst: attr(2, ipv4), //   LWTUNNEL_IP_DST
  src: attr(3, ipv4), //   LWTUNNEL_IP_SRC
  ttl: attr(4, u8), //     LWTUNNEL_IP_TTL
  tos: attr(5, u8), //     LWTUNNEL_IP_TOS
  flags: attr(6, flags(u16be, ENCAP_FLAGS)), // LWTUNNEL_IP_FLAGS
})

/** LWTUNNEL_IP6_*, in RTA_ENCAP. */
export const ip6EncapAttrs = attrTable({
  id: attr(1, u64be), //   LWTUNNEL_IP6_ID
  dst: attr(2, ipv6), //   LWTUNNEL_IP6_DST
  src: attr(3, ipv6), //   LWTUNNEL_IP6_SRC
  ttl: attr(4, u8), //     LWTUNNEL_IP6_HOPLIMIT
  tos: attr(5, u8), //     LWTUNNEL_IP6_TC
  flags: attr(6, flags(u16be, ENCAP_FLAGS)), // LWTUNNEL_IP6_FLAGS
})

/**
 * An outer IPv4 (`ip`) or IPv6 (`ip6`) header. What is absent the kernel or the
 * tunnel chooses; when read, a zero is absent too.
 */
export interface IpEncap {
  readonly type: 'ip' | 'ip6'
  /** The VNI of a VXLAN link, the key of a GRE link. Exact up to 2^53 - 1. */
  readonly id?: number | undefined
  /** The remote host. */
  readonly dst?: string | undefined
  readonly src?: string | undefined
  /** Hop limit for IPv6. */
  readonly ttl?: number | undefined
  /** Traffic class for IPv6. */
  readonly tos?: number | undefined
  readonly flags?: readonly EncapFlag[] | undefined
}

/** An encapsulation this package does not know, by its LWTUNNEL_ENCAP_* number. */
export interface OtherEncap {
  readonly type: number
}

/** An encapsulation as the kernel reports it. */
export type Encap = IpEncap | OtherEncap

/** The bytes of RTA_ENCAP, which mean nothing without RTA_ENCAP_TYPE. */
const nestedBinary: Codec<Uint8Array> = { ...binary, nested: true }

/** Rows that a route and each of its next hops have. */
export const encapRows = {
  encapType: attr(RTA.encapType, u16), //   RTA_ENCAP_TYPE
  encap: attr(RTA.encap, nestedBinary), // RTA_ENCAP
} as const

/**
 * Appends both attributes, under the numbers they have in a route unless told otherwise.
 *
 * @throws {RangeError} A value that does not fit, or a type that can only be read.
 */
export function writeEncap(
  out: Writer,
  encap: Encap,
  numbers: Readonly<Record<keyof typeof RTA, number>> = RTA,
): void {
  if (!isIpEncap(encap)) {
    throw new RangeError(`Cannot encode encap: found type ${encap.type}, wanted ip or ip6`)
  }
  const type = out.beginAttr(numbers.encapType)
  out.u16(ENCAP_TYPES[encap.type])
  out.endAttr(type)
  const start = out.beginAttr(numbers.encap | NLA_F_NESTED)
  writeAttrs(out, tableOf(encap.type) as AttrTable, encap)
  out.endAttr(start)
}

/**
 * Reads both attributes; undefined when there is no encapsulation.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function readEncap(attrs: {
  readonly encapType?: number | undefined
  readonly encap?: Uint8Array | undefined
}): Encap | undefined {
  const { encapType, encap } = attrs
  if (encapType === undefined || encapType === 0) return undefined
  if (encapType !== ENCAP_TYPES.ip && encapType !== ENCAP_TYPES.ip6) return { type: encapType }
  const type = encapType === ENCAP_TYPES.ip ? ('ip' as const) : ('ip6' as const)
  if (encap === undefined) return { type }
  const { id, dst, src, ttl, tos, flags } = readAttrs(tableOf(type), viewOf(encap), 0, encap.length)
  return present({
    type,
    id: id === 0 ? undefined : id,
    dst: specified(dst),
    src: specified(src),
    ttl: ttl === 0 ? undefined : ttl,
    tos: tos === 0 ? undefined : tos,
    flags: flags?.length === 0 ? undefined : flags,
  })
}

/** The words after a route's destination, e.g. `encap ip id 100 dst 192.0.2.7`. */
export function encapText(encap: Encap | undefined): string | undefined {
  if (encap === undefined) return undefined
  if (!isIpEncap(encap)) return `encap ${encap.type}`
  return words(
    `encap ${encap.type}`,
    word('id', encap.id),
    word('src', encap.src),
    word('dst', encap.dst),
    word(encap.type === 'ip' ? 'ttl' : 'hoplimit', encap.ttl),
    word(encap.type === 'ip' ? 'tos' : 'tc', encap.tos),
    encap.flags?.join(' '),
  )
}

const isIpEncap = (encap: Encap): encap is IpEncap => encap.type === 'ip' || encap.type === 'ip6'

const tableOf = (type: IpEncap['type']): typeof ipEncapAttrs =>
  // The two tables differ in the length of addresses alone.
  type === 'ip' ? ipEncapAttrs : ip6EncapAttrs

const specified = (address: string | undefined): string | undefined =>
  address === '0.0.0.0' || address === '::' ? undefined : address
