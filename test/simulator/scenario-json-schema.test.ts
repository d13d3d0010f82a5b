/** The JSON Schema of scenarios, judged by another validator, and its words. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import t from 'tap'
import { parse } from 'yaml'
import { scenarioSchema } from '../../simulator/scenario.ts'
import { keysAt, pathsOf } from '../../simulator/scenario-json-schema.ts'
import { SCENARIO_WORDS } from '../../simulator/scenario-words.ts'
import { SCENARIO_SCHEMA_FILE, scenarioJsonSchema } from '../../simulator/schema.ts'

const FOLDER = new URL('../../simulator/scenarios/', import.meta.url)
const README = readFileSync(new URL('../../simulator/README.md', import.meta.url), 'utf8')
const text = `${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`
// The default of an object may leave out what has defaults of its own.
const valid = new Ajv({ allErrors: true, strict: false }).compile(JSON.parse(text))

t.test('the file beside the scenarios is current', async (t) => {
  const file = new URL(SCENARIO_SCHEMA_FILE, FOLDER)
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text)
  t.equal(
    readFileSync(file, 'utf8'),
    text,
    'trivium sim schema prints it; UPDATE_GOLDEN=1 writes it',
  )
})

t.test('every built-in scenario fits', async (t) => {
  for (const name of readdirSync(FOLDER).filter((file) => file.endsWith('.yaml'))) {
    const source = readFileSync(new URL(name, FOLDER), 'utf8')
    t.ok(valid(parse(source)), `${name} ${JSON.stringify(valid.errors)}`)
    const hint = `# yaml-language-server: $schema=${SCENARIO_SCHEMA_FILE}\n`
    t.ok(source.startsWith(hint), `${name} names its schema in its first line`)
  }
})

const GOOD = {
  nodes: 4,
  podsPerNode: 10,
  pools: [{ cidr: '10.42.0.0/16' }],
  modes: ['vxlan', { mode: 'route', announce: 'host' }],
  switch: { profile: 'trident3-default' },
}
t.ok(valid(GOOD), `a good one ${JSON.stringify(valid.errors)}`)

const MISTAKES: readonly (readonly [what: string, change: object])[] = [
  ['zero nodes', { nodes: 0 }],
  ['half a node', { nodes: 2.5 }],
  ['text for a number', { podsPerNode: 'many' }],
  ['a slip in a key', { podPerNode: 3 }],
  ['no pool', { pools: [] }],
  ['a pool without addresses', { pools: [{ blockLength: 26 }] }],
  ['an unknown mode', { modes: ['bgp'] }],
  ['an unknown profile', { switch: { profile: 'x' } }],
  ['a slip below', { times: { storeMS: 1 } }],
]
for (const [what, change] of MISTAKES) t.notOk(valid({ ...GOOD, ...change }), what)

t.test('every key has words, and no words are left over', async (t) => {
  const paths = pathsOf(scenarioSchema)
  t.strictSame(
    paths.filter((path) => SCENARIO_WORDS[path] === undefined),
    [],
    'keys without words',
  )
  t.strictSame(
    Object.keys(SCENARIO_WORDS).filter((path) => !paths.includes(path)),
    [],
    'words without key',
  )
})

t.test('the README names every key', async (t) => {
  for (const path of pathsOf(scenarioSchema)) {
    const key = path.split('.').at(-1) ?? ''
    t.match(README, new RegExp(`\\b${key}\\b`), path)
  }
})

t.strictSame(keysAt(scenarioSchema, ['pools', '0']), ['cidr', 'blockLength', 'network'])
t.strictSame(keysAt(scenarioSchema, ['nodes']), [], 'a number has no keys')
