/**
 * Agents that break off where it hurts most, and callers that do: an answer, a
 * fallback or code 11, and never a fallback once something may have been done.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createReadStream, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { serveAgentSocket } from '../../src/live/agent-socket.ts'
import { cannotCompile, echoOf, Installation, listen, RELEASE, recorder } from './support.ts'

const skip = cannotCompile(RELEASE)
const ACCEPTED = Buffer.from('5452564102000000', 'hex')
const TRY_LATER = 11

t.test('launcher and agents that break off', { skip }, async (t) => {
  const installed = new Installation(RELEASE)
  t.teardown(() => installed.remove())
  const socket = installed.path('agent.sock')
  const config = JSON.stringify({ cniVersion: '1.0.0', name: 'pods', socket })
  const add = { CNI_COMMAND: 'ADD', TRIVIUM_SOCKET: socket, TRIVIUM_ACCEPT_TIMEOUT_MS: '200' }

  await t.test('nobody accepts, and the queue is full', async (t) => {
    const child = await silentListener(socket)
    t.teardown(() => {
      child.kill('SIGKILL')
      rmSync(socket)
    })
    const queued = await Promise.all(Array.from({ length: 6 }, () => tryConnect(socket)))
    t.teardown(() => {
      for (const each of queued) each?.destroy()
    })
    t.ok(queued.includes(undefined), 'the kernel takes no more')
    const ended = await installed.run({ env: add, stdin: config })
    t.ok(echoOf(ended), 'Node runs it')
    t.ok(ended.tookMs >= 200, `after the timeout: ${ended.tookMs} ms`)
  })

  await t.test('it dies after it accepted', async (t) => {
    for (let time = 0; time < 20; time++) {
      const agent = await listen(socket, (connection) => {
        connection.once('data', () => connection.end(ACCEPTED))
      })
      const ended = await installed.run({ env: add, stdin: config })
      await agent.close()
      t.match(JSON.parse(ended.stdout), { code: TRY_LATER }, 'no fallback: it may have begun')
    }
  })

  await t.test('it closes the connection hard, a moment after it accepted', async (t) => {
    const agent = await listen(socket, (connection) => {
      connection.once('data', () => {
        connection.pause()
        connection.write(ACCEPTED, () => setTimeout(() => connection.destroy(), 50))
      })
    })
    t.teardown(() => agent.close())
    const ended = await installed.run({ env: add, stdin: config })
    t.equal(ended.status, 1, 'no fallback: it may have begun')
    t.match(JSON.parse(ended.stdout), { code: TRY_LATER, msg: /agent went away/ })
  })

  await t.test('it never answers: only a signal ends the wait', async (t) => {
    const agent = await listen(socket, (connection) => {
      connection.once('data', () => connection.write(ACCEPTED))
    })
    t.teardown(() => agent.close())
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const ended = await installed.run({
        env: add,
        stdin: config,
        onStart: (child) => void setTimeout(() => child.kill(signal), 400),
      })
      t.match(ended, { status: undefined, signal, stdout: '' }, signal)
    }
  })

  await t.test('nobody reads the answer', async (t) => {
    const { calls, serve } = recorder({ stdout: 'x'.repeat(1_000_000) })
    const server = await serveAgentSocket(socket, serve)
    t.teardown(() => server.close())
    const onStart = (child: ChildProcess): void => void child.stdout?.destroy()
    const ended = await installed.run({ env: add, stdin: config, onStart })
    t.match(ended, { status: 1, signal: undefined }, 'a failure, and no signal')
    t.equal(calls.length, 1)
  })

  await t.test('stdin without end', async (t) => {
    const zero = createReadStream('/dev/zero')
    t.teardown(() => zero.destroy())
    const ended = await installed.run({
      env: add,
      stdin: undefined,
      onStart: (child) => void (child.stdin !== null && zero.pipe(child.stdin)),
    })
    t.match(JSON.parse(ended.stdout), { code: 5, details: /16 MiB/ })
    const { calls, serve } = recorder()
    const server = await serveAgentSocket(socket, serve)
    t.teardown(() => server.close())
    const open = await installed.run({
      env: add,
      stdin: undefined,
      onStart: (child) => {
        child.stdin?.write(config)
        setTimeout(() => child.kill('SIGTERM'), 400)
      },
    })
    t.equal(open.signal, 'SIGTERM', 'an open one is waited for')
    t.strictSame(calls, [], 'and half a configuration is nobody told')
  })
})

/** A process that listens with the shortest queue and stands still. */
async function silentListener(path: string): Promise<ChildProcess> {
  const program = `require('net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', program, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  child.kill('SIGSTOP')
  return child
}

/** undefined: the queue is full. */
function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(socket))
    socket.once('error', () => resolve(undefined))
  })
}
