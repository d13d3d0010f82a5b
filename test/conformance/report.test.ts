/** Counts, verdicts and JUnit's XML. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import {
  chooseRules,
  conforms,
  differs,
  junit,
  type Outcome,
  summarise,
  tellSilent,
  xml,
} from '../../src/conformance/mod.ts'

const outcome = (id: string, more: Partial<Outcome> = {}): Outcome => ({
  id,
  subject: 'DEL',
  title: 'takes all away',
  level: 'MUST',
  source: 'SPEC 2 DEL',
  verdict: 'pass',
  evidence: 'nothing left',
  ms: 1500,
  ...more,
})

t.test('counts', async (t) => {
  const outcomes = [
    outcome('DEL-01'),
    outcome('DEL-02', { verdict: 'fail' }),
    outcome('DEL-03', { verdict: 'not applicable' }),
    outcome('DEL-04', { verdict: 'silent ok', level: 'SHOULD' }),
    outcome('GC-01', { subject: 'GC', verdict: 'skipped' }),
  ]
  t.strictSame(summarise(outcomes), [
    { subject: 'DEL', passed: 1, applicable: 3, failed: 1, silentOk: 1, mustFailed: 1 },
    { subject: 'GC', passed: 0, applicable: 0, failed: 0, silentOk: 0, mustFailed: 0 },
  ])
})

t.test('what conforms', async (t) => {
  t.ok(conforms([outcome('A'), outcome('B', { verdict: 'not applicable' })]))
  t.ok(conforms([outcome('A', { verdict: 'fail', level: 'SHOULD' })]), 'a SHOULD is no MUST')
  t.notOk(conforms([outcome('A', { verdict: 'fail' })]))
  t.notOk(conforms([outcome('A', { verdict: 'silent ok' })]), 'saying ok is not doing')
  t.notOk(conforms([outcome('A', { verdict: 'skipped' })]), 'what nobody looked at is not kept')
})

t.test('silent is who sees nothing at all', async (t) => {
  const check = (id: string, verdict: Outcome['verdict']) =>
    outcome(id, { subject: 'CHECK', verdict })
  const verdicts = (outcomes: readonly Outcome[]) =>
    tellSilent(outcomes).map(({ verdict }) => verdict)
  t.strictSame(
    verdicts([check('CHK-04.link', 'silent ok'), check('CHK-06', 'pass')]),
    ['silent ok', 'pass'],
    'passing after ADD is no effect',
  )
  t.strictSame(
    verdicts([check('CHK-04.link', 'pass'), check('CHK-04.down', 'silent ok')]),
    ['pass', 'fail'],
    'who sees one damage and not the other has a fault',
  )
})

t.test('evidence of two dumps says the telling line first', async (t) => {
  const found = differs('left', ['+ nft rule {}', '+ link veth1 up', '+ file /run/x'])
  t.equal(found.evidence, 'left: + file /run/x (and 2 more)')
  t.equal(found.detail?.length, 3)
})

t.test('rules are chosen by id', async (t) => {
  t.strictSame(
    chooseRules(['DEL-01']).map(({ id }) => id),
    ['DEL-01'],
  )
  t.ok(chooseRules(['CHK-04.*']).length >= 5)
  t.throws(() => chooseRules(['NO-01']), { code: 'USAGE' })
  const all = chooseRules().map(({ id }) => id)
  t.equal(new Set(all).size, all.length, 'every id once')
})

t.test('JUnit', async (t) => {
  const text = junit('cni.x', [
    outcome('A', { evidence: '<a & "b">\u0000\u001b[1m' }),
    outcome('B', { verdict: 'fail', evidence: 'left', detail: ['+ link x', '- link y'] }),
    outcome('C', { verdict: 'fail', level: 'SHOULD' }),
    outcome('D', { subject: 'GC', verdict: 'not applicable' }),
  ])
  t.match(
    text,
    '<testsuites name="cni.x" tests="4" failures="1" errors="0" skipped="2" time="6.000">',
  )
  t.match(text, '<testsuite name="cni.x DEL" tests="3" failures="1" errors="0" skipped="1"')
  t.match(text, '<failure message="left" type="fail">left&#10;+ link x&#10;- link y</failure>')
  t.match(text, '&lt;a &amp; &quot;b&quot;&gt;??[1m')
  const parser =
    'import sys, xml.etree.ElementTree as e; print(len(e.fromstring(sys.stdin.buffer.read()).findall(".//testcase")))'
  const { status, stdout, error } = spawnSync('python3', ['-c', parser], { input: text })
  t.test(
    'another parser reads it',
    { skip: error === undefined ? false : 'no python3' },
    async (t) => {
      t.strictSame([status, String(stdout).trim()], [0, '4'])
    },
  )
})

t.test('XML holds any text', async (t) => {
  t.equal(xml('\ud800 \ufffe \u{1f600}'), '? ? \u{1f600}')
})
