/** Sweeps without processes: statistics, what a file may say, and parts that come together. */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { RunTasks } from '../../simulator/other-seeds.ts'
import { estimate, studentT } from '../../simulator/statistics.ts'
import { parseSweep } from '../../simulator/sweep/file.ts'
import { mergeResults } from '../../simulator/sweep/merge.ts'
import { jobsOf, planSweep, type SweepPlan } from '../../simulator/sweep/plan.ts'
import { planText, readPlan } from '../../simulator/sweep/plan-file.ts'
import { lineOf, readLines } from '../../simulator/sweep/result.ts'
import { summaryOf } from '../../simulator/sweep/summary.ts'
import { sweepData, sweepText } from '../../simulator/sweep/text.ts'
import {
  mergeFolders,
  runPoint,
  type SweepOptions,
  type SweepResult,
  sweepFile,
} from '../../simulator/sweep.ts'
import { ownFolder } from '../support/folder.ts'
import { holds } from '../support/property.ts'

const BASE = `base:
  nodes: 4
  podsPerNode: 2
  racks: 2
  pools: [{ cidr: 10.42.0.0/20 }]
  modes: [vxlan, { mode: route, announce: host }]
  switch: { host: 40, lpm: 100, mac: 100 }
  times: { settleMs: 20 }
`
const GRID = `${BASE}grid:
  nodes: [3, 5]
  times.protocol: [ideal, frr]
seeds: 2
`
const scenariosDir = new URL('../../simulator/scenarios/', import.meta.url).pathname

const planOf = (text: string, program = 'p') => {
  const file = parseSweep(text, 'grid.yaml')
  return planSweep({ file, path: 'grid.yaml', text, base: file.base, files: new Map(), program })
}

t.test('quantiles of Student’s t and intervals', async (t) => {
  // NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2, column 0.975.
  const known = [
    ...[[1, 12.706] as const, [2, 4.303] as const, [3, 3.182] as const, [4, 2.776] as const],
    ...[[9, 2.262] as const, [10, 2.228] as const, [29, 2.045] as const, [30, 2.042] as const],
    ...[[60, 2.0] as const, [100, 1.984] as const, [999, 1.962] as const],
  ]
  for (const [freedom, value] of known) {
    t.equal(studentT(freedom).toFixed(3), value.toFixed(3), `${freedom} degrees of freedom`)
  }
  const found = estimate([2, 4, 4, 4, 5, 5, 7, 9])
  t.equal(found?.mean, 5)
  t.equal(found?.deviation?.toFixed(4), '2.1381')
  // 2.3646 * 2.1381 / sqrt(8)
  t.equal(found?.half?.toFixed(4), '1.7875')
  t.strictSame(estimate([3]), { count: 1, mean: 3, deviation: undefined, half: undefined })
  t.strictSame(estimate([0.1, 0.1, 0.1]), { count: 3, mean: 0.1, deviation: 0, half: 0 })
  t.equal(estimate([]), undefined)
})

t.test('what a file may not say', async (t) => {
  const bad: readonly (readonly [more: string, error: RegExp])[] = [
    ['', /neither a grid nor points, wanted from 1 to 10000 points/],
    ['grid: { nodes: 5 }', /grid\.nodes: found 5, wanted a list of values/],
    ['grid: { nodes: [] }', /grid\.nodes: found an empty list/],
    ['grid: { nodes: [4, 50000] }', /point nodes=50000: nodes: found 50000, wanted a whole number/],
    ['grid: { nodez: [4] }', /point nodez=4: .*unknown key "nodez", did you mean nodes\?/],
    [
      'grid: { times.protocol: [rip] }',
      /times\.protocol=rip: times\.protocol: found "rip", wanted/,
    ],
    [
      'grid: { modes.0.announce: [host] }',
      /modes\.0 is "vxlan" in the base, wanted a map or a list/,
    ],
    ['grid: { modes.7: [vlan] }', /modes\.7: found "7", wanted a place in a list of 2/],
    ['grid: { seed: [1, 2] }', /found the path seed, wanted the seeds as seeds: 10/],
    ['grid: { a..b: [1] }', /found the path "a\.\.b", wanted keys between dots/],
    ['grid: { __proto__.x: [1] }', /wanted keys between dots/],
    ['grid: { nodes: [4, 4] }', /nodes=4 and nodes=4 are the same scenario/],
    ['points: [{ nodes: 4, racks: 5 }]', /point nodes=4 racks=5: /],
    ['points: [{ nodes: 4 }]\nseeds: 0', /seeds: found 0, wanted a whole number from 1 to 1000/],
    ['grids: { nodes: [4] }', /unknown key "grids", wanted one of name, about, base, grid/],
    [
      `grid: { ${['nodes', 'racks', 'spines'].map((key) => `${key}: [${numbers(40)}]`).join(', ')} }`,
      /found 64000 points/,
    ],
  ]
  for (const [more, error] of bad) t.throws(() => planOf(`${BASE}${more}\n`), error, more)
  t.throws(() => parseSweep('grid: { nodes: [1] }', 'x'), /base: is missing/)
  t.throws(() => parseSweep('base: [', 'x'), /Cannot read sweep x: /)
})

const numbers = (count: number): string =>
  Array.from({ length: count }, (_, index) => index + 1).join(', ')

t.test('points, their order, and what a run is known by', async (t) => {
  const { plan, scenarios } = planOf(`${GRID}points: [{ pools.0.blockLength: 28 }]\n`)
  const words = plan.points.map(({ settings }) => settings.map(({ value }) => value))
  t.strictSame(words, [[3, 'ideal'], [3, 'frr'], [5, 'ideal'], [5, 'frr'], [28]])
  t.strictSame(plan.paths, ['nodes', 'times.protocol', 'pools.0.blockLength'])
  t.equal(scenarios[3]?.nodes, 5)
  t.equal(scenarios[3]?.times.protocol, 'frr')
  t.equal(scenarios[4]?.pools[0]?.blockLength, 28)
  t.equal(scenarios[4]?.nodes, 4, 'the base is as it was')
  const keys = (of: SweepPlan): readonly string[] => of.points.flatMap((point) => point.keys)
  t.equal(new Set(keys(plan)).size, 10)
  const larger = planOf(GRID.replace('[3, 5]', '[2, 3, 5]').replace('seeds: 2', 'seeds: 3')).plan
  t.ok(
    keys(planOf(GRID).plan).every((key) => keys(larger).includes(key)),
    'a grid that grows knows what was run',
  )
  t.notOk(keys(planOf(GRID, 'q').plan).some((key) => keys(larger).includes(key)))
})

t.test('the engine of each point is part of what a run is known by', async (t) => {
  const text = GRID.replace('seeds: 2', 'seeds: 1\nengine: scaled')
  const { plan: scaled, scenarios } = planOf(text)
  const { plan: exact } = planOf(text.replace('engine: scaled', 'engine: auto'))
  t.ok(scaled.points.every(({ engine }) => engine === 'scaled'))
  t.ok(
    exact.points.every(({ engine }) => engine === 'exact'),
    'it is small',
  )
  const keys = (of: SweepPlan): readonly string[] => of.points.flatMap((point) => point.keys)
  t.notOk(keys(exact).some((key) => keys(scaled).includes(key)))
  t.strictSame(readPlan(planText(scaled), 'x'), scaled)
  const result = runPoint('a', scenarios[0]!)
  t.equal(result.engine, 'scaled')
  t.strictSame(readLines([lineOf(result)]).results, [result])
  t.match(sweepText(summaryOf(scaled, new Map(), undefined)), /engine: scaled; scaled ends when/)
  const alien = text.replace(
    'modes: [vxlan,',
    'faults: [{ kind: store, atMs: 0 }]\n  modes: [vxlan,',
  )
  t.throws(() => planOf(alien), /point nodes=3 .*engine: .*faults/)
})

const { plan } = planOf(GRID.replace('seeds: 2', 'seeds: 5'))
const made = new Map(
  jobsOf(plan).map(({ key, index }): [string, SweepResult] => [
    key,
    {
      key,
      failed: [],
      trace: '',
      engine: 'exact',
      modes: [{ label: 'vxlan', figures: { cold_start: index / 7 } }],
    },
  ]),
)
const dataOf = (results: ReadonlyMap<string, SweepResult>): string =>
  JSON.stringify(sweepData(summaryOf(plan, results, undefined)))

t.test('any split merges to the same', async (t) => {
  const whole = dataOf(made)
  holds(
    t,
    'shards, in any order, some of them twice',
    fc.tuple(fc.integer({ min: 1, max: 25 }), fc.nat(), fc.nat({ max: 3 })),
    ([count, turn, twice]) => {
      const shards = Array.from({ length: count }, (_, index) => jobsOf(plan, { index, count }))
      const all = shards.flat().map(({ key }) => key)
      assert.deepEqual([...all].sort(), [...made.keys()].sort(), 'each run in one shard')
      const sizes = shards.map(({ length }) => length)
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, 'even')
      const order = shards.map((_, place) => shards[(place + turn) % count] ?? [])
      const parts = [...order, ...order.slice(0, twice)].map((jobs, place) => ({
        from: `part${place}`,
        results: jobs.map(({ key }) => made.get(key)!).reverse(),
      }))
      const merged = mergeResults(plan, parts)
      assert.equal(merged.missing.length, 0)
      const doubles = order.slice(0, twice).flat().length
      assert.equal(merged.doubles.length, doubles)
      assert.equal(dataOf(merged.results), whole)
    },
    { numRuns: 100 },
  )
})

t.test('missing, double and contrary runs', async (t) => {
  const jobs = jobsOf(plan)
  const results = jobs.slice(2).map(({ key }) => made.get(key)!)
  const merged = mergeResults(plan, [{ from: 'a', results }])
  t.strictSame(merged.missing, jobs.slice(0, 2))
  const other = { ...results[0]!, trace: 'other' }
  const parts = [
    { from: 'a', results },
    { from: 'b', results: [other] },
  ]
  t.throws(
    () => mergeResults(plan, parts),
    /nodes=3 times\.protocol=ideal seed 3: .* in a, other in b/,
  )
  const key = 'of another sweep'
  t.equal(mergeResults(plan, [{ from: 'a', results: [{ ...other, key }] }]).results.size, 0)
  t.strictSame(readLines(['{"key":"a","fai', '', '7', 'null']), { results: [], torn: 3 })
  t.throws(() => readPlan('{}', 'sweep.json'), /Cannot read sweep\.json: .*format/)
})

/** Sweeps of a file in this process. */
function sweeper(file: string) {
  const said: string[] = []
  let ran = 0
  const most =
    (runs: number): RunTasks<SweepResult> =>
    async (tasks, _bytes, onResult) => {
      for (const task of tasks.slice(0, runs)) onResult(runPoint(task.key, task.scenario), task)
      ran += Math.min(runs, tasks.length)
    }
  const run = async (more: Partial<SweepOptions>) => {
    let text = ''
    const end = await sweepFile({
      ...{ file, output: 'json', program: 'p', scenariosDir, runTasks: most(99) },
      ...{
        write: (part) => {
          text += part
        },
        warn: (words) => void said.push(words),
      },
      ...more,
    })
    return { end, text }
  }
  return { said, run, most, ran: () => ran }
}

t.test('whole, in parts, and torn: the same figures', async (t) => {
  const folder = ownFolder(t)
  const file = join(folder, 'grid.yaml')
  writeFileSync(file, GRID)
  const { said, run, most, ran } = sweeper(file)
  const whole = await run({})
  t.equal(whole.end, 0)
  t.equal(ran(), 8)

  const out = join(folder, 'out')
  t.equal((await run({ out, runTasks: most(3) })).end, 'stopped')
  const path = join(out, 'runs.jsonl')
  const [line = ''] = readFileSync(path, 'utf8').split('\n')
  appendFileSync(path, line.slice(0, 40))
  t.ok((await run({ out })).text === whole.text, 'stopped, torn and gone on with')
  t.equal(ran(), 16, 'what was there is not run again: 8, 3 and 5')
  t.ok(said.some((words) => words.startsWith('1 torn line')))
  t.ok((await run({ out })).text === whole.text)
  t.equal(ran(), 16)

  const parts = [0, 1, 2].map((index) => join(folder, `part${index}`))
  for (const [index, part] of parts.entries()) {
    t.equal((await run({ out: part, shard: { index, count: 3 } })).end, 0)
  }
  let text = ''
  const report = { output: 'json' as const, warn: (words: string) => void said.push(words) }
  const write = (part: string): void => {
    text += part
  }
  const all = join(folder, 'all')
  t.equal(await mergeFolders({ ...report, folders: parts, out: all, write }), 0)
  t.ok(text === whole.text, 'three shards')
  text = ''
  await mergeFolders({ ...report, folders: [all, parts[1]!], write })
  t.ok(text === whole.text, 'the whole again')
  t.ok(said.some((words) => /^double, and alike: 3 runs\n {2}nodes=3/.test(words)))
  const some = mergeFolders({ ...report, folders: parts.slice(1), write })
  await t.rejects(some, /3 of 8 runs are missing: nodes=3 times\.protocol=ideal seed 1/)
  text = ''
  const folders = parts.slice(1)
  const html = join(folder, 'report.html')
  const wide = { ...report, output: 'wide' as const, partial: true, html }
  await mergeFolders({ ...wide, folders, write })
  t.match(text, /^nodes +times\.protocol +MODE .*^missing: 3 of 8 runs$.*^report /ms)
  t.match(readFileSync(html, 'utf8'), /mode route \/32.*<svg role="img"/s)
  writeFileSync(file, GRID.replace('seeds: 2', 'seeds: 3'))
  const other = join(folder, 'other')
  await run({ out: other, shard: { index: 0, count: 12 } })
  const mixed = mergeFolders({ ...report, folders: [all, other], write })
  await t.rejects(mixed, /4 points with 2 seeds in .*all, 4 points with 3 seeds in .*other/)
  await t.rejects(mergeFolders({ ...report, folders: [folder], write }), /no sweep\.json is there/)
  await t.rejects(run({ figures: ['cold_stat'] }), /no such measure, did you mean cold_start\?/)
})
