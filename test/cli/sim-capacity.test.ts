/** `trivium sim capacity` as people and programs call it: answers, formats, exit statuses, mistakes. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { runCli } from '../../src/cli/program.ts'

const CLI = join(import.meta.dirname, '../../cni-bin/cli.ts')
const SOURCE = ['--conditions=trivium-source', '--import', 'tsx']
const folder = mkdtempSync(join(tmpdir(), 'trivium-capacity-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** In a process of its own. */
function capacityApart(...args: readonly string[]) {
  const command = [CLI, 'sim', 'capacity', '--engine', 'count', ...args]
  return spawnSync(process.execPath, [...SOURCE, ...command], { encoding: 'utf8' })
}

/** The same in this process: what was said. */
async function capacity(...args: readonly string[]) {
  const said = { stdout: '', stderr: '' }
  const before = { stdout: process.stdout.write, stderr: process.stderr.write }
  for (const stream of ['stdout', 'stderr'] as const) {
    process[stream].write = (text: string | Uint8Array): boolean => {
      said[stream] += String(text)
      return true
    }
  }
  try {
    const command = ['sim', 'capacity', '--engine', 'count', ...args]
    const status = await runCli([process.execPath, CLI, ...command])
    return { status, ...said }
  } finally {
    process.stdout.write = before.stdout
    process.stderr.write = before.stderr
  }
}

const json = async (...args: readonly string[]) =>
  JSON.parse((await capacity(...args, '-o', 'json')).stdout)

function file(name: string, lines: readonly string[]): string {
  const path = join(folder, name)
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

const SIX = ['nodes: 6', 'podsPerNode: 3', 'racks: 2', 'pools: [{ cidr: 10.42.0.0/20 }]']
const TWO = [...SIX, 'modes: [vxlan, { mode: route, announce: host }]']

t.test(
  'without a file: every mode of a usual cluster, and a cure for the first that fails',
  async (t) => {
    const { status, stdout, stderr } = capacityApart()
    t.equal(status, 0, 'a mode that does not hold is a finding')
    t.equal(stderr, '')
    t.match(stdout, /1 000 nodes in 25 racks, 110 pods a node, 110 000 pods/)
    t.match(stdout, /^route \/32 +NO +148 +16 280 +ToR host 16 428 \/ 16 384 +672 % ToR host$/m)
    t.match(stdout, /^vxlan +yes /m)
    t.match(
      stdout,
      /announce blocks in place of \/32s +yes +ToR host 110 040 -> 40 of 16 384; holds/,
    )
    for (const line of stdout.split('\n').slice(0, 14)) t.ok(line.length < 160, line)
  },
)

t.test('with a file: its shape and its modes; flags have the last word', async (t) => {
  const path = file('six.yaml', [...TWO, 'switch: { host: 20, lpm: 100, mac: 100 }'])
  const own = parse((await capacity(path, '-o', 'yaml')).stdout)
  t.match(own.asked, { nodes: 6, racks: 2, podsPerNode: 3, talk: 'none' })
  t.strictSame(
    own.modes.map(({ mode, holds }: { readonly mode: string; readonly holds: boolean }) => [
      mode,
      holds,
    ]),
    [
      ['vxlan', true],
      ['route /32', false],
    ],
  )
  t.match(own.modes[1].breaksFirst, { role: 'tor', table: 'host', capacity: 20 })
  const more = await json(path, '--profile', 'tomahawk-default')
  t.equal(more.modes[1].holds, true)
  const one = await json(path, '--mode', 'vlan', '--nodes', '900')
  t.match(one, { asked: { nodes: 900, racks: 300 }, modes: [{ mode: 'vlan' }] })
})

t.test('one line a mode for spreadsheets, a page with a plot for people', async (t) => {
  const page = join(folder, 'capacity.html')
  const { status, stdout } = await capacity('--families', '46', '--html', page, '-o', 'csv')
  t.equal(status, 0)
  const [heads = '', ...rows] = stdout.trimEnd().split('\n')
  t.match(heads, /^mode,nodes,racks,pods,holds,up_to_nodes,/)
  for (const row of rows) t.equal(row.split(',').length, heads.split(',').length, row)
  const html = readFileSync(page, 'utf8')
  t.match(html, /<svg /)
  t.notMatch(html, /<script|src=|href=|@import/, 'nothing from elsewhere, no script')
})

t.test(
  'what makes no sense: the flag, what was found, what was wanted, and nothing is written',
  async (t) => {
    const bad = file('bad.yaml', [...TWO, 'switch: { host: 0, lpm: 1, mac: 1 }'])
    const page = join(folder, 'never.html')
    for (const [args, ...says] of [
      [
        ['--profile', 'tomahawk-defalt'],
        '--profile',
        'tomahawk-defalt',
        'did you mean tomahawk-default',
      ],
      [['--nodes', '1000000000'], '--nodes', 'found 1000000000', '1 to 1000000'],
      [['--nodes', '0'], '--nodes', 'found 0', '1 to 1000000'],
      [['--nodes', 'NaN'], '--nodes', 'found NaN', 'whole number'],
      [['--pods', '1.5'], '--pods', 'found 1.5', 'whole number'],
      [['--racks', '11', '--nodes', '10'], '--racks', 'found 11', 'at most one a node \\(10\\)'],
      [
        ['--racks', '1000', '--nodes-per-rack', '10000'],
        '--racks',
        '10000000 nodes',
        'at most 1000000',
      ],
      [['--host', '20000'], '--lpm and --mac', 'nothing', '--host, --lpm and --mac'],
      [['--host', '0', '--lpm', '1', '--mac', '1'], '--host', 'found 0', '1 to 10000000'],
      [['--mode', 'route-33'], '--mode', 'route-33', 'did you mean route-32'],
      [['--pool', '10.0.0.1/8'], '--pool', '10.0.0.1/8', 'without host bits'],
      [['--pool', '10.0.0.0/30', '--block-length', '28'], 'block length', '28', '30'],
      [['--pool', '10.0.0.0/8', '--pool', '10.1.0.0/16'], '--pool', '10.1.0.0/16', 'no overlap'],
      [['--families', '5'], '--families', '5', '4, 6, 46'],
      [['--talk', 'some'], '--talk', 'found some', 'none, all or a number'],
      [['--fabric', 'three-tier', '--groups', '50'], '--groups', '50 groups', '25'],
      [['no-such-file'], 'no-such-file', 'no such file'],
      [[bad], 'bad.yaml:6', 'host'],
    ] as const) {
      const { status, stderr } = await capacity(...args, '--html', page)
      t.equal(status, 2, args.join(' '))
      t.match(stderr, new RegExp(says.join('[^]*')), args.join(' '))
    }
    t.notOk(existsSync(page))
    const { status, stdout } = capacityApart('--nodes', '1e9')
    t.strictSame([status, stdout], [2, ''], 'and nothing on standard output')
  },
)
