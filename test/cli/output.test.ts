/** Tables for people, JSON and YAML for programs. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Column, type OutputFormat, renderRows, renderTable } from '../../src/cli/output.ts'
import { holds } from '../support/property.ts'

interface Row {
  readonly name: string
  readonly used: number
  readonly note: string
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'NAME', value: ({ name }) => name },
  { title: 'IPS IN USE', value: ({ used }) => used },
  { title: 'NOTE', value: ({ note }) => note, wide: true },
]
const ROWS: readonly Row[] = [
  { name: 'pods', used: 7, note: 'a' },
  { name: 'a-long-name', used: 65_536, note: '' },
]

t.equal(
  renderTable(ROWS, COLUMNS),
  [
    'NAME         IPS IN USE  NOTE',
    'pods                  7  a',
    'a-long-name       65536',
    '',
  ].join('\n'),
  'text to the left, numbers and their title to the right',
)

t.equal(
  renderTable([{ total: 2n ** 80n }], [{ title: 'IPS', value: ({ total }) => total }]),
  '                      IPS\n1208925819614629174706176\n',
  'to the last digit',
)

const asked = (format: OutputFormat, rows = ROWS): string =>
  renderRows(rows, COLUMNS, format, 'no networks')

t.equal(asked('text').split('\n')[0], 'NAME         IPS IN USE', 'wide columns only when asked for')
t.match(asked('wide'), 'NOTE')
t.strictSame(JSON.parse(asked('json')), ROWS, 'JSON carries whole rows')
t.match(asked('yaml'), '- name: pods\n  used: 7\n  note: a\n')
t.equal(asked('text', []), 'no networks\n', 'a person reads words, not an empty table')
t.equal(asked('wide', []), 'no networks\n')
t.equal(asked('json', []), '[]\n', 'a program reads an empty list')
t.equal(asked('yaml', []), '[]\n')

const word = fc.string({ unit: fc.constantFrom(...'abc-/.0'), minLength: 1, maxLength: 12 })
const rowsArb = fc.array(fc.record({ name: word, used: fc.nat(), note: word }), {
  minLength: 1,
  maxLength: 8,
})
holds(t, 'columns start and end at the same place in every line', rowsArb, (rows) => {
  const lines = renderTable(rows, COLUMNS).trimEnd().split('\n')
  const nameWidth = Math.max(4, ...rows.map(({ name }) => name.length))
  const usedEnd = nameWidth + 2 + Math.max(10, ...rows.map(({ used }) => String(used).length))
  assert.equal(lines.length, rows.length + 1)
  for (const [index, { name, used, note }] of rows.entries()) {
    const line = lines[index + 1] ?? ''
    assert.equal(line.slice(0, nameWidth).trimEnd(), name)
    assert.equal(line.slice(nameWidth, usedEnd).trim(), String(used))
    assert.equal(line[usedEnd - 1], String(used).at(-1), 'numbers end in one column')
    assert.equal(line.slice(usedEnd + 2), note)
    assert.equal(line, line.trimEnd())
  }
})

t.test('a table of more rows than a call may have arguments', async (t) => {
  const rows = Array.from({ length: 200_000 }, (_, row) => row)
  const text = renderTable(rows, [{ title: 'ROW', value: (row) => row }])
  t.equal(text.length, 200_001 * 7)
})
