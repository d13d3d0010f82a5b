/** Sweeps as people run them: in parts, stopped by a signal, killed, and on any number of threads. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Finished, run } from '../../src/lab/exec.ts'
import { builtCli } from '../support/e2e.ts'
import { ownFolder } from '../support/folder.ts'

const folder = ownFolder(t)
const file = join(folder, 'grid.yaml')
writeFileSync(
  file,
  `base:
  nodes: 4
  podsPerNode: 2
  racks: 2
  pools: [{ cidr: 10.42.0.0/20 }]
  modes: [{ mode: route, announce: host }]
  switch: { host: 40, lpm: 100, mac: 100 }
grid:
  nodes: [3, 5]
  times.protocol: [ideal, calico]
seeds: 4
`,
)
const command = [...builtCli(), 'sim', 'sweep']
const sweep = (...args: readonly string[]): Promise<Finished> => run([...command, ...args])
const whole = sweep(file, '--threads', '2', '-o', 'json')

t.test('in parts: two share a folder, the third has its own', async (t) => {
  const [shared, own] = [join(folder, 'shared'), join(folder, 'own')]
  const parts = await Promise.all([
    sweep(file, '--shard', '0/3', '--out', shared, '--threads', '1'),
    sweep(file, '--shard', '1/3', '--out', shared, '--threads', '1'),
    sweep(file, '--shard', '2/3', '--out', own, '--threads', '1', '-o', 'yaml'),
  ])
  t.strictSame(
    parts.map(({ status }) => status),
    [0, 0, 0],
  )
  t.match(parts[0]?.stdout, /shard 0\/3: 6 runs in /)
  t.match(parts[2]?.stdout, /wanted: 5\n/)
  t.strictSame(readdirSync(shared).sort(), ['runs-0-of-3.jsonl', 'runs-1-of-3.jsonl', 'sweep.json'])
  const html = join(folder, 'report.html')
  const all = join(folder, 'all')
  const merge = ['merge', shared, own, '--out', all, '--html', html, '-o', 'json']
  const { stdout, stderr, status } = await sweep(...merge)
  t.equal(status, 0, stderr)
  t.ok(stdout === (await whole).stdout, 'the figures of the whole, byte for byte')
  t.ok(JSON.parse(stdout).points.length === 4)
  t.match(readFileSync(html, 'utf8'), /times\.protocol.*<svg role="img"/s)
  t.strictSame(readdirSync(all).sort(), ['runs.jsonl', 'sweep.json'])
  t.match((await sweep('merge', shared, '--seeds', '3')).stderr, /Cannot merge with --seeds/)
})

for (const [signal, status] of [['SIGINT', 130] as const, ['SIGKILL', null] as const]) {
  t.test(`${signal} in the middle, and on`, async (t) => {
    const out = join(folder, signal)
    const runs = join(out, 'runs.jsonl')
    const linesThere = (): number =>
      existsSync(runs) ? readFileSync(runs, 'utf8').split('\n').length - 1 : 0
    // Far more than can be done until it is stopped; those of fewer seeds are the same.
    const [program = '', ...args] = [
      ...command,
      file,
      '--out',
      out,
      '--seeds',
      '1000',
      '--threads',
      '1',
    ]
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (text) => {
      said += String(text)
    })
    const exited = once(child, 'exit')
    while (linesThere() < 2 && child.exitCode === null) await sleep(20)
    child.kill(signal)
    const [code] = await exited
    t.equal(code, status, said)
    if (signal === 'SIGINT') t.match(said, /stopped: [\d ]+ of 4 000 runs are there; the same/)
    const { stdout, stderr } = await sweep(file, '--out', out, '--threads', '1', '-o', 'json')
    t.match(stderr, /[2-9] of 16 runs are in .* already|1\d of 16/)
    t.ok(stdout === (await whole).stdout, 'the same figures')
  })
}

t.test('what makes no sense ends with 2 before anything runs', async (t) => {
  const bad = join(folder, 'bad.yaml')
  writeFileSync(bad, readFileSync(file, 'utf8').replace('[3, 5]', '[3, 9999]'))
  const out = join(folder, 'none')
  const asks = await Promise.all([
    sweep(bad, '--out', out),
    sweep(file, '--shard', '3/3', '--out', out),
    sweep(file, '--shard', '0/3'),
  ])
  t.strictSame(
    asks.map(({ status }) => status),
    [2, 2, 2],
  )
  t.match(
    asks[0]?.stderr,
    /point nodes=9999 times\.protocol=ideal: nodes: found 9999, wanted a whole/,
  )
  t.match(asks[1]?.stderr, /wanted I\/N with I from 0 to N - 1/)
  t.match(asks[2]?.stderr, /found no --out, wanted a folder for the part/)
  t.notOk(existsSync(out))
})
