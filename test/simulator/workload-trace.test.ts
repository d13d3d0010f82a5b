/** Traces of pods: what is read, every mistake with its line, and garbage. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parseTrace, type TraceRow } from '../../simulator/timeline/trace.ts'
import { isTriviumError } from '../../src/errors.ts'
import { holds } from '../support/property.ts'

const HEADER = 'at_ms,action,pod,node'
const options = { file: 'x.csv', nodes: 4, networks: ['pods'] }
const read = (text: string): readonly TraceRow[] => parseTrace(text, options)
const words = (text: string): readonly string[] =>
  read(text).map(({ atTick, action, pod, node }) => `${atTick} ${action} ${pod} ${node ?? '-'}`)

t.test('what is read', async (t) => {
  t.strictSame(words(HEADER), [], 'nothing happens')
  t.strictSame(words(`\ufeff${HEADER}\r\n\r\n1.5,add,a,node-0003\r\n2,remove,a,\r\n`), [
    '1500 add a 3',
    '2000 remove a -',
  ])
  t.strictSame(words(`${HEADER}\n5,add,b,\n0.001,add,a,0\n5,add,c,\n5,remove,b,`), [
    '1 add a 0',
    '5000 add b -',
    '5000 add c -',
    '5000 remove b -',
  ])
  t.strictSame(words(`${HEADER}\n0,add,"a, ""b""",1`), ['0 add a, "b" 1'])
  const [row] = read(`${HEADER},network\n0,add,a,,pods`)
  t.equal(row?.network, 'pods')
  t.strictSame(words(`${HEADER}\n0,add,a,\n1,remove,a,\n1,add,a,`).length, 3, 'the name again')
})

const MISTAKES: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['nothing', '', /x\.csv:1: found nothing, wanted at_ms,action,pod,node/],
  ['no header', '0,add,a,0', /x\.csv:1: found the header "0,add,a,0", wanted at_ms/],
  ['another header', 'at,action,pod,node', /:1: found the header/],
  ['a field too few', `${HEADER}\n0,add,a`, /:2: found 3 fields, wanted 4/],
  ['a field too many', `${HEADER}\n\n0,add,a,0,pods`, /:3: found 5 fields, wanted 4/],
  ['text for a time', `${HEADER}\nnow,add,a,0`, /:2: at_ms: found "now", wanted milliseconds/],
  ['NaN', `${HEADER}\nNaN,add,a,0`, /:2: at_ms: found "NaN"/],
  ['a negative time', `${HEADER}\n-1,add,a,0`, /:2: at_ms: found "-1"/],
  ['infinity', `${HEADER}\n1e999,add,a,0`, /:2: at_ms: found "1e999"/],
  ['years', `${HEADER}\n99999999999,add,a,0`, /:2: at_ms: .*from 0 to 86400000/],
  ['nanoseconds', `${HEADER}\n0.0001,add,a,0`, /:2: at_ms: .*at most 3 decimals/],
  ['another verb', `${HEADER}\n0,ADD,a,0`, /:2: action: found "ADD", wanted add or remove/],
  ['no name', `${HEADER}\n0,add,,0`, /:2: pod: found "", wanted a name/],
  [
    'a node too many',
    `${HEADER}\n0,add,a,4`,
    /:2: node: no node "4", there are 4, from 0 or node-0000 to node-0003/,
  ],
  ['an unknown node', `${HEADER}\n0,add,a,node-3`, /:2: node: no node "node-3"/],
  ['a node below 0', `${HEADER}\n0,add,a,-1`, /:2: node: no node "-1"/],
  [
    'removed before it is added',
    `${HEADER}\n0,add,a,0\n5,remove,b,`,
    /:3: pod "b" is removed but not there/,
  ],
  [
    'removed earlier, in time',
    `${HEADER}\n5,add,a,0\n4,remove,a,`,
    /:3: pod "a" is removed but not there/,
  ],
  [
    'removed twice',
    `${HEADER}\n0,add,a,0\n1,remove,a,\n2,remove,a,`,
    /:4: pod "a" is removed but not there/,
  ],
  ['added twice', `${HEADER}\n0,add,a,0\n1,add,a,1`, /:3: pod "a" is added a second time.*line 2/],
  ['an open quote', `${HEADER}\n0,add,"a,0`, /:2: a quote is not closed/],
  [
    'a long line',
    `${HEADER}\n0,add,${'a'.repeat(2000)},0`,
    /:2: 2008 characters, wanted at most 1000/,
  ],
  [
    'an unknown network',
    `${HEADER},network\n0,add,a,,red`,
    /:2: network: no network "red", there are pods/,
  ],
]
for (const [what, text, message] of MISTAKES) {
  t.throws(() => read(text), { code: 'BAD_CONFIG', message }, what)
}

t.test('too many rows are refused by number', async (t) => {
  const rows = Array.from({ length: 500_001 }, (_, pod) => `0,add,${pod},`)
  t.throws(() => read([HEADER, ...rows].join('\n')), {
    message: /:500002: wanted at most 500000 rows/,
  })
})

/** Bits of traces, in any order. */
const pieces = fc.constantFrom(
  ...[
    '0',
    '1',
    '-1',
    '1e9',
    'NaN',
    'add',
    'remove',
    'a',
    'b',
    '"',
    '""',
    ',',
    ',',
    ',',
    '\n',
    '\r\n',
  ],
  ...[HEADER, '\ufeff', ' ', '\u2028', '\0', 'node-0001', '99', '\ud800'],
)

t.test('garbage is refused in words, never by accident', async (t) => {
  holds(t, 'bits', fc.array(pieces, { maxLength: 60 }), (bits) => survives(bits.join('')))
  holds(t, 'bits after a header', fc.array(pieces, { maxLength: 60 }), (bits) =>
    survives(`${HEADER}\n${bits.join('')}`),
  )
  holds(t, 'any text', fc.string({ unit: 'binary', maxLength: 200 }), survives)
})

function survives(text: string): void {
  try {
    read(text)
  } catch (thrown) {
    assert.ok(isTriviumError(thrown) && thrown.code === 'BAD_CONFIG', String(thrown))
  }
}
