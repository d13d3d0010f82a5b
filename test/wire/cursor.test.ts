/**
 * Reader and writer: what one writes the other reads, the byte order is the one
 * in the method's name, and nothing is read or written out of range.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { DecodeError, Reader } from '../../src/wire/reader.ts'
import { Writer } from '../../src/wire/writer.ts'
import { hex, holds } from './support.ts'

/** Every integer: its width, one value and its bytes worked out by hand. */
const integers = [
  { name: 'u8', bits: 8, value: 0xa1n, bytes: 'a1' },
  { name: 'u16be', bits: 16, value: 0xa1b2n, bytes: 'a1b2' },
  { name: 'u16le', bits: 16, value: 0xa1b2n, bytes: 'b2a1' },
  { name: 'u32be', bits: 32, value: 0xa1b2c3d4n, bytes: 'a1b2c3d4' },
  { name: 'u32le', bits: 32, value: 0xa1b2c3d4n, bytes: 'd4c3b2a1' },
  { name: 'u64be', bits: 64, value: 0xa1b2c3d4e5f60718n, bytes: 'a1b2c3d4e5f60718' },
  { name: 'u64le', bits: 64, value: 0xa1b2c3d4e5f60718n, bytes: '1807f6e5d4c3b2a1' },
] as const

type Kind = (typeof integers)[number]

function put(writer: Writer, { name, bits }: Kind, value: bigint): Writer {
  const write = writer[name] as (value: bigint | number) => Writer
  return write.call(writer, bits === 64 ? value : Number(value))
}

for (const kind of integers) {
  const { name, bits, value, bytes } = kind
  t.strictSame(Buffer.from(put(new Writer(1), kind, value).finish()).toString('hex'), bytes, name)
  t.equal(BigInt(new Reader(hex(bytes), 'x')[name]()), value, `${name} reads its bytes`)
  t.throws(() => put(new Writer(), kind, -1n), RangeError, `${name} refuses -1`)
  t.throws(
    () => put(new Writer(), kind, 1n << BigInt(bits)),
    RangeError,
    `${name} refuses 2^${bits}`,
  )
  t.throws(() => new Reader(hex(bytes.slice(2)), 'x')[name](), DecodeError, `${name} cut short`)
}
t.throws(() => new Writer().u16le(1.5), RangeError, 'a fraction is refused')

const written = fc.array(
  fc
    .constantFrom(...integers)
    .chain((kind) =>
      fc.record({ kind: fc.constant(kind), value: fc.bigInt(0n, (1n << BigInt(kind.bits)) - 1n) }),
    ),
  { maxLength: 40 },
)

holds(t, 'what is written is read, whatever room there was at first', written, (values) => {
  const writer = new Writer(1)
  for (const { kind, value } of values) put(writer, kind, value)
  const bytes = writer.finish()
  assert.equal(writer.length, bytes.length)
  const reader = new Reader(bytes, 'values')
  for (const { kind, value } of values) assert.equal(BigInt(reader[kind.name]()), value)
  assert.equal(reader.remaining, 0)
  reader.expectEnd()
})

t.test('runs of bytes', async (t) => {
  const reader = new Reader(new Writer(1).bytes(hex('0102')).bytes(hex('030405')).finish(), 'run')
  reader.skip(1)
  t.strictSame([...reader.bytes(2)], [2, 3])
  t.equal(reader.offset, 3)
  t.equal(reader.remaining, 2)
  t.throws(() => reader.expectEnd(), { offset: 3, message: /run at byte 3.*the end.*2 more bytes/ })
  t.throws(() => reader.bytes(3), { offset: 3, message: /expected 3 bytes, got 2/ })
  t.throws(() => reader.skip(3), DecodeError)
  t.equal(reader.offset, 3, 'a refused read moves nothing')
})

t.test('a view in the middle of a buffer', async (t) => {
  const reader = new Reader(hex('ffff0102ffff').subarray(2, 4), 'view')
  t.equal(reader.u16be(), 0x0102)
  t.throws(() => reader.u8(), DecodeError, 'the bytes behind the view are not its own')
})
