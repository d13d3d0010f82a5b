/**
 * The launcher without a willing agent: it becomes Node if and only if nothing
 * can have been executed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { serveAgentSocket } from '../../src/live/agent-socket.ts'
import { cannotCompile, echoOf, Installation, listen, RELEASE, recorder } from './support.ts'

const skip = cannotCompile(RELEASE)
const NOBODY = 65_534
const ACCEPTED = Buffer.from('5452564102000000', 'hex')

t.test('launcher without an agent', { skip }, async (t) => {
  const installed = new Installation(RELEASE)
  t.teardown(() => installed.remove())
  const socket = installed.path('agent.sock')
  const config = JSON.stringify({ cniVersion: '0.4.0', name: 'pods', socket })
  const add = { CNI_COMMAND: 'ADD', TRIVIUM_SOCKET: socket, TRIVIUM_ACCEPT_TIMEOUT_MS: '200' }

  await t.test('Node gets the same stdin and environment', async (t) => {
    const env = { ...add, CNI_ARGS: 'ü', PATH: '/nowhere', SECRET: 'x' }
    const large = `${config}${' '.repeat(1024 * 1024)}\u20ac`
    for (const name of ['trivium', 'trivium-ipam']) {
      const echo = echoOf(await installed.run({ name, env, stdin: large }))
      t.equal(echo?.script, 'plugin')
      t.strictSame(echo?.argv, [])
      t.strictSame(echo?.env, { ...env, TRIVIUM_PLUGIN: name })
      t.ok(echo?.stdin === Buffer.from(large).toString('hex'), 'byte for byte')
    }
  })

  await t.test('a socket file without a listener', async (t) => {
    const dead = createServer()
    await new Promise<void>((resolve) => dead.listen(installed.path('s'), resolve))
    symlinkSync('s', socket)
    t.teardown(() => unlinkSync(socket))
    await new Promise((resolve) => dead.close(resolve))
    t.ok(echoOf(await installed.run({ env: add, stdin: config })), 'a dangling name')
    writeFileSync(installed.path('s'), '')
    t.ok(echoOf(await installed.run({ env: add, stdin: config })), 'a plain file')
    rmSync(installed.path('s'))
    // A process that is killed leaves its socket file behind.
    const child = await listenElsewhere(installed.path('s'))
    child.kill('SIGKILL')
    await new Promise((resolve) => child.on('close', resolve))
    t.ok(echoOf(await installed.run({ env: add, stdin: config })), 'a stale socket')
    rmSync(installed.path('s'))
  })

  await t.test('an agent that is stopped, and wakes up later', async (t) => {
    // The kernel completes connections to a stopped process: this is what a hung agent looks like.
    const child = await listenElsewhere(socket)
    t.teardown(() => rmSync(socket, { force: true }))
    const said: string[] = []
    child.stdout?.on('data', (chunk) => said.push(String(chunk)))
    child.kill('SIGSTOP')
    const ended = await installed.run({ env: add, stdin: config })
    t.ok(echoOf(ended), 'Node runs it')
    t.ok(ended.tookMs >= 200, `${ended.tookMs} ms`)
    const large = await installed.run({ env: add, stdin: config + ' '.repeat(8 * 1024 * 1024) })
    t.ok(echoOf(large), 'also when the request does not fit into the socket')
    t.ok(large.tookMs >= 200, `${large.tookMs} ms`)
    child.kill('SIGCONT')
    await new Promise((resolve) => setTimeout(resolve, 300))
    child.kill('SIGTERM')
    await new Promise((resolve) => child.on('close', resolve))
    t.equal(said.join(''), '', 'the agent executed nothing when it woke up')
  })

  const unwilling: readonly (readonly [string, Buffer | undefined, string])[] = [
    ['never answers', undefined, 'slow'],
    ['hangs up', Buffer.alloc(0), 'fast'],
    ['answers garbage', Buffer.from('HTTP/1.1 400 Bad Request\r\n'), 'fast'],
    ['answers half a frame', ACCEPTED.subarray(0, 7), 'slow'],
    ['answers half a frame and hangs up', ACCEPTED.subarray(0, 7), 'fast'],
    ['answers with the wrong frame', Buffer.from('5452564702000000', 'hex'), 'fast'],
    ['speaks another version', Buffer.from('5452564101000000', 'hex'), 'fast'],
    ['does not support our version', Buffer.from('5452564102000100', 'hex'), 'fast'],
    ['calls it malformed', Buffer.from('5452564102000200', 'hex'), 'fast'],
    ['is shutting down', Buffer.from('5452564102000300', 'hex'), 'fast'],
    ['has a reason of the future', Buffer.from('5452564102006300', 'hex'), 'fast'],
  ]
  for (const [what, bytes, pace] of unwilling) {
    await t.test(`an agent that ${what}`, async (t) => {
      const agent = await listen(socket, (connection) => {
        connection.resume()
        if (bytes === undefined) return
        if (pace === 'fast') connection.end(bytes)
        else connection.write(bytes)
      })
      t.teardown(() => agent.close())
      const ended = await installed.run({ env: add, stdin: config })
      t.ok(echoOf(ended), 'Node runs it')
      if (pace === 'slow') t.ok(ended.tookMs >= 200, `after the timeout: ${ended.tookMs} ms`)
    })
  }

  await t.test('an agent that shuts down while it is being asked', async (t) => {
    const { calls, serve } = recorder()
    const server = await serveAgentSocket(socket, serve)
    await server.close()
    t.ok(echoOf(await installed.run({ env: add, stdin: config })))
    t.strictSame(calls, [])
  })

  const lost: readonly (readonly [string, Buffer])[] = [
    ['says nothing more', Buffer.alloc(0)],
    ['stops in the header', Buffer.from('5452565200000000', 'hex')],
    [
      'stops in stdout',
      Buffer.from('54525652 00000000 05000000 00000000 7b'.replaceAll(' ', ''), 'hex'),
    ],
    [
      'stops in stderr',
      Buffer.from('54525652 00000000 01000000 02000000 7b21'.replaceAll(' ', ''), 'hex'),
    ],
    ['answers garbage', Buffer.from('HTTP/1.1 500 Internal Server Error\r\n')],
    ['answers with the wrong frame', Buffer.from('54525641000000000000000000000000', 'hex')],
    [
      'says too much',
      Buffer.concat([
        Buffer.from('54525652000000000100000100000000', 'hex'),
        Buffer.alloc(16 * 1024 * 1024 + 1, '7'),
      ]),
    ],
    [
      'promises too much',
      Buffer.from('54525652 00000000 ffffffff 00000000'.replaceAll(' ', ''), 'hex'),
    ],
    ['has an exit status of nine bits', Buffer.from('54525652000100000000000000000000', 'hex')],
  ]
  for (const [what, bytes] of lost) {
    await t.test(`after accepted, an agent that ${what}`, async (t) => {
      const agent = await listen(socket, (connection) => {
        connection.once('data', () => connection.end(Buffer.concat([ACCEPTED, bytes])))
      })
      t.teardown(() => agent.close())
      const ended = await installed.run({ env: add, stdin: config })
      t.equal(ended.status, 1, 'no fallback')
      t.match(JSON.parse(ended.stdout), {
        cniVersion: '0.4.0',
        code: 11,
        msg: /agent went away/,
        details: new RegExp(socket),
      })
    })
  }

  await t.test('after accepted there is no timeout', async (t) => {
    const server = await serveAgentSocket(socket, async () => {
      await new Promise((resolve) => setTimeout(resolve, 600))
      return { exitStatus: 0, stdout: 'slow', stderr: '' }
    })
    t.teardown(() => server.close())
    t.equal((await installed.run({ env: add, stdin: config })).stdout, 'slow')
  })

  const unprivileged = process.getuid?.() !== 0 && 'needs root, to become somebody else'
  await t.test('the agent of another user is no agent', { skip: unprivileged }, async (t) => {
    const theirs = installed.path('theirs')
    mkdirSync(theirs)
    chownSync(theirs, NOBODY, NOBODY)
    chmodSync(installed.root, 0o711)
    const child = await listenElsewhere(`${theirs}/s`, NOBODY)
    t.teardown(() => void child.kill('SIGKILL'))
    const env = { ...add, TRIVIUM_SOCKET: `${theirs}/s` }
    t.ok(echoOf(await installed.run({ env, stdin: config })))
  })
})

/** An agent in a process of its own, which prints what it executes. */
async function listenElsewhere(path: string, uid?: number): Promise<ChildProcess> {
  const program = `
    import { serveAgentSocket } from '${new URL('../../src/live/agent-socket.ts', import.meta.url)}'
    const serve = async () => (console.log('executed'), { exitStatus: 0, stdout: '', stderr: '' })
    await serveAgentSocket(process.argv[1], serve)
    console.error('ready')
  `
  const sources = ['--conditions=trivium-source', '--import', import.meta.resolve('tsx')]
  const argv = [...sources, '--input-type=module', '-e', program, path]
  // Without the test runner's own options: its records are not another user's to write.
  const env = { PATH: process.env['PATH'] ?? '' }
  const child = spawn(process.execPath, argv, uid === undefined ? { env } : { env, uid })
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      if (String(chunk).includes('ready')) resolve()
    })
    child.on('close', () => reject(new Error('the agent did not start')))
  })
  return child
}
