/**
 * Every row of the table of remedies, met from outside: a message with that fault, and
 * what becomes of it. The list of rows is the table's, so a new row without a message fails.
 */
import t from 'tap'
import { ATTRIBUTE_ROWS } from '../../../src/bgp/wire/attribute-table.ts'
import type { Context } from '../../../src/bgp/wire/context.ts'
import { ATTRIBUTE as A } from '../../../src/bgp/wire/iana.ts'
import { REMEDIES } from '../../../src/bgp/wire/remedies.ts'
import {
  AS_PATH,
  AS_PATH_2,
  attribute,
  EXTERNAL,
  hex,
  INTERNAL,
  LOCAL_PREF,
  NEXT_HOP,
  ORIGIN,
  outcomeOf,
  REACH_VALUE,
  TEN,
  TWO_OCTETS,
  UNREACH_VALUE,
  updateBody,
} from './support.ts'

interface Case {
  readonly context?: Context
  /** The body of the message. */
  readonly body: string
}

const WHOLE = ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF
/** 10.0.0.0/8 with these attributes beside the mandatory ones. */
const beside = (extra: string, context: Context = INTERNAL): Case => ({
  context,
  body: updateBody({ attributes: WHOLE + extra, nlri: TEN }),
})
const only = (attributes: string, context: Context = INTERNAL): Case => ({
  context,
  body: updateBody({ attributes, nlri: TEN }),
})
const path = (value: string, context: Context = EXTERNAL): Case =>
  only(ORIGIN + attribute(0x40, 2, value) + NEXT_HOP, context)
const oldSpeaker = (extra: string): Case => only(ORIGIN + AS_PATH_2 + NEXT_HOP + extra, TWO_OCTETS)

const STRICT: Context = { ...EXTERNAL, asSets: 'withdraw' }
const REACH = attribute(0x80, A.MP_REACH_NLRI, REACH_VALUE)
const UNREACH = attribute(0x80, A.MP_UNREACH_NLRI, UNREACH_VALUE)
const WRONG_FLAGS: Readonly<Record<number, number>> = { 64: 0xc0, 128: 0xc0, 192: 0x80 }
const VALUES: Readonly<Record<number, string>> = {
  [A.ORIGIN]: '00',
  [A.AS_PATH]: '02010000fde9',
  [A.ATOMIC_AGGREGATE]: '',
  [A.AGGREGATOR]: '0000fde9c0000201',
  [A.EXTENDED_COMMUNITIES]: '0002fde900000064',
  [A.AS4_PATH]: '02010000fde9',
  [A.AS4_AGGREGATOR]: '0000fde9c0000201',
  [A.LARGE_COMMUNITIES]: '000000010000000200000003',
}
const octetsFor = (code: number): string => VALUES[code] ?? 'c0000201'

/** The message without that attribute. */
const without = (code: number): string =>
  (WHOLE_BY_CODE as readonly (readonly [number, string])[])
    .filter(([each]) => each !== code)
    .map(([, text]) => text)
    .join('')
const WHOLE_BY_CODE = [
  [A.ORIGIN, ORIGIN],
  [A.AS_PATH, AS_PATH],
  [A.NEXT_HOP, NEXT_HOP],
  [A.LOCAL_PREF, LOCAL_PREF],
] as const

const CASES: Readonly<Record<string, readonly Case[]>> = {
  'message lengths': [
    { body: '0001 0000' },
    { body: '0000 0001' },
    { body: 'ffff ffff' },
    { body: `${updateBody({ attributes: WHOLE })}`.slice(0, -2) },
  ],
  'message overrun': [
    beside('4005'),
    beside('400505 00000064'),
    beside('d008 00'),
    { context: INTERNAL, body: updateBody({ attributes: `${WHOLE}c008ff`, nlri: TEN }) },
  ],
  'withdrawn nlri': [
    { body: updateBody({ withdrawn: '21 0a00000000' }) },
    { body: updateBody({ withdrawn: '18 0a00' }) },
  ],
  'announced nlri': [
    { context: INTERNAL, body: updateBody({ attributes: WHOLE, nlri: '21 0a00000000' }) },
    { context: INTERNAL, body: updateBody({ attributes: WHOLE, nlri: '080a 20 0a0000' }) },
    {
      context: { ...INTERNAL, addPathReceive: ['ipv4'] },
      body: updateBody({ attributes: WHOLE, nlri: '000000' }),
    },
  ],
  'withdrawn family': [
    { context: { ...INTERNAL, families: ['ipv6'] }, body: updateBody({ withdrawn: TEN }) },
    {
      context: { ...INTERNAL, families: ['ipv4'] },
      body: updateBody({ attributes: UNREACH }),
    },
  ],
  'announced family': [
    {
      context: { ...INTERNAL, families: ['ipv6'] },
      body: updateBody({ attributes: WHOLE, nlri: TEN }),
    },
    {
      context: { ...INTERNAL, families: ['ipv4'] },
      body: updateBody({ attributes: WHOLE + REACH }),
    },
    beside(attribute(0x80, A.MP_REACH_NLRI, '4004 47 04 c0000201 00 1234')),
  ],
  'any unrecognized': [beside(attribute(0x40, 99, '01')), beside(attribute(0x00, 200))],
  'any flags': [
    ...ATTRIBUTE_ROWS.map(({ code, flags }) =>
      only(without(code) + attribute(WRONG_FLAGS[flags] ?? 0, code, octetsFor(code))),
    ),
    ...ATTRIBUTE_ROWS.filter(({ flags }) => flags !== 0x40).map(({ code }) =>
      only(without(code) + attribute(0x40, code, octetsFor(code))),
    ),
    beside(attribute(0xc0, A.MP_REACH_NLRI, REACH_VALUE)),
    beside(attribute(0x40, A.MP_UNREACH_NLRI, UNREACH_VALUE)),
  ],
  'any again': [
    ...ATTRIBUTE_ROWS.map(({ code, flags }) => {
      const once = attribute(flags, code, octetsFor(code))
      return only(without(code) + once + once)
    }),
    beside(attribute(0xc0, 99, '01') + attribute(0xc0, 99, '01')),
    beside(attribute(0xc0, 8, 'fde90001') + attribute(0xc0, 8, '')),
  ],
  '14 again': [beside(REACH + REACH)],
  '15 again': [beside(UNREACH + UNREACH)],
  '1 missing': [only(without(A.ORIGIN))],
  '2 missing': [only(without(A.AS_PATH))],
  '3 missing': [only(without(A.NEXT_HOP)), only(without(A.NEXT_HOP) + REACH)],
  '5 missing': [only(without(A.LOCAL_PREF))],
  '1 length': [
    only(without(1) + attribute(0x40, 1)),
    only(without(1) + attribute(0x40, 1, '0000')),
  ],
  '1 value': [
    only(without(1) + attribute(0x40, 1, '03')),
    only(without(1) + attribute(0x40, 1, 'ff')),
  ],
  '2 segment': [
    path('05010000fde9'),
    path('00010000fde9'),
    path('0200'),
    path('02'),
    path('02020000fde9'),
    path('02010000fde902'),
    path('0201fde9'),
    path('02010000fde9', TWO_OCTETS),
  ],
  '2 as-zero': [path('020200000001 00000000'), path('02010000', TWO_OCTETS)],
  '2 as-set': [
    path('02010000fde9 010100000001', STRICT),
    path('0401 00000001', { ...STRICT, peering: 'internal' }),
  ],
  '2 confederation': [
    path('03010000fde9'),
    path('02010000fde9 040100000001'),
    path('02010000fde9', { ...EXTERNAL, peering: 'confederation' }),
    path('', { ...EXTERNAL, peering: 'confederation' }),
  ],
  '2 first-as': [
    path('02010000fde9', { ...EXTERNAL, firstAs: 65002 }),
    path('', { ...EXTERNAL, firstAs: 65002 }),
  ],
  '3 length': [
    only(without(3) + attribute(0x40, 3, 'c00002')),
    only(without(3) + attribute(0x40, 3, 'c000020100')),
    only(without(3) + attribute(0x40, 3)),
  ],
  '4 length': [beside(attribute(0x80, 4, '0000')), beside(attribute(0x80, 4, '0000000000'))],
  '5 external': [beside('', EXTERNAL), only(without(5) + attribute(0x40, 5, '00'), EXTERNAL)],
  '5 length': [only(without(5) + attribute(0x40, 5, '00')), only(without(5) + attribute(0x40, 5))],
  '6 length': [beside(attribute(0x40, 6, '00'))],
  '7 length': [
    beside(attribute(0xc0, 7, 'fde9c0000201')),
    beside(attribute(0xc0, 7)),
    oldSpeaker(attribute(0xc0, 7, '0000fde9c0000201')),
  ],
  '7 as-zero': [
    beside(attribute(0xc0, 7, '00000000c0000201')),
    oldSpeaker(attribute(0xc0, 7, '0000c0000201')),
  ],
  '8 length': [beside(attribute(0xc0, 8)), beside(attribute(0xc0, 8, 'fde9000100'))],
  '9 external': [
    beside(attribute(0x80, 9, 'c0000201'), { ...EXTERNAL }),
    only(without(5) + attribute(0x80, 9, 'c0'), EXTERNAL),
  ],
  '9 length': [beside(attribute(0x80, 9, 'c00002')), beside(attribute(0x80, 9, 'c0000201c0'))],
  '10 external': [only(without(5) + attribute(0x80, 10, 'c0000201'), EXTERNAL)],
  '10 length': [beside(attribute(0x80, 10)), beside(attribute(0x80, 10, 'c0000201c0'))],
  '14 length': [
    beside(attribute(0x80, 14, '00020100')),
    beside(attribute(0x80, 14)),
    beside(attribute(0x80, 14, '0002 01 10 20010db8')),
    beside(attribute(0x80, 14, '0002 01 10 20010db8000000000000000000000001')),
  ],
  '14 next-hop': [
    beside(attribute(0x80, 14, '0002 01 04 c0000201 00 20 20010db8')),
    beside(attribute(0x80, 14, '0002 01 00 00 20 20010db8')),
    beside(attribute(0x80, 14, '0001 01 10 20010db8000000000000000000000001 00 080a')),
  ],
  '14 nlri': [
    beside(attribute(0x80, 14, `${REACH_VALUE} 81 ${'00'.repeat(17)}`)),
    beside(attribute(0x80, 14, `${REACH_VALUE} 40 20010db8`)),
  ],
  '15 length': [beside(attribute(0x80, 15, '0002')), beside(attribute(0x80, 15))],
  '15 nlri': [
    beside(attribute(0x80, 15, `${UNREACH_VALUE} 81 ${'00'.repeat(17)}`)),
    beside(attribute(0x80, 15, `${UNREACH_VALUE} 40 20010db8`)),
  ],
  '16 length': [beside(attribute(0xc0, 16)), beside(attribute(0xc0, 16, '0002fde900000064 00'))],
  '17 superfluous': [beside(attribute(0xc0, 17, '02010000fde9'))],
  '17 segment': [
    oldSpeaker(attribute(0xc0, 17)),
    oldSpeaker(attribute(0xc0, 17, '0200')),
    oldSpeaker(attribute(0xc0, 17, '0201fde9')),
    oldSpeaker(attribute(0xc0, 17, '07010000fde9')),
  ],
  '17 as-zero': [oldSpeaker(attribute(0xc0, 17, '020100000000'))],
  '17 as-set': [
    {
      ...oldSpeaker(attribute(0xc0, 17, '010100010000')),
      context: { ...STRICT, fourOctetAs: false },
    },
  ],
  '18 superfluous': [beside(attribute(0xc0, 18, '00010000c0000201'))],
  '18 length': [oldSpeaker(attribute(0xc0, 18, '00010000c00002')), oldSpeaker(attribute(0xc0, 18))],
  '18 as-zero': [oldSpeaker(attribute(0xc0, 18, '00000000c0000201'))],
  '32 length': [
    beside(attribute(0xc0, 32)),
    beside(attribute(0xc0, 32, '0000000100000002')),
    beside(attribute(0xc0, 32, `${'00'.repeat(13)}`)),
  ],
  '35 length': [beside(attribute(0xc0, 35)), beside(attribute(0xc0, 35, '0000fd'))],
}

t.strictSame(
  Object.keys(CASES).sort(),
  REMEDIES.map(({ subject, fault }) => `${subject} ${fault}`).sort(),
  'every row has messages',
)

const KIND = { discard: 'accept', withdraw: 'withdraw', reset: 'reset' } as const

for (const { subject, fault, remedy, subcode, source } of REMEDIES) {
  for (const [index, { context = INTERNAL, body }] of (
    CASES[`${subject} ${fault}`] ?? []
  ).entries()) {
    const name = `${subject} ${fault} ${index}: ${remedy} (${source})`
    const { kind, faults, result } = outcomeOf(hex(body), context)
    t.equal(kind, KIND[remedy], name, { result, faults })
    if (result.kind === 'reset') {
      t.strictSame([result.code, result.subcode], [3, subcode], `${name}: NOTIFICATION`)
      t.match(result.reason, source, `${name}: reason`)
    } else {
      const found = faults.some(
        (each) => each.fault === fault && (subject === 'any' || each.subject === subject),
      )
      t.ok(found, `${name}: named`, { faults })
    }
  }
}

t.test('nothing is announced, so a fault ends the session: RFC 7606 section 5.2', async (t) => {
  const bad = attribute(0xc0, 8, 'fde9')
  t.equal(outcomeOf(hex(updateBody({ attributes: bad })), INTERNAL).kind, 'reset')
  t.equal(outcomeOf(hex(updateBody({ attributes: `${UNREACH}c008` })), INTERNAL).kind, 'reset')
  const [discarded, unreach] = [attribute(0x40, 6, '00'), attribute(0xc0, 15, UNREACH_VALUE)]
  t.equal(outcomeOf(hex(updateBody({ attributes: discarded })), INTERNAL).kind, 'accept')
  t.equal(outcomeOf(hex(updateBody({ attributes: unreach })), INTERNAL).kind, 'withdraw')
  t.equal(outcomeOf(hex(updateBody({ attributes: ORIGIN })), INTERNAL).kind, 'accept')
})

t.test('treat-as-withdraw names all prefixes of the message', async (t) => {
  const attributes = without(A.ORIGIN) + REACH + UNREACH
  const body = hex(updateBody({ withdrawn: '0814', attributes, nlri: TEN }))
  const { result } = outcomeOf(body, INTERNAL)
  t.equal(result.kind, 'withdraw')
  if (result.kind !== 'withdraw') return
  t.strictSame(
    result.withdrawn.map(({ family, start, end }) => [family, end - start]),
    [
      ['ipv4', 2],
      ['ipv6', 5],
      ['ipv4', 2],
      ['ipv6', 5],
    ],
  )
})

t.test('the strongest remedy counts: RFC 7606 section 3 h', async (t) => {
  const weak = attribute(0x40, 6, '00')
  const middle = attribute(0xc0, 8, 'fd')
  const strong = attribute(0x40, 99, '')
  t.equal(outcomeOf(hex(beside(weak + middle).body), INTERNAL).kind, 'withdraw')
  t.equal(outcomeOf(hex(beside(middle + strong).body), INTERNAL).kind, 'reset')
  t.equal(outcomeOf(hex(beside(`${strong}4005`).body), INTERNAL).kind, 'reset')
})
