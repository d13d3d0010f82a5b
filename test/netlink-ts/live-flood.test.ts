/**
 * A kernel that changes faster than it is read: tables that are interrupted, and
 * notifications that are lost.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { dumpInPool } from '../../src/netlink-ts/live/dump.ts'
import { openSocket } from '../../src/netlink-ts/live/fd.ts'
import { send } from '../../src/netlink-ts/live/libc.ts'
import { Monitor } from '../../src/netlink-ts/live/mod.ts'
import { visit } from '../../src/netlink-ts/live/netns.ts'
import { MSG, receiveMany } from '../../src/netlink-ts/live/ring.ts'
import { eachMessage, HEADER, NLM_F } from '../../src/netlink-ts/message.ts'
import {
  addr,
  type Event,
  link,
  neigh,
  nexthop,
  type Request,
  route,
  rule,
  SessionError,
} from '../../src/netlink-ts/mod.ts'
import { Sequence, Session, type Wire } from '../../src/netlink-ts/session.ts'
import { HOST_LITTLE } from '../../src/netlink-ts/writer.ts'
import { lab, notRoot, pair, succeed } from './support.ts'

const options = { skip: notRoot }
const ADDRESSES = 3000
const DUMPS_MAX = 5000
const INTERRUPTIONS_WANTED = 5
const ROUTES = 20_000

/** A live wire that counts what it sends, and the readings that NLM_F_DUMP_INTR spoilt. */
class CountingWire implements Wire {
  readonly limits = { bytes: 65_536, messages: 1 }
  readonly #fd: number
  #isSpoilt = false
  readings = 0
  spoilt = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  send(datagram: Uint8Array): void {
    this.readings++
    this.#isSpoilt = false
    send(this.#fd, datagram, datagram.length, 0)
  }

  receive(deliver: (view: DataView, length: number) => void): boolean {
    const look = (view: DataView, length: number): void => {
      eachMessage(view, length, (offset) => {
        if ((view.getUint16(offset + HEADER.flags, HOST_LITTLE) & NLM_F.dumpIntr) === 0) return
        if (!this.#isSpoilt) this.spoilt++
        this.#isSpoilt = true
      })
      deliver(view, length)
    }
    return receiveMany(this.#fd, MSG.waitForOne, look) > 0
  }
}

const addresses = (index: number): Request[] =>
  Array.from({ length: ADDRESSES }, (_, i) =>
    addr.add({ index, address: `10.0.${i >> 8}.${i & 255}`, prefixLength: 32 }),
  )

/** Dumps in a pool thread until some were repeated; how many rows those had that lack any. */
async function readInPool(
  fd: number,
  link: number,
): Promise<{ readonly repeated: number; readonly short: readonly number[] }> {
  const sequence = new CountingSequence(1_000_000)
  const short: number[] = []
  let repeated = 0
  for (let dumps = 0; dumps < DUMPS_MAX && repeated < INTERRUPTIONS_WANTED; dumps++) {
    sequence.taken = 0
    try {
      const rows = await dumpInPool(fd, addr.list({ family: 4 }), sequence)
      const own = rows.filter(({ index }) => index === link).length
      if (own !== ADDRESSES) short.push(own)
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
    }
    repeated += sequence.taken - 1
  }
  return { repeated, short }
}

class CountingSequence extends Sequence {
  taken = 0

  override take(count: number): number {
    this.taken++
    return super.take(count)
  }
}

t.test('a table that changes while it is read is read again', options, async (t) => {
  const l = pair(t)
  succeed(t, l, addresses(l.v0))
  const fd = visit(l.fd, () => openSocket(1 << 22))
  t.teardown(() => closeSync(fd))
  const wire = new CountingWire(fd)
  const session = new Session(wire)

  // Somebody else adds and removes an address as fast as ip can.
  const other = spawn('ip', ['-n', l.name, '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const change = 'address add 192.0.2.1/32 dev v1\naddress delete 192.0.2.1/32 dev v1\n'
  const feed = (): void => {
    while (other.stdin.write(change.repeat(500)));
  }
  other.stdin.on('error', () => {}) // it is stopped in the middle
  other.stdin.on('drain', feed)
  feed()
  let [dumps, given] = [0, 0]
  while (dumps < DUMPS_MAX && wire.spoilt < INTERRUPTIONS_WANTED) {
    await new Promise(setImmediate)
    try {
      dumps++
      // Not by index: then the kernel does not notice (devinet.c, inet_dump_addr).
      const found = session.dump(addr.list({ family: 4 })).filter(({ index }) => index === l.v0)
      if (found.length !== ADDRESSES) t.fail(`${found.length} addresses`)
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      given++
    }
  }
  const inPool = await readInPool(fd, l.v0)
  t.ok(inPool.repeated >= INTERRUPTIONS_WANTED, 'and some of those in a pool thread')
  t.strictSame(inPool.short, [], 'each of which is whole')
  other.kill('SIGKILL')
  await once(other, 'exit')
  t.comment(`${dumps} dumps, ${wire.spoilt} readings interrupted, ${given} dumps given up`)
  t.ok(wire.spoilt >= INTERRUPTIONS_WANTED, 'the kernel did interrupt some')
  t.equal(wire.readings, dumps + wire.spoilt - given, 'one more reading for each')
})

t.test('a monitor is told about every kind of object', options, async (t) => {
  const l = pair(t)
  const routing = ['route4', 'route6', 'rule4', 'rule6', 'nexthop'] as const
  const groups = ['link', 'neigh', 'addr4', 'addr6', ...routing] as const
  const monitor = Monitor.open({ groups, netnsFd: l.fd })
  t.teardown(() => monitor.close())
  const index = l.v0
  const mac = '02:00:00:00:00:09'
  const requests = [
    link.set({ index }, { mtu: 1400 }),
    addr.add({ index, address: '10.0.0.1', prefixLength: 24 }),
    addr.add({ index, address: 'fd00::1', prefixLength: 64, flags: ['nodad'] }),
    route.add({ family: 4, dst: '10.1.0.0/24', oif: index }),
    route.add({ family: 6, dst: 'fd01::/64', oif: index }),
    neigh.add({ index, address: '10.0.0.9', mac }),
    rule.add({ family: 4, priority: 7, table: 7 }),
    rule.add({ family: 6, priority: 7, table: 7 }),
    rule.remove({ family: 6, priority: 7 }),
    nexthop.add({ id: 5, gateway: '10.0.0.7', oif: index }),
    route.remove({ family: 6, dst: 'fd01::/64' }),
  ]
  succeed(t, l, requests)
  // An IPv6 address is announced by a worker of the kernel (addrconf_dad_work), in its own time.
  const events: Event[] = []
  let wasLost = false
  const hasAddr6 = (): boolean => events.some(isAddr6)
  for (let n = 0; n < 500 && !hasAddr6(); n++) {
    if (n > 0) await sleep(10)
    const drained = monitor.drain()
    events.push(...drained.events)
    wasLost ||= drained.lost
  }
  t.equal(wasLost, false)
  const saw = (what: string, test: (event: Event) => boolean) => t.ok(events.some(test), what)
  saw('link', (e) => e.kind === 'link' && e.link.mtu === 1400)
  saw('addr4', (e) => e.kind === 'addr' && e.addr.address === '10.0.0.1')
  saw('addr6', isAddr6)
  saw('route4', (e) => e.kind === 'route' && e.route.dst === '10.1.0.0/24')
  saw('route6', (e) => e.kind === 'route' && e.change === 'new' && e.route.dst === 'fd01::/64')
  saw('neigh', (e) => e.kind === 'neigh' && e.neigh.mac === mac)
  saw('rule4', (e) => e.kind === 'rule' && e.rule.family === 4 && e.rule.priority === 7)
  saw('rule6 removed', (e) => e.kind === 'rule' && e.change === 'del' && e.rule.family === 6)
  saw('nexthop', (e) => e.kind === 'nexthop' && e.nexthop.gateway === '10.0.0.7')
  saw('route6 removed', (e) => e.kind === 'route' && e.change === 'del')
})

const isAddr6 = (e: Event): boolean => e.kind === 'addr' && e.addr.address === 'fd00::1'

t.test('a flood of routes overflows a small receive buffer', options, async (t) => {
  const l = lab(t)
  l.socket.run(link.set({ name: 'lo' }, { up: true }))
  const open = (rcvbufBytes?: number): Monitor => {
    const monitor = Monitor.open({ groups: ['route4'], netnsFd: l.fd, rcvbufBytes })
    t.teardown(() => monitor.close())
    return monitor
  }
  const [small, large] = [open(32 << 10), open(64 << 20)]
  const routes = Array.from({ length: ROUTES }, (_, i) =>
    route.add({ family: 4, dst: `10.${i >> 8}.${i & 255}.0/24`, oif: 1 }),
  )
  succeed(t, l, routes)
  const first = small.drain()
  t.equal(first.lost, true)
  t.ok(first.events.length > 0 && first.events.length < ROUTES, `${first.events.length} arrived`)
  t.strictSame(small.drain(), { events: [], lost: false }, 'said once, and then it goes on')
  l.socket.run(route.remove({ family: 4, dst: '10.0.0.0/24' }))
  t.match(small.drain(), { events: [{ change: 'del', kind: 'route' }], lost: false })
  const all = large.drain()
  t.equal(all.lost, false, 'a large buffer loses nothing')
  t.equal(all.events.length, ROUTES + 1)
})
