/**
 * ARP over Ethernet for IPv4, as frames: to ask whether somebody has an address
 * (RFC 5227 section 2.1.1) and to tell that somebody has (section 2.3).
 *
 * @module
 */
import { type Ip, ipFromInteger, ipToInteger } from './ip.ts'
import { type Mac, macFromOctets, octetsOfMac } from './mac.ts'

/** What an ARP packet says. RFC 826. */
export interface Arp {
  readonly op: 'request' | 'reply'
  readonly senderMac: Mac
  /** undefined: 0.0.0.0, as in a probe. */
  readonly senderIp: Ip | undefined
  readonly targetIp: Ip
}

export const ARP_ETHER_TYPE = 0x0806
const BYTES = 42
const BROADCAST = new Uint8Array(6).fill(0xff)
/** Ethernet, IPv4, and the lengths of their addresses. */
const KIND = [0x00, 0x01, 0x08, 0x00, 6, 4] as const
const AT = {
  source: 6,
  type: 12,
  kind: 14,
  op: 20,
  senderMac: 22,
  senderIp: 28,
  targetIp: 38,
} as const
const OPS = { request: 1, reply: 2 } as const

/** A frame to everybody. */
export function arpFrame({ op, senderMac, senderIp, targetIp }: Arp): Uint8Array {
  const frame = new Uint8Array(BYTES)
  const view = new DataView(frame.buffer)
  const mac = octetsOfMac(senderMac)
  frame.set(BROADCAST)
  frame.set(mac, AT.source)
  view.setUint16(AT.type, ARP_ETHER_TYPE)
  frame.set(KIND, AT.kind)
  view.setUint16(AT.op, OPS[op])
  frame.set(mac, AT.senderMac)
  view.setUint32(AT.senderIp, senderIp === undefined ? 0 : Number(ipToInteger(senderIp)))
  view.setUint32(AT.targetIp, Number(ipToInteger(targetIp)))
  return frame
}

/** Reads a frame from anybody; undefined for what is no ARP of this kind. */
export function parseArp(frame: Uint8Array): Arp | undefined {
  if (frame.length < BYTES) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  if (view.getUint16(AT.type) !== ARP_ETHER_TYPE) return undefined
  if (KIND.some((octet, index) => frame[AT.kind + index] !== octet)) return undefined
  const op = ([1, 2] as const).find((each) => each === view.getUint16(AT.op))
  const senderMac = macFromOctets(frame.subarray(AT.senderMac, AT.senderMac + 6))
  if (op === undefined || senderMac === undefined) return undefined
  const sender = view.getUint32(AT.senderIp)
  return {
    op: op === OPS.request ? 'request' : 'reply',
    senderMac,
    senderIp: sender === 0 ? undefined : ipFromInteger(4, BigInt(sender)),
    targetIp: ipFromInteger(4, BigInt(view.getUint32(AT.targetIp))),
  }
}

/**
 * Who else has the address, or is about to take it, by one packet.
 *
 * @param own Our own MAC: a switch may hand our probe back.
 */
export function claimant(arp: Arp, ip: Ip, own: Mac): Mac | undefined {
  if (arp.senderMac === own) return undefined
  const isHolder = arp.senderIp === ip
  const isRival = arp.op === 'request' && arp.senderIp === undefined && arp.targetIp === ip
  return isHolder || isRival ? arp.senderMac : undefined
}
