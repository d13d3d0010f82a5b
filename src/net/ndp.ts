/**
 * Neighbour discovery over Ethernet for IPv6, as frames: to ask whether somebody
 * has an address (duplicate address detection, RFC 4862 section 5.4) and to tell
 * that somebody has (unsolicited advertisement, RFC 4861 section 7.2.6).
 *
 * @module
 */
import { type Ip, ipFromInteger, ipToInteger } from './ip.ts'
import { type Mac, macFromOctets, octetsOfMac } from './mac.ts'

/** A neighbour solicitation or advertisement. RFC 4861 sections 4.3 and 4.4. */
export interface Ndp {
  readonly kind: 'solicitation' | 'advertisement'
  /** Of the frame: whoever speaks for the target. */
  readonly senderMac: Mac
  /** undefined: `::`, as in a probe. */
  readonly senderIp: Ip | undefined
  readonly targetIp: Ip
}

export const IPV6_ETHER_TYPE = 0x86dd
const ICMPV6 = 58
/** No router has handed the packet on: wanted of every one (RFC 4861 section 7.1). */
const HOP_LIMIT = 255
const TYPES = { solicitation: 135, advertisement: 136 } as const
/** The advertisement replaces what neighbours knew. */
const OVERRIDE = 0x20
const TARGET_LINK_LAYER_ADDRESS = 2
const AT = {
  source: 6,
  type: 12,
  version: 14,
  length: 18,
  next: 20,
  hops: 21,
  senderIp: 22,
  receiverIp: 38,
  icmp: 54,
  code: 55,
  checksum: 56,
  flags: 58,
  target: 62,
  options: 78,
} as const
/** Of ICMPv6 without options. */
const ICMP_BYTES = AT.options - AT.icmp
const OPTION_BYTES = 8
/** ff02::1, all nodes of the link. */
const ALL_NODES = 0xff02n * (1n << 112n) + 1n
/** ff02::1:ff00:0, to which the last three octets of an address are added (RFC 4291 section 2.7.1). */
const SOLICITED_NODE = 0xff02n * (1n << 112n) + 0x1_ff00_0000n
const UNSPECIFIED = '::'

/** Asks whoever has the address to say so, from nobody: without an address of our own (RFC 4862 section 5.4.2). */
export function solicitationFrame(senderMac: Mac, targetIp: Ip): Uint8Array {
  const last = ipToInteger(targetIp) & 0xff_ffffn
  return frameOf('solicitation', senderMac, 0n, SOLICITED_NODE + last, targetIp)
}

/** Tells everybody on the link that the address is here now. */
export const advertisementFrame = (senderMac: Mac, ip: Ip): Uint8Array =>
  frameOf('advertisement', senderMac, ipToInteger(ip), ALL_NODES, ip)

function frameOf(
  kind: Ndp['kind'],
  senderMac: Mac,
  senderIp: bigint,
  receiverIp: bigint,
  targetIp: Ip,
): Uint8Array {
  const isTold = kind === 'advertisement'
  const frame = new Uint8Array(AT.options + (isTold ? OPTION_BYTES : 0))
  const view = new DataView(frame.buffer)
  const mac = octetsOfMac(senderMac)
  // A group's MAC ends like its address (RFC 2464 section 7).
  frame.set([0x33, 0x33])
  view.setUint32(2, Number(receiverIp & 0xffff_ffffn))
  frame.set(mac, AT.source)
  view.setUint16(AT.type, IPV6_ETHER_TYPE)
  frame[AT.version] = 6 << 4
  view.setUint16(AT.length, frame.length - AT.icmp)
  frame.set([ICMPV6, HOP_LIMIT], AT.next)
  putIp(view, AT.senderIp, senderIp)
  putIp(view, AT.receiverIp, receiverIp)
  frame[AT.icmp] = TYPES[kind]
  if (isTold) frame[AT.flags] = OVERRIDE
  putIp(view, AT.target, ipToInteger(targetIp))
  if (isTold) frame.set([TARGET_LINK_LAYER_ADDRESS, OPTION_BYTES / 8, ...mac], AT.options)
  view.setUint16(AT.checksum, checksum(view, frame.length))
  return frame
}

function putIp(view: DataView, at: number, ip: bigint): void {
  view.setBigUint64(at, ip >> 64n)
  view.setBigUint64(at + 8, ip & 0xffff_ffff_ffff_ffffn)
}

const ipAt = (view: DataView, at: number): Ip =>
  ipFromInteger(6, (view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8))

/** Over addresses, length, protocol and ICMPv6 (RFC 8200 section 8.1); 0 over a packet that has the right one. */
function checksum(view: DataView, end: number): number {
  let sum = end - AT.icmp + ICMPV6
  for (let at = AT.senderIp; at + 1 < end; at += 2) sum += view.getUint16(at)
  if ((end - AT.icmp) % 2 === 1) sum += view.getUint8(end - 1) << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/**
 * Reads a frame from anybody; undefined for what is neither, or is not as a
 * receiver must want it (RFC 4861 section 7.1). Options are not looked at.
 */
export function parseNdp(frame: Uint8Array): Ndp | undefined {
  if (frame.length < AT.options) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  if (view.getUint16(AT.type) !== IPV6_ETHER_TYPE || view.getUint8(AT.version) >> 4 !== 6) {
    return undefined
  }
  const end = AT.icmp + view.getUint16(AT.length)
  if (end < AT.icmp + ICMP_BYTES || end > frame.length) return undefined
  if (view.getUint8(AT.next) !== ICMPV6 || view.getUint8(AT.hops) !== HOP_LIMIT) return undefined
  const type = view.getUint8(AT.icmp)
  const kind = (['solicitation', 'advertisement'] as const).find((each) => TYPES[each] === type)
  const senderMac = macFromOctets(frame.subarray(AT.source, AT.source + 6))
  const isMulticast = view.getUint8(AT.target) === 0xff
  if (kind === undefined || senderMac === undefined || isMulticast) return undefined
  if (view.getUint8(AT.code) !== 0 || checksum(view, end) !== 0) return undefined
  const sender = ipAt(view, AT.senderIp)
  return {
    kind,
    senderMac,
    senderIp: sender === UNSPECIFIED ? undefined : sender,
    targetIp: ipAt(view, AT.target),
  }
}

/**
 * Who else has the address, or is about to take it, by one packet (RFC 4862 sections 5.4.3 and 5.4.4).
 *
 * @param own Our own MAC: a switch may hand our probe back.
 */
export function neighbourWith(ndp: Ndp, ip: Ip, own: Mac): Mac | undefined {
  if (ndp.senderMac === own) return undefined
  const isHolder = ndp.senderIp === ip || (ndp.kind === 'advertisement' && ndp.targetIp === ip)
  const isRival = ndp.kind === 'solicitation' && ndp.senderIp === undefined && ndp.targetIp === ip
  return isHolder || isRival ? ndp.senderMac : undefined
}
