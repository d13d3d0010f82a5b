/** Sweeps as people run them: in parts, stopped by a signal, killed, and on any number of threads. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { parse } from 'yaml'
import { type Finished, run } from '../../src/lab/exec.ts'
import { builtCli, ROOT } from '../support/e2e.ts'
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

/** Arguments of the Job's container behind `sim sweep`, for one pod of three. */
function jobArgs(index: string, out: string): readonly string[] {
  const text = readFileSync(join(ROOT, 'deploy', 'kubernetes', 'sweep.yaml'), 'utf8')
  const { spec } = parse(text)
  const { completions, completionMode, template } = spec
  const [container] = template.spec.containers
  t.equal(completionMode, 'Indexed')
  const mounts = container.volumeMounts.map(({ name }: { readonly name: string }) => name)
  const volumes = template.spec.volumes.map(({ name }: { readonly name: string }) => name)
  t.strictSame(mounts, volumes)
  const [sim, verb, ...args] = container.args as readonly string[]
  t.strictSame([sim, verb], ['sim', 'sweep'])
  t.ok(args.includes(`--shard=$(JOB_COMPLETION_INDEX)/${completions}`), 'as many as the Job has')
  return args.map((arg) =>
    arg
      .replace(`$(JOB_COMPLETION_INDEX)/${completions}`, `${index}/3`)
      .replace('/sweep/grid.yaml', file)
      .replace('/results', out)
      .replace(/--threads=\d+/, '--threads=1'),
  )
}

/** The script of the array as Slurm starts it, for one task of three. */
function arrayTask(index: string, out: string): Promise<Finished> {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const words = command.slice(0, -2).map((word) => `'${word}'`)
  writeFileSync(join(bin, 'srun'), '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 })
  writeFileSync(join(bin, 'trivium'), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 })
  const variables = [
    `PATH=${bin}:${process.env['PATH']}`,
    ...[`SLURM_ARRAY_TASK_ID=${index}`, 'SLURM_ARRAY_TASK_COUNT=3', 'SLURM_CPUS_PER_TASK=1'],
  ]
  return run(['env', ...variables, join(ROOT, 'deploy', 'slurm', 'sweep.sh'), file, out])
}

t.test('in parts, as the Job and the array run them: two share a folder', async (t) => {
  const [shared, own] = [join(folder, 'shared'), join(folder, 'own')]
  const parts = await Promise.all([
    sweep(...jobArgs('0', shared)),
    sweep(...jobArgs('1', shared), '-o', 'yaml'),
    arrayTask('2', own),
  ])
  t.strictSame(
    parts.map(({ status }) => status),
    [0, 0, 0],
  )
  t.match(parts[0]?.stdout, /shard 0\/3: 6 runs in /)
  t.match(parts[1]?.stdout, /wanted: 5\n/)
  t.match(parts[2]?.stdout, /shard 2\/3: 5 runs in /)
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
  writeFileSync(bad, readFileSync(file, 'utf8').replace('[3, 5]', '[3, 99999]'))
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
    /point nodes=99999 times\.protocol=ideal: nodes: found 99999, wanted a whole/,
  )
  t.match(asks[1]?.stderr, /wanted I\/N with I from 0 to N - 1/)
  t.match(asks[2]?.stderr, /found no --out, wanted a folder for the part/)
  t.notOk(existsSync(out))
})
