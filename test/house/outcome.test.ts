/** What the runner makes of a test file's end: nothing that was not tested is taken as good. */
import t from 'tap'
import { outcomeOf } from '../one-file.ts'

const WHOLE = 'TAP version 14\nok 1 - a\n1..1\n# { total: 2, pass: 1, skip: 1 }\n'
const NONE = 'TAP version 14\n1..0\n# { total: 0, pass: 0 }\n'

t.test('the outcome of a test file', async (t) => {
  const rows: readonly [string, string, string | undefined, object][] = [
    ['good', WHOLE, undefined, { isOk: true, counts: { pass: 1, fail: 0, skip: 1 } }],
    [
      'a failure',
      WHOLE.replace('skip', 'fail'),
      'exit status 1',
      { isOk: false, counts: { fail: 1 } },
    ],
    ['a failure, status 0', WHOLE.replace('skip', 'fail'), undefined, { isOk: false }],
    ['a bad end', WHOLE, 'ended by SIGSEGV', { isOk: false, counts: { pass: 1, fail: 1 } }],
    ['cut short', 'TAP version 14\nok 1 - a\n', undefined, { isOk: false, counts: { fail: 1 } }],
    ['silence', '', undefined, { isOk: false, isUnborn: true, counts: { fail: 1 } }],
    ['no tests', NONE, undefined, { isOk: false, isUnborn: true }],
    [
      'skipped',
      NONE.replace('1..0', '1..0 # no etcd'),
      undefined,
      { isOk: true, skipped: 'no etcd' },
    ],
  ]
  for (const [name, text, ending, wanted] of rows) {
    t.match(outcomeOf([Buffer.from(text)], ending), wanted, name)
  }
})
