/**
 * The agent takes a request at the moment at which its launcher gives up: one of
 * the two carries it out, never both.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync, symlinkSync } from 'node:fs'
import t from 'tap'
import { callAgent } from '../../src/live/agent-client.ts'
import { cannotCompile, Installation, RELEASE } from './support.ts'

const skip = cannotCompile(RELEASE)
const AT_ONCE = 4
const ROUNDS = process.env['TRIVIUM_LONG'] === '1' ? 1000 : 60

t.test('a launcher that gives up while it is accepted', { skip }, async (t) => {
  const installed = new Installation(RELEASE)
  t.teardown(() => installed.remove())
  // In place of Node: nothing but an exit status.
  rmSync(installed.path('bin', '.trivium', 'node'))
  symlinkSync('/bin/false', installed.path('bin', '.trivium', 'node'))
  const socket = installed.path('agent.sock')
  const { child, executed } = await dawdler(socket)
  t.teardown(() => void child.kill('SIGKILL'))

  const roads = new Map<string, string>()
  const ask = async (id: string): Promise<void> => {
    const { stdout } = await installed.run({
      env: { CNI_COMMAND: 'ADD', TRIVIUM_SOCKET: socket, TRIVIUM_ACCEPT_TIMEOUT_MS: '2', ID: id },
      stdin: id,
    })
    roads.set(id, stdout === '' ? 'Node' : stdout === 'done' ? 'agent' : 'lost')
  }
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => ask(`${round}/${n}`)))
  }
  const call = { plugin: 'trivium', callerPid: 0, netns: undefined, env: {} } as const
  for (let round = 0; round < ROUNDS; round++) {
    const id = `client ${round}`
    await callAgent(socket, { ...call, config: id }, { acceptMs: 2 }).then(
      () => roads.set(id, 'agent'),
      ({ code }) => roads.set(id, code === 'AGENT_LOST' ? 'lost' : 'Node'),
    )
  }
  const all = await executed()
  const count = (road: string): number => [...roads.values()].filter((each) => each === road).length
  t.comment(`Node ${count('Node')}, agent ${count('agent')}, too late to be told ${count('lost')}`)
  t.ok(count('Node') > 0 && count('agent') > 0, 'both roads are taken')
  t.equal(new Set(all).size, all.length, 'nothing twice by the agent')
  const both = all.filter((id) => roads.get(id) === 'Node')
  t.strictSame(both, [], 'nothing by the agent and by Node')
  const neither = [...roads].filter(([id, road]) => road === 'agent' && !all.includes(id))
  t.strictSame(neither, [], 'what is answered was done')
})

/** An agent whose main thread is busy again and again, for about as long as the launchers wait. */
async function dawdler(path: string): Promise<{
  readonly child: ChildProcess
  /** Ends it, and tells which requests it carried out. */
  executed(): Promise<readonly string[]>
}> {
  const program = `
    import { serveAgentSocket } from '${new URL('../../src/live/agent-socket.ts', import.meta.url)}'
    const done = []
    const serve = async ({ config }) => (done.push(config), { exitStatus: 0, stdout: 'done', stderr: '' })
    const server = await serveAgentSocket(process.argv[1], serve)
    const linger = () => {
      const end = performance.now() + 1.5 * Math.random()
      while (performance.now() < end);
      setImmediate(linger)
    }
    linger()
    process.on('SIGTERM', () => setTimeout(() => process.stdout.write(JSON.stringify(done), () => process.exit()), 100))
    console.error('ready')
  `
  const sources = ['--conditions=trivium-source', '--import', import.meta.resolve('tsx')]
  const child = spawn(process.execPath, [...sources, '--input-type=module', '-e', program, path])
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += chunk
  })
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      if (String(chunk).includes('ready')) resolve()
    })
    child.on('close', () => reject(new Error('the agent did not start')))
  })
  return {
    child,
    async executed() {
      child.kill('SIGTERM')
      await new Promise((resolve) => child.on('close', resolve))
      return JSON.parse(printed) as string[]
    },
  }
}
