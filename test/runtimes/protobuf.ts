/**
 * Protocol buffers, as much as a client of a few calls needs: a message is a
 * table of fields, and the table gives its type, encoder and decoder.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 * @module
 */

/** One field of a message: its number, and how its values are written and read. */
interface Field<In, Out> {
  readonly number: number
  /** Every occurrence that the value makes, tags included; none for an absent one. */
  encode(value: In): readonly Uint8Array[]
  /** What one more occurrence makes of what was read before. */
  decode(occurrence: Occurrence, before: Out): Out
  /** The value where the field does not occur. */
  readonly absent: Out
}

/** A varint as an integer, everything of a length as bytes. */
type Occurrence = bigint | Uint8Array

type Fields = Readonly<Record<string, Field<never, unknown>>>
type InOf<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends Field<infer In, infer _Out> ? In : never
}
type OutOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer _In, infer Out> ? Out : never
}

export interface Message<In, Out> {
  encode(value: In): Uint8Array
  /** Fields that are not in the table are passed over. @throws {RangeError} Cut off in the middle. */
  decode(bytes: Uint8Array): Out
}

export function message<F extends Fields>(fields: F): Message<InOf<F>, OutOf<F>> {
  const rows = Object.entries(fields)
  return {
    encode: (value) =>
      Buffer.concat(
        rows.flatMap(([name, field]) => {
          const given = value[name]
          return given === undefined ? [] : field.encode(given as never)
        }),
      ),
    decode(bytes) {
      const out = new Map<string, unknown>(rows.map(([name, field]) => [name, field.absent]))
      for (const { number, occurrence } of occurrences(bytes)) {
        const row = rows.find(([, field]) => field.number === number)
        if (row === undefined) continue
        const [name, field] = row
        out.set(name, field.decode(occurrence, out.get(name)))
      }
      return Object.fromEntries(out) as OutOf<F>
    },
  }
}

export const string = (number: number): Field<string, string> => ({
  number,
  encode: (value) => delimited(number, Buffer.from(value)),
  decode: (occurrence) => Buffer.from(asBytes(occurrence)).toString(),
  absent: '',
})

/** Any of int32, int64, uint32 and enums; beyond 2^53 they lose precision. */
export const int = (number: number): Field<number, number> => ({
  number,
  encode: (value) => [varint(number << 3), varint(value)],
  decode: (occurrence) => Number(BigInt.asIntN(64, asInteger(occurrence))),
  absent: 0,
})

export const bool = (number: number): Field<boolean, boolean> => ({
  number,
  encode: (value) => [varint(number << 3), varint(value ? 1 : 0)],
  decode: (occurrence) => asInteger(occurrence) !== 0n,
  absent: false,
})

export const nested = <In, Out>(
  number: number,
  { encode, decode }: Message<In, Out>,
): Field<In, Out | undefined> => ({
  number,
  encode: (value) => delimited(number, encode(value)),
  decode: (occurrence) => decode(asBytes(occurrence)),
  absent: undefined,
})

/** `repeated` of a field that is not packed: strings and messages. */
export const repeated = <In, Out>(
  field: Field<In, Out>,
): Field<readonly In[], readonly Exclude<Out, undefined>[]> => ({
  number: field.number,
  encode: (values) => values.flatMap((value) => field.encode(value)),
  decode: (occurrence, before) => [
    ...before,
    field.decode(occurrence, field.absent) as Exclude<Out, undefined>,
  ],
  absent: [],
})

/** `map<string, string>`: a repeated message of key and value. */
export function stringMap(
  number: number,
): Field<Readonly<Record<string, string>>, Readonly<Record<string, string>>> {
  const entry = message({ key: string(1), value: string(2) })
  return {
    number,
    encode: (map) =>
      Object.entries(map).flatMap(([key, value]) =>
        delimited(number, entry.encode({ key, value })),
      ),
    decode(occurrence, before) {
      const { key, value } = entry.decode(asBytes(occurrence))
      return { ...before, [key]: value }
    },
    absent: {},
  }
}

/** Wire type 2. */
const delimited = (number: number, bytes: Uint8Array): readonly Uint8Array[] => [
  varint((number << 3) | 2),
  varint(bytes.length),
  bytes,
]

/** Base 128, lowest group first; a negative number is its two's complement in 64 bits. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let left = BigInt.asUintN(64, BigInt(value))
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80)
  return Uint8Array.from([...bytes, Number(left)])
}

function* occurrences(bytes: Uint8Array): Generator<{ number: number; occurrence: Occurrence }> {
  let at = 0
  const readVarint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at]
      if (byte === undefined) throw new RangeError(`Cannot read a message: cut off at byte ${at}`)
      at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new RangeError(`Cannot read a message: an integer of more than ten bytes before ${at}`)
  }
  const take = (length: number): Uint8Array => {
    const end = at + length
    if (end > bytes.length)
      throw new RangeError(`Cannot read a message: ${end} bytes wanted, ${bytes.length} found`)
    const taken = bytes.subarray(at, end)
    at = end
    return taken
  }
  while (at < bytes.length) {
    const tag = Number(readVarint())
    const number = tag >>> 3
    switch (tag & 7) {
      case 0:
        yield { number, occurrence: readVarint() }
        break
      case 1:
        yield { number, occurrence: take(8) }
        break
      case 2:
        yield { number, occurrence: take(Number(readVarint())) }
        break
      case 5:
        yield { number, occurrence: take(4) }
        break
      default:
        throw new RangeError(`Cannot read a message: wire type ${tag & 7} at byte ${at}`)
    }
  }
}

function asBytes(occurrence: Occurrence): Uint8Array {
  if (typeof occurrence !== 'bigint') return occurrence
  throw new RangeError('Cannot read a message: an integer in the place of bytes')
}

function asInteger(occurrence: Occurrence): bigint {
  if (typeof occurrence === 'bigint') return occurrence
  throw new RangeError('Cannot read a message: bytes in the place of an integer')
}
