/** Bad workloads in scenarios: the message, with the line, for each mistake. */
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readScenario } from '../../simulator/main.ts'
import { parseScenario } from '../../simulator/scenario.ts'
import { filesOf, inputWords } from '../../simulator/timeline/inputs.ts'
import { ownFolder } from '../support/folder.ts'

const BASE = `nodes: 4
podsPerNode: 10
racks: 2
pools: [{ cidr: 10.42.0.0/16, blockLength: 26 }]
modes: [vxlan]
switch: { profile: trident3-default }
`
const EMPTY = BASE.replace('podsPerNode: 10', 'podsPerNode: 0')
const SMALL = BASE.replace('10.42.0.0/16', '10.42.0.0/24')
const step = (text: string): string =>
  `${BASE}workload:\n  - { kind: batch, pods: 1 }\n  - ${text}\n`

/** The step that is wrong is on line 9. */
const MISTAKES: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['no list', `${BASE}workload: 3`, /:7: workload: wanted a list of \{ kind, atMs/],
  [
    'an unknown kind',
    step('{ kind: cron }'),
    /:9: workload\.1.*: found kind "cron", wanted poisson, batch, rolling, statefulset, drain, restart, trace, kubernetes/,
  ],
  ['no kind', step('{ atMs: 3 }'), /:9: workload\.1.*: found kind nothing, wanted poisson/],
  [
    'a slip in a key',
    step('{ kind: batch, pods: 3, lifetimeMS: 1 }'),
    /:9: workload\.1: unknown key "lifetimeMS", did you mean lifetimeMs\?/,
  ],
  [
    'rate 0',
    step('{ kind: poisson, forMs: 1000, perSecond: 0 }'),
    /:9: workload\.1\.perSecond: found 0, wanted pods a second above 0, to 10000/,
  ],
  [
    'rate NaN',
    step('{ kind: poisson, forMs: 1000, perSecond: .nan }'),
    /:9: .*perSecond: found NaN, wanted/,
  ],
  [
    'rate infinity',
    step('{ kind: poisson, forMs: 1000, perSecond: .inf }'),
    /:9: .*perSecond: found Infinity, wanted/,
  ],
  [
    'a billion a second',
    step('{ kind: poisson, forMs: 1000, perSecond: 1e9 }'),
    /:9: .*perSecond: found 1000000000, wanted/,
  ],
  [
    'too many by rate',
    step('{ kind: poisson, forMs: 3600000, perSecond: 1000 }'),
    /:9: .*perSecond: 1000 pods a second for 3600000 ms are 3600000, wanted at most 500000/,
  ],
  [
    'too many by restarts',
    step('{ kind: statefulset, replicas: 10000, restarts: 1000 }'),
    /:9: .*restarts: .*come and go 20010000 times, wanted at most 500000/,
  ],
  [
    'too many at once',
    step('{ kind: batch, pods: 250000 }'),
    /:8: workload: 250041 pods are there at once, the exact engine holds 200000/,
  ],
  [
    'too many on the way',
    step('{ kind: batch, pods: 300000, lifetimeMs: 1 }'),
    /:8: workload: more than 500000 pods would come and go/,
  ],
  [
    'pods 0',
    step('{ kind: batch, pods: 0 }'),
    /:9: workload\.1\.pods: found 0, wanted a whole number from 1/,
  ],
  [
    'surge and unavailable 0',
    step('{ kind: rolling, pods: 3, surge: 0, unavailable: 0% }'),
    /:9: workload\.1\.surge: surge 0 and unavailable 0 let no pod come or go/,
  ],
  [
    'a share of 120 percent',
    step('{ kind: rolling, pods: 3, surge: 120% }'),
    /:9: workload\.1\.surge: found "120%", wanted a number of pods or a share like 25%/,
  ],
  [
    'more than there are',
    step('{ kind: rolling, pods: 50 }'),
    /:9: workload\.1\.pods: found 50, but 40 pods that could be replaced are there by then/,
  ],
  [
    'a node too many',
    step('{ kind: drain, node: 4 }'),
    /:9: workload\.1\.node: no node 4, there are 4, from 0 or node-0000 to node-0003/,
  ],
  [
    'an unknown node in a list',
    step('{ kind: drain, nodes: [0, node-9] }'),
    /:9: workload\.1\.nodes\.1: no node "node-9", there are 4/,
  ],
  [
    'a node twice',
    step('{ kind: drain, nodes: [0, node-0000] }'),
    /:9: workload\.1\.nodes\.1: node node-0000 is listed twice/,
  ],
  ['no node', step('{ kind: drain }'), /:9: workload\.1: wanted node: node-0003, or nodes/],
  [
    'no nodes',
    step('{ kind: drain, nodes: [] }'),
    /:9: workload\.1\.nodes: wanted a list of one node or more/,
  ],
  [
    'share 0',
    step('{ kind: restart, share: 0 }'),
    /:9: workload\.1\.share: found 0, wanted a share of the pods above 0, to 1/,
  ],
  [
    'an unknown network',
    step('{ kind: batch, pods: 3, network: red }'),
    /:9: workload\.1\.network: no network red, there are pods/,
  ],
  ['no pods at all', EMPTY, /:2: podsPerNode: found 0, wanted .*or a workload that adds pods/],
  ['no pods to drain', `${EMPTY}workload: [{ kind: drain, node: 0 }]`, /:2: podsPerNode: found 0/],
  [
    'two answers',
    step('{ kind: kubernetes, file: x, fill: true }'),
    /:2: podsPerNode: found 10, wanted 0: the first pods are those of workload\.1/,
  ],
  [
    'a fill that comes late',
    `${EMPTY}workload: [{ kind: kubernetes, file: x, fill: true, atMs: 5 }]`,
    /:7: workload\.0\.atMs: found 5, wanted 0/,
  ],
  [
    'a pool too small for the peak',
    `${SMALL}workload: [{ kind: batch, pods: 400, lifetimeMs: 5 }]`,
    /:4: pools\.0\.cidr: 10\.42\.0\.0\/24 has 4 blocks of \/26, the workload's peak of 440 pods, up to 110 on one of 4 nodes, needs 8: at least a \/23, a \/22 with a spare/,
  ],
  [
    'a pool too small for a drain',
    `${SMALL}workload: [{ kind: batch, pods: 200 }, { kind: drain, atMs: 5, node: 0 }]`,
    /:4: pools\.0\.cidr: .* the workload's peak of 240 pods, up to 80 on one of 4 nodes/,
  ],
  [
    'an hour too late',
    step('{ kind: restart, share: 1, atMs: 1e9 }'),
    /:9: workload\.1\.atMs: found 1000000000, wanted a whole number from 0 to 3600000/,
  ],
]
for (const [what, text, message] of MISTAKES) {
  t.throws(() => parseScenario(text, 'x.yaml'), { code: 'BAD_CONFIG', message }, what)
}

t.test('mistakes in files are told with their own line', async (t) => {
  const text = step('{ kind: trace, file: sub/t.csv }')
  const files = new Map([['sub/t.csv', 'at_ms,action,pod,node\n1,add,a,\n1,remove,b,\n']])
  const message = /^Cannot read trace sub\/t\.csv:3: pod "b" is removed but not there/
  t.throws(() => parseScenario(text, 'x.yaml', { files }), { code: 'BAD_CONFIG', message })
  t.doesNotThrow(() => parseScenario(text, 'x.yaml'), 'the file was not read yet')
  t.throws(() => parseScenario(text, 'x.yaml', { files: new Map() }), { code: 'NOT_FOUND' })
})

t.test('a seed from outside counts when the workload is planned', async (t) => {
  t.equal(parseScenario(BASE, 'x.yaml', { seed: 7 }).seed, 7)
})

t.test('files are read beside the scenario, and not when they are too large', async (t) => {
  const folder = ownFolder(t)
  const path = join(folder, 'x.yaml')
  writeFileSync(path, step('{ kind: trace, file: t.csv }'))
  await t.rejects(readScenario(path), { code: 'BAD_CONFIG', message: /t\.csv: ENOENT/ })
  writeFileSync(join(folder, 't.csv'), 'at_ms,action,pod,node\n1,add,a,\n')
  const { scenario } = await readScenario(path, 7)
  t.equal(scenario.seed, 7)
  const input = scenario.inputs?.get(1)
  t.equal(input && inputWords(input), '1 rows')
  truncateSync(join(folder, 't.csv'), 201 * 2 ** 20)
  await t.rejects(readScenario(path), {
    code: 'BAD_CONFIG',
    message: /t\.csv: wanted at most 200 MiB/,
  })
})

t.test('built-in scenarios with their files', async (t) => {
  const folder = new URL('../../simulator/scenarios/', import.meta.url)
  const kinds = new Set<string>()
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.yaml'))) {
    const text = readFileSync(new URL(name, folder), 'utf8')
    const plain = parseScenario(text, name)
    const files = new Map(
      filesOf(plain).map((file) => [file, readFileSync(new URL(file, folder), 'utf8')]),
    )
    t.doesNotThrow(() => parseScenario(text, name, { files }), name)
    for (const { kind } of plain.workload) kinds.add(kind)
  }
  for (const kind of [
    'poisson',
    'batch',
    'rolling',
    'statefulset',
    'drain',
    'trace',
    'kubernetes',
  ]) {
    t.ok(kinds.has(kind), `an example of ${kind}`)
  }
})
