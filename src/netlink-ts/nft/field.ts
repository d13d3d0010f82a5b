/**
 * Fields of a set's key or of a map's data: how `10.0.0.2`, `"veth0"` or 80 lie
 * in the kernel's registers.
 *
 * An interval is two keys of the same length, both inclusive. As text it is a
 * prefix where it is one (`10.0.0.0/24`, `trv*`), else `{ from, to }`.
 *
 * Source: nft(8), "Data types"; the numbers are those of nftables'
 * include/datatype.h, which the kernel keeps without a meaning of its own.
 *
 * @module
 */
import { inRange, mac } from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import { formatIp, parseIp, parsePrefix } from '../ip.ts'
import { HOST_LITTLE, Writer } from '../writer.ts'
import { toHex } from './codecs.ts'

/** Both ends inclusive. */
export interface FieldRange {
  readonly from: string | number
  readonly to: string | number
}

/** One field: a value, or in an interval set a prefix or a range. */
export type Field = string | number | FieldRange

/** The two ends of a field, each as long as the type. */
export interface FieldBytes {
  readonly from: Uint8Array
  readonly to: Uint8Array
}

interface FieldType {
  /** nftables' number. */
  readonly number: number
  readonly bytes: number
  /** In the machine's order: such numbers cannot form intervals. */
  readonly host?: boolean
  parse(value: string | number): Uint8Array
  format(bytes: Uint8Array): string | number
}

const IFNAME_BYTES = 16 // IFNAMSIZ
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Types of fields, by nft's names. */
export const FIELD_TYPES = {
  nf_proto: integerType(2, 1),
  ipv4_addr: ipType(7, 4),
  ipv6_addr: ipType(8, 16),
  ether_addr: { number: 9, bytes: 6, parse: parseMac, format: formatMac },
  ether_type: integerType(10, 2),
  inet_proto: integerType(12, 1),
  inet_service: integerType(13, 2),
  mark: hostType(19),
  iface_index: hostType(20),
  ifname: { number: 41, bytes: IFNAME_BYTES, parse: parseName, format: formatName },
} as const satisfies Readonly<Record<string, FieldType>>

/** A type of a field, by nft's name. */
export type KeyType = keyof typeof FIELD_TYPES

const TYPE_NAMES: ReadonlyMap<number, KeyType> = new Map(
  Object.entries(FIELD_TYPES).map(([name, { number }]) => [number, name as KeyType]),
)

/**
 * A type's row.
 *
 * @throws {RangeError} There is no such type.
 */
export function fieldType(name: KeyType | number): FieldType {
  const type = typeof name === 'string' && Object.hasOwn(FIELD_TYPES, name) && FIELD_TYPES[name]
  if (type) return type
  throw new RangeError(
    `Cannot encode type "${name}": wanted ${Object.keys(FIELD_TYPES).join(', ')}`,
  )
}

const TYPE_BITS = 6 // nftables packs the types of a concatenation into one number

/** The number of a concatenation's type. */
export const typeNumber = (types: readonly (KeyType | number)[]): number =>
  types.reduce<number>((sum, name) => (sum << TYPE_BITS) | fieldType(name).number, 0) >>> 0

/** The types in a number; one that this package does not know stays a number. */
export function typesOf(number: number): readonly (KeyType | number)[] {
  const types: (KeyType | number)[] = []
  for (let rest = number; rest > 0; rest >>>= TYPE_BITS) {
    const one = rest & ((1 << TYPE_BITS) - 1)
    types.unshift(TYPE_NAMES.get(one) ?? one)
  }
  return types
}

/**
 * The two ends of a field.
 *
 * @throws {RangeError} Not a value, prefix or range of the type.
 */
export function parseField(name: KeyType | number, field: Field): FieldBytes {
  const type = fieldType(name)
  if (typeof field === 'object') return parseRange(name, type, field)
  if (typeof field === 'string') {
    if ((name === 'ipv4_addr' || name === 'ipv6_addr') && field.includes('/')) {
      return prefixEnds(name, type, field)
    }
    if (name === 'ifname' && field.endsWith('*')) return wildcardEnds(field)
  }
  const bytes = type.parse(field)
  return { from: bytes, to: bytes }
}

/**
 * A field as text or number; see `parseField`.
 *
 * @throws {DecodeError} An end is not as long as the type.
 */
export function formatField(name: KeyType | number, { from, to }: FieldBytes): Field {
  if (typeof name === 'number') {
    return sameBytes(from, to) ? toHex(from) : { from: toHex(from), to: toHex(to) }
  }
  const type = fieldType(name)
  for (const { length } of [from, to]) {
    if (length !== type.bytes) throw new DecodeError(name, 0, `${type.bytes} bytes`, length)
  }
  if (sameBytes(from, to)) return type.format(from)
  const bits = prefixBits(from, to)
  if (bits !== undefined && (name === 'ipv4_addr' || name === 'ipv6_addr')) {
    return `${type.format(from)}/${bits}`
  }
  if (bits !== undefined && name === 'ifname' && bits % 8 === 0) {
    return `${type.format(from)}*`
  }
  return { from: type.format(from), to: type.format(to) }
}

/** Whether two keys are equal. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) === 0

/** Compares keys as numbers in network order; keys of a set have one length. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!
  }
  return a.length - b.length
}

function parseRange(name: KeyType | number, type: FieldType, { from, to }: FieldRange): FieldBytes {
  if (type.host === true && from !== to) {
    throw new RangeError(`Cannot encode ${from}-${to}: ${name} has no intervals`)
  }
  const ends = { from: type.parse(from), to: type.parse(to) }
  if (compareBytes(ends.from, ends.to) <= 0) return ends
  throw new RangeError(`Cannot encode ${from}-${to}: the end lies before the start`)
}

function prefixEnds(name: string, type: FieldType, text: string): FieldBytes {
  const { bytes, bits } = parsePrefix(text)
  if (bytes.length !== type.bytes) throw notA(name, text)
  const to = bytes.slice()
  for (let bit = bits; bit < to.length * 8; bit++) to[bit >> 3]! |= 0x80 >> (bit & 7)
  return { from: bytes, to }
}

function wildcardEnds(text: string): FieldBytes {
  const start = encoder.encode(text.slice(0, -1))
  if (start.length >= IFNAME_BYTES) throw notA('ifname', text)
  const from = new Uint8Array(IFNAME_BYTES)
  const to = new Uint8Array(IFNAME_BYTES).fill(0xff)
  from.set(start)
  to.set(start)
  return { from, to }
}

/** How many leading bits both ends share, when all others are 0 in one and 1 in the other. */
function prefixBits(from: Uint8Array, to: Uint8Array): number | undefined {
  const bits = from.length * 8
  const bitOf = (bytes: Uint8Array, bit: number): number =>
    (bytes[bit >> 3]! >> (7 - (bit & 7))) & 1
  let shared = 0
  while (shared < bits && bitOf(from, shared) === bitOf(to, shared)) shared++
  for (let bit = shared; bit < bits; bit++) {
    if (bitOf(from, bit) !== 0 || bitOf(to, bit) !== 1) return undefined
  }
  return shared
}

function ipType(number: number, bytes: number): FieldType {
  const name = bytes === 4 ? 'an IPv4 address' : 'an IPv6 address'
  return {
    number,
    bytes,
    parse(value) {
      const found = typeof value === 'string' ? parseIp(value) : undefined
      if (found === undefined || found.length !== bytes) throw notA(name, value)
      return found
    },
    format: formatIp,
  }
}

/** A number in network order. */
function integerType(number: number, bytes: 1 | 2): FieldType {
  return {
    number,
    bytes,
    parse(value) {
      const n = inRange(value as number, 0, 2 ** (bytes * 8) - 1, 'field')
      return bytes === 1 ? Uint8Array.of(n) : Uint8Array.of(n >> 8, n & 0xff)
    },
    format: (found) => (bytes === 1 ? found[0]! : (found[0]! << 8) | found[1]!),
  }
}

/** A u32 in the machine's order. */
function hostType(number: number): FieldType {
  return {
    number,
    bytes: 4,
    host: true,
    parse(value) {
      const found = new Uint8Array(4)
      const n = inRange(value as number, 0, 0xffff_ffff, 'field')
      new DataView(found.buffer).setUint32(0, n, HOST_LITTLE)
      return found
    },
    format: (found) => new DataView(found.buffer, found.byteOffset, 4).getUint32(0, HOST_LITTLE),
  }
}

function parseMac(value: string | number): Uint8Array {
  const out = new Writer()
  mac.write(out, String(value), 'ether_addr')
  return out.copy()
}

function formatMac(bytes: Uint8Array): string {
  return mac.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, 6, 'ether_addr')
}

function parseName(value: string | number): Uint8Array {
  const text = typeof value === 'string' ? encoder.encode(value) : undefined
  if (!text || text.length < 1 || text.length >= IFNAME_BYTES || text.includes(0)) {
    throw notA('an interface name', value)
  }
  const bytes = new Uint8Array(IFNAME_BYTES)
  bytes.set(text)
  return bytes
}

function formatName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end))
}

const notA = (wanted: string, found: string | number): RangeError =>
  new RangeError(`Cannot encode field: found "${found}", wanted ${wanted}`)
