/** A test with a pod running leaves nothing: when it ends, or once the next one starts if it was killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { sweepDeadLabs } from '../../src/lab/sweep.ts'
import { settle, skip } from '../support/e2e.ts'
import { cgroupOf, foldersOf, members, sweepDeadCgroups } from './cgroup.ts'
import { containerdSkip } from './containerd.ts'

/** How a test with a pod running ends. */
const ENDS: Readonly<Record<string, (maker: ChildProcess) => Promise<void>>> = {
  async 'by itself'(maker) {
    const exit = exitOf(maker)
    maker.stdin?.end()
    await exit
  },
  async 'by SIGKILL'(maker) {
    const exit = exitOf(maker)
    maker.kill('SIGKILL')
    await exit
    // As the next test does.
    await sweepDeadLabs()
    await sweepDeadCgroups()
  },
}

for (const [how, end] of Object.entries(ENDS)) {
  const title = `a test with a pod running ends ${how}`
  t.test(title, { skip: skip || containerdSkip() }, async (t) => {
    const program = [...process.execArgv, join(import.meta.dirname, 'pod-maker.ts')]
    const maker = spawn(process.execPath, program, { stdio: ['pipe', 'pipe', 'inherit'] })
    t.teardown(() => maker.kill('SIGKILL'))
    const [id, dir, ...pids] = await whenRunning(maker.stdout)
    const cgroup = cgroupOf(id, 'n1')
    t.ok(pids.length >= 2, `a container and its sandbox run: ${pids.join(' ')}`)
    t.ok(foldersOf(cgroup).length > 0)
    t.strictSame(members(cgroup).map(String).sort(), [...pids].sort())
    t.ok(processesNaming(dir).length >= 3, 'so do containerd, a shim and the agent')

    await end(maker)
    const left = await settle(() => [
      ...processesNaming(dir),
      ...pids.filter((pid) => existsSync(`/proc/${pid}`)),
      ...foldersOf(cgroup),
      ...readdirSync('/run/netns').filter((name) => name.includes(id)),
      ...(existsSync(dir) ? [dir] : []),
    ])
    t.strictSame(left, [], 'nothing is left')
  })
}

const exitOf = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve) => child.once('exit', resolve))

async function whenRunning(
  stdout: NodeJS.ReadableStream,
): Promise<readonly [string, string, ...string[]]> {
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
