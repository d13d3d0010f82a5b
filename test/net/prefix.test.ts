/** Prefixes against plain arithmetic on integers. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  ADDRESS_BITS,
  addressAt,
  containsIp,
  containsPrefix,
  hostPrefix,
  ipToInteger,
  networkAddress,
  offsetIn,
  parsePrefix,
  prefixesOverlap,
  prefixFamily,
  prefixLength,
  prefixOf,
  prefixSize,
  subPrefixAt,
  tryParsePrefix,
} from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { firstOf, ipArb, type Sized, sizedArb } from './arbitraries.ts'

const GOOD = [
  ['10.42.0.0/16', '10.42.0.0/16'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['192.0.2.1/32', '192.0.2.1/32'],
  ['::/0', '::/0'],
  ['FD42:0::/64', 'fd42::/64'],
  ['fd42::7/128', 'fd42::7/128'],
] as const

for (const [text, canonical] of GOOD) t.equal(parsePrefix(text), canonical, text)

const WANTED = 'wanted an address, a slash and a length, like 10.42.0.0/16'
const BAD = [
  ['', WANTED],
  ['10.42.0.0', WANTED],
  ['10.42.0.0/', WANTED],
  ['/16', WANTED],
  ['10.42.0.0/33', WANTED],
  ['10.42.0.0/-1', WANTED],
  ['fd42::/129', WANTED],
  ['10.42.0/16', WANTED],
  ['pods/16', WANTED],
  ['10.42.0.0/016', WANTED],
  ['10.42.0.0/1e1', WANTED],
  ['10.42.0.0/+16', WANTED],
  ['10.42.0.0/ 16', WANTED],
  ['10.42.0.0/16/16', WANTED],
  ['10.42.0.1/16', 'host bits are set, 10.42.0.0/16 would do'],
  ['10.42.0.65/26', 'host bits are set, 10.42.0.64/26 would do'],
  ['fd42::1/64', 'host bits are set, fd42::/64 would do'],
] as const

for (const [text, reason] of BAD) {
  t.equal(tryParsePrefix(text), undefined, `${JSON.stringify(text)} is no prefix`)
  t.throws(
    () => parsePrefix(text, 'pool'),
    { code: 'BAD_CONFIG', message: `Cannot read pool ${JSON.stringify(text)}: ${reason}` },
    `${JSON.stringify(text)}: ${reason}`,
  )
}

holds(t, 'prefixOf clears the host bits, and only those', sizedArb, (sized) => {
  const { ip, length, family } = sized
  const prefix = prefixOf(ip, length)
  assert.equal(ipToInteger(networkAddress(prefix)), firstOf(sized))
  assert.equal(prefixLength(prefix), length)
  assert.equal(prefixFamily(prefix), family)
  assert.equal(tryParsePrefix(prefix), prefix)
  assert.equal(prefixSize(prefix), 2n ** BigInt(ADDRESS_BITS[family] - length))
  assert.ok(containsIp(prefix, ip))
})

holds(
  t,
  'an address is in a prefix when its number is in the range',
  fc.tuple(sizedArb, ipArb),
  ([sized, ip]) => {
    const prefix = prefixOf(sized.ip, sized.length)
    const first = firstOf(sized)
    const value = ipToInteger(ip)
    const isSame = ip.includes(':') === (sized.family === 6)
    const expected = isSame && value >= first && value < first + prefixSize(prefix)
    assert.equal(containsIp(prefix, ip), expected)
  },
)

/** Two prefixes that are near each other often enough. */
const nearArb = fc
  .tuple(sizedArb, fc.nat(), fc.nat(), fc.boolean())
  .map(([one, bits, flip, isNear]) => {
    if (!isNear) return [one, { ...one, length: bits % (ADDRESS_BITS[one.family] + 1) }] as const
    const width = ADDRESS_BITS[one.family]
    const value = one.value ^ (1n << BigInt(flip % width))
    const other: Sized = {
      ...one,
      value,
      ip: addressAt(one.family === 4 ? parsePrefix('0.0.0.0/0') : parsePrefix('::/0'), value),
      length: bits % (width + 1),
    }
    return [one, other] as const
  })

holds(t, 'containment and overlap are those of integer ranges', nearArb, ([one, two]) => {
  const [left, right] = [prefixOf(one.ip, one.length), prefixOf(two.ip, two.length)]
  const range = (sized: Sized): readonly [bigint, bigint] => {
    const first = firstOf(sized)
    return [first, first + 2n ** BigInt(ADDRESS_BITS[sized.family] - sized.length)]
  }
  const [[a, b], [c, d]] = [range(one), range(two)]
  assert.equal(containsPrefix(left, right), a <= c && d <= b)
  assert.equal(prefixesOverlap(left, right), a < d && c < b)
  assert.equal(prefixesOverlap(right, left), prefixesOverlap(left, right))
})

holds(t, 'offsets and addresses are inverse', fc.tuple(sizedArb, fc.nat()), ([sized, seed]) => {
  const prefix = prefixOf(sized.ip, sized.length)
  const offset = BigInt(seed) % prefixSize(prefix)
  const ip = addressAt(prefix, offset)
  assert.equal(offsetIn(prefix, ip), offset)
  assert.ok(containsIp(prefix, ip))
  assert.equal(offsetIn(prefix, sized.ip), sized.value - firstOf(sized))
})

const splitArb = sizedArb.chain((sized) =>
  fc.tuple(
    fc.constant(sized),
    fc.integer({ min: sized.length, max: ADDRESS_BITS[sized.family] }),
    fc.nat(),
  ),
)
holds(t, 'sub-prefixes tile their prefix', splitArb, ([sized, length, seed]) => {
  const prefix = prefixOf(sized.ip, sized.length)
  const count = 2n ** BigInt(length - sized.length)
  const index = BigInt(seed) % count
  const part = subPrefixAt(prefix, length, index)
  assert.equal(tryParsePrefix(part), part)
  assert.ok(containsPrefix(prefix, part))
  assert.equal(offsetIn(prefix, networkAddress(part)), index * prefixSize(part))
  if (index + 1n < count) assert.ok(!prefixesOverlap(part, subPrefixAt(prefix, length, index + 1n)))
})

t.equal(hostPrefix(networkAddress(parsePrefix('10.0.0.1/32'))), '10.0.0.1/32')
t.equal(hostPrefix(networkAddress(parsePrefix('fd42::1/128'))), 'fd42::1/128')
t.notOk(
  containsIp(parsePrefix('::/0'), networkAddress(parsePrefix('10.0.0.0/8'))),
  'families do not mix',
)
