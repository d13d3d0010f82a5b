/**
 * The launcher with a real agent socket: what arrives there, and what comes back.
 */
import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import t from 'tap'
import { type CniAnswer, type CniCall, serveAgentSocket } from '../../src/live/agent-socket.ts'
import { cannotCompile, echoOf, Installation, RELEASE, recorder } from './support.ts'

const skip = cannotCompile(RELEASE)

t.test('launcher and agent', { skip }, async (t) => {
  const installed = new Installation(RELEASE)
  t.teardown(() => installed.remove())
  const socket = installed.path('run', 'agent.sock')
  let serve: (call: CniCall) => Promise<CniAnswer> = recorder().serve
  const server = await serveAgentSocket(socket, (call) => serve(call))
  t.teardown(() => server.close())
  const config = JSON.stringify({ cniVersion: '1.0.0', name: 'pods', socket })

  await t.test('passes on what the agent needs and nothing else', async (t) => {
    const { calls, serve: record } = recorder()
    serve = record
    const passed = {
      CNI_COMMAND: 'ADD',
      CNI_ARGS: 'A=1;B=ü',
      CNI_NETNS: '/proc/self/ns/net',
      TRIVIUM_LOG: 'debug',
      TRACEPARENT: '00-1-2-01',
      TRACESTATE: 'a=b',
    }
    let pid: number | undefined
    const ended = await installed.run({
      env: { ...passed, PATH: '/bin', SECRET: 'x', BAGGAGE: 'y', XTRACE_A: 'z', XCNI_A: '' },
      stdin: config,
      onStart: (child) => {
        pid = child.pid
      },
    })
    t.match(ended, { status: 0, signal: undefined, stdout: 'from the agent', stderr: '' })
    const { dev, ino } = statSync('/proc/self/ns/net', { bigint: true })
    t.strictSame(calls, [
      { plugin: 'trivium', callerPid: pid, netns: { dev, ino }, env: passed, config },
    ])
  })

  await t.test('passes stdout, stderr and the exit status back', async (t) => {
    const stdout = '{"ü":"\\u0000"}\n'.repeat(60_000)
    serve = recorder({ exitStatus: 7, stdout, stderr: 'two\nlines\n' }).serve
    const ended = await installed.run({ env: { CNI_COMMAND: 'ADD' }, stdin: config })
    t.equal(ended.status, 7)
    t.equal(ended.stdout, stdout, `${stdout.length} characters, more than any pipe holds`)
    t.equal(ended.stderr, 'two\nlines\n')
  })

  await t.test('a configuration of one MiB arrives whole', async (t) => {
    const { calls, serve: record } = recorder()
    serve = record
    const large = JSON.stringify({ padding: '€'.repeat(350_000), socket })
    t.ok(Buffer.byteLength(large) > 1024 * 1024)
    t.equal((await installed.run({ env: { CNI_COMMAND: 'ADD' }, stdin: large })).status, 0)
    t.ok(calls[0]?.config === large, 'byte for byte')
  })

  await t.test('the name it is called by says which plugin it is', async (t) => {
    const { calls, serve: record } = recorder()
    serve = record
    const env = { CNI_COMMAND: 'ADD', TRIVIUM_SOCKET: socket }
    for (const name of ['trivium-ipam', 'trivium']) {
      t.equal((await installed.run({ name, env, stdin: '{}' })).status, 0, name)
    }
    t.strictSame(
      calls.map((call) => call.plugin),
      ['trivium-ipam', 'trivium'],
    )
  })

  await t.test('a network namespace that cannot be looked at is none', async (t) => {
    const { calls, serve: record } = recorder()
    serve = record
    for (const path of ['', '/nowhere/netns', 'dummy']) {
      const env = { CNI_COMMAND: 'DEL', CNI_NETNS: path }
      t.equal((await installed.run({ env, stdin: config })).status, 0, JSON.stringify(path))
    }
    t.equal((await installed.run({ env: { CNI_COMMAND: 'DEL' }, stdin: config })).status, 0)
    t.strictSame(
      calls.map((call) => call.netns),
      [undefined, undefined, undefined, undefined],
    )
  })

  await t.test('a FIFO as network namespace does not hang it', async (t) => {
    const { calls, serve: record } = recorder()
    serve = record
    const fifo = installed.path('fifo')
    execFileSync('mkfifo', [fifo])
    const env = { CNI_COMMAND: 'ADD', CNI_NETNS: fifo }
    const ended = await installed.run({ env, stdin: config })
    t.equal(ended.status, 0)
    const { dev, ino } = statSync(fifo, { bigint: true })
    t.strictSame(calls[0]?.netns, { dev, ino })
  })

  await t.test('many at once keep their own answers', async (t) => {
    serve = async (call) => {
      // Later ones answer earlier, so that order cannot save a mix-up.
      const n = Number(call.env['CNI_N'])
      await new Promise((resolve) => setTimeout(resolve, 100 - n * 3))
      return { exitStatus: n, stdout: `${n}`, stderr: '' }
    }
    const runs = Array.from({ length: 30 }, (_, n) =>
      installed.run({ env: { CNI_COMMAND: 'ADD', CNI_N: `${n}` }, stdin: config }),
    )
    const ended = await Promise.all(runs)
    t.strictSame(
      ended.map(({ status, stdout }) => [status, stdout]),
      runs.map((_, n) => [n, `${n}`]),
    )
  })

  await t.test('where the socket is named', async (t) => {
    const other = installed.path('other.sock')
    const decoys = {
      a: { socket: other },
      b: [{ socket: other }],
      c: 'socket',
      args: { ipam: { socket: other } },
    }
    const escaped = socket.replaceAll('/', '\\/').replace('agent', '\\u0061g\\u0065nt')
    const named: readonly (readonly [string, string, string, Record<string, string>])[] = [
      ['among decoys', 'trivium', JSON.stringify({ ...decoys, socket, z: decoys }), {}],
      ['with escapes', 'trivium', `{"name":"a\\"b\\\\","soc\\u006bet":"${escaped}"}`, {}],
      [
        'with spaces',
        'trivium',
        `\n { "a" : [ 1 , { } , [ ] ] ,\t"socket"\r: "${socket}" } \n`,
        {},
      ],
      ['twice: the last counts', 'trivium', `{"socket":"/x","socket":"${socket}"}`, {}],
      ['in ipam', 'trivium-ipam', JSON.stringify({ ...decoys, ipam: { ...decoys, socket } }), {}],
      [
        "in ipam, whatever the main plugin's own key says",
        'trivium-ipam',
        JSON.stringify({ ipam: { socket }, socket: other }),
        {},
      ],
      [
        'in the environment',
        'trivium',
        JSON.stringify({ socket: other }),
        { TRIVIUM_SOCKET: socket },
      ],
      ['in the environment, beside no JSON', 'trivium', 'not JSON', { TRIVIUM_SOCKET: socket }],
      ['not in an empty variable', 'trivium', config, { TRIVIUM_SOCKET: '' }],
    ]
    for (const [what, name, stdin, env] of named) {
      const { calls, serve: record } = recorder()
      serve = record
      const ended = await installed.run({ name, stdin, env: { CNI_COMMAND: 'ADD', ...env } })
      t.equal(ended.stdout, 'from the agent', what)
      t.equal(calls[0]?.config, stdin)
    }
  })

  await t.test('where no socket is named', async (t) => {
    const { calls, serve: record } = recorder()
    serve = record
    const none: readonly (readonly [string, string])[] = [
      ['no configuration', ''],
      ['no key', '{}'],
      ['only decoys', JSON.stringify({ a: { socket }, b: [{ socket }], c: 'socket' })],
      ['ipam.socket, which is for trivium-ipam', JSON.stringify({ ipam: { socket } })],
      ['a number', '{"socket":7}'],
      ['an object', JSON.stringify({ socket: { socket } })],
      ['a string, but last null', `{"socket":"${socket}","socket":null}`],
      ['a relative path', '{"socket":"agent.sock"}'],
      ['a path beyond sun_path', JSON.stringify({ socket: `/${'x'.repeat(107)}` })],
      ['a path with a NUL', `{"socket":"${socket}\\u0000"}`],
      ['an array', JSON.stringify([{ socket }])],
      ['text behind the object', `${config} x`],
      ['an object cut short', config.slice(0, -1)],
      [
        'an object nested too deeply',
        `{"a":${'['.repeat(70)}${']'.repeat(70)},"socket":"${socket}"}`,
      ],
    ]
    for (const [what, stdin] of none) {
      const cwd = installed.path('run')
      const ended = await installed.run({ env: { CNI_COMMAND: 'ADD' }, stdin, cwd })
      t.equal(echoOf(ended)?.stdin, Buffer.from(stdin).toString('hex'), what)
    }
    const off = { CNI_COMMAND: 'ADD', TRIVIUM_NO_AGENT: '1' }
    t.ok(echoOf(await installed.run({ env: off, stdin: config })), 'TRIVIUM_NO_AGENT=1')
    const unasked = { CNI_COMMAND: '', TRIVIUM_SOCKET: socket }
    t.ok(echoOf(await installed.run({ env: unasked, stdin: config })), 'no command')
    t.strictSame(calls, [])
  })

  await t.test('VERSION needs no stdin', async (t) => {
    const { calls, serve: record } = recorder()
    serve = record
    const env = { CNI_COMMAND: 'VERSION', TRIVIUM_SOCKET: socket }
    t.equal((await installed.run({ env })).stdout, 'from the agent', 'an empty one')
    const open = await installed.run({
      env,
      stdin: undefined,
      onStart: (child) => void child.stdin?.write('{"cniVersion":'),
    })
    t.equal(open.stdout, 'from the agent', 'one that stays open')
    t.strictSame(
      calls.map((call) => call.config),
      ['', ''],
    )
  })
})
