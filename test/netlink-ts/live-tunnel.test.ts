/**
 * Tunnels without a link for each remote host, and links of other namespaces,
 * on the kernel itself: what is asked for here is looked at with iproute2.
 */
import t from 'tap'
import { addr, type Encap, link, nexthop, route, vni } from '../../src/netlink-ts/mod.ts'
import { type Lab, lab, notRoot, succeed } from './support.ts'

const options = { skip: notRoot }
const external = { type: 'vxlan', external: true, learning: false } as const

/** The index of vx0, a VXLAN link that takes the tunnel from the packet. */
function tunnel(l: Lab): number {
  const kind = { ...external, vnifilter: true, port: 4790 }
  l.socket.run(link.add({ name: 'vx0', up: true, kind }))
  return l.socket.get(link.get({ name: 'vx0' }))!.index
}

t.test('routes with an encapsulation', options, async (t) => {
  const l = lab(t)
  const oif = tunnel(l)
  const four = { type: 'ip', id: 100, dst: '192.0.2.7', src: '192.0.2.1', ttl: 9 } as const
  const six = { type: 'ip6', id: 0xff_ffff, dst: '2001:db8::7', tos: 4, flags: ['csum'] } as const
  const hops = [
    { oif, weight: 2, encap: { type: 'ip', id: 1, dst: '192.0.2.8' } as const },
    { oif, weight: 1, encap: { type: 'ip', id: 2, dst: '192.0.2.9', flags: ['key'] } as const },
  ]
  succeed(t, l, [
    addr.add({ index: oif, address: '10.0.0.1', prefixLength: 24 }), // onlink wants a local table
    route.add({ family: 4, dst: '10.1.0.0/24', oif, encap: four }),
    route.add({ family: 4, dst: '10.2.0.0/24', oif, encap: six }),
    route.add({ family: 6, dst: 'fd01::/64', oif, encap: four }),
    route.add({ family: 4, dst: '10.3.0.0/24', multipath: hops }),
    route.add({
      family: 4,
      dst: '10.4.0.0/24',
      gateway: '10.9.9.9',
      onlink: true,
      oif,
      encap: four,
    }),
  ])
  const show = (family: string, dst: string) => l.json('ip', '-d', family, 'route', 'show', dst)[0]
  const theirs = { encap: 'ip', id: 100, src: '192.0.2.1', dst: '192.0.2.7', ttl: 9, tos: 0 }
  t.match(show('-4', '10.1.0.0/24'), { ...theirs, dev: 'vx0' })
  const [line = ''] = l.exec('ip', 'route', 'show', '10.2.0.0/24').split('\n')
  t.match(line, 'encap ip6 id 16777215 src :: dst 2001:db8::7 hoplimit 0 tc 4 csum dev vx0')
  t.match(show('-6', 'fd01::/64'), { encap: 'ip', id: 100 })
  t.match(l.exec('ip', 'route', 'show', '10.3.0.0/24'), 'encap ip id 2 src 0.0.0.0 dst 192.0.2.9')
  t.match(show('-4', '10.4.0.0/24'), { gateway: '10.9.9.9', id: 100, flags: ['onlink'] })

  const read = l.socket.dump(route.list())
  const encap = (dst: string): Encap | undefined => read.find((r) => r.dst === dst)?.encap
  t.strictSame(encap('10.1.0.0/24'), four)
  t.strictSame(encap('10.2.0.0/24'), six)
  t.strictSame(encap('fd01::/64'), four)
  t.strictSame(encap('10.4.0.0/24'), four)
  t.strictSame(read.find(({ dst }) => dst === '10.3.0.0/24')?.multipath, hops)
  succeed(t, l, [
    route.replace({ family: 4, dst: '10.1.0.0/24', oif, encap: { ...four, dst: '192.0.2.77' } }),
    route.remove({ family: 4, dst: '10.3.0.0/24' }),
  ])
  t.match(show('-4', '10.1.0.0/24'), { dst: '192.0.2.77' })
  t.match(
    l.socket.execute([route.add({ family: 4, dst: '10.5.0.0/24', encap: four })])[0]?.request,
    'route add 10.5.0.0/24 encap ip id 100 src 192.0.2.1 dst 192.0.2.7 ttl 9',
  )
})

t.test('VNI filters', options, async (t) => {
  const l = lab(t)
  const index = tunnel(l)
  succeed(t, l, [
    vni.add({ index, vni: 100 }),
    vni.add({ index, vni: 200, end: 209 }),
    vni.add({ index, vni: 300, remote: '192.0.2.7' }),
    vni.add({ index, vni: 400, end: 401, remote: '192.0.2.8' }),
    vni.remove({ index, vni: 205 }),
  ])
  const show = () => l.exec('bridge', 'vni', 'show', 'dev', 'vx0').replace(/\s+/g, ' ').trim()
  t.equal(show(), 'dev vni group/remote vx0 100 200-204 206-209 300 192.0.2.7 400-401 192.0.2.8')
  const entries = [
    { index, vni: 100 },
    { index, vni: 200, end: 204 },
    { index, vni: 206, end: 209 },
    { index, vni: 300, remote: '192.0.2.7' },
    { index, vni: 400, end: 401, remote: '192.0.2.8' },
  ]
  t.strictSame(l.socket.dump(vni.list({ index })), entries)
  t.strictSame(l.socket.dump(vni.list()), entries)
  const [first] = l.socket.dump(vni.list({ index, stats: true }))
  t.match(first, { vni: 100, stats: { rxBytes: 0, txErrors: 0 } })
  t.strictSame(l.socket.dump(vni.list({ index: 9999 })), [], 'no such link')
  const [missing] = l.socket.execute([vni.remove({ index, vni: 7 })])
  t.match(missing, { code: 'ENOENT', request: `vni delete vni 7 dev if${index}` })
  t.throws(() => vni.add({ index, vni: 9, end: 8 }), RangeError)
})

t.test('every VNI of a long filter is read', options, async (t) => {
  const l = lab(t)
  const index = tunnel(l)
  const odd = Array.from({ length: 2000 }, (_, i) => 2 * i + 1)
  succeed(t, l, [...odd.map((n) => vni.add({ index, vni: n }))])
  t.strictSame(
    l.socket.dump(vni.list({ index })).map((entry) => entry.vni),
    odd,
    'in as many messages as they need',
  )
})

t.test('links of a namespace that has an id', options, async (t) => {
  const [host, pod] = [lab(t), lab(t)]
  const peer = { name: 'eth0', mtu: 1400, netnsFd: pod.fd }
  host.socket.run(link.add({ name: 'host0', kind: { type: 'veth', peer } }))
  const ours = host.socket.get(link.get({ name: 'host0' }))!
  const place = { targetNetnsId: ours.linkNetnsId! }
  const theirs = host.socket.get(link.get({ index: ours.link! }, place))
  t.match(theirs, { name: 'eth0', mtu: 1400, link: ours.index, targetNetnsId: ours.linkNetnsId })
  t.match(host.socket.get(link.get({ name: 'eth0' }, place)), { index: ours.link, mtu: 1400 })
  t.equal(host.socket.get(link.get({ name: 'host0' }, place)), undefined)
  const names = host.socket.dump(link.list(place)).map(({ name }) => name)
  t.strictSame(names.sort(), ['eth0', 'lo'])
  t.throws(() => host.socket.get(link.get({ index: 1 }, { targetNetnsId: 77 })), {
    code: 'EINVAL',
    request: 'link show dev if1 link-netnsid 77',
  })
  host.socket.run(link.remove({ name: 'eth0' }, place))
  t.equal(host.socket.get(link.get({ name: 'host0' })), undefined, 'the pair is gone')
})

t.test('nexthop objects', options, async (t) => {
  const l = lab(t)
  const oif = tunnel(l)
  const encap = { type: 'ip', id: 100, dst: '192.0.2.7' } as const
  const spec = { id: 1, oif, encap, protocol: 84 }
  succeed(t, l, [
    nexthop.add(spec),
    nexthop.add({ id: 2, gateway: '192.0.2.8', fdb: true }),
    nexthop.add({ id: 3, gateway: '192.0.2.9', fdb: true }),
    nexthop.add({ id: 10, group: [{ id: 2, weight: 7 }, { id: 3 }], fdb: true }),
    route.add({ family: 4, dst: '10.1.0.0/24', nexthopId: 1 }),
  ])
  const [line] = l.exec('ip', '-d', 'nexthop', 'show', 'id', '1').split('\n')
  t.match(line, /^id 1 +encap ip id 100 src 0.0.0.0 dst 192.0.2.7 .*dev vx0 .*proto 84/)
  t.match(l.json('ip', 'nexthop', 'show', 'id', '10'), [
    { group: [{ id: 2, weight: 7 }, { id: 3 }] },
  ])
  const flags = { onlink: false, blackhole: false, fdb: false }
  t.strictSame(l.socket.get(nexthop.get({ id: 1 })), { ...flags, ...spec, family: 4 })
  t.match(l.socket.get(nexthop.get({ id: 2 })), { gateway: '192.0.2.8', fdb: true, family: 4 })
  t.strictSame(l.socket.get(nexthop.get({ id: 10 }))?.group, [
    { id: 2, weight: 7 },
    { id: 3, weight: 1 },
  ])
  t.equal(l.socket.get(nexthop.get({ id: 99 })), undefined)
  const ids = (filter = {}) => l.socket.dump(nexthop.list(filter)).map(({ id }) => id)
  t.strictSame([ids(), ids({ oif })], [[1, 2, 3, 10], [1]])
  const [found] = l.socket.dump(route.list({ table: 254 }))
  t.match(found, { dst: '10.1.0.0/24', nexthopId: 1, encap, oif })
  t.throws(() => nexthop.add({ id: 0, blackhole: true }), RangeError)
})
