/**
 * Namespaces and notifications on a live kernel: in, out, and what is refused.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import {
  inNetns,
  Monitor,
  NetlinkSocket,
  netnsIdentity,
  openNetns,
  selfNetns,
  selfNetnsIdentity,
  warmPool,
} from '../../src/netlink-ts/live/mod.ts'
import { link, NetnsError, neigh } from '../../src/netlink-ts/mod.ts'
import { lab, notRoot } from './support.ts'

const options = { skip: notRoot }
const here = (): string => readlinkSync('/proc/thread-self/ns/net')

t.test('inNetns() refuses while the pool is cold', options, async (t) => {
  const fd = selfNetns()
  t.teardown(() => closeSync(fd))
  t.throws(() => inNetns(fd, () => 1), { code: 'NETNS_COLD_POOL' })
  t.throws(() => inNetns(fd, () => 1), NetnsError)
})

t.test('inNetns() goes in and comes back', options, async (t) => {
  await warmPool()
  const [a, b] = [lab(t), lab(t)]
  const home = here()
  const ids = inNetns(a.fd, () => {
    const outer = here()
    const inner = inNetns(b.fd, here)
    return [outer, inner, here()]
  })
  t.equal(ids[0], ids[2], 'a nested visit comes back to where it was')
  t.equal(new Set([home, ids[0], ids[1]]).size, 3)
  t.equal(here(), home)
  t.throws(
    () =>
      inNetns(a.fd, () => {
        throw new Error('mine')
      }),
    { message: 'mine' },
  )
  t.equal(here(), home, 'also after an error')
})

t.test('inNetns() refuses what would go on outside', options, async (t) => {
  await warmPool()
  const { fd } = lab(t)
  let ran = false
  const run = async (): Promise<void> => {
    ran = true
  }
  t.throws(() => inNetns(fd, run), { code: 'NETNS_ASYNC' })
  t.equal(ran, false, 'an async function is not even started')
  t.throws(() => inNetns(fd, () => Promise.resolve(1)), { code: 'NETNS_ASYNC' })
  t.throws(() => inNetns(fd, () => Promise.reject(new Error('unheard'))), { code: 'NETNS_ASYNC' })
  // biome-ignore lint/suspicious/noThenProperty: what is under test
  const thenable = { then: (): void => {} }
  t.throws(() => inNetns(fd, () => thenable), { code: 'NETNS_ASYNC' })
  t.equal(here(), readlinkSync('/proc/self/ns/net'))
})

t.test('no thread stays in a namespace', options, async (t) => {
  await warmPool()
  const { fd, name } = lab(t)
  const home = readlinkSync('/proc/self/ns/net')
  const socket = NetlinkSocket.open({ netnsFd: fd })
  t.teardown(() => socket.close())
  inNetns(fd, () => readFileSync('/proc/net/dev', 'utf8'))
  await Promise.all(
    Array.from({ length: 8 }, () => socket.executeAsync([link.set({ name: 'lo' }, { up: true })])),
  )
  const threads = readdirSync('/proc/self/task').map((id) =>
    readlinkSync(`/proc/self/task/${id}/ns/net`),
  )
  t.ok(threads.length > 4)
  t.strictSame(new Set(threads), new Set([home]), `nobody is in ${name}`)
})

t.test('openNetns() says what is wrong, and does not wait', options, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nlts-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const started = process.hrtime.bigint()
  for (const [path, code, words] of [
    [fifo, 'NETNS_WRONG_FILE', 'the file is not a namespace'],
    [file, 'NETNS_WRONG_FILE', 'the file is not a namespace'],
    [folder, 'NETNS_WRONG_FILE', 'the file is not a namespace'],
    ['/proc/self/ns/mnt', 'NETNS_WRONG_FILE', 'it is a namespace of another type'],
    [join(folder, 'none'), 'NETNS_MISSING', 'there is no such file'],
    [join(file, 'below'), 'NETNS_MISSING', 'there is no such file'],
  ] as const) {
    t.throws(() => openNetns(path), {
      code,
      message: `Cannot open network namespace ${path}: ${words}`,
    })
  }
  t.ok(process.hrtime.bigint() - started < 2_000_000_000n, 'a FIFO does not hold it up')
})

t.test('identity', options, async (t) => {
  const { fd, name } = lab(t)
  const again = openNetns(`/var/run/netns/${name}`)
  const self = selfNetns()
  t.teardown(() => [again, self].forEach(closeSync))
  t.strictSame(netnsIdentity(fd), netnsIdentity(again), 'two paths, one namespace')
  t.strictSame(netnsIdentity(self), selfNetnsIdentity())
  t.not(netnsIdentity(self).ino, netnsIdentity(fd).ino)
})

t.test('a namespace by process and by descriptor', options, async (t) => {
  const { fd, name } = lab(t)
  const child = spawn('ip', ['netns', 'exec', name, 'sh', '-c', 'echo; read _'])
  t.teardown(() => child.stdin.end())
  await once(child.stdout, 'data')
  const [byPid, byFd] = [openNetns({ pid: child.pid! }), openNetns({ fd })]
  t.teardown(() => [byPid, byFd].forEach(closeSync))
  t.strictSame([byPid, byFd].map(netnsIdentity), [netnsIdentity(fd), netnsIdentity(fd)])
  t.not(byFd, fd, 'a descriptor of its own')
  t.throws(() => openNetns({ pid: 2 ** 30 }), { code: 'NETNS_MISSING' }, 'no such process')
  t.throws(() => openNetns({ fd: 99_999 }), { code: 'NETNS_MISSING' }, 'no such descriptor')
})

t.test('a way back that is lost ends the process', options, async (t) => {
  const { name } = lab(t)
  const live = fileURLToPath(new URL('../../src/netlink-ts/live/mod.ts', import.meta.url))
  // The home descriptor is closed behind the package's back: setns back must fail.
  const script = `
    import { closeSync, readdirSync, readlinkSync } from 'node:fs'
    import { inNetns, openNetns, warmPool } from ${JSON.stringify(live)}
    await warmPool()
    const fd = openNetns('/run/netns/${name}')
    inNetns(fd, () => {
      for (const open of readdirSync('/proc/self/fd')) {
        try {
          if (Number(open) !== fd && readlinkSync('/proc/self/fd/' + open).startsWith('net:')) closeSync(Number(open))
        } catch {}
      }
    })
    console.log('went on')`
  const args = ['--import=tsx', '--input-type=module', '-e', script]
  const { signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  t.equal(signal, 'SIGABRT')
  t.equal(stdout, '')
  t.match(stderr, 'Cannot return to the home network namespace: setns: EBADF; aborting')
})

t.test('a socket outlives the descriptor of its namespace', options, async (t) => {
  const { name } = lab(t)
  const fd = openNetns(`/run/netns/${name}`)
  const socket = NetlinkSocket.open({ netnsFd: fd })
  closeSync(fd)
  t.strictSame(
    socket.dump(link.list()).map((l) => l.name),
    ['lo'],
  )
  const [error] = await socket.executeAsync([
    link.add({ name: 'v0', kind: { type: 'veth', peer: { name: 'v1' } } }),
  ])
  t.equal(error, undefined)
  t.ok(socket.get(link.get({ name: 'v0' })), 'made in the right namespace')
  socket.close()
  socket.close()
})

t.test('asynchronous removals overlap, and leave the event loop free', options, async (t) => {
  const { socket } = lab(t)
  const names = Array.from({ length: 8 }, (_, i) => `v${i}`)
  for (const name of names) {
    socket.run(link.add({ name, kind: { type: 'veth', peer: { name: `p${name}` } } }))
  }
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  t.teardown(() => clearInterval(timer))
  const results = await Promise.all(
    names.map((name) => socket.executeAsync([link.remove({ name }), link.remove({ name })])),
  )
  t.ok(ticks > 0, 'timers ran meanwhile')
  t.strictSame(
    results.map((pair) => pair.map((error) => error?.code)),
    names.map(() => [undefined, 'ENODEV']),
  )
  t.strictSame(
    socket.dump(link.list()).map(({ name }) => name),
    ['lo'],
  )
})

t.test('a monitor sees links come and go', options, async (t) => {
  const { fd, socket } = lab(t)
  const monitor = Monitor.open({ groups: ['link', 'neigh', 'addr4', 'route4'], netnsFd: fd })
  t.teardown(() => monitor.close())
  t.strictSame(monitor.drain(), { events: [], lost: false }, 'nothing yet, and no waiting')
  socket.run(link.add({ name: 'v0', kind: { type: 'veth', peer: { name: 'v1' } } }))
  const v0 = socket.get(link.get({ name: 'v0' }))!.index
  socket.run(neigh.add({ index: v0, address: '10.0.0.9', mac: '02:00:00:00:00:09' }))
  const seen = monitor.drain().events
  t.ok(seen.some((e) => e.kind === 'link' && e.change === 'new' && e.link.name === 'v0'))
  t.ok(seen.some((e) => e.kind === 'neigh' && e.neigh.address === '10.0.0.9'))

  const gone = new Promise<void>((resolve) => {
    const stop = monitor.watch(() => {
      const { events } = monitor.drain()
      if (!events.some((e) => e.kind === 'link' && e.change === 'del' && e.link.index === v0))
        return
      stop()
      resolve()
    })
  })
  await Promise.all([gone, socket.executeAsync([link.remove({ index: v0 })])])
  t.pass('RTM_DELLINK arrived through the event loop')
})

t.test('a link that leaves its bridge is not taken for a link that ends', options, async (t) => {
  const { fd, socket } = lab(t)
  socket.run(link.add({ name: 'v0', kind: { type: 'veth', peer: { name: 'v1' } } }))
  socket.run(link.add({ name: 'br0', kind: { type: 'bridge' } }))
  const br0 = socket.get(link.get({ name: 'br0' }))!.index
  socket.run(link.set({ name: 'v0' }, { master: br0 }))
  const monitor = Monitor.open({ groups: ['link'], netnsFd: fd })
  t.teardown(() => monitor.close())
  socket.run(link.set({ name: 'v0' }, { master: 0 }))
  const { events } = monitor.drain()
  t.ok(events.length > 0)
  t.strictSame(
    events.filter(({ change }) => change === 'del'),
    [],
  )
})

t.test('a monitor that fell behind says so', options, async (t) => {
  const { fd, socket } = lab(t)
  const monitor = Monitor.open({ groups: ['link'], netnsFd: fd })
  t.teardown(() => monitor.close())
  const toggle = [0, 1].map((n) => link.set({ name: 'lo' }, { up: n === 1 }))
  const many = Array.from({ length: 20_000 }, (_, i) => toggle[i % 2]!)
  socket.execute(many)
  const first = monitor.drain()
  t.equal(first.lost, true)
  t.ok(first.events.length > 100, 'what did arrive is there')
  t.equal(monitor.drain().lost, false, 'said once')
})
