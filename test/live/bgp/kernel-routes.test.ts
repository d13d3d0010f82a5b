/**
 * A speaker's routes in a kernel, seen by iproute2.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { readState } from '../../../src/kernel/netlink-read.ts'
import type { Ip, Prefix } from '../../../src/net/mod.ts'
import { notRoot } from '../../netlink-ts/support.ts'
import { eventually, routesWorld, sliceOf } from './routes-world.ts'

const options = { skip: notRoot }
const FAR = '192.0.2.7'

t.test('one way, several ways, none', options, async (t) => {
  const world = routesWorld(t)
  const routes = await world.open()
  await routes.tell(['10.0.0.2'], '20.0.0.0/8', '30.1.0.0/16')
  t.strictSame(world.routes('ipv4'), {
    '20.0.0.0/8': '10.0.0.2 eth0',
    '30.1.0.0/16': '10.0.0.2 eth0',
  })
  await routes.tell(['10.0.0.2', '10.0.1.2'], '20.0.0.0/8')
  t.equal(world.routes('ipv4')['20.0.0.0/8'], '10.0.0.2 eth0, 10.0.1.2 eth1')
  await routes.tell(['10.0.1.3'], '20.0.0.0/8')
  t.equal(world.routes('ipv4')['20.0.0.0/8'], '10.0.1.3 eth1')
  await routes.tell([], '20.0.0.0/8')
  t.strictSame(world.routes('ipv4'), { '30.1.0.0/16': '10.0.0.2 eth0' })
  await routes.tell(['10.0.0.2'], '0.0.0.0/0')
  t.equal(world.routes('ipv4')['default'], '10.0.0.2 eth0', 'a default route is a plain prefix')

  await routes.tell(['fd00::2', 'fd00:1::2'], '2001:db8::/32')
  t.equal(world.routes('ipv6')['2001:db8::/32'], 'fd00:1::2 eth1, fd00::2 eth0')
  await routes.tell(['fd00:1::2', 'fd00:1::3', 'fd00::9'], '2001:db8::/32')
  t.equal(world.routes('ipv6')['2001:db8::/32'], 'fd00:1::2 eth1, fd00:1::3 eth1, fd00::9 eth0')
  await routes.tell(['fd00::9'], '2001:db8::/32')
  t.equal(world.routes('ipv6')['2001:db8::/32'], 'fd00::9 eth0')
  await routes.tell([], '2001:db8::/32')
  t.strictSame(world.routes('ipv6'), {})

  await routes.tell(['fd00::2', 'fd00:1::2'], '40.0.0.0/8')
  t.equal(world.routes('ipv4')['40.0.0.0/8'], 'fd00:1::2 eth1, fd00::2 eth0', 'RFC 8950')
  t.strictSame(routes.reports, [])
  const [found] = readState(world.socket).filter(
    (object) => object.kind === 'route' && object.dst === '30.1.0.0/16',
  )
  t.equal(found, undefined, 'nothing for the reconciler')
})

t.test('link-local next hops, on the link of their peer', options, async (t) => {
  const world = routesWorld(t)
  const routes = await world.open()
  const linkLocal = 'fe80::7' as Ip
  const hop = (peer: string) => ({ nextHop: '2001:db8:9::1' as Ip, linkLocal, peer: peer as Ip })
  routes.set([hop('fd00:1::2')], sliceOf(['2001:db8::/32' as Prefix]))
  await routes.settled()
  t.equal(world.routes('ipv6')['2001:db8::/32'], 'fe80::7 eth1')
  routes.set([hop('fd00:1::2'), hop('fd00::2')], sliceOf(['2001:db8::/32' as Prefix]))
  await routes.settled()
  t.equal(world.routes('ipv6')['2001:db8::/32'], 'fe80::7 eth0, fe80::7 eth1')
})

t.test('next hops behind others', options, async (t) => {
  const world = routesWorld(t)
  const routes = await world.open()
  t.equal(routes.costOf('10.0.0.9' as Ip), 0, 'on a link')
  t.equal(routes.costOf(FAR as Ip), undefined, 'nowhere')
  t.equal(routes.costOf('10.0.0.1' as Ip), undefined, 'an own address')
  await routes.tell([FAR], '20.0.0.0/8')
  t.strictSame(world.routes('ipv4'), {}, 'cannot be used')
  world.ip('route', 'add', '192.0.2.0/24', 'via', '10.0.0.4', 'metric', '7')
  await eventually(
    () => world.routes('ipv4')['20.0.0.0/8'],
    (way) => way === '10.0.0.4 eth0',
  )
  t.strictSame(routes.changed, [FAR])
  t.equal(routes.costOf(FAR as Ip), 7)
  world.ip('route', 'add', `${FAR}/32`, 'via', '10.0.0.5', 'dev', 'eth1', 'onlink')
  await eventually(
    () => world.routes('ipv4')['20.0.0.0/8'],
    (way) => way === '10.0.0.5 eth1 onlink',
  )
  world.ip('route', 'add', 'blackhole', `${FAR}/32`, 'metric', '5')
  world.ip('route', 'del', `${FAR}/32`, 'metric', '0')
  await eventually(
    () => world.routes('ipv4'),
    (all) => Object.keys(all).length === 0,
  )
  t.equal(routes.costOf(FAR as Ip), undefined)
})

t.test('own routes lead to next hops only by their own links', options, async (t) => {
  const world = routesWorld(t)
  const routes = await world.open()
  await routes.tell(['10.0.0.2'], '192.0.2.0/24', '10.0.0.9/32')
  await routes.tell([FAR], '20.0.0.0/8')
  await routes.tell(['10.0.0.9'], '10.0.0.9/32')
  t.match(world.routes('ipv4'), {
    '20.0.0.0/8': '10.0.0.2 eth0',
    '10.0.0.9': '10.0.0.9 eth0',
  })
  await routes.tell(['20.0.0.1'], '30.0.0.0/8')
  t.equal(world.routes('ipv4')['30.0.0.0/8'], undefined, 'a way by a way by a way')
  await routes.tell([], '192.0.2.0/24')
  await eventually(
    () => world.routes('ipv4')['20.0.0.0/8'],
    (way) => way === undefined,
  )
})

t.test('a restart without a gap', options, async (t) => {
  const world = routesWorld(t)
  const before = await world.open()
  const [kept, left] = [['20.0.0.0/8', '2001:db8::/32'], '30.0.0.0/8']
  await before.tell(['10.0.0.2', '10.0.1.2'], kept[0]!, left)
  await before.tell(['fd00::2', 'fd00:1::2'], kept[1]!)
  await before.close('keep')
  const monitor = spawn('ip', ['-n', world.name, 'monitor', 'route'])
  t.teardown(() => monitor.kill())
  let heard = ''
  monitor.stdout.setEncoding('utf8').on('data', (text: string) => {
    heard += text
  })
  await eventually(
    () => {
      world.ip('route', 'replace', '198.51.100.0/24', 'dev', 'eth0')
      return heard
    },
    (text) => text.includes('198.51.100.0'),
  )
  heard = ''
  const after = await world.open()
  t.match(after.counts('ipv4'), { installed: 2, stale: 2 })
  await after.tell(['10.0.1.2', '10.0.0.2'], kept[0]!)
  await after.tell(['fd00::2', 'fd00:1::2'], kept[1]!)
  t.equal(heard, '', 'what is as before is not written')
  t.equal(world.routes('ipv4')[left], '10.0.0.2 eth0, 10.0.1.2 eth1', 'stale, but used')
  await after.tell(['10.0.0.2'], kept[0]!)
  await after.tell(['fd00::2'], kept[1]!)
  after.complete('ipv4')
  after.complete('ipv6')
  await after.settled()
  t.strictSame(world.routes('ipv4'), { [kept[0]!]: '10.0.0.2 eth0' })
  t.strictSame(world.routes('ipv6'), { [kept[1]!]: 'fd00::2 eth0' })
  await eventually(
    () => heard,
    (text) => text.includes('Deleted 30.0.0.0/8'),
  )
  t.strictSame(heard.match(/Deleted \S+/g), ['Deleted 30.0.0.0/8'], 'nothing else went')
  await after.close('remove')
  t.strictSame([world.routes('ipv4'), world.routes('ipv6')], [{}, {}], 'a hard end')
  monitor.kill()
  await once(monitor, 'exit')
})

t.test('routes of others stay, and the same place is theirs', options, async (t) => {
  const world = routesWorld(t)
  world.ip('route', 'add', '20.0.0.0/8', 'dev', 'eth1')
  world.ip('route', 'add', '30.0.0.0/8', 'dev', 'eth1', 'metric', '32', 'proto', '77')
  world.ip('-6', 'route', 'add', '2001:db8::/32', 'dev', 'eth1', 'metric', '1056')
  const routes = await world.open()
  await routes.tell(['10.0.0.2'], '20.0.0.0/8', '30.0.0.0/8')
  await routes.tell(['fd00::2'], '2001:db8::/32')
  t.strictSame(world.routes('ipv4'), { '20.0.0.0/8': '10.0.0.2 eth0' })
  t.strictSame(world.routes('ipv6'), {})
  t.match(routes.reports, [
    { event: 'failed', prefix: '30.0.0.0/8', count: 1 },
    { event: 'failed', prefix: '2001:db8::/32', count: 1 },
  ])
  t.match(world.ip('route', 'get', '20.0.0.1'), /dev eth1/, 'a direct one wins')
  await routes.tell([], '20.0.0.0/8')
  t.match(world.ip('route', 'show', '20.0.0.0/8'), /dev eth1/)
  world.ip('route', 'del', '30.0.0.0/8')
  await eventually(
    () => world.routes('ipv4')['30.0.0.0/8'],
    (way) => way === '10.0.0.2 eth0',
  )
  world.ip('route', 'replace', '30.0.0.0/8', 'dev', 'eth1', 'metric', '32', 'proto', '77')
  await eventually(
    () => routes.counts('ipv4').failed,
    (failed) => failed === 1,
  )
  t.match(world.ip('route', 'show', '30.0.0.0/8'), /dev eth1 proto 77/)
  await routes.close('remove')
  t.match(world.ip('route', 'show', '30.0.0.0/8'), /dev eth1 proto 77/)
})

t.test('what somebody takes away comes back, what they put there goes', options, async (t) => {
  const world = routesWorld(t)
  const routes = await world.open()
  await routes.tell(['10.0.0.2', '10.0.1.2'], '20.0.0.0/8', '30.0.0.0/8')
  await routes.tell(['fd00::2', 'fd00:1::2'], '2001:db8::/32')
  routes.complete('ipv4')
  await routes.settled()
  const [all4, all6] = [world.routes('ipv4'), world.routes('ipv6')]
  world.ip('route', 'del', '20.0.0.0/8')
  world.ip('-6', 'route', 'del', '2001:db8::/32', 'via', 'fd00::2')
  world.ip('route', 'replace', '30.0.0.0/8', 'via', '10.0.0.66', 'metric', '32', 'proto', '85')
  world.ip('route', 'add', '50.0.0.0/8', 'via', '10.0.0.66', 'metric', '32', 'proto', '85')
  const same = (left: object, right: object): boolean =>
    JSON.stringify(Object.entries(left).sort()) === JSON.stringify(Object.entries(right).sort())
  await eventually(
    () => world.routes('ipv4'),
    (seen) => same(seen, all4),
  )
  await eventually(
    () => world.routes('ipv6'),
    (seen) => same(seen, all6),
  )
})

t.test('a link that goes and comes', options, async (t) => {
  const world = routesWorld(t)
  const routes = await world.open()
  await routes.tell(['10.0.0.2', '10.0.1.2'], '20.0.0.0/8')
  await routes.tell(['10.0.0.2'], '30.0.0.0/8')
  world.ip('link', 'set', 'eth0', 'down')
  await eventually(
    () => world.routes('ipv4'),
    (all) => all['20.0.0.0/8'] === '10.0.1.2 eth1' && all['30.0.0.0/8'] === undefined,
  )
  t.strictSame(routes.changed, ['10.0.0.2'])
  world.ip('link', 'set', 'eth0', 'up')
  await eventually(
    () => world.routes('ipv4'),
    (all) =>
      all['20.0.0.0/8'] === '10.0.0.2 eth0, 10.0.1.2 eth1' && all['30.0.0.0/8'] === '10.0.0.2 eth0',
  )
  world.exec('sh', '-c', 'ip link set eth0 down; ip link set eth0 up')
  await eventually(
    () => world.routes('ipv4'),
    (all) => all['30.0.0.0/8'] === '10.0.0.2 eth0',
  )
  world.exec('sh', '-c', 'ip addr del 10.0.0.1/24 dev eth0; ip addr add 10.0.0.1/24 dev eth0')
  await eventually(
    () => world.routes('ipv4'),
    (all) => all['30.0.0.0/8'] === '10.0.0.2 eth0',
  )
})

t.test('what no peer may steer', options, async (t) => {
  const world = routesWorld(t)
  const routes = await world.open()
  const refused = ['127.0.0.0/8', '169.254.1.0/24', '169.254.0.0/15', '224.0.0.0/4', '239.1.1.1/32']
  await routes.tell(['10.0.0.2'], ...refused, '10.0.0.1/32', '10.0.1.0/24')
  await routes.tell(['fd00::2'], 'fe80::/64', 'ff02::/16', '::1/128', 'fd00:1::1/128')
  t.strictSame(world.routes('ipv4'), { '10.0.1.0/24': '10.0.0.2 eth0' })
  t.strictSame(world.routes('ipv6'), {})
  t.match(routes.reports, [
    { event: 'refused', count: 5 },
    { event: 'refused', count: 3 },
  ])
  t.match(world.ip('route', 'get', '10.0.1.9'), /dev eth1/, 'the link itself wins')
  world.ip('addr', 'del', '10.0.0.1/24', 'dev', 'eth0')
  world.ip('addr', 'add', '10.0.0.8/24', 'dev', 'eth0')
  await eventually(
    () => world.routes('ipv4')['10.0.0.1'],
    (way) => way === '10.0.0.2 eth0',
  )
})
