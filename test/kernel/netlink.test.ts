/**
 * Operations as netlink requests: decoded again they say the same, and a kernel
 * that answers a dump with them is read as the state they were made of.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import * as nl from 'netlink-ts'
import { scripted, table } from 'netlink-ts/testing'
import t from 'tap'
import {
  type KernelObject,
  type KernelOp,
  kernelState,
  type Link,
  renderState,
} from '../../src/kernel/mod.ts'
import { opRequests, unknownLink } from '../../src/kernel/netlink.ts'
import { readState } from '../../src/kernel/netlink-read.ts'
import { parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { actualArb, desiredArb } from './arbitraries.ts'

const NAMES = [
  'lo',
  'eth0',
  'eth1',
  'trvx.1',
  'trvb.1',
  'trvl.1',
  'trv0000000000a',
  'trv0000000000b',
  'br0',
]
const indexOf = (name: string): number => {
  const at = NAMES.indexOf(name)
  if (at < 0) throw unknownLink(name)
  return at + 1
}

const texts = (op: KernelOp, peerNetnsFd?: number): readonly string[] =>
  opRequests(op, peerNetnsFd === undefined ? { indexOf } : { indexOf, peerNetnsFd }).map(
    ({ text }) => text,
  )

const messages = (op: KernelOp): readonly nl.Message[] =>
  opRequests(op, { indexOf }).flatMap(({ message }) => nl.splitMessages(message))

/** What one operation asks for, read back. RTM_SETLINK has the body of RTM_NEWLINK. */
function asked(op: KernelOp): nl.Event | undefined {
  const [message] = messages(op)
  if (message === undefined) return undefined
  const type = message.type === nl.RTM.setLink ? nl.RTM.newLink : message.type
  return nl.decodeEvent({ ...message, type })
}

const pair: Link = {
  kind: 'link',
  name: 'trv0000000000a',
  link: { type: 'veth', peer: { name: 'eth0', mac: parseMac('02:00:00:00:00:07') } },
  up: true,
  mac: parseMac('02:74:72:69:76:01'),
  mtuBytes: 1450,
  alias: 'trivium pods c0ffee eth0 1',
}
const tunnel: Link = {
  kind: 'link',
  name: 'trvx.1',
  link: { type: 'vxlan', vni: 7, port: 8472, underlay: 'eth0', local: parseIp('192.0.2.1') },
  up: true,
  mtuBytes: 1450,
}
const port: Link = {
  kind: 'link',
  name: 'trvl.1',
  link: { type: 'vlan', parent: 'eth0', id: 100 },
  up: true,
  master: 'trvb.1',
}

t.test('links', async (t) => {
  t.match(asked({ kind: 'add', object: tunnel }), {
    kind: 'link',
    change: 'new',
    link: {
      name: 'trvx.1',
      kind: 'vxlan',
      mtu: 1450,
      up: true,
      data: { vni: 7, port: 8472, link: 2, local: '192.0.2.1', learning: false },
    },
  })
  const six: Link = {
    ...tunnel,
    link: { ...tunnel.link, local: parseIp('2001:db8::1') } as Link['link'],
  }
  t.match(asked({ kind: 'add', object: six }), {
    link: { data: { local6: '2001:db8::1', local: undefined } },
  })
  t.match(asked({ kind: 'add', object: port }), {
    link: { kind: 'vlan', link: 2, master: 5, data: { id: 100 } },
  })
  t.match(asked({ kind: 'add', object: pair }), {
    link: { name: 'trv0000000000a', mac: '02:74:72:69:76:01' },
  })
  const made = texts({ kind: 'add', object: pair }, 9)
  t.equal(made.length, 2, 'the alias goes in a second message: the kernel ignores it at creation')
  t.match(made[0], 'eth0')
  t.match(made[1], 'trivium pods c0ffee eth0 1')
  t.throws(() => texts({ kind: 'add', object: { ...pair, link: { type: 'veth' } } }), {
    code: 'INTERNAL',
  })
  t.throws(() => texts({ kind: 'add', object: { ...port, master: 'trvb.9' } }), {
    code: 'KERNEL',
    message: 'Cannot find link trvb.9: no such device',
  })
})

t.test('changes of links carry what differs, and nothing else', async (t) => {
  const change = (from: Link, to: Link): nl.Event | undefined => asked({ kind: 'change', from, to })
  const link = (event: nl.Event | undefined): nl.Link | undefined =>
    event?.kind === 'link' ? event.link : undefined
  const raised = link(change({ ...tunnel, up: false }, tunnel))
  t.match(raised, { name: 'trvx.1', up: true })
  t.notOk(raised?.mtu)
  const { master: _left, ...alone } = port
  const freed = { kind: 'change', from: port, to: alone } as const
  t.match(link(asked(freed)), { name: 'trvl.1', master: undefined })
  t.match(texts(freed)[0], /master/, 'leaving a bridge is said')
  t.notMatch(texts({ ...freed, to: port })[0], /master/, 'staying is not')
  const [text = ''] = texts({ kind: 'change', from: { ...tunnel, mtuBytes: 1400 }, to: tunnel })
  t.match(text, /mtu 1450/)
  t.notMatch(text, / up/)
})

t.test('removing names the object', async (t) => {
  const dst = parsePrefix('10.42.0.64/26')
  const objects: readonly (readonly [KernelObject, object])[] = [
    [tunnel, { kind: 'link', link: { name: 'trvx.1' } }],
    [
      { kind: 'addr', link: 'trvx.1', ip: parseIp('10.42.0.0'), prefixLength: 32 },
      { kind: 'addr', addr: { index: 4, address: '10.42.0.0', prefixLength: 32 } },
    ],
    [
      { kind: 'route', dst, type: 'blackhole', metric: 0, protocol: 84 },
      { kind: 'route', route: { dst, type: 'blackhole' } },
    ],
    [
      {
        kind: 'neigh',
        link: 'trvx.1',
        ip: parseIp('10.42.0.64'),
        mac: parseMac('02:00:00:00:00:07'),
      },
      { kind: 'neigh', neigh: { index: 4, address: '10.42.0.64' } },
    ],
    [
      {
        kind: 'fdb',
        link: 'trvx.1',
        mac: parseMac('02:00:00:00:00:07'),
        dst: parseIp('192.0.2.2'),
      },
      { kind: 'fdb', fdb: { index: 4, mac: '02:00:00:00:00:07', dst: '192.0.2.2' } },
    ],
  ]
  for (const [object, expected] of objects) {
    t.match(asked({ kind: 'remove', object }), { change: 'del', ...expected }, object.kind)
  }
})

t.test('flags that tell an addition from a replacement', async (t) => {
  const flags = (op: KernelOp): number => messages(op)[0]?.flags ?? 0
  const route: KernelObject = {
    kind: 'route',
    dst: parsePrefix('10.0.0.0/8'),
    type: 'unicast',
    link: 'eth0',
    metric: 0,
    protocol: 84,
  }
  const fdb: KernelObject = {
    kind: 'fdb',
    link: 'trvx.1',
    mac: parseMac('02:00:00:00:00:07'),
    dst: parseIp('192.0.2.2'),
  }
  t.ok(flags({ kind: 'add', object: route }) & nl.NLM_F.excl, 'add refuses what is there')
  t.ok(flags({ kind: 'change', from: route, to: route }) & nl.NLM_F.replace)
  for (const kind of ['add', 'change'] as const) {
    const op: KernelOp = kind === 'add' ? { kind, object: fdb } : { kind, from: fdb, to: fdb }
    t.notOk(flags(op) & nl.NLM_F.append, 'appending would flood to two tunnel endpoints')
  }
})

t.test('routes', async (t) => {
  const route = (change: object): nl.Event | undefined =>
    asked({
      kind: 'add',
      object: {
        kind: 'route',
        dst: parsePrefix('10.42.0.64/26'),
        type: 'unicast',
        link: 'eth0',
        metric: 0,
        protocol: 84,
        ...change,
      },
    })
  t.match(
    route({}),
    { route: { scope: 'link', protocol: 84, table: 254, oif: 2 } },
    'no gateway: on the link',
  )
  t.match(route({ via: parseIp('192.0.2.2'), onlink: true }), {
    route: { gateway: '192.0.2.2', onlink: true },
  })
  t.match(route({ dst: parsePrefix('::/0'), via: parseIp('fe80::1'), metric: 1024 }), {
    route: { family: 6, dst: undefined, gateway: 'fe80::1', priority: 1024 },
  })
  const sysctl: KernelObject = { kind: 'sysctl', name: 'net.ipv4.ip_forward', value: '1' }
  t.throws(() => asked({ kind: 'add', object: sysctl }), { code: 'INTERNAL' })
})

/** A kernel that holds `objects`: each dump is answered with the bytes of the requests that make them. */
function holding(objects: readonly KernelObject[]): nl.Conn {
  const bodies = objects.flatMap((object) => {
    const [message] = messages({ kind: 'add', object })
    if (message === undefined) return []
    const body = message.body.slice()
    // A request to create a link has no index; a dump always has.
    if (object.kind === 'link') new DataView(body.buffer).setInt32(4, indexOf(object.name), true)
    return [{ object, type: message.type, body }]
  })
  return scripted((request) => {
    const [family] = request.body
    return table(
      request,
      bodies.filter(({ object, type, body }) => {
        if (type !== request.type - 2) return false // RTM_GET is RTM_NEW + 2
        if (object.kind === 'route' || object.kind === 'fdb') return body[0] === family
        return object.kind !== 'neigh' || family === 0
      }),
    )
  })
}

/** Without what requests cannot carry in one message, or dumps do not show. */
function seen(object: KernelObject): KernelObject {
  if (object.kind !== 'link') return object
  const { alias: _second, adopt: _planned, ...link } = object
  return link
}

const makeable = (object: KernelObject): boolean =>
  object.kind !== 'sysctl' && (object.kind !== 'link' || object.link.type !== 'other')

const stateArb = fc
  .oneof(desiredArb, actualArb)
  .map((state) => [...state.values()].filter(makeable).map(seen))

const lo: Link = { kind: 'link', name: 'lo', link: { type: 'bridge' }, up: true }
const under: readonly Link[] = ['eth0', 'eth1'].map((name) => ({ ...lo, name }))

holds(t, 'a dump of what the requests make is the state they were made of', stateArb, (objects) => {
  const withPeers = [...under, ...objects].map(
    (object): KernelObject =>
      object.kind === 'link' && object.link.type === 'veth'
        ? { ...object, link: { type: 'veth', peer: { name: 'eth0' } } }
        : object,
  )
  const read = readState(holding(withPeers)).filter(({ kind }) => kind !== 'link')
  const expected = objects.filter(({ kind }) => kind !== 'link')
  assert.equal(renderState(kernelState(read)), renderState(kernelState(expected)))
  const links = readState(holding(withPeers)).filter((object) => object.kind === 'link')
  assert.equal(links.length, withPeers.filter(({ kind }) => kind === 'link').length)
  for (const link of links) {
    const wanted = [...under, ...objects].find(
      (object) => object.kind === 'link' && object.name === link.name,
    )
    assert.ok(wanted?.kind === 'link')
    assert.deepEqual(link.link, wanted.link)
    assert.deepEqual([link.up, link.master, link.mac], [wanted.up, wanted.master, wanted.mac])
    if (wanted.mtuBytes !== undefined) assert.equal(link.mtuBytes, wanted.mtuBytes)
  }
})

t.test('what planners do not speak of is left out of a state', async (t) => {
  const base = { family: 4, dst: '10.0.0.0/8', oif: 2, protocol: 84 } as const
  const requests = [
    nl.route.add({ ...base, table: 100 }),
    nl.route.add({ ...base, type: 'local' }),
    nl.route.add({ ...base, type: 'unreachable' }),
    nl.neigh.add({ index: 2, address: '10.0.0.1', mac: '02:00:00:00:00:07', state: 'reachable' }),
    nl.fdb.add({ index: 2, mac: '02:00:00:00:00:07', state: 'permanent' }),
  ]
  const parts = requests.flatMap(({ message }) => nl.splitMessages(message))
  const conn = scripted((request) =>
    table(
      request,
      parts.filter(
        ({ type, body }) =>
          type === request.type - 2 && (body[0] === request.body[0] || request.body[0] === 0),
      ),
    ),
  )
  t.strictSame(readState(conn), [])
})
