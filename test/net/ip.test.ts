/** Addresses: one text each, the same numbers as Node's own parser and plain arithmetic. */
import assert from 'node:assert/strict'
import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import {
  ADDRESS_BITS,
  compareIp,
  type Ip,
  ipFamily,
  ipFromInteger,
  ipToInteger,
  ipToSortable,
  parseIp,
  tryParseIp,
} from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { ipArb, numberArb } from './arbitraries.ts'

const GOOD: readonly (readonly [text: string, canonical: string, value: bigint])[] = [
  ['0.0.0.0', '0.0.0.0', 0n],
  ['10.42.0.7', '10.42.0.7', 0x0a2a0007n],
  ['128.0.0.1', '128.0.0.1', 0x80000001n],
  ['255.255.255.255', '255.255.255.255', 0xffffffffn],
  ['::', '::', 0n],
  ['::1', '::1', 1n],
  ['FD42:0:0::0007', 'fd42::7', (0xfd42n << 112n) + 7n],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1', 0x20010db8000000010001000100010001n],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1', 0x20010db8000000000001000000000001n],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3', 0x00010000000000020000000000000003n],
  [
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    2n ** 128n - 1n,
  ],
]

for (const [text, canonical, value] of GOOD) {
  t.equal(parseIp(text), canonical, `${text} is ${canonical}`)
  t.equal(ipToInteger(parseIp(text)), value, `${text} is ${value}`)
}

const BAD = [
  '',
  ' ',
  '10.0.0',
  '10.0.0.1.1',
  '10.0.0.256',
  '10.0.0.-1',
  '10.0.0.01',
  '010.0.0.1',
  '0x0a.0.0.1',
  '10.0.0.1/24',
  '10.0.0.1 ',
  ' 10.0.0.1',
  '10.0.0.1\n',
  '10..0.1',
  '167772161',
  'fe80::1%eth0',
  'fd42::7/64',
  'fd42::7::1',
  'fd42:::7',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  'fd42::g',
  'fd42::12345',
  '[fd42::7]',
  '::ffff:10.0.0.256',
  'localhost',
] as const

for (const text of BAD) {
  t.equal(tryParseIp(text), undefined, `${JSON.stringify(text)} is no address`)
}

t.throws(() => parseIp('10.0.0.256', 'gateway'), {
  code: 'BAD_CONFIG',
  message: 'Cannot read gateway "10.0.0.256": not an IPv4 or IPv6 address',
})

holds(t, 'an address survives being a number, and has one text', numberArb, ({ family, value }) => {
  const ip = ipFromInteger(family, value)
  assert.equal(ipFamily(ip), family)
  assert.equal(ipToInteger(ip), value)
  assert.equal(tryParseIp(ip), ip)
  assert.equal(tryParseIp(ip.toUpperCase()), ip)
})

holds(t, 'the text is the one that Node writes (RFC 5952)', ipArb, (ip) => {
  const address = new SocketAddress({ address: ip, family: ipFamily(ip) === 4 ? 'ipv4' : 'ipv6' })
  // Node, like inet_ntop, writes the last 32 bits of some IPv6 addresses with dots.
  if (ipFamily(ip) === 6 && address.address.includes('.')) return
  assert.equal(address.address, ip)
})

const noise = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'0123456789abcf:./% x'), maxLength: 20 }),
  fc.string(),
)
holds(
  t,
  'what is accepted, Node accepts too, and parsing it again changes nothing',
  noise,
  (text) => {
    const ip = tryParseIp(text)
    if (ip === undefined) return
    assert.ok(isIPv4(text) || isIPv6(text), text)
    assert.equal(tryParseIp(ip), ip)
  },
)

holds(
  t,
  'text order of the sortable form is numeric order',
  fc.tuple(numberArb, numberArb),
  ([a, b]) => {
    const [left, right] = [ipFromInteger(a.family, a.value), ipFromInteger(b.family, b.value)]
    const expected =
      a.family !== b.family
        ? a.family - b.family
        : a.value < b.value
          ? -1
          : a.value > b.value
            ? 1
            : 0
    assert.equal(Math.sign(compareIp(left, right)), Math.sign(expected))
    assert.equal(ipToSortable(left).length, 2 + ADDRESS_BITS[a.family] / 4)
    assert.equal(compareIp(left, left), 0)
  },
)

t.equal(ipFamily('10.0.0.0/8' as Ip), 4, 'a prefix has a family, too')
