/** A lab whose maker was killed is gone when the next one is made; a living one's stays. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { must } from '../../src/lab/exec.ts'
import { sweepDeadLabs } from '../../src/lab/sweep.ts'
import { skip } from '../support/e2e.ts'

t.test('what a killed process left is swept', { skip }, async (t) => {
  const maker = spawn('sleep', ['1000'])
  const name = `trv-${maker.pid}-beef-n1`
  const folder = join(tmpdir(), `trv-${maker.pid}-beef-x`)
  await must(['ip', 'netns', 'add', name])
  t.teardown(() => must(['ip', 'netns', 'del', name]).catch(() => ''))
  mkdirSync(folder)
  const tenant = spawn('ip', ['netns', 'exec', name, 'sleep', '1000'])
  t.teardown(() => tenant.kill('SIGKILL'))
  const end = new Promise((resolve) => tenant.once('exit', (_code, signal) => resolve(signal)))

  await sweepDeadLabs()
  t.ok(existsSync(`/run/netns/${name}`), 'while its maker lives it stays')
  t.ok(existsSync(folder))
  const gone = new Promise((resolve) => maker.once('exit', resolve))
  maker.kill('SIGKILL')
  await gone
  await sweepDeadLabs()
  t.notOk(existsSync(`/run/netns/${name}`))
  t.notOk(existsSync(folder))
  t.equal(await end, 'SIGKILL', 'what ran in it was ended')
})
