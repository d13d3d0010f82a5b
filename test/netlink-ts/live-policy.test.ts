/**
 * Policy rules, queueing disciplines, VLANs of bridge ports and links of rarer
 * kinds, on the kernel itself: what is asked for here is looked at with iproute2.
 */
import t from 'tap'
import { bridgeVlan, link, qdisc, type RuleSpec, rule } from '../../src/netlink-ts/mod.ts'
import { lab, lacksKind, notRoot, pair, succeed } from './support.ts'

const options = { skip: notRoot }

const specs: readonly RuleSpec[] = [
  { family: 4, priority: 10, from: '10.0.0.0/8', to: '192.0.2.0/24', table: 7 },
  { family: 4, priority: 11, fwmark: 0x10, fwmask: 0xf0, table: 1000, protocol: 84 },
  { family: 4, priority: 12, iif: 'v0', oif: 'lo' },
  { family: 4, priority: 13, not: true, from: '10.9.0.0/16', action: 'prohibit' },
  { family: 4, priority: 14, table: 254, suppressPrefixLength: 0 },
  {
    family: 4,
    priority: 15,
    ipProtocol: 6,
    sport: { start: 1000, end: 2000 },
    dport: { start: 80, end: 80 },
    table: 9,
  },
  { family: 4, priority: 16, goto: 17 },
  { family: 4, priority: 17, uidRange: { start: 0, end: 99 }, tos: 16, action: 'blackhole' },
  { family: 6, priority: 18, from: 'fd00::/8', table: 70 },
  { family: 4, priority: 19, tunId: 77, table: 9 },
]

t.test('policy rules', options, async (t) => {
  const l = pair(t)
  succeed(t, l, specs.map(rule.add))
  const lines = l.exec('ip', '-d', 'rule', 'show').trim().split('\n').slice(1, 10)
  t.strictSame(
    lines.map((line) => line.trim().replace(/\s+/g, ' ')),
    [
      '10: from 10.0.0.0/8 to 192.0.2.0/24 lookup 7 proto unspec',
      '11: from all fwmark 0x10/0xf0 lookup 1000 proto 84',
      '12: from all iif v0 oif lo lookup main proto unspec',
      '13: not from 10.9.0.0/16 prohibit proto unspec',
      '14: from all lookup main suppress_prefixlength 0 proto unspec',
      '15: from all ipproto tcp sport 1000-2000 dport 80 lookup 9 proto unspec',
      '16: from all goto 17 proto unspec',
      '17: from all tos 0x10 uidrange 0-99 blackhole proto unspec',
      '19: from all tun_id 77 lookup 9 proto unspec',
    ],
  )
  t.match(l.json('ip', '-6', 'rule', 'show'), [{}, { priority: 18, src: 'fd00::', srclen: 8 }])
  const read = l.socket.dump(rule.list())
  for (const spec of specs) {
    const found = read.find(({ priority }) => priority === spec.priority)
    t.match(found, spec, `priority ${spec.priority} is read as it was asked for`)
  }
  t.strictSame(
    read.filter(({ family, priority }) => family === 4 && priority > 19),
    [
      { family: 4, priority: 32_766, action: 'table', table: 254, protocol: 2 },
      { family: 4, priority: 32_767, action: 'table', table: 253, protocol: 2 },
    ],
    'what a rule does not say is absent',
  )
  t.equal(l.socket.dump(rule.list({ family: 6 })).length, 3)
  const [again] = l.socket.execute([rule.add(specs[0]!)])
  t.match(again, {
    code: 'EEXIST',
    request: 'rule add priority 10 from 10.0.0.0/8 to 192.0.2.0/24 table 7',
  })
  succeed(t, l, [rule.remove({ family: 4, priority: 10 }), ...specs.slice(1).map(rule.remove)])
  t.equal(l.socket.dump(rule.list()).length, 5, 'the kernel has its own left')
  t.match(l.socket.execute([rule.remove({ family: 4, priority: 10 })])[0], { code: 'ENOENT' })
})

t.test('queueing disciplines', options, async (t) => {
  const l = pair(t)
  const tbf = {
    type: 'tbf',
    rateBytesPerSecond: 125_000,
    burstBytes: 32_768,
    limitBytes: 100_000,
  } as const
  succeed(t, l, [
    qdisc.add({ index: l.v0, kind: tbf, handle: '1:' }),
    qdisc.add({ index: l.v1, kind: { type: 'ingress' } }),
  ])
  const show = (dev: string) => l.json('tc', 'qdisc', 'show', 'dev', dev)
  t.match(show('v0'), [
    { kind: 'tbf', handle: '1:', root: true, options: { rate: 125_000, burst: 32_768 } },
  ])
  t.match(l.exec('tc', 'qdisc', 'show', 'dev', 'v0'), 'rate 1Mbit burst 32Kb lat 538ms')
  t.strictSame(l.socket.dump(qdisc.list({ index: l.v0 })), [
    { index: l.v0, kind: 'tbf', handle: '1:', parent: 'root', data: tbf },
  ])
  t.match(
    l.socket.dump(qdisc.list()).find(({ index, parent }) => index === l.v1 && parent !== 'root'),
    { kind: 'ingress', handle: 'ffff:', parent: 'ingress', data: { type: 'ingress' } },
  )
  const peaked = {
    ...tbf,
    rateBytesPerSecond: 6_000_000_000,
    burstBytes: 4_000_000,
    peakRateBytesPerSecond: 7_000_000_000,
    peakBurstBytes: 10_000,
  }
  succeed(t, l, [qdisc.replace({ index: l.v0, kind: peaked, handle: '2:' })])
  t.match(l.exec('tc', 'qdisc', 'show', 'dev', 'v0'), /2: .*rate 48Gbit .*peakrate 56Gbit/)
  const [fast] = l.socket.dump(qdisc.list({ index: l.v0 }))
  t.match(fast?.data, { rateBytesPerSecond: 6e9, peakRateBytesPerSecond: 7e9 })
  const burst = fast?.data?.type === 'tbf' ? fast.data.burstBytes : 0
  t.ok(Math.abs(burst - 4_000_000) < 6e9 * 64e-9, `a burst within a tick: ${burst}`)
  succeed(t, l, [
    qdisc.remove({ index: l.v0 }),
    qdisc.remove({ index: l.v1, parent: 'ingress' }),
    qdisc.add({ index: l.v1, kind: { type: 'clsact' } }),
  ])
  t.match(show('v0'), [{ kind: 'noqueue' }])
  t.ok(show('v1').some(({ kind }: { kind: string }) => kind === 'clsact'))
  const [error] = l.socket.execute([qdisc.add({ index: l.v0, kind: { ...tbf, burstBytes: 0 } })])
  t.match(error, { code: 'EINVAL', request: /^qdisc add dev if\d+ root tbf rate 1000000bit/ })
  const unpeaked = { ...peaked, peakBurstBytes: undefined }
  t.throws(() => qdisc.add({ index: 1, kind: unpeaked }), RangeError)
  t.throws(() => qdisc.add({ index: 1, kind: tbf, handle: '1' }), RangeError)
})

const filtering = { type: 'bridge', vlanFiltering: true } as const
t.test('VLANs of bridge ports', { skip: lacksKind(filtering) }, async (t) => {
  const l = pair(t)
  l.socket.run(link.add({ name: 'br0', kind: filtering }))
  const br0 = l.socket.get(link.get({ name: 'br0' }))!.index
  succeed(t, l, [
    link.set({ index: l.v0 }, { master: br0 }),
    bridgeVlan.add({ index: l.v0, vid: 10, pvid: true, untagged: true }),
    bridgeVlan.add({ index: l.v0, vid: 20, end: 29 }),
    bridgeVlan.add({ index: l.v0, vid: 40, untagged: true, master: true }),
    bridgeVlan.add({ index: br0, vid: 30, self: true }),
    bridgeVlan.remove({ index: l.v0, vid: 24, end: 25 }),
    bridgeVlan.remove({ index: l.v0, vid: 1 }),
  ])
  const entries = [
    { index: l.v0, bridge: br0, vid: 10, pvid: true, untagged: true },
    { index: l.v0, bridge: br0, vid: 20, end: 23, pvid: false, untagged: false },
    { index: l.v0, bridge: br0, vid: 26, end: 29, pvid: false, untagged: false },
    { index: l.v0, bridge: br0, vid: 40, pvid: false, untagged: true },
  ]
  const [v0] = l.json('bridge', '-compressvlans', 'vlan', 'show', 'dev', 'v0')
  t.match(v0.vlans, [
    { vlan: 10, flags: ['PVID', 'Egress Untagged'] },
    { vlan: 20, vlanEnd: 23 },
    { vlan: 26, vlanEnd: 29 },
    { vlan: 40, flags: ['Egress Untagged'] },
  ])
  t.strictSame(l.socket.dump(bridgeVlan.list({ index: l.v0 })), entries)
  t.match(l.socket.dump(bridgeVlan.list({ index: br0 })), [{ vid: 1, pvid: true }, { vid: 30 }])
  t.equal(l.socket.dump(bridgeVlan.list()).length, 6)
})

t.test('VLANs out of range are refused', async (t) => {
  t.throws(() => bridgeVlan.add({ index: 1, vid: 0 }), RangeError)
  t.throws(() => bridgeVlan.add({ index: 1, vid: 4095 }), RangeError)
  t.throws(() => bridgeVlan.add({ index: 1, vid: 9, end: 8 }), RangeError)
  const range = bridgeVlan.add({ index: 3, vid: 2, end: 4, pvid: true, master: true })
  t.equal(range.text, 'vlan add dev if3 vid 2-4 pvid master')
})

t.test('ifb', { skip: lacksKind({ type: 'ifb' }) }, async (t) => {
  const l = lab(t)
  l.socket.run(link.add({ name: 'i0', kind: { type: 'ifb' } }))
  t.match(l.json('ip', '-d', 'link', 'show', 'dev', 'i0'), [{ linkinfo: { info_kind: 'ifb' } }])
  t.match(l.socket.get(link.get({ name: 'i0' })), { kind: 'ifb', data: { type: 'ifb' } })
})

t.test('ipvlan', { skip: lacksKind({ type: 'ipvlan' }) }, async (t) => {
  const l = pair(t)
  const kind = { type: 'ipvlan', mode: 'l3s', flags: ['private'], link: l.v0 } as const
  l.socket.run(link.add({ name: 'i0', kind }))
  t.match(l.exec('ip', '-d', 'link', 'show', 'dev', 'i0'), 'ipvlan  mode l3s private')
  const data = { type: 'ipvlan', mode: 'l3s', flags: ['private'] }
  t.match(l.socket.get(link.get({ name: 'i0' })), { link: l.v0, data })
})

t.test('a vxlan link of IPv6, with the settings that are IPv6 alone', options, async (t) => {
  const l = pair(t)
  const kind = {
    type: 'vxlan',
    vni: 6,
    link: l.v0,
    local6: 'fd00::1',
    remote6: 'ff02::6',
    label: 0x12345,
    udpCsum: true,
    udpZeroCsum6Tx: true,
    udpZeroCsum6Rx: true,
    remoteCsumTx: true,
    remoteCsumRx: true,
    ttlInherit: true,
  } as const
  succeed(t, l, [link.add({ name: 'vx6', kind })])
  t.match(l.json('ip', '-d', 'link', 'show', 'dev', 'vx6')[0].linkinfo.info_data, {
    id: 6,
    group6: 'ff02::6',
    local6: 'fd00::1',
    link: 'v0',
    udp_zero_csum6_tx: true,
    remcsum_tx: true,
    remcsum_rx: true,
  })
  t.match(l.socket.get(link.get({ name: 'vx6' }))?.data, kind)
})
