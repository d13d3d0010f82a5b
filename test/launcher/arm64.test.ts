/**
 * The launcher for arm64: static, without dependencies, and the same
 * conversation under emulation, where a cross compiler and an emulator are.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../src/lab/exec.ts'
import { serveAgentSocket } from '../../src/live/agent-socket.ts'
import { recorder } from './support.ts'

const GCC = '/usr/bin/aarch64-linux-gnu-gcc'
const EMULATOR = '/usr/bin/qemu-aarch64-static'
/** The same as the build's, so that what is run here is what is shipped. */
const FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-Os', '-static', '-s', '-Wall', '-Wextra', '-Werror']

const missing = existsSync(GCC) ? false : 'no aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu)'

t.test('the launcher for arm64', { skip: missing }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'trivium-arm64-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const folder = join(import.meta.dirname, '..', '..', 'cni-bin', 'launcher')
  const sources = readdirSync(folder).filter((file) => file.endsWith('.c'))
  const program = join(dir, 'trivium')
  execFileSync(GCC, [...FLAGS, '-o', program, ...sources.map((file) => join(folder, file))])

  const header = spawnSync('readelf', ['-h', '-l', '-d', program], { encoding: 'utf8' }).stdout
  t.match(header, /Machine: +AArch64/)
  t.notMatch(header, /INTERP|NEEDED/, 'no loader and no shared objects')

  const slow = existsSync(EMULATOR) ? false : 'no qemu-aarch64-static (Debian: qemu-user-static)'
  await t.test('under emulation', { skip: slow }, async (t) => {
    copyFileSync(program, join(dir, 'trivium-ipam'))
    const path = join(dir, 'run', 'agent.sock')
    const calls = recorder({ exitStatus: 7, stdout: 'from the agent\n', stderr: 'two\nlines\n' })
    const server = await serveAgentSocket(path, calls.serve)
    t.teardown(() => server.close())
    const config = `{"cniVersion":"1.0.0","name":"pods","type":"trivium","socket":"${path}"}`
    const call = (name: string, env = {}) =>
      run([EMULATOR, join(dir, name)], {
        env: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/proc/self/ns/net', ...env },
        input: config,
      })
    t.strictSame(await call('trivium'), {
      status: 7,
      stdout: 'from the agent\n',
      stderr: 'two\nlines\n',
    })
    const [asked] = calls.calls
    t.match(asked, {
      plugin: 'trivium',
      config,
      env: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1' },
    })
    t.ok((asked?.netns?.ino ?? 0n) > 0n, 'it looked at the namespace')

    await server.close()
    const alone = await call('trivium')
    t.not(alone.status, 0, 'no agent, and nothing is installed beside it')
    t.match(alone.stderr + alone.stdout, /cannot start .*\.trivium/i)
  })
})
