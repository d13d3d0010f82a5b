/** Comparisons, statistics, CSV and where things are drawn. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { modesNamed, planCompare, runCompare } from '../../simulator/compare.ts'
import { SWITCH_ROLES } from '../../simulator/fabric-device.ts'
import { labelOf } from '../../simulator/network.ts'
import { runOtherSeeds } from '../../simulator/other-seeds.ts'
import { compareText } from '../../simulator/report/compare-text.ts'
import { compareRows, compareSentence } from '../../simulator/report/compare-words.ts'
import { csvTables, measuresCsv } from '../../simulator/report/csv.ts'
import { compareData } from '../../simulator/report/data.ts'
import { bestOf, measuresOf } from '../../simulator/report/measures.ts'
import { fullAt } from '../../simulator/report/nodes-chart.ts'
import { halfWords, seedsData, seedsText } from '../../simulator/report/seeds-report.ts'
import { spansOf } from '../../simulator/report/timeline-chart.ts'
import { layoutOf } from '../../simulator/report/topology-layout.ts'
import { type RunResult, runScenario } from '../../simulator/run.ts'
import { parseScenario, type Scenario } from '../../simulator/scenario.ts'
import { holds } from '../support/property.ts'
import { timelineFixture } from './timeline-fixture.ts'

function scenario(words = ''): Scenario {
  const text = `
nodes: 8
podsPerNode: 6
racks: 2
pools: [{ cidr: 10.42.0.0/20, blockLength: 28 }]
switch: { host: 40, lpm: 128, mac: 128 }
times: { podsPerSecond: 2000 }
${words === '' ? 'modes: [vxlan, route, { mode: route, announce: host }, vlan]' : words}`
  return parseScenario(text, 'report.yaml')
}

const run: RunResult = runScenario(scenario())
const modeOf = (label: string) => run.modes.find((mode) => mode.label === label)!

/** A reader of its own: RFC 4180, not our writer backwards. */
function readCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [[]]
  let [field, isQuoted] = ['', false]
  for (let at = 0; at < text.length; at++) {
    const mark = text[at]!
    if (isQuoted) {
      if (mark !== '"') field += mark
      else if (text[at + 1] === '"') field += text[++at]
      else isQuoted = false
    } else if (mark === '"') isQuoted = true
    else if (mark === ',' || mark === '\n') {
      rows.at(-1)?.push(field)
      field = ''
      if (mark === '\n') rows.push([])
    } else field += mark
  }
  rows.pop()
  return rows
}

t.test('CSV holds what was measured', async (t) => {
  const name = 'a "quoted", name'
  const odd = { ...run, scenario: { ...run.scenario, name } }
  const [heads = [], ...rows] = readCsv(measuresCsv([odd]))
  t.strictSame(heads.join(), 'scenario,seed,nodes,pods,mode,measure,value,unit')
  t.ok(rows.every((row) => row.length === heads.length && row[0] === name))
  const value = (mode: string, measure: string): string | undefined =>
    rows.find((row) => row[4] === mode && row[5] === measure)?.[6]
  for (const mode of run.modes) {
    for (const { role, table, demandPeak } of mode.tables) {
      t.equal(value(mode.label, `${role}.${table}.entries`), String(demandPeak))
    }
    t.equal(value(mode.label, 'cold_start'), String(mode.coldStartMs))
  }
  t.equal(
    value('route /32', 'first_overflow.pods'),
    String(modeOf('route /32').firstOverflow?.pods),
  )
  t.equal(value('vxlan', 'first_overflow.pods'), undefined, 'what never happened has no row')
  t.equal(value('vxlan', 'overhead'), '50', 'RFC 7348: 14 + 8 + 8 + 20')
  t.equal(value('vlan', 'overhead'), '0')
})

t.test('every CSV table is rectangular, and whole', async (t) => {
  const modes = run.modes.map((mode) => ({ ...mode, timeline: timelineFixture(1) }))
  const tables = new Map(
    csvTables([{ ...run, modes }]).map(({ name, text }) => [name, readCsv(text)]),
  )
  for (const [name, [heads = [], ...rows]] of tables) {
    t.ok(rows.length > 0 && rows.every((row) => row.length === heads.length), name)
    t.equal(new Set(heads).size, heads.length, `${name}: every column has a name of its own`)
  }
  const rowsOf = (name: string): number => (tables.get(name)?.length ?? 1) - 1
  t.equal(rowsOf('tables'), modes.flatMap(({ tables: own }) => own).length)
  t.equal(rowsOf('devices'), 4 * run.modes.length, 'two ToR switches, two spines')
  t.equal(rowsOf('timeline'), 121 * run.modes.length)
  t.equal(rowsOf('faults'), 8 * run.modes.length)
})

t.test('the best of each row is the best', async (t) => {
  const { modes } = run
  for (const measure of measuresOf(modes)) {
    const best = bestOf(measure, modes)
    const values = modes.map((mode) => measure.value(mode))
    const marked = values.filter((_, index) => best[index])
    const others = values.filter((value, index) => !best[index] && value !== undefined)
    if (marked.length === 0) continue
    const isRight = marked.every((one) =>
      others.every((other) => (measure.better === 'less' ? one! < other! : one! > other!)),
    )
    t.ok(isRight && others.length > 0, measure.name, { values, best })
  }
  const rows = compareRows(modes, false)
  const cells = rows.find(({ title }) => title === 'holds?')?.cells.map(({ words }) => words)
  t.strictSame(cells, ['holds', 'holds', 'NO', 'holds'])
})

t.test('a comparison plans what can be', async (t) => {
  const one = planCompare(scenario('modes: [vxlan]'), undefined, undefined)
  t.strictSame(
    one.scenarios[0]?.modes.map(labelOf).slice(0, 3),
    ['vxlan', 'vxlan lightweight', 'vxlan direct'],
    'one mode is compared in all of them',
  )
  const own = planCompare(scenario(), undefined, [16, 4, 16])
  t.strictSame(
    own.scenarios.map(({ nodes, racks }) => [nodes, racks]),
    [
      [4, 1],
      [16, 4],
    ],
    'racks stay as full',
  )
  t.strictSame(
    own.scenarios[0]?.modes.map(labelOf),
    run.modes.map(({ label }) => label),
  )
  t.throws(() => planCompare(scenario(), undefined, [50_000]), {
    code: 'BAD_CONFIG',
    message: /20000/,
  })
  const small = () => planCompare(scenario(), undefined, [2000])
  t.throws(small, { message: /on 2000 nodes: pools.0.cidr: .* at least a \/1\d/ })
})

t.test('modes have names', async (t) => {
  const words = (names: string): readonly string[] => modesNamed(names.split(',')).map(labelOf)
  t.strictSame(words('vxlan,Route /32, vlan'), ['vxlan', 'route /32', 'vlan'])
  t.strictSame(words('hosts,blocks,direct'), ['route /32', 'route blocks', 'vxlan direct'])
  t.throws(() => words('bloks'), { code: 'USAGE', message: /did you mean blocks/ })
  t.throws(() => words('vxlan,classic'), { code: 'USAGE', message: /twice/ })
})

t.test('a comparison in words and as data', async (t) => {
  const compared = runCompare(planCompare(scenario(), undefined, [4, 8]))
  const at = modeOf('route /32').firstOverflow?.pods
  const sentence = compareSentence(compared)
  t.match(sentence, `route /32 overflows the ToR host table at pod ${at}.`)
  t.match(sentence, /^On switches of these sizes with 8 nodes and 48 pods: vxlan holds with/)
  const text = compareText(compared, false)
  t.match(text, /^NODES {2}PODS/m)
  t.match(text, / holds\? +holds +holds +NO +holds/)
  t.ok(text.endsWith(`${sentence}\n`), 'the sentence is last')
  const data = JSON.parse(JSON.stringify(compareData(compared)))
  t.strictSame(
    data.runs.map(({ nodes }: { readonly nodes: number }) => nodes),
    [4, 8],
  )
  t.strictSame(data.largest.traceHash, run.traceHash, 'the largest is the run itself')
})

t.test('the own seed in full, and beside it what varies with others', async (t) => {
  const [others = []] = await runOtherSeeds([scenario()], 3, 0)
  const results = [run, ...others]
  t.strictSame(
    results.map(({ scenario: { seed } }) => seed),
    [1, 2, 3],
  )
  const values = results.map(({ modes }) => modes[0]!.coldStartMs)
  const data = JSON.parse(JSON.stringify(seedsData(results)))
  t.strictSame(data.seeds, [1, 2, 3])
  const cold = data.modes[0].measures.find(
    ({ name }: { readonly name: string }) => name === 'cold_start',
  )
  t.strictSame(cold.values, values)
  // By hand: Student's t of two degrees of freedom is 4.303 (any table of it).
  const mean = values.reduce((sum, value) => sum + value, 0) / 3
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const half = (4.3027 * Math.sqrt(squares / 2)) / Math.sqrt(3)
  t.ok(Math.abs(cold.high - cold.low - 2 * half) < 0.01, `${cold.low} to ${cold.high}`)
  t.ok(half > 1, 'chance changes it')

  const text = seedsText(results, false)
  const seconds = (ms: number): string =>
    ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`
  t.match(text, new RegExp(` {2}cold start +${seconds(mean)} ± ${seconds(half)} `))
  t.notMatch(text, 'holds?', 'what is the same with every seed has no row')
  t.match(
    text,
    /the same with each seed: \d+ other measures\nchecks: all passed with each of 3 seeds/,
  )
  t.equal(seedsText([run], false), '', 'one seed says nothing of chance')

  const bad = { name: 'no leak', scope: '', passed: false, findings: ['10.42.0.1 is left'] }
  const [first, second, third] = results
  const broken = second!.modes.map((mode) => ({ ...mode, checks: [bad] }))
  const failed = seedsText([first!, { ...second!, modes: broken, passed: false }, third!], false)
  t.match(failed, /checks: FAILED with seeds 2; to see one: --seed 2 --seeds 1\n/)
  t.match(failed, / {2}seed 2 vxlan: no leak: 10.42.0.1 is left/)
})

t.strictSame(
  [halfWords(0.2, 'ms'), halfWords(1.4, 'ms'), halfWords(0.01, 'entries'), halfWords(3, 'bytes')],
  ['<1 ms', '1 ms', '<0.1', '3 B'],
  'a small half is no zero',
)

t.test('a table that overflows with some seeds only', async (t) => {
  const at = (seed: number, first: number | undefined): RunResult => {
    const firstOverflow = first === undefined ? undefined : { ...overflow, pods: first }
    const modes = [{ ...modeOf('vxlan'), firstOverflow }]
    return { ...run, scenario: { ...run.scenario, seed }, modes }
  }
  const overflow = { ...modeOf('route /32').firstOverflow! }
  const text = seedsText([at(1, undefined), at(2, 40), at(3, 44)], false)
  t.match(text, / {2}holds\? +1 of 3\n/)
  t.match(text, / {2}first full table, at pod +42 ± 25.4 \(2 of 3\)\n/)
})

t.test('what is down and what is up again', async (t) => {
  const spans = spansOf(timelineFixture(1).faults)
  t.strictSame(
    spans.map(({ name, fromMs, toMs }) => [name, fromMs, toMs]),
    [
      ['spine-0 down', 5_000, 20_000],
      ['link tor-1--spine-1 down', 12_000, 40_000],
      ['store away', 21_000, 36_000],
      ['node-0003 down', 30_000, undefined],
      ['tor-3 down', 57_500, undefined],
    ],
  )
})

t.equal(
  fullAt([
    { nodes: 10, pressure: 0.5 },
    { nodes: 20, pressure: 1.5 },
  ]),
  15,
)
t.equal(fullAt([{ nodes: 10, pressure: 1 }]), undefined, 'full to the brim is not over it')

const counts = fc.tuple(...SWITCH_ROLES.map(() => fc.integer({ min: 0, max: 130 })))
holds(
  t,
  'no two boxes of a fabric meet',
  counts,
  (each) => {
    const roles = SWITCH_ROLES.flatMap((role, index) =>
      Array.from({ length: each[index] ?? 0 }, () => role),
    )
    const { tiers, height } = layoutOf(roles, 50)
    const boxes = tiers.flatMap((tier) => tier.boxes)
    assert.deepEqual(
      boxes.map(({ device }) => device).sort((a, b) => a - b),
      roles.map((_, device) => device),
    )
    for (const [index, one] of boxes.entries()) {
      assert.ok(one.x >= 0 && one.x + one.width <= 920 && one.y + one.height <= height)
      for (const two of boxes.slice(index + 1)) {
        const isApart =
          one.x + one.width <= two.x ||
          two.x + two.width <= one.x ||
          one.y + one.height <= two.y ||
          two.y + two.height <= one.y
        assert.ok(isApart, `${one.device} and ${two.device}`)
      }
    }
  },
  { numRuns: 100 },
)
