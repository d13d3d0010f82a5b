/**
 * The text format, read back by a parser that knows only its description.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { counter, gauge, histogram, SERIES_MAX } from '../../src/metrics/meters.ts'
import { type Family, renderMetrics } from '../../src/metrics/text.ts'
import { holds } from '../support/property.ts'

interface Line {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\\\|\\"|\\n)*)"(?:,|$)/

/** Every sample, or a throw where a line is none. */
function parse(text: string): readonly Line[] {
  assert.ok(text === '' || text.endsWith('\n'), 'the last line ends')
  const lines = text.split('\n').slice(0, -1)
  return lines
    .filter((line) => !/^# (HELP|TYPE) \w+ /.test(line))
    .map((line) => {
      const [, name, inside = '', number = ''] = LINE.exec(line) ?? []
      assert.ok(name !== undefined, `a sample: ${line}`)
      const labels: Record<string, string> = {}
      for (let rest = inside; rest !== ''; ) {
        const [whole, key, value] = LABEL.exec(rest) ?? []
        assert.ok(whole !== undefined && key !== undefined, `a label: ${rest}`)
        labels[key] = String(value).replace(/\\(.)/g, (_all, char) => (char === 'n' ? '\n' : char))
        rest = rest.slice(whole.length)
      }
      const value = number === '+Inf' ? Infinity : number === '-Inf' ? -Infinity : Number(number)
      return { name, labels, value }
    })
}

const text = fc.oneof(fc.string(), fc.stringMatching(/^[\\"\n{},= a]*$/))

holds(
  t,
  'labels and numbers come back as they were',
  fc.array(fc.record({ help: text, label: text, value: fc.double() })),
  (samples) => {
    const families: Family[] = samples.map(({ help, label, value }, at) =>
      gauge(`m_${at}`, help, [{ labels: { a: label, b: '' }, value }]),
    )
    const expected = samples.map(({ label, value }, at) => {
      return { name: `m_${at}`, labels: { a: label, b: '' }, value: value === 0 ? 0 : value }
    })
    const parsed = parse(renderMetrics(families))
    assert.deepEqual(parsed, expected)
  },
)

holds(
  t,
  'a histogram says how many were below each bound',
  fc.tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 8 }),
    fc.array(fc.integer({ min: 0, max: 120 })),
  ),
  ([unsorted, seen]) => {
    const bounds = [...unsorted].sort((left, right) => left - right)
    const meter = histogram('h', 'x', ['verb'], bounds)
    for (const value of seen) meter.observe(['ADD'], value)
    const lines = parse(renderMetrics([meter.family()]))
    const of = (name: string) => lines.filter((line) => line.name === name)
    if (seen.length === 0) return assert.deepEqual(lines, [])
    for (const { labels, value } of of('h_bucket')) {
      const bound = labels['le'] === '+Inf' ? Infinity : Number(labels['le'])
      assert.equal(value, seen.filter((each) => each <= bound).length, `le ${bound}`)
    }
    assert.equal(of('h_bucket').length, bounds.length + 1)
    assert.deepEqual(of('h_count'), [
      { name: 'h_count', labels: { verb: 'ADD' }, value: seen.length },
    ])
    assert.equal(
      of('h_sum')[0]?.value,
      seen.reduce((sum, each) => sum + each, 0),
    )
  },
)

t.test('help, type and order', async (t) => {
  const calls = counter('calls_total', 'Calls \\ by\nverb.', ['verb'])
  calls.add(['ADD'])
  calls.add(['ADD'], 2)
  calls.add(['say "hi"\n'])
  const none = counter('none_total', 'Without labels there is a zero from the beginning.')
  const absent = counter('absent_total', 'Nothing happened yet.', ['verb'])
  const page = renderMetrics([calls.family(), none.family(), absent.family()])
  t.equal(
    page,
    [
      '# HELP calls_total Calls \\\\ by\\nverb.',
      '# TYPE calls_total counter',
      'calls_total{verb="ADD"} 3',
      'calls_total{verb="say \\"hi\\"\\n"} 1',
      '# HELP none_total Without labels there is a zero from the beginning.',
      '# TYPE none_total counter',
      'none_total 0',
      '',
    ].join('\n'),
  )
})

t.test('series have an end', async (t) => {
  const meter = counter('x_total', 'x', ['name'])
  for (let at = 0; at < SERIES_MAX + 100; at++) meter.add([`${at}`])
  t.equal(meter.family().samples.length, SERIES_MAX)
})
