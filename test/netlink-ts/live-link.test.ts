/**
 * Links on the kernel itself: what is asked for here is looked at with iproute2.
 */
import t from 'tap'
import { link } from '../../src/netlink-ts/mod.ts'
import { lab, notRoot, pair, succeed } from './support.ts'

const options = { skip: notRoot }

t.test('a veth pair, its peer born in another namespace', options, async (t) => {
  const [host, pod] = [lab(t), lab(t)]
  host.socket.run(
    link.add({
      name: 'host0',
      mtu: 1450,
      mac: '02:00:00:00:00:01',
      up: true,
      kind: {
        type: 'veth',
        peer: { name: 'eth0', mtu: 1400, mac: '02:00:00:00:00:02', netnsFd: pod.fd },
      },
    }),
  )
  const [ours] = host.json('ip', '-d', 'link', 'show', 'dev', 'host0')
  t.match(ours, { mtu: 1450, address: '02:00:00:00:00:01', linkinfo: { info_kind: 'veth' } })
  t.ok(ours.flags.includes('UP'))
  const [peer] = pod.json('ip', 'link', 'show', 'dev', 'eth0')
  t.match(peer, { mtu: 1400, address: '02:00:00:00:00:02' })
  const read = host.socket.get(link.get({ name: 'host0' }))
  t.match(read, { kind: 'veth', link: peer.ifindex, linkNetnsId: ours.link_netnsid, up: true })
  host.socket.run(link.remove({ name: 'host0' }))
  t.equal(pod.socket.get(link.get({ name: 'eth0' })), undefined, 'the pair is gone')
})

t.test('link.set', options, async (t) => {
  const [l, other] = [pair(t), lab(t)]
  l.socket.run(link.add({ name: 'br0', kind: { type: 'bridge' } }))
  const br0 = l.socket.get(link.get({ name: 'br0' }))!.index
  succeed(t, l, [
    link.set({ name: 'v0' }, { alias: 'to the pod', mtu: 1300, group: 7, txQueueLen: 50 }),
    link.set({ index: l.v0 }, { master: br0, mac: '02:00:00:00:00:07' }),
    link.set({ index: l.v0 }, { bridgePort: { hairpin: true, learning: false } }),
  ])
  const [v0] = l.json('ip', '-d', 'link', 'show', 'dev', 'v0')
  t.match(v0, {
    ifalias: 'to the pod',
    mtu: 1300,
    group: '7',
    txqlen: 50,
    master: 'br0',
    address: '02:00:00:00:00:07',
    linkinfo: { info_slave_data: { hairpin: true, learning: false } },
  })
  t.match(l.socket.get(link.get({ index: l.v0 })), {
    alias: 'to the pod',
    master: br0,
    bridgePort: { hairpin: true, learning: false },
  })
  t.strictSame(
    l.socket.dump(link.list({ master: br0 })).map(({ name }) => name),
    ['v0'],
    'a filtered list',
  )
  succeed(t, l, [
    link.set({ index: l.v0 }, { master: 0, alias: '' }),
    link.set({ index: l.v0 }, { up: false }),
    link.set({ index: l.v0 }, { name: 'renamed' }),
    link.set({ index: l.v0 }, { netnsFd: other.fd }),
  ])
  const [moved] = other.json('ip', 'link', 'show', 'dev', 'renamed')
  t.equal(moved.master, undefined)
  t.equal(moved.ifalias, undefined)
})

t.test('a vxlan link with every setting', options, async (t) => {
  const l = pair(t)
  l.socket.run(
    link.add({
      name: 'vx0',
      mtu: 1400,
      kind: {
        type: 'vxlan',
        vni: 0xabcdef,
        link: l.v0,
        local: '10.0.0.1',
        remote: '10.0.0.2',
        port: 4789,
        portRange: { low: 1000, high: 2000 },
        ttl: 64,
        tos: 4,
        learning: false,
        ageingSeconds: 77,
        limit: 5,
        proxy: true,
        rsc: true,
        l2miss: true,
        l3miss: true,
        udpCsum: false,
        udpZeroCsum6Tx: true,
        udpZeroCsum6Rx: true,
        gbp: true,
        df: 'set',
        localbypass: false,
      },
    }),
  )
  const [vx0] = l.json('ip', '-d', 'link', 'show', 'dev', 'vx0')
  t.match(vx0.linkinfo.info_data, {
    id: 0xabcdef,
    link: 'v0',
    local: '10.0.0.1',
    remote: '10.0.0.2',
    port: 4789,
    port_range: { low: 1000, high: 2000 },
    ttl: 64,
    tos: '0x4',
    learning: false,
    ageing: 77,
    limit: 5,
    proxy: true,
    rsc: true,
    l2miss: true,
    l3miss: true,
    udp_csum: false,
    udp_zero_csum6_tx: true,
    udp_zero_csum6_rx: true,
    gbp: true,
    df: 'set',
  })
  const vxlan = { type: 'vxlan', vni: 0xabcdef, df: 'set', gbp: true, localbypass: false }
  t.match(l.socket.get(link.get({ name: 'vx0' }))?.data, vxlan)
  succeed(t, l, [
    link.add({
      name: 'vx1',
      kind: { type: 'vxlan', external: true, vnifilter: true, learning: false, port: 4790 },
    }),
    link.add({
      name: 'vx2',
      kind: { type: 'vxlan', external: true, gpe: true, learning: false, port: 4791 },
    }),
    link.add({
      name: 'vx3',
      kind: {
        type: 'vxlan',
        vni: 3,
        local6: 'fd00::1',
        port: 4792,
        label: 0x12345,
        ttlInherit: true,
      },
    }),
  ])
  const data = (name: string) =>
    l.json('ip', '-d', 'link', 'show', 'dev', name)[0].linkinfo.info_data
  t.match(data('vx1'), { external: true, vnifilter: true })
  t.match(data('vx2'), { external: true, gpe: true })
  t.match(data('vx3'), { local6: 'fd00::1', label: '0x12345' })
  t.match(l.socket.get(link.get({ name: 'vx1' }))?.data, { external: true, vnifilter: true })
  t.match(l.socket.get(link.get({ name: 'vx3' }))?.data, { label: 0x12345, ttlInherit: true })
})

t.test('a bridge and a macvlan', options, async (t) => {
  const l = pair(t)
  succeed(t, l, [
    link.add({
      name: 'br0',
      kind: {
        type: 'bridge',
        ageingSeconds: 12.5,
        forwardDelaySeconds: 4,
        priority: 0x1000,
        mcastSnooping: false,
      },
    }),
    link.add({ name: 'mv0', kind: { type: 'macvlan', mode: 'bridge', link: l.v0 } }),
    link.set({ name: 'br0' }, { kind: { type: 'bridge', ageingSeconds: 60 } }),
  ])
  const [br0] = l.json('ip', '-d', 'link', 'show', 'dev', 'br0')
  t.match(br0.linkinfo.info_data, { ageing_time: 6000, priority: 0x1000, mcast_snooping: 0 })
  t.match(l.socket.get(link.get({ name: 'br0' }))?.data, { ageingSeconds: 60, priority: 0x1000 })
  const [mv0] = l.json('ip', '-d', 'link', 'show', 'dev', 'mv0')
  t.match([mv0.link, mv0.linkinfo.info_data.mode], ['v0', 'bridge'])
  t.match(l.socket.get(link.get({ name: 'mv0' })), { link: l.v0, data: { mode: 'bridge' } })
  t.strictSame(
    l.socket.dump(link.list({ kind: 'bridge' })).map(({ name }) => name),
    ['br0'],
  )
})

t.test('a group of links is removed at once', options, async (t) => {
  const l = lab(t)
  for (let i = 0; i < 5; i++) {
    const peer = { name: `b${i}` }
    l.socket.run(link.add({ name: `a${i}`, group: 42, kind: { type: 'veth', peer } }))
  }
  l.socket.run(link.remove({ group: 42 }))
  t.strictSame(
    l.socket.dump(link.list()).map(({ name }) => name),
    ['lo'],
  )
})
