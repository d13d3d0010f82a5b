/** Whoever reads the agent's log may stand still, or go: the agent goes on. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { inNetns } from '../../src/lab/exec.ts'
import type { Lab, LabNode } from '../../src/lab/lab.ts'
import { callAgent } from '../../src/live/agent-client.ts'
import { cluster, type Json, settle, skip, TRIVIUM } from '../support/e2e.ts'

const VERBS = 2000
const FEW = 200
const AT_ONCE = 20
const CONFIG = JSON.stringify({ cniVersion: '1.1.0', name: 'pods', type: 'trivium' })

interface Started {
  readonly pid: number
  /** The reader goes. */
  readonly leave: () => void
  readonly ended: Promise<unknown>
}

/** An agent whose standard error is `stderr`, once it answers. */
async function agentOn(
  t: Test,
  lab: Lab,
  node: LabNode,
  stderr: number | 'pipe',
): Promise<Started> {
  const args = ['agent', '--node', node.name, '--store', lab.storeUrl, '--underlay', 'eth0']
  const more = ['--state-dir', join(lab.dir, node.name), '--socket', node.socketPath]
  const command = [...TRIVIUM, ...args, ...more, '--log-level', 'debug']
  const [program = '', ...rest] = inNetns(node.netns, command)
  const child = spawn(program, rest, { stdio: ['ignore', 'ignore', stderr] })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  await settle(async () => ((await asks(node)) ? [] : ['it does not answer yet']))
  return { pid: child.pid ?? 0, leave: () => child.stderr?.destroy(), ended }
}

async function asks({ socketPath }: LabNode): Promise<boolean> {
  const env = { CNI_COMMAND: 'STATUS', CNI_PATH: '/' }
  const call = {
    plugin: 'trivium',
    env,
    config: CONFIG,
    callerPid: process.pid,
    netns: undefined,
  } as const
  return callAgent(socketPath, call).then(
    ({ exitStatus }) => exitStatus === 0,
    () => false,
  )
}

async function serves(t: Test, node: LabNode, verbs = VERBS): Promise<void> {
  let served = 0
  const some = async (): Promise<void> => {
    for (let verb = 0; verb < verbs / AT_ONCE; verb++) if (await asks(node)) served++
  }
  await Promise.all(Array.from({ length: AT_ONCE }, some))
  t.equal(served, verbs)
}

/** Everything that is in a pipe now. */
function drain(fd: number): string {
  const room = Buffer.alloc(1 << 20)
  const parts: Buffer[] = []
  for (;;) {
    try {
      const count = readSync(fd, room)
      if (count === 0) break
      parts.push(Buffer.from(room.subarray(0, count)))
    } catch {
      break // EAGAIN
    }
  }
  return Buffer.concat(parts).toString()
}

t.test('an agent whose log nobody reads', { skip }, async (t) => {
  const { lab, nodes } = await cluster(t, { nodes: 1, agents: false })
  const [node] = nodes
  if (node === undefined) throw new Error('There is no node')

  await t.test('on a pipe: it serves, and says afterwards what was dropped', async (t) => {
    const path = join(lab.dir, 'log.fifo')
    execFileSync('mkfifo', [path])
    const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    const writer = openSync(path, constants.O_WRONLY)
    t.teardown(() => closeSync(pipe))
    const agent = await agentOn(t, lab, node, writer)
    closeSync(writer)
    await serves(t, node)
    let text = ''
    await settle(() => {
      text += drain(pipe)
      return /"event":"log"/.test(text) && text.endsWith('\n') ? [] : ['it has not said so yet']
    })
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Json)
    const said = lines.filter(({ event }) => event === 'log')
    const dropped = said.reduce((sum, line) => sum + Number(line['dropped']), 0)
    t.ok(dropped > 0, `${dropped} lines`)
    const calls = lines.filter(({ event }) => event === 'cni').length
    t.ok(calls + dropped >= VERBS, `${calls} calls told, ${dropped} lines dropped`)
    process.kill(agent.pid, 'SIGTERM')
    await agent.ended
    t.match(drain(pipe), /"event":"stopped"/, 'the last line is there')
  })

  await t.test('on a socket, as under systemd: it serves, and ends', async (t) => {
    const agent = await agentOn(t, lab, node, 'pipe')
    await serves(t, node, VERBS / 2)
    agent.leave()
    await serves(t, node, FEW)
    process.kill(agent.pid, 'SIGTERM')
    await agent.ended
    t.pass('although nobody read')
  })

  await t.test('in a file: all of it', async (t) => {
    const path = join(lab.dir, 'log.txt')
    const file = openSync(path, 'w')
    const agent = await agentOn(t, lab, node, file)
    closeSync(file)
    await serves(t, node, FEW)
    process.kill(agent.pid, 'SIGTERM')
    await agent.ended
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    const calls = lines.filter((line) => (JSON.parse(line) as Json)['event'] === 'cni')
    t.ok(calls.length >= FEW, `${calls.length} calls`)
    t.match(lines.at(-1), /"event":"stopped"/)
  })
})
