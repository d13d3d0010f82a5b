/** `trivium bgp policy test` with a file: verdict, rule, what changes, and the exit status. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { asPathOf } from '../../src/cli/bgp/route-text.ts'
import { runCli } from '../../src/cli/program.ts'

const FILE = `
asn: 65001
routerId: 192.0.2.1
policies:
  in:
    rules:
      - { when: { passes: [666] }, action: reject, name: no-666 }
      - { when: { prefixes: [10.0.0.0/8 le 24] }, set: { addCommunities: ["65001:7"] }, action: continue }
      - { when: { communities: ["65001:7"] }, set: { localPref: 200, med: remove } }
    otherwise: reject
  out:
    rules:
      - { when: { sources: [own] }, set: { prepend: 2 } }
    otherwise: reject
peers:
  - { address: 192.0.2.2, asn: 65002, importPolicy: in, exportPolicy: out }
  - { address: 192.0.2.3, asn: 65003 }
`

const folder = mkdtempSync(join(tmpdir(), 'bgp-policy-'))
const file = join(folder, 'speaker.yaml')
writeFileSync(file, FILE)
t.teardown(() => rmSync(folder, { recursive: true }))

interface Ran {
  readonly status: number
  readonly out: string
}

async function test(...args: readonly string[]): Promise<Ran> {
  let out = ''
  const [write, error] = [process.stdout.write, process.stderr.write]
  const take = (text: string): boolean => {
    out += text
    return true
  }
  process.stdout.write = take as typeof write
  process.stderr.write = take as typeof error
  try {
    const given = ['bgp', 'policy', 'test', ...args, '--file', file]
    const status = await runCli(['node', 'trivium', ...given])
    return { status, out: out.replaceAll(file, 'FILE') }
  } finally {
    process.stdout.write = write
    process.stderr.write = error
    process.exitCode = 0
  }
}

t.test('a route that rules let in, one after the other', async (t) => {
  const route = ['--peer', '192.0.2.2', '--as-path', '65002 65010', '--med', '5']
  const { status, out } = await test('10.9.0.0/24', ...route)
  t.equal(status, 0)
  t.equal(
    out,
    `FILE: 10.9.0.0/24 from 192.0.2.2: accepted by policy in, rule 3
  matched      rule 2, rule 3
  med          5 -> -
  localPref    - -> 200
  communities  - -> 65001:7
`,
  )
})

t.test('what is rejected, by whom', async (t) => {
  const REJECTED: readonly (readonly [args: readonly string[], by: string])[] = [
    [['10.9.0.0/25', '--peer', '192.0.2.2', '--med', '1'], 'policy in, no rule'],
    [['10.9.0.0/24', '--peer', '192.0.2.2', '--as-path', '65002 666'], 'policy in, no-666'],
    [['10.9.0.0/24', '--peer', '192.0.2.2', '--as-path', '65002 65001'], 'own AS 65001 in AS_PATH'],
    [['10.9.0.0/24', '--peer', '192.0.2.3', '--med', '1'], 'no import policy (RFC 8212)'],
    [['10.9.0.0/24', '--peer', '192.0.2.2', '--out', '--med', '1'], 'policy out, no rule'],
    [
      ['10.9.0.0/24', '--peer', '192.0.2.2', '--out', '--from', 'own', '--community', 'no-export'],
      'community no-export',
    ],
  ]
  for (const [args, by] of REJECTED) {
    const { status, out } = await test(...args, '-o', 'json')
    t.equal(status, 1, by)
    t.match(JSON.parse(out), [{ verdict: 'rejected', by }])
  }
})

t.test('the way out', async (t) => {
  const own = ['--peer', '192.0.2.2', '--out', '--from', 'own', '--med', '3', '-o', 'json']
  const { status, out } = await test('10.9.0.0/24', ...own)
  t.equal(status, 0)
  t.match(JSON.parse(out), [{ after: { asPath: '65001 65001 65001', med: 3, nextHop: 'self' } }])
})

t.test('having no answer is 2, and says why', async (t) => {
  const wrong = await test('10.9.0.0/24', '--peer', '192.0.2.9', '--med', '1')
  t.same(wrong, {
    status: 2,
    out: 'trivium: Cannot find peer 192.0.2.9 in FILE: it has 192.0.2.2, 192.0.2.3\n',
  })
  const host = await test('10.9.0.1/24', '--peer', '192.0.2.2', '--med', '1')
  t.equal(host.status, 2)
  const path = await test('10.9.0.0/24', '--peer', '192.0.2.2', '--as-path', '65002 x')
  t.match(path, { status: 2, out: /--as-path: found "65002 x", wanted AS numbers/ })
})

t.test('AS paths as people write them', async (t) => {
  t.strictSame(asPathOf(''), [])
  t.strictSame(asPathOf('1 2 {3,4} 5'), [
    { kind: 'sequence', asns: [1, 2] },
    { kind: 'set', asns: [3, 4] },
    { kind: 'sequence', asns: [5] },
  ])
  for (const text of ['{', '{}', '1 -2', '4294967296']) {
    t.throws(() => asPathOf(text), { code: 'USAGE' }, text)
  }
})
