/** UPDATEs octet by octet, as a reader of the RFCs would write them, and how AS4_PATH is merged. */
import t from 'tap'
import type { AsSegment, Attributes } from '../../../src/bgp/attributes.ts'
import type { Family } from '../../../src/bgp/nlri.ts'
import { asPathText, mergeAs4Path } from '../../../src/bgp/wire/as-path.ts'
import { extendedCommunityText } from '../../../src/bgp/wire/communities.ts'
import type { Context } from '../../../src/bgp/wire/context.ts'
import {
  encodeEndOfRib,
  packAnnouncements,
  packWithdrawals,
  prepareAttributes,
} from '../../../src/bgp/wire/pack.ts'
import { nlriOf, type PathPrefix, prefixesOf } from '../../../src/bgp/wire/prefixes.ts'
import { parseIp, parsePrefix } from '../../../src/net/mod.ts'
import {
  attribute,
  EXTERNAL,
  hex,
  INTERNAL,
  LOCAL_PREF,
  outcomeOf,
  TEN,
  TWO_OCTETS,
  toHex,
  updateBody,
} from './support.ts'

const MARKER = 'ff'.repeat(16)

const of = (text: string, pathId?: number): PathPrefix =>
  pathId === undefined ? { prefix: parsePrefix(text) } : { prefix: parsePrefix(text), pathId }

function announced(
  attributes: Partial<Attributes>,
  family: Family,
  context: Context,
  ...all: readonly PathPrefix[]
): readonly string[] {
  const plain: Attributes = {
    origin: 'igp',
    asPath: [{ kind: 'sequence', asns: [65001] }],
    nextHop: parseIp(family === 'ipv4' ? '192.0.2.1' : '2001:db8::1'),
    ...attributes,
  }
  const nlri = nlriOf(family, all, context.addPathSend.includes(family))
  const messages = packAnnouncements(prepareAttributes(plain, family, context), nlri, context) ?? []
  return messages.map((message) => toHex(message))
}

function withdrawn(family: Family, context: Context, ...all: readonly PathPrefix[]): string {
  const nlri = nlriOf(family, all, context.addPathSend.includes(family))
  return packWithdrawals(nlri, context)
    .map((message) => toHex(message))
    .join()
}

const octets = (...lines: readonly string[]): string => lines.join('').replace(/\s/g, '')

t.equal(
  announced(
    { med: 7 },
    'ipv4',
    EXTERNAL,
    of('10.0.0.0/8'),
    of('192.0.2.128/25'),
    of('0.0.0.0/0'),
  ).join(),
  octets(
    `${MARKER} 003a 02 0000`,
    '001b',
    '40 01 01 00', // ORIGIN IGP
    '40 02 06 02 01 0000fde9', // AS_PATH, a sequence of one
    '40 03 04 c0000201', // NEXT_HOP
    '80 04 04 00000007', // MULTI_EXIT_DISC
    '08 0a  19 c0000280  00',
  ),
  'IPv4: RFC 4271 section 4.3',
)

t.equal(
  announced(
    { linkLocal: parseIp('fe80::1'), localPref: 100 },
    'ipv6',
    INTERNAL,
    of('2001:db8:1::/48'),
  ).join(),
  octets(
    `${MARKER} 005a 02 0000`,
    '0043',
    '80 0e 2c 0002 01 20', // MP_REACH_NLRI first: RFC 7606 section 5.1
    '20010db8000000000000000000000001 fe800000000000000000000000000001 00',
    '30 20010db80001',
    '40 01 01 00',
    '40 02 06 02 01 0000fde9',
    '40 05 04 00000064',
  ),
  'IPv6 with a link-local next hop: RFC 4760, RFC 2545',
)

t.equal(
  announced(
    { nextHop: parseIp('2001:db8::1') },
    'ipv4',
    { ...EXTERNAL, extendedNextHop: true, addPathSend: ['ipv4'] },
    of('10.0.0.0/8', 258),
  ).join(),
  octets(
    `${MARKER} 0042 02 0000`,
    '002b',
    '80 0e 1b 0001 01 10 20010db8000000000000000000000001 00',
    '00000102 08 0a', // path identifier: RFC 7911
    '40 01 01 00',
    '40 02 06 02 01 0000fde9',
  ),
  'IPv4 over an IPv6 next hop: RFC 8950, RFC 7911',
)

t.equal(
  announced(
    {
      asPath: [{ kind: 'sequence', asns: [65001, 70000] }],
      aggregator: { asn: 70000, id: parseIp('192.0.2.9') },
    },
    'ipv4',
    TWO_OCTETS,
    of('10.0.0.0/8'),
  ).join(),
  octets(
    `${MARKER} 004e 02 0000`,
    '0035',
    '40 01 01 00',
    '40 02 06 02 02 fde9 5ba0', // AS_TRANS
    '40 03 04 c0000201',
    'c0 07 06 5ba0 c0000209',
    'c0 11 0a 02 02 0000fde9 00011170', // AS4_PATH
    'c0 12 08 00011170 c0000209', // AS4_AGGREGATOR
    '08 0a',
  ),
  'to a speaker of two octets: RFC 6793 section 4.2.2',
)

t.equal(withdrawn('ipv4', EXTERNAL, of('10.0.0.0/8')), octets(`${MARKER} 0019 02 0002 08 0a 0000`))
t.equal(
  withdrawn('ipv6', { ...EXTERNAL, addPathSend: ['ipv6'] }, of('2001:db8::/32', 1)),
  octets(`${MARKER} 0026 02 0000 000f 80 0f 0c 0002 01 00000001 20 20010db8`),
)
t.equal(toHex(encodeEndOfRib('ipv4')), octets(`${MARKER} 0017 02 0000 0000`))
t.equal(toHex(encodeEndOfRib('ipv6')), octets(`${MARKER} 001d 02 0000 0006 80 0f 03 0002 01`))

t.test('attributes that leave no room: RFC 8654 section 4', async (t) => {
  const bytes = new Uint8Array(4080)
  const unknown = [{ code: 99, flags: 0xe0, bytes }]
  t.strictSame(announced({ unknown }, 'ipv4', EXTERNAL, of('10.0.0.0/8')), [])
  const long: Context = { ...EXTERNAL, messageOctetsMax: 65535 }
  t.equal(announced({ unknown }, 'ipv4', long, of('10.0.0.0/8')).length, 1)
})

t.test('both families in one message are two updates, each with its next hop', async (t) => {
  const reach = attribute(0x80, 14, '0002 01 10 20010db8000000000000000000000001 00 20 20010db8')
  const rest = attribute(0x40, 2, '02010000fde9') + attribute(0x40, 3, 'c0000201') + LOCAL_PREF
  // MP_REACH_NLRI in the middle: what is around it is one piece again.
  const attributes = attribute(0x40, 1, '02') + reach + rest
  const body = hex(updateBody({ withdrawn: '0814', attributes, nlri: TEN }))
  const { result, attributes: read } = outcomeOf(body, INTERNAL)
  t.strictSame(
    read.map((each) => [each.attributes.nextHop, each.attributes.origin]),
    [
      ['192.0.2.1', 'incomplete'],
      ['2001:db8::1', 'incomplete'],
    ],
  )
  if (result.kind !== 'update') throw new Error(result.kind)
  t.strictSame(
    result.updates.map((each) => [
      each.withdrawn.flatMap(prefixesOf).map(({ prefix }) => prefix),
      each.announced.flatMap(prefixesOf).map(({ prefix }) => prefix),
    ]),
    [
      [['20.0.0.0/8'], ['10.0.0.0/8']],
      [[], ['2001:db8::/32']],
    ],
  )
})

t.test('bits behind a prefix are irrelevant: RFC 4271 section 4.3', async (t) => {
  const slice = {
    family: 'ipv4',
    bytes: hex('09 0aff'),
    start: 0,
    end: 3,
    hasPathIds: false,
  } as const
  t.strictSame(prefixesOf(slice), [{ prefix: '10.128.0.0/9' }])
})

const sequence = (...asns: readonly number[]): AsSegment => ({ kind: 'sequence', asns })
const set = (...asns: readonly number[]): AsSegment => ({ kind: 'set', asns })
const confederation = (...asns: readonly number[]): AsSegment => ({ kind: 'confed-sequence', asns })

/** RFC 6793 section 4.2.3: AS_PATH, AS4_PATH, and what they mean together. */
const MERGES: readonly (readonly [AsSegment[], AsSegment[], string])[] = [
  [[sequence(23456, 1)], [sequence(70000, 1)], '70000 1'],
  [[sequence(5, 23456, 1)], [sequence(70000, 1)], '5 70000 1'],
  [[sequence(1)], [sequence(70000, 1)], '1'],
  [[sequence(5, 6), set(7, 8), sequence(23456)], [sequence(70000)], '5 6 {7 8} 70000'],
  [[set(7, 8), sequence(23456)], [set(70000, 8), sequence(70001)], '{70000 8} 70001'],
  [[confederation(65100), sequence(23456, 1)], [sequence(70000, 1)], '(65100) 70000 1'],
  [
    [confederation(65100), sequence(5, 23456)],
    [confederation(9), sequence(70000)],
    '(65100) 5 70000',
  ],
  [[sequence(5), confederation(65100), sequence(23456)], [sequence(70000)], '5 (65100) 70000'],
  [[sequence(5)], [], '5'],
]
for (const [path, as4, wanted] of MERGES) {
  t.equal(asPathText(mergeAs4Path(path, as4)), wanted, `${asPathText(path)} + ${asPathText(as4)}`)
}

t.test('an aggregator that is not AS_TRANS is newer than AS4_PATH', async (t) => {
  const plain =
    attribute(0x40, 1, '00') + attribute(0x40, 2, '0202 5ba0 0001') + attribute(0x40, 3, 'c0000201')
  const as4 =
    attribute(0xc0, 17, '0202 00011170 00000001') + attribute(0xc0, 18, '00011170 c0000209')
  const read = (aggregator: string) => {
    const attributes = plain + attribute(0xc0, 7, aggregator) + as4
    const [found] = outcomeOf(hex(updateBody({ attributes, nlri: TEN })), TWO_OCTETS).attributes
    return [found && asPathText(found.attributes.asPath), found?.attributes.aggregator]
  }
  t.strictSame(read('5ba0 c0000209'), ['70000 1', { asn: 70000, id: '192.0.2.9' }])
  t.strictSame(read('0005 c0000208'), ['23456 1', { asn: 5, id: '192.0.2.8' }])
})

const EXTENDED: readonly (readonly [bigint, string])[] = [
  [0x0002_fde9_0000_0064n, '(rt, 65001, 100)'],
  [0x0003_fde9_0000_0064n, '(ro, 65001, 100)'],
  [0x0102_c000_0201_0064n, '(rt, 192.0.2.1, 100)'],
  [0x0202_0001_1170_0064n, '(rt, 70000, 100)'],
  [0x4300_0000_0000_0001n, '(generic, 0x43000000, 0x1)'],
]
for (const [value, wanted] of EXTENDED) t.equal(extendedCommunityText(value), wanted)
