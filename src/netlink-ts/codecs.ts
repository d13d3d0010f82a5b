/**
 * Payload codecs: how one attribute's bytes map to one value.
 *
 * Writers check ranges and throw RangeError, so a number is never cut short
 * silently. Readers check lengths and throw DecodeError, so no reader looks
 * outside its attribute.
 *
 * @module
 */
import { DecodeError } from './errors.ts'
import { familyOf, formatIp, type IpFamily, parseIp } from './ip.ts'
import { HOST_LITTLE, type Writer } from './writer.ts'

/** How a payload maps to a value. `name` is the attribute's, for messages. */
export interface Codec<T> {
  /** Sets NLA_F_NESTED, which newer parts of the kernel insist on. */
  readonly nested?: boolean
  /** The attribute's presence is its value: false is not written. */
  readonly presence?: boolean
  write(out: Writer, value: T, name: string): void
  read(view: DataView, offset: number, length: number, name: string): T
}

const U8_MAX = 0xff
const U16_MAX = 0xffff
const U32_MAX = 0xffff_ffff
const LLADDR_BYTES_MAX = 32 // MAX_ADDR_LEN, include/linux/netdevice.h
const IFNAME_BYTES_MAX = 15 // IFNAMSIZ - 1, include/uapi/linux/if.h

/** Unsigned integers: host order, or network order where the name ends in `be`. */
export const u8 = integer(1, 0, U8_MAX, false)
export const u16 = integer(2, 0, U16_MAX, false)
export const u32 = integer(4, 0, U32_MAX, false)
export const s32 = integer(4, -0x8000_0000, 0x7fff_ffff, false)
export const u16be = integer(2, 0, U16_MAX, true)
export const u32be = integer(4, 0, U32_MAX, true)

/** 64 bits as a number: exact up to 2^53 - 1, above that the nearest one. */
export const u64 = wide(HOST_LITTLE)
export const u64be = wide(false)

/** A number of fewer bits than its field. Reading takes what comes. */
export const upTo = (max: number, codec: Codec<number>): Codec<number> => ({
  write: (out, value, name) => codec.write(out, inRange(value, 0, max, name), name),
  read: codec.read,
})

/** A VXLAN network identifier. Source: RFC 7348 section 5, 24 bits. */
export const vni = upTo(0xff_ffff, u32)

/** A VLAN identifier. Source: IEEE 802.1Q, 12 bits; 4095 is reserved. */
export const vlanId = upTo(4094, u16)

/** A u8 that is 0 or 1; any other number reads as true. */
export const bool: Codec<boolean> = {
  write: (out, value) => out.u8(value ? 1 : 0),
  read: (view, offset, length, name) => u8.read(view, offset, length, name) !== 0,
}

/** An attribute without payload: there or not (NLA_FLAG). Some dumps send a u8 instead. */
export const flag: Codec<boolean> = {
  presence: true,
  write: () => {},
  read: (view, offset, length) => length === 0 || view.getUint8(offset) !== 0,
}

/** UTF-8 text, ended by a zero byte when written; reading stops at the first one. */
export const string: Codec<string> = {
  write(out, value, name) {
    refuseZero(value, name)
    out.append(encoder.encode(value))
    out.u8(0)
  },
  read(view, offset, length) {
    const bytes = bytesAt(view, offset, length)
    const end = bytes.indexOf(0)
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end))
  },
}

/** UTF-8 text without an end: the attribute's length says where it ends. */
export const text: Codec<string> = {
  write(out, value, name) {
    refuseZero(value, name)
    out.append(encoder.encode(value))
  },
  read: string.read,
}

/** An interface name: 1 to 15 bytes, none of them a space or a slash. */
export const ifname: Codec<string> = {
  write(out, value, name) {
    const bytes = encoder.encode(value).length
    if (bytes < 1 || bytes > IFNAME_BYTES_MAX) {
      throw new RangeError(
        `Cannot encode ${name} "${value}": ${bytes} bytes, wanted 1..${IFNAME_BYTES_MAX}`,
      )
    }
    if (/[\s/:]/.test(value) || value === '.' || value === '..') {
      throw new RangeError(`Cannot encode ${name} "${value}": not an interface name`)
    }
    string.write(out, value, name)
  },
  read: string.read,
}

/** Bytes as they are. The value read is a copy. */
export const binary: Codec<Uint8Array> = {
  write: (out, value) => out.append(value),
  read: (view, offset, length) => bytesAt(view, offset, length).slice(),
}

/**
 * A link-layer address as `aa:bb:cc:dd:ee:ff`. Ethernet has 6 bytes, but tunnel
 * devices report 4 or 16 and InfiniBand 20, so any length up to 32 is read.
 */
export const lladdr: Codec<string> = {
  write: (out, value, name) => out.append(parseLladdr(value, name)),
  read(view, offset, length, name) {
    if (length > LLADDR_BYTES_MAX) {
      throw new DecodeError(name, offset, `at most ${LLADDR_BYTES_MAX} bytes`, length)
    }
    let text = ''
    for (let i = 0; i < length; i++) {
      text += i === 0 ? HEX[view.getUint8(offset)] : `:${HEX[view.getUint8(offset + i)]}`
    }
    return text
  },
}

/** An Ethernet address, 6 bytes. */
export const mac: Codec<string> = {
  write(out, value, name) {
    const bytes = parseLladdr(value, name)
    if (bytes.length !== 6) throw notMac(value, name)
    out.append(bytes)
  },
  read(view, offset, length, name) {
    exactly(6, offset, length, name)
    return lladdr.read(view, offset, length, name)
  },
}

/** An address of either family; its length says which. */
export const ip: Codec<string> = {
  write: (out, value) => out.append(parseIp(value)),
  read(view, offset, length, name) {
    if (length !== 4 && length !== 16) throw new DecodeError(name, offset, '4 or 16 bytes', length)
    return formatIp(bytesAt(view, offset, length))
  },
}

/** An address of one family only. */
export const ipv4: Codec<string> = ofFamily(4)
export const ipv6: Codec<string> = ofFamily(6)

/** A u8 or u16 with a name for each value; a number without a name stays a number. */
export function named<const N extends Readonly<Record<string, number>>>(
  codec: Codec<number>,
  names: N,
): Codec<(keyof N & string) | number> {
  const byNumber = namesOf(names)
  return {
    write: (out, value, name) => codec.write(out, numberOf(names, value, name), name),
    read(view, offset, length, name) {
      const value = codec.read(view, offset, length, name)
      return byNumber.get(value) ?? value
    },
  }
}

/** Bits with names, as a list of them in the order of the table; bits without a name are left out. */
export function flags<const N extends Readonly<Record<string, number>>>(
  codec: Codec<number>,
  names: N,
): Codec<readonly (keyof N & string)[]> {
  const list = Object.entries(names) as readonly (readonly [keyof N & string, number])[]
  return {
    write(out, value, name) {
      const bits = value.reduce((sum, flag) => sum | numberOf(names, flag, name), 0)
      codec.write(out, bits >>> 0, name)
    },
    read(view, offset, length, name) {
      const bits = codec.read(view, offset, length, name)
      return list.filter(([, bit]) => (bits & bit) !== 0).map(([flag]) => flag)
    },
  }
}

/** The names of a table of numbers, by number. */
export function namesOf<N extends Readonly<Record<string, number>>>(
  names: N,
): ReadonlyMap<number, keyof N & string> {
  return new Map(Object.entries(names).map(([name, number]) => [number, name]))
}

/**
 * The number of a name, or the number itself.
 *
 * @throws {RangeError} A name that the table does not have.
 */
export function numberOf<N extends Readonly<Record<string, number>>>(
  names: N,
  value: (keyof N & string) | number,
  what: string,
): number {
  if (typeof value === 'number') return value
  const number = Object.hasOwn(names, value) ? names[value] : undefined
  if (number !== undefined) return number
  throw new RangeError(
    `Cannot encode ${what}: found "${value}", wanted ${Object.keys(names).join(', ')}`,
  )
}

/**
 * Checks an integer's range.
 *
 * @throws {RangeError} Not an integer, or outside `min..max`.
 */
export function inRange(value: number, min: number, max: number, name: string): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new RangeError(`Cannot encode ${name}: found ${value}, wanted an integer ${min}..${max}`)
}

/** The bytes of part of a view, not copied. */
export const bytesAt = (view: DataView, offset: number, length: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + offset, length)

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function integer(size: 1 | 2 | 4, min: number, max: number, bigEndian: boolean): Codec<number> {
  const little = bigEndian ? false : HOST_LITTLE
  const bits = size * 8
  return {
    write(out, value, name) {
      inRange(value, min, max, name)
      const at = out.reserve(size)
      if (bits === 8) out.view.setUint8(at, value)
      else if (bits === 16) out.view.setUint16(at, value, little)
      else out.view.setInt32(at, value, little)
    },
    read(view, offset, length, name) {
      exactly(size, offset, length, name)
      if (bits === 8) return view.getUint8(offset)
      if (bits === 16) return view.getUint16(offset, little)
      return min < 0 ? view.getInt32(offset, little) : view.getUint32(offset, little)
    },
  }
}

function wide(little: boolean): Codec<number> {
  return {
    write(out, value, name) {
      inRange(value, 0, Number.MAX_SAFE_INTEGER, name)
      const at = out.reserve(8)
      out.view.setBigUint64(at, BigInt(value), little)
    },
    read(view, offset, length, name) {
      exactly(8, offset, length, name)
      return Number(view.getBigUint64(offset, little))
    },
  }
}

function ofFamily(family: IpFamily): Codec<string> {
  const size = family === 4 ? 4 : 16
  return {
    write(out, value, name) {
      if (familyOf(value) !== family) {
        throw new RangeError(
          `Cannot encode ${name}: found ${value}, wanted an IPv${family} address`,
        )
      }
      ip.write(out, value, name)
    },
    read(view, offset, length, name) {
      exactly(size, offset, length, name)
      return ip.read(view, offset, length, name)
    },
  }
}

function exactly(size: number, offset: number, length: number, name: string): void {
  if (length !== size) throw new DecodeError(name, offset, `${size} bytes`, length)
}

function refuseZero(value: string, name: string): void {
  if (value.includes('\0')) throw new RangeError(`Cannot encode ${name}: it contains a zero byte`)
}

function parseLladdr(text: string, name: string): Uint8Array {
  const parts = text.split(':')
  const bytes = new Uint8Array(parts.length)
  for (const [i, part] of parts.entries()) {
    if (!/^[0-9a-fA-F]{2}$/.test(part)) throw notMac(text, name)
    bytes[i] = Number.parseInt(part, 16)
  }
  if (bytes.length > LLADDR_BYTES_MAX) throw notMac(text, name)
  return bytes
}

const notMac = (text: string, name: string): RangeError =>
  new RangeError(`Cannot encode ${name}: found "${text}", wanted an address like 02:00:00:00:00:01`)
