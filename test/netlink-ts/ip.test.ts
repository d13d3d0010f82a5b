/**
 * Addresses: strict in, canonical out. The reference is the URL parser (IPv6) and
 * node:net, which know nothing of this package.
 */
import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { formatIp, parseIp, parsePrefix } from '../../src/netlink-ts/mod.ts'
import { hex, holds } from './support.ts'

const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
// Runs of zero words are what RFC 5952 is about: make them common.
const words6 = fc.array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff)), {
  minLength: 8,
  maxLength: 8,
})
const bytes6 = words6.map((words) => Uint8Array.from(words.flatMap((w) => [w >> 8, w & 0xff])))

holds(t, 'parseIp(formatIp(x)) is x', fc.oneof(bytes4, bytes6), (bytes) => {
  assert.deepEqual(parseIp(formatIp(bytes)), bytes)
})

holds(t, 'formatIp() writes IPv6 as the URL parser does', bytes6, (bytes) => {
  const text = formatIp(bytes)
  const viaUrl = new URL(`http://[${text}]/`).hostname.slice(1, -1)
  if (!text.includes('.')) assert.equal(text, viaUrl)
  else assert.match(text, /^::ffff:\d+\.\d+\.\d+\.\d+$/)
})

const nearly = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.'), maxLength: 20 }),
  fc
    .array(fc.constantFrom('0', '1', '00', '255', '256', 'ffff', ':', '::', '.', '1.2.3.4', ''), {
      maxLength: 17,
    })
    .map((parts) => parts.join('')),
)

holds(t, 'parseIp() accepts exactly what node:net accepts', nearly, (text) => {
  const valid = isIPv4(text) || isIPv6(text)
  if (valid) parseIp(text)
  else assert.throws(() => parseIp(text), RangeError)
})

for (const text of [
  '',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '1e1.0.0.0',
  '0x1.0.0.0',
  '1.2.3.256',
  '1.2.3.4 ',
  '1..2.3',
  '::1::',
  ':::',
  ':1',
  '1:',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  'fe80::1%eth0',
  '12345::',
  '1.2.3.4::',
  '::1.2.3',
  '::01.2.3.4',
]) {
  t.throws(() => parseIp(text), RangeError, `parseIp() refuses "${text}"`)
}

for (const [text, canonical] of [
  ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
  ['::', '::'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
  ['::ffff:a00:1', '::ffff:10.0.0.1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['255.255.255.255', '255.255.255.255'],
] as const) {
  t.equal(formatIp(parseIp(text)), canonical, `${text} is ${canonical}`)
}

t.equal(hex(parseIp('fd00::10.0.0.1')), 'fd00000000000000000000000a000001', 'a dotted tail')

for (const text of [
  '10.0.0.0',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/08',
  '10.0.0.0/-1',
  '10.0.0.1/31',
  '10.0.0.128/24',
  'fd00::/129',
  'fd00::1/127',
]) {
  t.throws(() => parsePrefix(text), RangeError, `parsePrefix() refuses ${text}`)
}
t.equal(parsePrefix('10.0.0.0/8').bits, 8, 'a prefix in whole bytes')
t.equal(parsePrefix('10.0.0.128/25').bits, 25, 'a prefix inside a byte')
t.equal(parsePrefix('fd00::1/128').bits, 128, 'a host prefix')
t.equal(parsePrefix('0.0.0.0/0').bits, 0, 'everything')
