/** What the commands write: one page, a folder of tables, nothing by half. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { compareScenarioFile, describedScenarios, runScenarioFile } from '../../simulator/main.ts'

const SCENARIO = `
nodes: 4
podsPerNode: 2
racks: 2
pools: [{ cidr: 10.42.0.0/20 }]
modes: [vxlan, route]
switch: { profile: trident3-default }
`
const TABLES = ['devices', 'faults', 'measures', 'samples', 'tables', 'timeline']

const folder = mkdtempSync(join(tmpdir(), 'trivium-files-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'small.yaml')
writeFileSync(file, SCENARIO)

function asked(output: 'text' | 'wide' | 'json' | 'yaml' | 'csv') {
  const written: string[] = []
  const write = (text: string): void => {
    written.push(text)
  }
  return { options: { file, output, scenariosDir: folder, write }, text: () => written.join('') }
}

t.test('a page and a folder of tables', async (t) => {
  const { options, text } = asked('text')
  const [html, csv] = [join(folder, 'one.html'), join(folder, 'deep', 'tables')]
  t.equal(await runScenarioFile({ ...options, html, csv }), 0)
  t.match(readFileSync(html, 'utf8'), /^<!doctype html>[\s\S]*<\/html>\n$/)
  t.strictSame(
    readdirSync(csv).sort(),
    TABLES.map((name) => `${name}.csv`),
  )
  t.match(text(), `report ${html}\n`)
})

t.test('programs read nothing else', async (t) => {
  const json = asked('json')
  t.equal(await compareScenarioFile({ ...json.options, html: join(folder, 'two.html') }), 0)
  t.equal(JSON.parse(json.text()).runs.length, 1)
  const csv = asked('csv')
  t.equal(await runScenarioFile({ ...csv.options, seeds: 2 }), 0)
  t.match(csv.text(), /^scenario,seed,nodes,pods,mode,measure,value,unit\n/)
  t.match(csv.text(), /\nscenario,2,4,8,route blocks,cold_start,/)
})

t.test('who may not use so much memory runs nothing', async (t) => {
  const { options, text } = asked('text')
  const mayUse = async (bytes: number): Promise<boolean> => {
    t.ok(bytes > 1e6)
    return false
  }
  t.equal(await compareScenarioFile({ ...options, mayUse }), 0)
  t.equal(text(), '')
})

t.test('places that cannot be written', async (t) => {
  const { options } = asked('json')
  const taken = join(folder, 'taken.html')
  mkdirSync(taken)
  await t.rejects(runScenarioFile({ ...options, html: taken }), {
    code: 'BAD_CONFIG',
    message: `Cannot write report ${taken}: EISDIR`,
  })
  const nowhere = join(folder, 'no', 'where.html')
  const progress = (): void => {
    t.fail('it ran first')
  }
  await t.rejects(runScenarioFile({ ...options, html: nowhere, progress }), {
    message: `Cannot write report ${nowhere}: there is no folder ${join(folder, 'no')}`,
  })
  await t.rejects(runScenarioFile({ ...options, csv: file }), {
    message: `Cannot make folder ${file}: EEXIST`,
  })
  t.notOk(
    readdirSync(folder).some((name) => name.endsWith('.tmp')),
    'nothing is left by half',
  )
})

t.test('every built-in scenario says what it shows', async (t) => {
  const builtIn = join(import.meta.dirname, '../../simulator/scenarios')
  const files = readdirSync(builtIn).filter((name) => name.endsWith('.yaml'))
  const scenarios = await describedScenarios(builtIn)
  t.strictSame(
    scenarios.map(({ name }) => `${name}.yaml`),
    files.sort(),
  )
  for (const { name, about, modes } of scenarios) {
    t.ok(about.length > 20 && modes.length > 0, name)
  }
})
