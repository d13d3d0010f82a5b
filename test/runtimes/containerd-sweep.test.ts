/** A test that was killed with pods running leaves nothing once the next one has started. */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { sweepDeadLabs } from '../../src/lab/sweep.ts'
import { settle, skip } from '../support/e2e.ts'
import { cgroupOf, foldersOf, members, sweepDeadCgroups } from './cgroup.ts'
import { containerdSkip } from './containerd.ts'

t.test('what a killed test left is swept', { skip: skip || containerdSkip() }, async (t) => {
  const maker = spawn(
    process.execPath,
    [...process.execArgv, join(import.meta.dirname, 'killed-maker.ts')],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exit = new Promise((resolve) => maker.once('exit', resolve))
  t.teardown(() => maker.kill('SIGKILL'))
  const [id, dir, ...pids] = await whenRunning(maker.stdout)
  t.ok(pids.length >= 2, `a container and its sandbox run: ${pids.join(' ')}`)
  const cgroup = cgroupOf(id, 'n1')
  t.ok(foldersOf(cgroup).length > 0)
  t.strictSame(members(cgroup).map(String).sort(), [...pids].sort())
  t.ok(processesNaming(dir).length >= 3, 'so do containerd, a shim and the agent')

  maker.kill('SIGKILL')
  await exit
  await sweepDeadLabs()
  await sweepDeadCgroups()
  const left = await settle(() => [
    ...processesNaming(dir),
    ...pids.filter((pid) => existsSync(`/proc/${pid}`)),
    ...foldersOf(cgroup),
    ...readdirSync('/run/netns').filter((name) => name.includes(id)),
    ...(existsSync(dir) ? [dir] : []),
  ])
  t.strictSame(left, [])
})

async function whenRunning(stdout: NodeJS.ReadableStream): Promise<[string, string, ...string[]]> {
  for await (const line of createInterface({ input: stdout })) {
    const [, id = '', dir = '', pids = ''] = /running (\S+) (\S+) (.*)$/.exec(line) ?? []
    if (id !== '') return [id, dir, ...pids.split(' ')]
  }
  throw new Error('It ended before a pod was running')
}

/** Command lines of living processes that name a folder; a zombie has none. */
function processesNaming(folder: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLine(pid))
    .filter((line) => line.includes(folder))
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
