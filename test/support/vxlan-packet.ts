/**
 * VXLAN packets made by hand: what an attacker, or a node gone wrong, would put
 * into a UDP datagram.
 *
 * @module
 */

export interface InnerDatagram {
  readonly from: string
  readonly to: string
  readonly port: number
  readonly text: string
}

const UDP = 17
const HOP_LIMIT = 64
const SOURCE_PORT = 40_000

/** An IP packet with a UDP datagram. RFC 791, RFC 8200, RFC 768. */
export function ipPacket(inner: InnerDatagram): Buffer {
  const [from, to] = [addressBytes(inner.from), addressBytes(inner.to)]
  const datagram = udp(inner, from, to)
  const header = to.length === 16 ? header6(datagram.length) : header4(datagram.length)
  const packet = Buffer.concat([header, from, to, datagram])
  if (to.length === 4) packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10)
  return packet
}

/** VXLAN header, Ethernet frame. RFC 7348 section 5. */
export function vxlan(vni: number, macTo: string, macFrom: string, inner: InnerDatagram): Buffer {
  const header = Buffer.alloc(8)
  header[0] = 0x08 // I: the VNI is valid
  header.writeUIntBE(vni, 4, 3)
  const type = Buffer.from(inner.to.includes(':') ? '86dd' : '0800', 'hex')
  return Buffer.concat([header, macBytes(macTo), macBytes(macFrom), type, ipPacket(inner)])
}

/** VXLAN-GPE header, bare IP packet. draft-ietf-nvo3-vxlan-gpe-13 section 3.1. */
export function vxlanGpe(vni: number, inner: InnerDatagram): Buffer {
  const header = Buffer.alloc(8)
  header[0] = 0x0c // I, and P: the next protocol is valid
  header[3] = inner.to.includes(':') ? 2 : 1
  header.writeUIntBE(vni, 4, 3)
  return Buffer.concat([header, ipPacket(inner)])
}

function header4(payloadBytes: number): Buffer {
  const header = Buffer.alloc(12)
  header[0] = 0x45
  header.writeUInt16BE(20 + payloadBytes, 2)
  header[8] = HOP_LIMIT
  header[9] = UDP
  return header
}

function header6(payloadBytes: number): Buffer {
  const header = Buffer.alloc(8)
  header[0] = 0x60
  header.writeUInt16BE(payloadBytes, 4)
  header[6] = UDP
  header[7] = HOP_LIMIT
  return header
}

function udp({ port, text }: InnerDatagram, from: Buffer, to: Buffer): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), Buffer.from(text)])
  datagram.writeUInt16BE(SOURCE_PORT, 0)
  datagram.writeUInt16BE(port, 2)
  datagram.writeUInt16BE(datagram.length, 4)
  const pseudo = Buffer.alloc(8)
  pseudo.writeUInt32BE(datagram.length, 0)
  pseudo[7] = UDP
  datagram.writeUInt16BE(checksum(Buffer.concat([from, to, pseudo, datagram])) || 0xffff, 6)
  return datagram
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex')

function addressBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const words = (part: string): string[] => part.split(':').filter((word) => word !== '')
  const [left, right] = [words(head), words(tail ?? '')]
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const all = tail === undefined ? left : [...left, ...zeros, ...right]
  return Buffer.from(all.map((word) => word.padStart(4, '0')).join(''), 'hex')
}
