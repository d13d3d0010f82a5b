/**
 * Whole frames, sent from one namespace and heard in another.
 *
 * Each carries a mark at its end, so that it is known again whatever becomes of its
 * headers on the way (a VLAN tag, say).
 *
 * @module
 */
import { closeSync } from 'node:fs'
import {
  advertisementFrame,
  arpFrame,
  type Ip,
  ipFamily,
  ipToInteger,
  type Mac,
  octetsOfMac,
} from '../../src/net/mod.ts'
import {
  inNetns,
  openNetns,
  openPacketSocket,
  type PacketSocket,
  warmPool,
} from '../../src/netlink-ts/live/mod.ts'
import { settle } from './e2e.ts'

const ETH_P_ALL = 3
const TYPES = { 4: 0x0800, 6: 0x86dd } as const
const BROADCAST = new Uint8Array(6).fill(0xff)
const MARK_BYTES = 24

/** Opens a packet socket in a namespace. */
export async function socketIn(
  netns: string,
  link: string,
  etherType = ETH_P_ALL,
): Promise<PacketSocket> {
  await warmPool()
  const fd = openNetns(`/run/netns/${netns}`)
  try {
    return inNetns(fd, () => openPacketSocket(link, etherType))
  } finally {
    closeSync(fd)
  }
}

/** Marks of frames that came to a link. */
export interface FrameEar {
  /** Waits for a frame of this mark. */
  hears(mark: string): Promise<boolean>
  heard(): ReadonlySet<string>
  close(): void
}

export async function frameEar(netns: string, link: string): Promise<FrameEar> {
  const socket = await socketIn(netns, link)
  const marks = new Set<string>()
  const take = (): void => {
    for (let frame = socket.receive(); frame !== undefined; frame = socket.receive()) {
      const tail = Buffer.from(frame.subarray(-MARK_BYTES)).toString('latin1')
      const [, mark] = /<(.+)>\0*$/.exec(tail) ?? []
      if (mark !== undefined) marks.add(mark)
    }
  }
  return {
    async hears(mark) {
      const left = await settle(() => {
        take()
        return marks.has(mark) ? [] : [mark]
      })
      return left.length === 0
    },
    heard() {
      take()
      return marks
    },
    close: () => socket.close(),
  }
}

/**
 * The frame with its mark, at most 20 characters; IP lengths and the IPv4 checksum
 * take it in, or a bridge with br_netfilter would cut it off.
 */
export function marked(frame: Uint8Array, mark: string): Uint8Array {
  const tail = Buffer.alloc(MARK_BYTES)
  tail.write(`<${mark}>`, 'latin1')
  const made = Uint8Array.from([...frame, ...tail])
  const view = new DataView(made.buffer)
  const at = view.getUint16(12) === 0x8100 ? 16 : 12
  const [type, header] = [view.getUint16(at), at + 2]
  if (type === TYPES[6]) view.setUint16(header + 4, made.length - header - 40)
  if (type === TYPES[4]) {
    view.setUint16(header + 2, made.length - header)
    let sum = 0
    for (let word = header; word < header + 20; word += 2) sum += view.getUint16(word)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    view.setUint16(header + 10, ~sum & 0xffff)
  }
  return made
}

/** To everybody. */
export const ethernet = (source: Mac, type: number, body: readonly number[]): Uint8Array =>
  Uint8Array.from([...BROADCAST, ...octetsOfMac(source), type >> 8, type & 0xff, ...body])

/** The same with an 802.1Q tag. */
export const tagged = (frame: Uint8Array, vlanId: number): Uint8Array =>
  Uint8Array.from([
    ...frame.subarray(0, 12),
    ...[0x81, 0x00, vlanId >> 8, vlanId & 0xff],
    ...frame.subarray(12),
  ])

const octetsOfIp = (ip: Ip): readonly number[] => {
  const hex = ipToInteger(ip)
    .toString(16)
    .padStart(ipFamily(ip) === 4 ? 8 : 32, '0')
  return [...Buffer.from(hex, 'hex')]
}

/** A UDP datagram from an address to another of its family, as far as a guard looks. */
export function datagram(mac: Mac, from: Ip, to: Ip): Uint8Array {
  const udp = [0x1b, 0x58, 0x1b, 0x58, 0, 8, 0, 0]
  const family = ipFamily(from)
  const addresses = [...octetsOfIp(from), ...octetsOfIp(to)]
  const header =
    family === 4
      ? [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, ...addresses]
      : [0x60, 0, 0, 0, 0, 8, 17, 64, ...addresses]
  return ethernet(mac, TYPES[family], [...header, ...udp])
}

/** An announcement by ARP. */
export const announcement = (mac: Mac, ip: Ip): Uint8Array =>
  arpFrame({ op: 'request', senderMac: mac, senderIp: ip, targetIp: ip })

/** An advertisement of a neighbour that comes from another address than it speaks of. */
export function advertisement(mac: Mac, from: Ip, target: Ip): Uint8Array {
  const frame = advertisementFrame(mac, target)
  frame.set(octetsOfIp(from), 22)
  return frame
}

/** The same, with its ICMPv6 behind destination options (RFC 8200 section 4.6). */
export function behindOptions(frame: Uint8Array): Uint8Array {
  const header = [58, 0, 1, 4, 0, 0, 0, 0] // next, length, PadN
  const bytes = [...frame.subarray(0, 54), ...header, ...frame.subarray(54)]
  bytes[20] = 60
  return Uint8Array.from(bytes)
}
