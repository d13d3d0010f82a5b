/**
 * Known incidents: verdicts follow from the rules alone, another world gets another
 * verdict, and the page says what the program says. Those that take more than seconds
 * are asked with TRIVIUM_LONG=1.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askIncident } from '../../simulator/incidents/ask.ts'
import { parseIncident } from '../../simulator/incidents/file.ts'
import { type Figure, judge } from '../../simulator/incidents/judge.ts'
import { incidentsCsv, incidentsData, incidentsText } from '../../simulator/incidents/text.ts'
import { readIncidents } from '../../simulator/incidents.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const FOLDER = join(ROOT, 'simulator', 'incidents')
const QUICK_SECONDS = 3
const LONG = process.env['TRIVIUM_LONG'] === '1'

/** Columns of the page are as wide as all incidents want them. */
const plainLine = (line: string): string => line.replaceAll(/ {2,}/g, '  ')

const HEAD = `name: x
about: x
links: [a/b#1]
reported: x
`
const ASKED = `${HEAD}question: { leave: { pool: 10.0.0.0/28, blockLength: 30, living: 9, nodes: 9 } }
`

t.test('verdicts follow from the rules', async (t) => {
  const expect = (rule: string, reported: string): string =>
    `  - { what: w, reported: ${reported}, rule: ${rule}, figure: f }\n`
  const verdict = (expectations: string, figure: Figure): string =>
    judge(parseIncident(`${ASKED}expect:\n${expectations}`, 'x'), () => figure).verdict
  t.equal(verdict(expect('same', '5'), 5), 'reproduced')
  t.equal(verdict(expect('same', '5'), 6), 'not')
  t.equal(verdict(expect('same', 'ToR host'), 'ToR host'), 'reproduced')
  t.equal(verdict(expect('same', 'ToR host'), 'spine LPM'), 'not')
  t.equal(verdict(expect('at least', '5'), 6), 'reproduced')
  t.equal(verdict(expect('at least', '5'), 4), 'not')
  t.equal(verdict(expect('at most', '5'), 4), 'reproduced')
  t.equal(verdict(expect('at most', '5'), 6), 'not')
  t.equal(verdict(expect('within x 2', '100'), 50), 'reproduced')
  t.equal(verdict(expect('within x 2', '100'), 200), 'reproduced')
  t.equal(verdict(expect('within x 2', '100'), 201), 'not')
  t.equal(verdict(expect('within x 2', '100'), 49), 'not')
  t.equal(verdict(expect('within x 2', '100'), undefined), 'not')
  t.equal(verdict(expect('same', '5') + expect('same', '6'), 5), 'partly')
  const missing = '  - { what: w, reported: 5, missing: nobody knows }\n'
  t.equal(verdict(missing, 5), 'not')
  t.equal(verdict(expect('same', '5') + missing, 5), 'partly')
})

t.test('a file that makes no sense is refused by its place', async (t) => {
  const refused = (text: string, message: RegExp): void =>
    void t.throws(() => parseIncident(text, 'f'), { code: 'BAD_CONFIG', message })
  refused(HEAD, /wanted because/)
  refused(ASKED, /wanted both question and expect/)
  refused(
    `${ASKED}expect: [{ what: w, reported: 5 }]`,
    /expect\.0: wanted either figure or missing/,
  )
  refused(`${ASKED}expect: [{ what: w, reported: 5, rule: about, figure: f }]`, /rule: wanted same/)
  refused(`${HEAD}because: x\nverdict: reproduced\n`, /unknown key "verdict"/)
})

const all = await readIncidents(FOLDER)
const asked = all.filter(({ takesSeconds }) => LONG || takesSeconds <= QUICK_SECONDS)
const judged = asked.map(askIncident)

t.test('the page has every incident, as the program prints it', async (t) => {
  const page = readFileSync(join(ROOT, 'docs', 'incidents.md'), 'utf8')
  const rows = new Map(page.split('\n').map((line) => [line.split(' ')[0] ?? '', plainLine(line)]))
  for (const line of incidentsText(judged, false).split('\n')) {
    const [name = ''] = line.split(' ')
    if (asked.some((each) => each.name === name)) t.equal(rows.get(name), plainLine(line), name)
  }
  for (const { name } of all) t.ok(rows.has(name), `${name} is on the page`)
})

t.test('the same for programs', async (t) => {
  const data = incidentsData(judged) as readonly { readonly incident: string }[]
  t.strictSame(
    data.map(({ incident }) => incident),
    asked.map(({ name }) => name),
  )
  const [head, ...rows] = incidentsCsv(judged).trimEnd().split('\n')
  t.match(head, /^incident,verdict,what/)
  const figures = judged.reduce((sum, { checks }) => sum + Math.max(1, checks.length), 0)
  t.equal(rows.length, figures)
})

t.test('another world, another verdict', async (t) => {
  const text = (name: string): string => readFileSync(join(FOLDER, `${name}.yaml`), 'utf8')
  const verdict = (name: string, from: string, to: string): string => {
    t.match(text(name), from, `${name} says ${from}`)
    return askIncident(parseIncident(text(name).replaceAll(from, to), name)).verdict
  }
  t.not(verdict('neighbours-1018', 'talk: all', 'gcThresh3: 8192\n    talk: all'), 'reproduced')
  t.not(verdict('host-routes-20k', 'host: 20000', 'host: 200000'), 'reproduced')
  t.not(verdict('host-table-16k', 'trident3-default', 'tomahawk-default'), 'reproduced')
  t.not(verdict('pool-of-one-slash-16', '172.1.0.0/16', '10.0.0.0/14'), 'reproduced')
})
