/** The codec against the encoding's own examples, and against bytes that are cut off. */
import t from 'tap'
import { bool, int, message, nested, repeated, string, stringMap } from './protobuf.ts'

const Inner = message({ a: int(1) })
const Outer = message({
  a: int(1),
  b: string(2),
  c: nested(3, Inner),
  d: repeated(string(4)),
  e: bool(5),
  f: stringMap(7),
})
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Source: https://protobuf.dev/programming-guides/encoding/ */
const EXAMPLES = [
  [{ a: 150 }, '089601'],
  [{ a: -2 }, '08feffffffffffffffff01'],
  [{ b: 'testing' }, '120774657374696e67'],
  [{ c: { a: 150 } }, '1a03089601'],
  [{ d: ['a', 'b'] }, '220161220162'],
  [{ e: true }, '2801'],
  [{ f: { k: 'v' } }, '3a060a016b120176'],
] as const

const ABSENT = { a: 0, b: '', c: undefined, d: [], e: false, f: {} }

for (const [value, bytes] of EXAMPLES) {
  t.equal(hex(Outer.encode(value)), bytes)
  t.strictSame(Outer.decode(Buffer.from(bytes, 'hex')), { ...ABSENT, ...value })
}
const unknown = Buffer.from(
  '4801510000000000000000 5a0178 6500000000 08 07'.replaceAll(' ', ''),
  'hex',
)
t.strictSame(
  Outer.decode(unknown),
  { ...ABSENT, a: 7 },
  'fields of every wire type are passed over',
)

const whole = Outer.encode({ a: 150, b: 'testing', c: { a: 300 } })
for (const length of whole.keys()) {
  try {
    Outer.decode(whole.subarray(0, length))
  } catch (thrown) {
    t.type(thrown, RangeError, `${length} bytes`)
  }
}
t.throws(() => Outer.decode(Buffer.from('12087465', 'hex')), RangeError)
t.throws(() => Outer.decode(Buffer.from('ff'.repeat(11), 'hex')), RangeError)
t.throws(() => Outer.decode(Buffer.from('0b', 'hex')), RangeError, 'a group')
t.throws(() => Outer.decode(Buffer.from('1001', 'hex')), RangeError, 'an integer for a string')
