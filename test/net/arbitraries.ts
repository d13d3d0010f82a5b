/** Addresses and prefixes for properties, built from integers and never by parsing. */
import fc from 'fast-check'
import {
  ADDRESS_BITS,
  type Ip,
  type IpFamily,
  ipFromInteger,
  type Prefix,
} from '../../src/net/mod.ts'

export const familyArb: fc.Arbitrary<IpFamily> = fc.constantFrom(4, 6)

/** Many zeros and many ones: where compression and carries happen. */
const integerOf = (family: IpFamily): fc.Arbitrary<bigint> => {
  const max = (1n << BigInt(ADDRESS_BITS[family])) - 1n
  const any = fc.bigInt({ min: 0n, max })
  const byte = fc.constantFrom(0n, 0n, 0n, 1n, 255n)
  const bytes = ADDRESS_BITS[family] / 8
  const sparse = fc
    .array(byte, { minLength: bytes, maxLength: bytes })
    .map((octets) => octets.reduce((sum: bigint, octet) => sum * 256n + octet, 0n))
  return fc.oneof(any, sparse)
}

export interface Numbered {
  readonly family: IpFamily
  readonly value: bigint
}

export const numberArb: fc.Arbitrary<Numbered> = familyArb.chain((family) =>
  integerOf(family).map((value) => ({ family, value })),
)

export const ipArb: fc.Arbitrary<Ip> = numberArb.map(({ family, value }) =>
  ipFromInteger(family, value),
)

export interface Sized {
  readonly ip: Ip
  readonly family: IpFamily
  readonly value: bigint
  readonly length: number
}

/** An address and a prefix length of its family. */
export const sizedArb: fc.Arbitrary<Sized> = numberArb.chain(({ family, value }) =>
  fc
    .integer({ min: 0, max: ADDRESS_BITS[family] })
    .map((length) => ({ ip: ipFromInteger(family, value), family, value, length })),
)

/** The network's first address by plain arithmetic: what the code under test must agree with. */
export function firstOf({ family, value, length }: Omit<Sized, 'ip'>): bigint {
  const size = 2n ** BigInt(ADDRESS_BITS[family] - length)
  return (value / size) * size
}

export const asPrefix = (text: string): Prefix => text as Prefix
