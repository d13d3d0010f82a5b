/** `trivium conformance` as a command: its exit statuses, its formats, and that it leaves nothing. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { cli, settle, skip, TRIVIUM } from '../support/e2e.ts'

const dir = mkdtempSync(join(tmpdir(), 'trv-conformance-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))

function plugin(name: string, script: string): readonly string[] {
  writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(dir, name), 0o755)
  const config = join(dir, `${name}.conf`)
  writeFileSync(config, JSON.stringify({ cniVersion: '1.1.0', name: 'n', type: name }))
  return ['conformance', '--bin-dir', dir, '--config', config]
}

t.test('what makes no sense is refused with 2', async (t) => {
  const yes = plugin('yes', 'exit 0')
  for (const args of [
    ['conformance'],
    [...yes, '--only', 'NO-01'],
    [...yes, '--timeout', '0'],
    ['conformance', '--bin-dir', dir, '--config', join(dir, 'not-there')],
    ['conformance', '--bin-dir', '/nonexistent', '--config', yes.at(-1) ?? ''],
  ]) {
    const { status, stderr } = await cli(...args)
    t.equal(status, 2, args.join(' '))
    t.match(stderr, /^(trivium: Cannot|error:)/)
  }
})

t.test('--list says where each rule comes from', async (t) => {
  const { status, stdout } = await cli('conformance', '--list', '-o', 'json')
  t.equal(status, 0)
  const rules = JSON.parse(stdout) as { id: string; source: string; level: string }[]
  t.ok(rules.length > 90, `${rules.length} rules`)
  t.ok(rules.every(({ source, level }) => source !== '' && /^(MUST|SHOULD|habit)$/.test(level)))
})

t.test('a plugin that says yes to everything', { skip }, async (t) => {
  const yes = plugin('yes', 'cat >/dev/null; exit 0')
  const only = ['--only', 'ENV-01,ADD-01,DEL-01,ST-02,HAB-15']
  const told = await cli(...yes, ...only, '-o', 'json')
  t.equal(told.status, 1)
  t.equal(told.stderr, '', 'no progress where nobody looks')
  t.match(JSON.parse(told.stdout), {
    plugins: ['yes'],
    conforms: false,
    outcomes: [
      { id: 'ENV-01', verdict: 'fail' },
      { id: 'ADD-01', verdict: 'fail', evidence: /no result/ },
      { id: 'DEL-01', verdict: 'skipped', evidence: /no ADD works/ },
      { id: 'ST-02', verdict: 'pass' },
      { id: 'HAB-15', verdict: 'fail' },
    ],
  })
  const xml = await cli(...yes, ...only, '-o', 'junit')
  t.equal(xml.status, 1)
  t.match(xml.stdout, /<testsuites name="cni.yes" tests="5" failures="2" errors="0" skipped="2"/)
  const table = await cli(...yes, '--only', 'ST-02')
  t.equal(table.status, 0, 'the rule asked for is kept')
  t.match(table.stdout, /ST-02 +STATUS +MUST +pass/)
})

/** Processes that hold a lane of this run. */
const holders = (pid: number | undefined): readonly string[] =>
  readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(`trv-${pid}-c0f0`)
    } catch {
      return false
    }
  })

t.test('killed in the middle it leaves no process and no namespace', { skip }, async (t) => {
  const args = plugin('slow', 'exec sleep 1000')
  const [program = '', ...more] = [...TRIVIUM, ...args, '--only', 'ENV-01']
  const run = spawn(program, more, { stdio: 'ignore' })
  t.teardown(() => run.kill('SIGKILL'))
  const missing = await settle(() => (holders(run.pid).length > 0 ? [] : ['no lane yet']))
  t.strictSame(missing, [], 'it made a lane')
  const ended = new Promise((done) => run.once('exit', done))
  run.kill('SIGKILL')
  await ended
  t.strictSame(await settle(() => holders(run.pid)), [], 'the lane went with it')
})
