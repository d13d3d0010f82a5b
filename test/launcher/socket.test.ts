/**
 * The agent's socket on its own: who may be there, what a connection may not
 * do, and how it ends.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { shutReading } from 'netlink-ts/live'
import t from 'tap'
import { type AgentCallError, callAgent } from '../../src/live/agent-client.ts'
import {
  AgentSocketError,
  type AgentSocketOptions,
  type CniCall,
  serveAgentSocket,
} from '../../src/live/agent-socket.ts'
import { descriptorOf } from '../../src/live/descriptor.ts'
import { encodeRequest } from '../../src/wire/frame.ts'
import { listen, recorder } from './support.ts'

const ROOT = mkdtempSync(join(tmpdir(), 'trivium-socket-'))
t.teardown(() => rmSync(ROOT, { recursive: true, force: true }))

const CALL: CniCall = {
  plugin: 'trivium',
  callerPid: 7,
  netns: { dev: 4n, ino: 4026531840n },
  env: { CNI_COMMAND: 'ADD' },
  config: '{"name":"pods"}',
}
/** As it is served: who calls is not taken from what the caller says. */
const SERVED: CniCall = { ...CALL, callerPid: process.pid }
const REQUEST = encodeRequest({ ...CALL, config: Buffer.from(CALL.config) })
const ACCEPTED = '5452564102000000'

let directories = 0
/** A path for a socket in a directory of its own. */
function newPath(): string {
  const directory = join(ROOT, `${directories++}`)
  mkdirSync(directory)
  return join(directory, 'agent.sock')
}

/** A server with a serve that remembers, until the end of the test. */
async function start(t: { teardown(run: () => unknown): void }, options: AgentSocketOptions = {}) {
  const path = newPath()
  const { calls, serve } = recorder()
  const server = await serveAgentSocket(path, serve, options)
  t.teardown(() => server.close())
  return { path, calls, server }
}

/** A connection that says `said`. Resolves with all it heard, in hexadecimal. */
async function say(path: string, said: Uint8Array): Promise<string> {
  const heard: Buffer[] = []
  const socket = createConnection(path)
  socket.on('error', () => {})
  socket.on('data', (chunk) => heard.push(chunk))
  socket.write(said)
  await once(socket, 'close')
  return Buffer.concat(heard).toString('hex')
}

/** Leaves a socket at `path` that nobody listens on, as a killed process does. */
function abandon(path: string): void {
  const program = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  const { signal } = spawnSync(process.execPath, ['-e', program, path])
  assert.equal(signal, 'SIGKILL')
}

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

t.test('a call and its answer', async (t) => {
  const path = newPath()
  const calls: CniCall[] = []
  const answer = { exitStatus: 7, stdout: 'o€'.repeat(500_000), stderr: 'e' }
  const server = await serveAgentSocket(path, async (call) => {
    calls.push(call)
    return answer
  })
  t.teardown(() => server.close())
  t.strictSame(await callAgent(path, CALL), answer)
  const large = {
    ...CALL,
    plugin: 'trivium-ipam',
    netns: undefined,
    config: 'ä'.repeat(2_000_000),
  } as const
  t.strictSame(await callAgent(path, large), answer)
  t.strictSame(calls, [SERVED, { ...large, callerPid: process.pid }])
})

t.test('only its owner can connect', async (t) => {
  const path = join(ROOT, 'deep', 'er', 'agent.sock')
  const server = await serveAgentSocket(path, recorder().serve)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(join(ROOT, 'deep', 'er')).mode & 0o777, 0o700)
  t.equal(statSync(join(ROOT, 'deep')).mode & 0o777, 0o700)
  t.strictSame(readdirSync(join(ROOT, 'deep', 'er')), ['agent.sock'], 'and nothing lies around')
  await server.close()
  t.strictSame(readdirSync(join(ROOT, 'deep', 'er')), [], 'nor after the end')
})

/** How a connection ends that somebody without any rights tries. */
function connectAsNobody(path: string): string {
  const script = `const s = require('node:net').connect(${JSON.stringify(path)})
    s.once('connect', () => { console.log('connected'); s.destroy() })
    s.once('error', (error) => console.log(error.code))`
  const nobody = { uid: 65534, gid: 65534 }
  return execFileSync(process.execPath, ['-e', script], { ...nobody, encoding: 'utf8' }).trim()
}

const needsRoot = process.getuid?.() === 0 ? false : 'only root can become somebody else'
t.test('another user cannot connect', { skip: needsRoot }, async (t) => {
  chmodSync(ROOT, 0o755)
  t.teardown(() => chmodSync(ROOT, 0o700))
  const place = (mode: number): string => {
    const path = newPath()
    chmodSync(dirname(path), mode)
    return path
  }
  const modeOf = (path: string): number => statSync(dirname(path)).mode & 0o7777
  const serve = async (path: string): Promise<void> => {
    const server = await serveAgentSocket(path, recorder().serve)
    t.teardown(() => server.close())
  }

  const alone = place(0o755)
  for (const name of ['node.json', 'cluster.mark', 'uplink.lock', 'uplink-eth0.json.7']) {
    writeFileSync(join(dirname(alone), name), '')
  }
  await serve(alone)
  t.equal(modeOf(alone), 0o700, 'a directory for it and what we put beside it is tightened')
  t.equal(connectAsNobody(alone), 'EACCES')

  const shared = place(0o755)
  writeFileSync(join(shared, '..', 'of somebody else'), '')
  await serve(shared)
  t.equal(modeOf(shared), 0o755, 'one with other things in it stays as it is')
  t.equal(connectAsNobody(shared), 'EACCES', 'the socket itself keeps them out')
  chmodSync(shared, 0o666)
  t.equal(connectAsNobody(shared), 'connected', 'which is what it takes')

  for (const mode of [0o777, 0o1777, 0o775]) {
    const path = place(mode)
    const code = 'AGENT_SOCKET_DIRECTORY'
    await t.rejects(serveAgentSocket(path, recorder().serve), { code, message: /has mode [01]77/ })
    t.strictSame([modeOf(path), readdirSync(dirname(path))], [mode, []], 'left alone')
  }
  const theirs = place(0o700)
  chownSync(dirname(theirs), 65534, 65534)
  const belongs = { message: /belongs to user 65534.*mode 0700/ }
  await t.rejects(serveAgentSocket(theirs, recorder().serve), belongs)
})

t.test('a stale socket is replaced', async (t) => {
  const path = newPath()
  abandon(path)
  t.ok(lstatSync(path).isSocket(), 'a killed process left it behind')
  const server = await serveAgentSocket(path, recorder().serve)
  t.teardown(() => server.close())
  t.match(await callAgent(path, CALL), { exitStatus: 0 })
})

t.test('a live agent is left alone', async (t) => {
  const { path } = await start(t)
  const { ctimeNs } = lstatSync(path, { bigint: true })
  await t.rejects(serveAgentSocket(path, recorder().serve), {
    name: 'SocketError',
    code: 'AGENT_SOCKET_IN_USE',
    message: `Cannot serve on ${path}: another agent listens there`,
  })
  t.match(await callAgent(path, CALL), { stdout: 'from the agent' }, 'and still answers')
  t.equal(lstatSync(path, { bigint: true }).ctimeNs, ctimeNs, 'its socket was never moved')
  t.strictSame(readdirSync(join(path, '..')), ['agent.sock'])
})

t.test('of many that start at once one wins', async (t) => {
  for (let round = 0; round < 10; round++) {
    const path = newPath()
    if (round % 2 === 1) abandon(path)
    // Some steps apart, so that one is in the middle of what another has just done.
    const starts = Array.from({ length: 8 }, async (_, n) => {
      for (let step = 0; step < n * round; step++) await new Promise(setImmediate)
      return serveAgentSocket(path, recorder().serve)
    })
    const started = await Promise.allSettled(starts)
    const won = started.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
    t.equal(won.length, 1, round % 2 === 1 ? 'over a stale socket' : 'over nothing')
    t.match(await callAgent(path, CALL), { exitStatus: 0 })
    await Promise.all(won.map((server) => server.close()))
  }
})

t.test('paths that cannot be', async (t) => {
  const { serve } = recorder()
  const file = newPath()
  writeFileSync(file, 'precious')
  await t.rejects(serveAgentSocket(file, serve), { code: 'AGENT_SOCKET_NOT_A_SOCKET' })
  t.ok(lstatSync(file).isFile(), 'the file is still there')
  await t.rejects(serveAgentSocket('agent.sock', serve), { code: 'AGENT_SOCKET_PATH' })
  const long = join(ROOT, 'x'.repeat(108))
  await t.rejects(
    serveAgentSocket(long, serve),
    new AgentSocketError(
      'AGENT_SOCKET_PATH',
      long,
      `${long} has ${long.length} bytes, a socket path at most 107`,
    ),
  )
})

t.test(
  'nothing runs without a whole request, and somebody who hears that it is taken',
  async (t) => {
    const { path, calls } = await start(t, { stallMs: 150 })
    const wrong: readonly (readonly [string, Uint8Array, string])[] = [
      ['garbage', Buffer.from('GET / HTTP/1.1\r\n'), '5452564102000200'],
      ['another version', Buffer.from('5452564d0900', 'hex'), '5452564102000100'],
      ['half a request', REQUEST.subarray(0, 50), ''],
      ['silence', Buffer.alloc(0), ''],
      ['two requests', Buffer.concat([REQUEST, REQUEST]), '5452564102000200'],
    ]
    for (const [what, said, heard] of wrong) t.equal(await say(path, said), heard, what)
    const gone = createConnection(path)
    await once(gone, 'connect')
    gone.write(REQUEST)
    gone.destroy()
    await later(50)
    t.strictSame(calls, [])
    t.match(await callAgent(path, CALL), { exitStatus: 0 }, 'and the next caller is served')
  },
)

t.test('who has given up is not served', async (t) => {
  const { path, calls } = await start(t)
  const impatient = createConnection(path)
  await once(impatient, 'connect')
  impatient.write(REQUEST)
  shutReading(descriptorOf(impatient) ?? -1)
  await once(impatient, 'close')
  t.strictSame(calls, [], 'it may have the request carried out elsewhere')
})

t.test('bytes may come one by one', async (t) => {
  const { path, calls } = await start(t)
  const socket = createConnection(path)
  const heard: Buffer[] = []
  socket.on('data', (chunk) => heard.push(chunk))
  for (const byte of REQUEST) {
    socket.write(Uint8Array.of(byte))
    await new Promise(setImmediate)
  }
  await once(socket, 'end')
  const all = Buffer.concat(heard)
  t.equal(all.subarray(0, 8).toString('hex'), ACCEPTED)
  t.match(all.subarray(8).toString('latin1'), /^TRVR/)
  t.strictSame(calls, [SERVED])
})

t.test('too many connections', async (t) => {
  const { path } = await start(t, { connectionsMax: 1 })
  const first = createConnection(path)
  await once(first, 'connect')
  await t.rejects(callAgent(path, CALL), { code: 'AGENT_UNAVAILABLE' })
  first.destroy()
})

t.test('close waits for calls in progress and turns the others away', async (t) => {
  const path = newPath()
  let finish = (): void => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const server = await serveAgentSocket(path, async () => {
    await finished
    return { exitStatus: 0, stdout: 'late', stderr: '' }
  })
  const running = callAgent(path, CALL)
  const waiting = say(path, REQUEST.subarray(0, 10))
  await later(100)
  let closed = false
  const closing = server.close().then(() => {
    closed = true
  })
  t.equal(await waiting, '5452564102000300', 'told that it is shutting down')
  await t.rejects(callAgent(path, CALL), { code: 'AGENT_UNAVAILABLE' })
  await later(100)
  t.equal(closed, false)
  t.notOk(existsSync(path), 'the name is free for the next agent')
  const next = await serveAgentSocket(path, recorder().serve)
  finish()
  t.match(await running, { stdout: 'late' })
  await closing
  t.ok(existsSync(path), 'the next agent keeps its socket')
  await next.close()
  await server.close()
})

t.test('close leaves the socket of a successor alone', async (t) => {
  const { path, server } = await start(t)
  rmSync(path)
  const next = await serveAgentSocket(path, recorder().serve)
  t.teardown(() => next.close())
  await server.close()
  t.match(await callAgent(path, CALL), { exitStatus: 0 })
})

t.test('the client waits for an answer without limit', async (t) => {
  const path = newPath()
  const server = await serveAgentSocket(path, async () => {
    await later(200)
    return { exitStatus: 0, stdout: 'slow', stderr: '' }
  })
  t.teardown(() => server.close())
  t.match(await callAgent(path, CALL, { acceptMs: 100 }), { stdout: 'slow' })
})

t.test('a caller that dies does not disturb', async (t) => {
  const path = newPath()
  let done = 0
  const server = await serveAgentSocket(path, async () => {
    await later(100)
    done += 1
    return { exitStatus: 0, stdout: 'x'.repeat(1_000_000), stderr: '' }
  })
  const socket = createConnection(path)
  socket.write(REQUEST)
  await once(socket, 'data')
  await later(30)
  socket.destroy()
  await server.close()
  t.equal(done, 1, 'the call ran to its end')
})

t.test('a caller that does not read its answer', async (t) => {
  const { path, server } = await start(t, { stallMs: 150 })
  const socket = createConnection(path)
  socket.on('error', () => {})
  socket.write(REQUEST)
  socket.pause()
  await later(50)
  const startMs = performance.now()
  await server.close()
  t.ok(performance.now() - startMs < 2000, 'does not hold up the end')
  socket.destroy()
})

t.test('a serve that breaks its promise', async (t) => {
  const path = newPath()
  const errors: unknown[] = []
  const answers = [
    () => Promise.reject(new Error('disk "full"')),
    () => Promise.resolve({ exitStatus: 256, stdout: '', stderr: '' }),
    () => Promise.resolve({ exitStatus: 0, stdout: 'x'.repeat(17 * 1024 * 1024), stderr: '' }),
    () => {
      throw new Error('at once')
    },
  ]
  const server = await serveAgentSocket(path, () => answers.shift()?.() ?? Promise.reject(), {
    onError: (error) => errors.push(error),
  })
  t.teardown(() => server.close())
  for (const details of ['disk "full"', /256/, /17825792/, 'at once']) {
    const { exitStatus, stdout } = await callAgent(path, CALL)
    t.equal(exitStatus, 1)
    t.match(JSON.parse(stdout), { cniVersion: '1.1.0', code: 999, details })
  }
  t.equal(errors.length, 4)
})

t.test('the client tells what may have been executed', async (t) => {
  const path = newPath()
  await t.rejects(callAgent(path, CALL), { name: 'AgentCallError', code: 'AGENT_UNAVAILABLE' })
  const bytes = (hex: string) => Buffer.from(hex, 'hex')
  const agents: readonly (readonly [string, Uint8Array, Uint8Array, AgentCallError['code']])[] = [
    ['rejects', bytes('5452564102000300'), bytes(''), 'AGENT_REJECTED'],
    ['speaks another version', bytes('5452564101000000'), bytes(''), 'AGENT_REJECTED'],
    ['answers garbage', bytes('00'), bytes(''), 'AGENT_UNAVAILABLE'],
    ['hangs', bytes('54'), bytes(''), 'AGENT_UNAVAILABLE'],
    ['dies', bytes(ACCEPTED), bytes('54525652'), 'AGENT_LOST'],
    ['answers garbage once it accepted', bytes(ACCEPTED), bytes('00'), 'AGENT_LOST'],
  ]
  for (const [what, first, second, code] of agents) {
    const agent = await listen(path, (socket) => {
      socket.once('data', () => {
        socket.write(first)
        if (second.length > 0) socket.end(second)
      })
    })
    await t.rejects(callAgent(path, CALL, { acceptMs: 100 }), { code }, what)
    await agent.close()
  }
})
