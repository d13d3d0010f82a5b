/** One process at a time for an attachment; different attachments side by side. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { attachmentLocks, byteOf, LOCK_FILE } from '../../src/live/attachment-locks.ts'
import { until } from '../contract/store.ts'
import { ownFolder } from '../support/folder.ts'

const ROUNDS = 60
const keyOf = (containerId: string) => ({ network: 'pods', containerId, ifname: 'eth0' })

let folders = 0
const folder = ownFolder(t)
const freshSocket = (): string => join(folder, `run.${folders++}`, 'agent.sock')

const lines = (log: string): readonly string[] =>
  existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []

function holder(t: Test, socket: string, log: string, ...args: readonly string[]): ChildProcess {
  const file = fileURLToPath(new URL('attachment-holder.ts', import.meta.url))
  const run = ['--conditions=trivium-source', '--import', 'tsx', file]
  const child = spawn(process.execPath, [...run, socket, log, ...args], { stdio: 'inherit' })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

const ended = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve) => child.once('exit', resolve))

/** Every line that goes in while somebody else is in, for one attachment. */
function intrusions(log: readonly string[]): readonly string[] {
  const inside = new Map<string, string>()
  return log.filter((line) => {
    const [what, who = '', containerId = ''] = line.split(' ')
    if (what === 'out') inside.delete(containerId)
    if (what !== 'in') return false
    const intrudes = inside.has(containerId)
    inside.set(containerId, who)
    return intrudes
  })
}

t.test('two processes never act on one attachment at once', async (t) => {
  const [socket, log] = [freshSocket(), join(folder, 'together.log')]
  const both = ['a', 'b'].map((who) => holder(t, socket, log, who, `${ROUNDS}`, 'x', 'y'))
  await Promise.all(both.map(ended))
  const written = lines(log)
  t.equal(written.filter((line) => line.startsWith('in ')).length, 2 * ROUNDS, 'all came in')
  t.strictSame(intrusions(written), [], 'one after the other')
  const others = written.filter((line, index) => {
    const [what, who] = line.split(' ')
    const [before, whoBefore] = (written[index - 1] ?? '').split(' ')
    return what === 'in' && before === 'in' && who !== whoBefore
  })
  t.comment(`${others.length} times both were in, for different attachments`)
})

t.test('a holder that is killed lets the next one in', async (t) => {
  const [socket, log] = [freshSocket(), join(folder, 'killed.log')]
  const first = holder(t, socket, log, 'first', '1', 'x')
  await until(() => lines(log).includes('in first x'), 20_000)
  const locks = attachmentLocks(socket)
  let isIn = false
  const waiting = locks.hold(keyOf('x'), async () => {
    isIn = true
  })
  const beside = await locks.hold(keyOf('y'), async () => 'beside')
  t.equal(beside, 'beside', 'another attachment is free')
  await sleep(50)
  t.notOk(isIn, 'the same one is not')
  first.kill('SIGKILL')
  await waiting
  t.ok(isIn, 'the kernel released it')
})

t.test('whoever waits for too long is told to try again', async (t) => {
  const socket = freshSocket()
  let release = (): void => {}
  const holding = attachmentLocks(socket).hold(
    keyOf('x'),
    () => new Promise<void>((resolve) => (release = resolve)),
  )
  // A second opening of the file stands for another process.
  const impatient = attachmentLocks(socket, 30)
  await t.rejects(
    impatient.hold(keyOf('x'), async () => 1),
    { code: 'TRY_LATER', message: /^Cannot act on eth0 of container x in network pods: another/ },
  )
  release()
  await holding
  t.equal(await impatient.hold(keyOf('x'), async () => 2), 2, 'and gets it later')
  const file = statSync(join(socket, '..', LOCK_FILE))
  t.equal(file.mode & 0o777, 0o600)
})

t.test('inside a process: in order, also after one that failed', async (t) => {
  const locks = attachmentLocks(freshSocket())
  const order: string[] = []
  const step =
    (name: string, ms: number): (() => Promise<void>) =>
    async () => {
      order.push(`in ${name}`)
      await sleep(ms)
      order.push(`out ${name}`)
      if (name === 'a') throw new Error('planted')
    }
  const [a, b, c] = [
    locks.hold(keyOf('x'), step('a', 20)),
    locks.hold(keyOf('x'), step('b', 1)),
    locks.hold(keyOf('y'), step('c', 1)),
  ]
  await t.rejects(a, { message: 'planted' })
  await Promise.all([b, c])
  t.ok(order.indexOf('out c') < order.indexOf('out a'), 'others are not held up')
  t.strictSame(
    order.filter((line) => !line.endsWith('c')),
    ['in a', 'out a', 'in b', 'out b'],
  )
})

t.test('bytes are numbers that a lock can have, and differ', async (t) => {
  const bytes = new Set(Array.from({ length: 20_000 }, (_, n) => byteOf(keyOf(`pod-${n}`))))
  t.equal(bytes.size, 20_000)
  t.ok([...bytes].every((byte) => byte >= 0n && byte < 1n << 63n))
})
