/** The way from one kernel to another: complete, in order, and never through somebody's garden. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  diff,
  diffSteps,
  identity,
  inverse,
  type KernelObject,
  type KernelState,
  kernelState,
  linkOf,
  owns,
  renderOp,
  satisfies,
  subjectOf,
} from '../../src/kernel/mod.ts'
import { parseIp, parsePrefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { actualArb, desiredArb, ETH0 } from './arbitraries.ts'
import { applied } from './model.ts'

const pairArb = fc.tuple(desiredArb, actualArb)

/** Objects of `desired` that cannot be had: on a link only ADD makes, or that is somebody's. */
function unreachable(desired: KernelState, actual: KernelState): ReadonlySet<string> {
  const blocked = new Set<string>()
  const keys = new Set<string>()
  const links = [...desired.values()].filter((object) => object.kind === 'link')
  for (const wanted of links) {
    const found = actual.get(`link ${wanted.name}`)
    if (found === undefined ? wanted.adopt === true : !owns(found, actual)) blocked.add(wanted.name)
  }
  for (const { name, master } of links) {
    if (master === undefined || !blocked.has(master)) continue
    keys.add(`link ${name}`)
    if (!actual.has(`link ${name}`)) blocked.add(name)
  }
  for (const [key, wanted] of desired) {
    const place = wanted.kind === 'link' ? wanted.name : linkOf(wanted)
    if (place !== undefined && blocked.has(place)) keys.add(key)
  }
  return keys
}

holds(
  t,
  'the operations lead to what is desired, and the kernel refuses none',
  pairArb,
  ([desired, actual]) => {
    const { ops, conflicts } = diff(desired, actual)
    const after = ops.reduce(applied, actual)
    const excused = unreachable(desired, actual)
    for (const { desired: wanted, actual: found } of conflicts) {
      assert.ok(!owns(found, actual), `${identity(wanted)}: only what is foreign conflicts`)
    }
    const conflicting = new Set(conflicts.map((conflict) => identity(conflict.desired)))
    for (const [key, wanted] of desired) {
      if (excused.has(key) || conflicting.has(key)) continue
      const found = after.get(key)
      assert.ok(found !== undefined && satisfies(found, wanted), `${key} is as desired`)
    }
    for (const [key, object] of after) {
      if (owns(object, after)) assert.ok(desired.has(key), `${key} is stale`)
    }
    assert.deepEqual(diff(desired, after).ops, [], 'and a second look finds nothing to do')
  },
)

holds(
  t,
  'in pieces it is the same comparison',
  fc.tuple(pairArb, fc.integer({ min: 1, max: 5 })),
  ([[desired, actual], slice]) => {
    let pauses = 0
    const steps = diffSteps(desired, actual, slice)
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) pauses++
    assert.deepEqual(step.value, diff(desired, actual))
    assert.ok(pauses >= Math.floor(desired.size / slice), `${pauses} pauses`)
  },
)

holds(t, 'what is not ours is as it was', pairArb, ([desired, actual]) => {
  const { ops } = diff(desired, actual)
  const after = ops.reduce(applied, actual)
  for (const [key, object] of actual) {
    if (object.kind === 'sysctl' || owns(object, actual)) continue
    assert.deepEqual(after.get(key), object, key)
  }
  const foreignLinks = new Set(
    [...actual.values()].flatMap((object) =>
      object.kind === 'link' && !owns(object, actual) ? [object.name] : [],
    ),
  )
  for (const op of ops) {
    if (op.kind === 'remove') continue
    const object = subjectOf(op)
    if (object.kind === 'link')
      assert.ok(!foreignLinks.has(object.master ?? ''), 'no port for a foreign bridge')
    if (object.kind !== 'addr' && object.kind !== 'neigh' && object.kind !== 'fdb') continue
    assert.ok(!foreignLinks.has(object.link), `${renderOp(op)} is on somebody's link`)
  }
})

holds(
  t,
  'the inverses of any prefix, last first, lead back',
  fc.tuple(pairArb, fc.nat()),
  ([[desired, actual], cut]) => {
    const { ops } = diff(desired, actual)
    const done = ops.slice(0, cut % (ops.length + 1))
    // A link that is taken away takes along what only the kernel could put back.
    if (done.some((op) => op.kind === 'remove' && op.object.kind === 'link')) return
    const there = done.reduce(applied, actual)
    const back = done.toReversed().map(inverse).reduce(applied, there)
    assert.deepEqual(new Map([...back].sort()), new Map([...actual].sort()))
  },
)

holds(t, 'no operation twice, and nothing between equal states', pairArb, ([desired, actual]) => {
  const { ops } = diff(desired, actual)
  const words = ops.map((op) => `${op.kind} ${identity(subjectOf(op))}`)
  assert.equal(new Set(words).size, words.length)
  const planned: KernelState = new Map([...desired, ['link eth0', ETH0]])
  assert.deepEqual(diff(desired, planned).ops, [])
})

const route = (dst: string, link: string): KernelObject => ({
  kind: 'route',
  dst: parsePrefix(dst),
  type: 'unicast',
  link,
  metric: 0,
  protocol: 84,
})
const tunnel: KernelObject = {
  kind: 'link',
  name: 'trvx.1',
  link: { type: 'vxlan', vni: 1, port: 8472, underlay: 'eth0', local: parseIp('192.0.2.1') },
  up: true,
  alias: 'trivium pods',
}
const bridge: KernelObject = {
  kind: 'link',
  name: 'trvb.7',
  link: { type: 'bridge' },
  up: true,
  alias: 'trivium p',
}
const port: KernelObject = {
  kind: 'link',
  name: 'trvl.7',
  link: { type: 'vlan', parent: 'eth0', id: 7 },
  up: true,
  master: 'trvb.7',
  alias: 'trivium p',
}
const mac = '02:00:00:00:00:01' as const
const onTunnel = (): readonly KernelObject[] => [
  route('10.42.0.64/26', 'trvx.1'),
  { kind: 'fdb', link: 'trvx.1', mac: mac as never, dst: parseIp('192.0.2.2') },
  { kind: 'neigh', link: 'trvx.1', mac: mac as never, ip: parseIp('10.42.0.64') },
  { kind: 'addr', link: 'trvx.1', ip: parseIp('10.42.0.0'), prefixLength: 32 },
]

t.test('order: what carries comes first, and goes last', async (t) => {
  const nothing = kernelState([ETH0])
  const all = kernelState([port, ...onTunnel(), bridge, tunnel])
  const up = diff(all, nothing).ops.map((op) => identity(subjectOf(op)))
  t.strictSame(up, [
    'link trvb.7',
    'link trvx.1',
    'link trvl.7',
    'addr trvx.1 10.42.0.0/32',
    'fdb trvx.1 02:00:00:00:00:01',
    'neigh trvx.1 10.42.0.64',
    'route 10.42.0.64/26 metric 0',
  ])
  const down = diff(nothing, new Map([...all, ...nothing])).ops.map((op) => identity(subjectOf(op)))
  t.strictSame(down, [
    'route 10.42.0.64/26 metric 0',
    'fdb trvx.1 02:00:00:00:00:01',
    'neigh trvx.1 10.42.0.64',
    'addr trvx.1 10.42.0.0/32',
    'link trvl.7',
    'link trvb.7',
    'link trvx.1',
  ])
})

t.test('additions come before removals: what moves is never without a route', async (t) => {
  const before = kernelState([ETH0, tunnel, route('10.42.0.64/26', 'trvx.1')])
  const after = kernelState([route('10.42.0.64/26', 'eth0'), route('10.42.0.128/26', 'eth0')])
  t.strictSame(diff(after, before).ops.map(renderOp), [
    'ip route replace 10.42.0.64/26 dev eth0 proto 84',
    'ip route add 10.42.0.128/26 dev eth0 proto 84',
    'ip link del dev trvx.1',
  ])
})

t.test('a link with wrong fixed attributes is made anew, with what was on it', async (t) => {
  const other = { ...tunnel, link: { ...tunnel.link, port: 4789 } } as KernelObject
  const { ops } = diff(
    kernelState([tunnel, ...onTunnel()]),
    kernelState([ETH0, other, ...onTunnel()]),
  )
  t.strictSame(
    ops.map((op) => `${op.kind} ${subjectOf(op).kind}`),
    [
      ...['route', 'fdb', 'neigh', 'addr', 'link'].map((kind) => `remove ${kind}`),
      ...['link', 'addr', 'fdb', 'neigh', 'route'].map((kind) => `add ${kind}`),
    ],
  )
})

t.test('a bridge made anew gets its ports back', async (t) => {
  const wrong = { ...bridge, link: { type: 'other', name: 'dummy' } } as KernelObject
  const { ops } = diff(kernelState([bridge, port]), kernelState([ETH0, wrong, port]))
  t.strictSame(ops.map(renderOp), [
    'ip link del dev trvb.7',
    'ip link add name trvb.7 alias "trivium p" up type bridge',
    'ip link set dev trvl.7 master trvb.7',
  ])
})

t.test("somebody's link under our name: reported, and nothing is put on it", async (t) => {
  const theirs = { ...tunnel, alias: 'by hand' } as KernelObject
  const { ops, conflicts } = diff(kernelState([tunnel, ...onTunnel()]), kernelState([ETH0, theirs]))
  t.strictSame(ops, [])
  t.strictSame(conflicts, [{ desired: tunnel, actual: theirs }])
})

t.test('a pod whose link is gone is not vouched for; DEL takes the link first', async (t) => {
  const pod: KernelObject = {
    kind: 'link',
    name: 'trv0123456789a',
    link: { type: 'veth' },
    up: true,
    adopt: true,
  }
  const vouched: KernelObject = {
    kind: 'nft-element',
    set: 'pods4',
    key: 'trv0123456789a . 10.42.0.7',
  }
  const wanted = kernelState([pod, vouched])
  t.strictSame(diff(wanted, kernelState([ETH0])).ops, [])
  const { adopt: _planned, ...there } = pod
  t.strictSame(diff(wanted, kernelState([ETH0, there])).ops.map(renderOp), [
    'nft add element inet trivium pods4 { trv0123456789a . 10.42.0.7 }',
  ])
})

t.test("a pod's end follows its host's end, and stays where it was made smaller", async (t) => {
  const pair = (mtuBytes: number, peerMtuBytes: number): KernelObject => ({
    kind: 'link',
    name: 'trv0123456789a',
    link: { type: 'veth' },
    up: true,
    mtuBytes,
    peerMtuBytes,
    alias: 'trivium pods c0ffee eth0 1',
  })
  const ways = [
    { found: pair(1450, 1450), wanted: pair(1350, 1350), says: ['mtu 1350 peer mtu 1350'] },
    { found: pair(1350, 1350), wanted: pair(1450, 1450), says: ['mtu 1450 peer mtu 1450'] },
    { found: pair(1450, 1500), wanted: pair(1450, 1450), says: ['peer mtu 1450'] },
    { found: pair(1450, 1300), wanted: pair(1450, 1450), says: [] },
    { found: pair(1400, 1300), wanted: pair(1450, 1450), says: ['mtu 1450'] },
    { found: pair(1450, 1300), wanted: pair(1250, 1250), says: ['mtu 1250 peer mtu 1250'] },
  ]
  for (const { found, wanted, says } of ways) {
    const { ops } = diff(kernelState([wanted]), kernelState([found]))
    const lines = ops.map((op) => renderOp(op).replace('ip link set dev trv0123456789a ', ''))
    t.strictSame(lines, says, `${JSON.stringify(found)} to ${JSON.stringify(wanted)}`)
  }
})
