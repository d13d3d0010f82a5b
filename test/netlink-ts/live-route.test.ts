/**
 * Addresses, routes, neighbours and forwarding entries on the kernel itself: what
 * is asked for here is looked at with iproute2.
 */
import t from 'tap'
import { ignoreRoutes, Monitor } from '../../src/netlink-ts/live/mod.ts'
import {
  addr,
  fdb,
  link,
  type NetlinkError,
  neigh,
  route,
  routeTable,
} from '../../src/netlink-ts/mod.ts'
import { notRoot, pair, succeed } from './support.ts'

const options = { skip: notRoot }

t.test('addresses', options, async (t) => {
  const l = pair(t)
  const specs = [
    { index: l.v0, address: '10.0.0.1', prefixLength: 24, broadcast: '10.0.0.255', label: 'v0:x' },
    {
      index: l.v0,
      address: 'fd00::1',
      prefixLength: 64,
      flags: ['nodad', 'noprefixroute'] as const,
    },
    {
      index: l.v0,
      address: '10.9.0.1',
      prefixLength: 32,
      peer: '10.9.0.2',
      scope: 'link' as const,
    },
    {
      index: l.v0,
      address: '10.8.0.1',
      prefixLength: 24,
      metric: 77,
      lifetime: { preferredSeconds: 500, validSeconds: 1000 },
    },
  ]
  succeed(t, l, specs.map(addr.add))
  const [v0] = l.json('ip', 'address', 'show', 'dev', 'v0')
  const find = (local: string) =>
    v0.addr_info.find((info: { local: string }) => info.local === local)
  t.match(find('10.0.0.1'), { prefixlen: 24, broadcast: '10.0.0.255', label: 'v0:x' })
  t.match(find('fd00::1'), { prefixlen: 64, nodad: true, noprefixroute: true, scope: 'global' })
  t.match(find('10.9.0.1'), { address: '10.9.0.2', prefixlen: 32, scope: 'link' })
  t.match(find('10.8.0.1'), { metric: 77, preferred_life_time: 500, valid_life_time: 1000 })
  const read = l.socket.dump(addr.list({ index: l.v0 }))
  t.match(
    read.find(({ address }) => address === 'fd00::1'),
    { family: 6, prefixLength: 64, flags: ['nodad', 'permanent', 'noprefixroute'] },
  )
  t.match(
    read.find(({ address }) => address === '10.9.0.1'),
    { peer: '10.9.0.2', scope: 'link' },
  )
  t.equal(read.length, v0.addr_info.length)
  t.ok(l.socket.dump(addr.list({ family: 4 })).every(({ family }) => family === 4))
  succeed(t, l, [addr.replace(specs[0]!), ...specs.map(addr.remove)])
  t.strictSame(
    l.socket.dump(addr.list({ index: l.v0 })).filter(({ scope }) => scope === 'global'),
    [],
  )
})

t.test('routes', options, async (t) => {
  const l = pair(t)
  succeed(t, l, [
    addr.add({ index: l.v0, address: '10.0.0.1', prefixLength: 24 }),
    addr.add({ index: l.v0, address: 'fd00::1', prefixLength: 64, flags: ['nodad'] }),
    route.add({ family: 4, dst: '10.1.0.0/24', gateway: '192.0.2.1', oif: l.v0, onlink: true }),
    route.add({ family: 4, dst: '10.2.0.0/16', type: 'blackhole', protocol: 99 }),
    route.add({ family: 4, gateway: '10.0.0.2', mtu: 1400, prefSrc: '10.0.0.1' }),
    route.add({ family: 4, dst: '10.3.0.0/24', gateway: 'fd00::2', oif: l.v0 }),
    route.add({
      family: 4,
      dst: '10.4.0.0/24',
      multipath: [
        { gateway: '10.0.0.2', oif: l.v0, weight: 3 },
        { gateway: '10.0.0.3', oif: l.v0 },
      ],
    }),
    route.add({ family: 6, dst: 'fd01::/64', gateway: 'fd00::2', oif: l.v0, priority: 50 }),
    route.add({ family: 6, dst: 'fd02::/64', type: 'unreachable' }),
    route.add({ family: 4, dst: '10.5.0.0/24', oif: l.v0, table: 1000 }),
  ])
  const show = (...args: string[]) => l.json('ip', '-d', '-N', 'route', 'show', ...args)[0]
  t.match(show('10.1.0.0/24'), { gateway: '192.0.2.1', dev: 'v0', flags: ['onlink'] })
  t.match(show('10.2.0.0/16'), { type: '6', protocol: '99' })
  t.match(show('default'), { gateway: '10.0.0.2', prefsrc: '10.0.0.1', metrics: [{ mtu: 1400 }] })
  t.match(show('10.3.0.0/24'), { via: { family: 'inet6', host: 'fd00::2' } })
  t.match(show('10.4.0.0/24').nexthops, [{ weight: 3 }, { gateway: '10.0.0.3', weight: 1 }])
  t.match(show('table', '1000'), { dst: '10.5.0.0/24', scope: '253' })
  t.match(l.json('ip', '-6', '-d', 'route', 'show', 'fd01::/64')[0], { metric: 50 })

  const read = l.socket.dump(route.list())
  const of = (dst: string | undefined) => read.find((r) => r.dst === dst && r.family === 4)
  t.match(of('10.1.0.0/24'), { gateway: '192.0.2.1', onlink: true, oif: l.v0 })
  t.match(of('10.3.0.0/24'), { gateway: 'fd00::2' })
  t.match(of('10.4.0.0/24')?.multipath, [{ weight: 3 }, { weight: 1 }])
  t.match(of('10.5.0.0/24'), { table: 1000 })
  t.match(of(undefined), { gateway: '10.0.0.2', mtu: 1400 })
  const main = l.socket.dump(route.list({ family: 4, table: routeTable.main }))
  t.equal(main.length, l.json('ip', '-4', 'route', 'show').length, 'as many as ip shows')
  t.strictSame(
    l.socket.dump(route.list({ protocol: 99 })).map(({ dst }) => dst),
    ['10.2.0.0/16'],
  )
  t.strictSame(
    l.socket.dump(route.list({ family: 6, type: 'unreachable' })).map(({ dst }) => dst),
    ['fd02::/64'],
  )
  t.strictSame(l.socket.dump(route.list({ family: 4, table: 77 })), [], 'no such table')
  const others = l.socket.dump(route.list({ family: 4, table: 254, exceptProtocol: 99 }))
  t.equal(others.length, main.length - 1)
  t.match(l.socket.get(route.get({ dst: '10.4.0.9' })), {
    dst: '10.4.0.0/24',
    table: 254,
    multipath: [{ gateway: '10.0.0.2', weight: 3 }, { gateway: '10.0.0.3' }],
  })
  t.match(l.socket.get(route.get({ dst: 'fd01::9' })), { dst: 'fd01::/64', gateway: 'fd00::2' })
  t.match(l.socket.get(route.get({ dst: '10.0.0.1' })), { type: 'local' })
  t.equal(l.socket.get(route.get({ dst: 'fd09::9' })), undefined)
  t.throws(() => l.socket.get(route.get({ dst: '10.2.0.9' })), { code: 'EINVAL' }, 'blackhole')
  succeed(t, l, [
    route.replace({ family: 4, gateway: '10.0.0.3' }),
    route.remove({ family: 4, dst: '10.1.0.0/24' }),
    route.remove({ family: 4, dst: '10.2.0.0/16', type: 'blackhole' }),
    route.remove({ family: 6, dst: 'fd01::/64' }),
  ])
  t.match(show('default'), { gateway: '10.0.0.3' })
  t.equal(show('10.1.0.0/24'), undefined)
})

t.test('neighbours and forwarding entries', options, async (t) => {
  const l = pair(t)
  const mac = '02:00:00:00:00:09'
  const kind = { type: 'vxlan', vni: 1, port: 4789, local: '10.0.0.1', learning: false } as const
  succeed(t, l, [
    link.add({ name: 'br0', kind: { type: 'bridge' } }),
    link.add({ name: 'vx0', up: true, kind }),
  ])
  const [br0, vx0] = ['br0', 'vx0'].map((name) => l.socket.get(link.get({ name }))!.index)
  const zero = '00:00:00:00:00:00'
  succeed(t, l, [
    link.set({ index: l.v1 }, { master: br0! }),
    neigh.add({ index: l.v0, address: '10.0.0.9', mac, protocol: 99 }),
    neigh.replace({ index: l.v0, address: 'fd00::9', mac, state: 'reachable', externLearn: true }),
    neigh.add({ index: l.v0, address: '10.0.0.77', proxy: true }),
    fdb.append({ index: vx0!, mac: zero, dst: '10.0.0.5' }),
    fdb.append({ index: vx0!, mac: zero, dst: '10.0.0.6' }),
    fdb.replace({ index: vx0!, mac, dst: '10.0.0.7', port: 8472, vni: 7, via: l.v0 }),
    fdb.add({ index: l.v1, mac, master: true, state: 'static' }),
  ])
  const show = l.json('ip', 'neigh', 'show')
  t.match(
    show.find((n: { dst: string }) => n.dst === '10.0.0.9'),
    { lladdr: mac, state: ['PERMANENT'] },
  )
  t.equal(l.json('ip', 'neigh', 'show', 'proxy')[0].dst, '10.0.0.77')
  const entries = l.json('bridge', 'fdb', 'show', 'dev', 'vx0')
  t.strictSame(
    entries
      .filter((e: { mac: string }) => e.mac === zero)
      .map((e: { dst: string }) => e.dst)
      .sort(),
    ['10.0.0.5', '10.0.0.6'],
  )
  t.match(
    entries.find((e: { mac: string }) => e.mac === mac),
    { dst: '10.0.0.7', port: 8472, vni: 7, viaIf: 'v0', state: 'permanent' },
  )
  t.match(
    l.json('bridge', 'fdb', 'show', 'dev', 'v1').find((e: { mac: string }) => e.mac === mac),
    { master: 'br0', state: 'static' },
  )
  const neighs = l.socket.dump(neigh.list({ index: l.v0 }))
  t.match(
    neighs.find(({ address }) => address === '10.0.0.9'),
    { family: 4, mac, state: 'permanent', protocol: 99, index: l.v0 },
  )
  t.match(
    neighs.find(({ address }) => address === 'fd00::9'),
    { state: 'reachable', externLearn: true },
  )
  t.match(l.socket.dump(neigh.list({ proxy: true })), [{ address: '10.0.0.77', proxy: true }])
  const onVx0 = l.socket.dump(fdb.list({ index: vx0! }))
  t.match(
    onVx0.find((e) => e.mac === mac),
    { dst: '10.0.0.7', port: 8472, vni: 7, via: l.v0, self: true },
  )
  t.match(
    l.socket.dump(fdb.list({ bridge: br0! })).find((e) => e.mac === mac),
    { index: l.v1, bridge: br0!, master: true, state: 'static' },
  )
  succeed(t, l, [
    fdb.remove({ index: vx0!, mac: zero, dst: '10.0.0.5' }),
    fdb.remove({ index: vx0!, mac, dst: '10.0.0.7', port: 8472, vni: 7, via: l.v0 }),
    fdb.remove({ index: l.v1, mac, master: true }),
    neigh.remove({ index: l.v0, address: '10.0.0.9' }),
    neigh.remove({ index: l.v0, address: '10.0.0.77', proxy: true }),
  ])
  t.strictSame(
    l.socket.dump(fdb.list({ index: vx0! })).map(({ dst }) => dst),
    ['10.0.0.6'],
  )
})

t.test('refusals say what was asked and why', options, async (t) => {
  const l = pair(t)
  const address = { index: l.v0, address: '10.0.0.1', prefixLength: 24 }
  l.socket.run(addr.add(address))
  const results = l.socket.execute([
    addr.add(address),
    link.set({ name: 'nobody' }, { up: true }),
    link.set({ index: l.v0 }, { mtu: 1400 }),
    route.add({ family: 4, dst: '10.1.0.0/24', gateway: '192.0.2.1' }),
    link.add({ name: 'v0', kind: { type: 'bridge' } }),
  ])
  t.strictSame(
    results.map((error: NetlinkError | undefined) => error?.message),
    [
      `Cannot address add 10.0.0.1/24 dev if${l.v0}: EEXIST: ipv4: Address already assigned`,
      'Cannot link set dev nobody up: ENODEV',
      undefined,
      'Cannot route add 10.1.0.0/24 via 192.0.2.1: ENETUNREACH: Nexthop has invalid gateway',
      'Cannot link add name v0 type bridge: EEXIST',
    ],
  )
  t.equal(l.socket.get(link.get({ name: 'nobody' })), undefined)
  t.equal(l.socket.get(link.get({ index: 9999 })), undefined)
})

t.test('20 000 routes in one call, a few of them refused', options, async (t) => {
  const l = pair(t)
  const dst = (i: number): string => `20.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`
  const all = Array.from({ length: 20_000 }, (_, i) => dst(i))
  const good = all.map((dst) => route.add({ family: 4, dst, oif: l.v0, protocol: 99 }))
  // Every refusal carries text, so they fill the receive buffer faster than successes.
  const results = l.socket.execute([...good, ...good.slice(0, 10_000)])
  t.equal(results.filter((error) => error === undefined).length, 20_000)
  t.ok(results.slice(20_000).every((error) => error?.code === 'EEXIST'))
  const read = l.socket.dump(route.list({ family: 4, protocol: 99 }))
  const shown = l.json('ip', '-N', 'route', 'show', 'proto', '99')
  t.equal(shown.length, 20_000)
  const bare = (dst: string | undefined): string | undefined => dst?.replace('/32', '')
  t.strictSame(
    read.map((r) => bare(r.dst)),
    shown.map((r: { dst: string }) => r.dst),
    'the dump is what ip shows, in the same order',
  )
  // In a pool thread it is the same, whatever is asked meanwhile and beside it.
  const list = route.list({ family: 4, protocol: 99 })
  let turns = 0
  let going = true
  const count = (): void => {
    turns++
    l.socket.get(link.get({ index: l.v0 }))
    if (going) setImmediate(count)
  }
  setImmediate(count)
  const soon = await Promise.all([l.socket.dumpAsync(list), l.socket.dumpAsync(list)])
  going = false
  for (const rows of soon) t.strictSame(rows, read)
  t.ok(turns > 10, `${turns} turns for others`)
  const removed = await l.socket.executeAsync(all.map((dst) => route.remove({ family: 4, dst })))
  t.ok(removed.every((error) => error === undefined))
  t.strictSame(l.socket.dump(route.list({ family: 4, protocol: 99 })), [])
})

t.test('monitors that leave routes out', options, async (t) => {
  const l = pair(t)
  const open = (filter: ReturnType<typeof ignoreRoutes>): Monitor => {
    const monitor = Monitor.open({ groups: ['route4', 'route6', 'addr4'], netnsFd: l.fd, filter })
    t.teardown(() => monitor.close())
    return monitor
  }
  const others = open(ignoreRoutes({ portId: l.socket.portId }))
  const notMine = open(ignoreRoutes({ protocol: 99 }))
  succeed(t, l, [
    addr.add({ index: l.v0, address: '10.0.0.1', prefixLength: 24 }),
    route.add({ family: 4, dst: '10.1.0.0/24', oif: l.v0, protocol: 99 }),
    route.add({ family: 6, dst: 'fd01::/64', oif: l.v0, protocol: 99 }),
    route.add({ family: 4, dst: '10.2.0.0/24', oif: l.v0, protocol: 98 }),
  ])
  l.exec('ip', 'route', 'del', '10.1.0.0/24')
  const said = (monitor: Monitor): readonly string[] =>
    monitor
      .drain()
      .events.flatMap((event) =>
        event.kind === 'route' && event.route.table === routeTable.main
          ? [`${event.change} ${event.route.dst}`]
          : [],
      )
      .filter((text) => !text.includes('fe80'))
  t.strictSame(said(others), ['new 10.0.0.0/24', 'del 10.1.0.0/24'])
  t.strictSame(said(notMine), ['new 10.0.0.0/24', 'new 10.2.0.0/24'])
})
