/** Single stories: what is said, to whom, in which order, and why. */
import t from 'tap'
import type { Attributes } from '../../../src/bgp/attributes.ts'
import type { Policy } from '../../../src/bgp/policy/policy.ts'
import { exportOf, toldTo, used, why } from '../../../src/bgp/rib/explain.ts'
import type { Peer } from '../../../src/bgp/rib/peers.ts'
import type { RibOutput } from '../../../src/bgp/rib/rib.ts'
import type { Ip, Prefix } from '../../../src/net/mod.ts'
import { NEXT_HOPS, PEERS, PICKY, POLICY_FUNCTIONS } from './routers.ts'
import { decode, nlri, prefixesIn, World, type WorldOptions } from './world.ts'

const [A, B, C, D, E] = PEERS as readonly [Peer, Peer, Peer, Peer, Peer]
const P = '10.1.0.0/16' as Prefix
const Q = '10.2.0.0/16' as Prefix

const route = (asns: readonly number[], more: Partial<Attributes> = {}): Attributes => ({
  origin: 'igp',
  asPath: [{ kind: 'sequence', asns }],
  nextHop: NEXT_HOPS[0]!,
  ...more,
})

function worldOf(peers: readonly Peer[], options: WorldOptions = {}): World {
  const world = new World({ policies: POLICY_FUNCTIONS, ...options })
  for (const hop of NEXT_HOPS) world.setCost(hop, 1)
  for (const peer of peers) world.up(peer)
  world.settle()
  return world
}

/** Outputs in a line each. */
function lines(outputs: readonly RibOutput[]): readonly string[] {
  return outputs.map((output) => {
    if (output.kind !== 'update' && output.kind !== 'routes') {
      return `${output.kind} ${output.family} to ${output.to}`
    }
    const prefixes = [...prefixesIn(output.prefixes)].map(({ prefix }) => prefix).join(' ')
    if (output.kind === 'routes') {
      const hops = output.nextHops.map(({ nextHop }) => `via ${nextHop}`).join(' ')
      return `kernel: ${prefixes} ${hops === '' ? 'gone' : hops}`
    }
    const path = output.attributes?.asPath.map(({ asns }) => asns.join(' ')).join(' ')
    const what = path === undefined ? 'withdrawn' : `AS_PATH ${path}`
    return `${output.to.map((ip) => ip.slice(11)).join(',')}: ${prefixes} ${what}`
  })
}

t.test('a route goes to everybody but its teacher, once, and not again unchanged', async (t) => {
  const world = worldOf([A, B, D])
  const teach = (): readonly string[] => {
    world.learn(A.address, 'ipv4', [{ prefix: P }, { prefix: Q }], route([65_001]))
    return lines(world.settle())
  }
  t.strictSame(teach(), [
    `kernel: ${P} ${Q} via 192.0.2.10`,
    `2: ${P} ${Q} AS_PATH 64512 65001`,
    `4: ${P} ${Q} AS_PATH 65001`,
  ])
  t.strictSame(teach(), [])
  world.learn(A.address, 'ipv4', [{ prefix: Q }], undefined)
  t.strictSame(lines(world.settle()), [
    `kernel: ${Q} gone`,
    `2: ${Q} withdrawn`,
    `4: ${Q} withdrawn`,
  ])
})

t.test('a new best path of another peer is taken back from that one', async (t) => {
  const world = worldOf([A, B, D])
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001, 65_009]))
  world.settle()
  world.learn(B.address, 'ipv4', [{ prefix: P }], route([65_001], { nextHop: NEXT_HOPS[1]! }))
  t.strictSame(lines(world.settle()), [
    `kernel: ${P} via 192.0.2.11`,
    `1: ${P} AS_PATH 64512 65001`,
    `2: ${P} withdrawn`,
    `4: ${P} AS_PATH 65001`,
  ])
})

t.test('MED is compared within a neighbour AS, whatever the order of arrival', async (t) => {
  // RFC 4451 section 3.1: two by two these three go round in a circle.
  const paths: readonly (readonly [Peer, Attributes])[] = [
    [D, route([65_001], { med: 20, nextHop: NEXT_HOPS[0]! })],
    [E, route([65_002], { med: 30, nextHop: NEXT_HOPS[1]! })],
    [PEERS[5]!, route([65_001], { med: 10, nextHop: NEXT_HOPS[2]! })],
  ]
  const orders = [0, 1, 2].flatMap((a) =>
    [0, 1, 2].filter((b) => b !== a).map((b) => [a, b, 3 - a - b]),
  )
  const bests = orders.map((order) => {
    const world = worldOf(PEERS)
    for (const [index, hop] of NEXT_HOPS.entries()) world.setCost(hop, 10 * (index + 1))
    for (const at of order) {
      world.learn(paths[at]![0].address, 'ipv4', [{ prefix: P }], paths[at]![1], at === 2)
      world.settle()
    }
    world.check()
    return why(world.rib, P).map(({ peer, standing }) =>
      standing.kind === 'lost' ? `${peer} ${standing.step}` : `${peer} ${standing.kind}`,
    )
  })
  t.equal(orders.length, 6)
  for (const best of bests) {
    t.strictSame(best, [`${E.address} best`, '198.51.100.6 igp-cost', `${D.address} med`])
  }
})

t.test('each path says where it lost', async (t) => {
  const world = worldOf(PEERS, { multipath: 2 })
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001]))
  world.learn(B.address, 'ipv4', [{ prefix: P }], route([65_001], { nextHop: NEXT_HOPS[1]! }))
  world.learn(C.address, 'ipv4', [{ prefix: P, pathId: 4 }], route([65_002, 1]), true)
  world.learn(D.address, 'ipv4', [{ prefix: P }], route([65_001], { localPref: 50 }))
  world.learn(E.address, 'ipv4', [{ prefix: P }], route([64_512]))
  world.setCost(NEXT_HOPS[2]!, undefined)
  world.learn(
    PEERS[6]!.address,
    'ipv4',
    [{ prefix: P }],
    route([65_003], { nextHop: NEXT_HOPS[2]! }),
  )
  world.settle()
  const found = why(world.rib, P).map(
    ({ peer, pathId, standing }) =>
      `${peer.slice(11)}#${pathId} ${standing.kind} ${'step' in standing ? standing.step : 'reason' in standing ? standing.reason : ''}`,
  )
  // Of equal ones the lower router id: 10.0.1.5 both, then the lower address.
  t.strictSame(found, [
    '1#0 best ',
    '2#0 multipath ',
    '3#4 lost as-path-length',
    '4#0 lost local-preference',
    '7#0 lost next-hop',
    '5#0 rejected own AS 64512 in AS_PATH',
  ])
  const [first] = [...used(world.rib, 'ipv4')]
  t.strictSame(first?.nextHops, [{ nextHop: NEXT_HOPS[0] }, { nextHop: NEXT_HOPS[1] }])
  t.strictSame(why(world.rib, Q), [], 'nobody knows it')
})

t.test('a restarted peer: stale paths stay in use until End-of-RIB', async (t) => {
  const world = worldOf([A, B])
  world.learn(A.address, 'ipv4', [{ prefix: P }, { prefix: Q }], route([65_001]))
  world.settle()
  world.down(A.address, ['ipv4'])
  t.strictSame(lines(world.settle()), [], 'nothing is dropped')
  t.strictSame(
    why(world.rib, P).map(({ isStale }) => isStale),
    [true],
  )
  world.up(A)
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001]))
  t.strictSame(lines(world.settle()), [
    `end-of-rib ipv4 to ${A.address}`,
    `end-of-rib ipv6 to ${A.address}`,
  ])
  world.endOfRib(A.address, 'ipv4')
  t.strictSame(lines(world.settle()), [`kernel: ${Q} gone`, `2: ${Q} withdrawn`])
  t.strictSame(
    why(world.rib, P).map(({ isStale }) => isStale),
    [false],
  )
})

t.test('refresh repeats what the peer was told, between its marks', async (t) => {
  const world = worldOf([A, B, D])
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001]))
  world.originate(Q)
  world.settle()
  world.rib.refresh(A.address, 'ipv4')
  t.strictSame(lines(world.settle()), [
    `begin-of-refresh ipv4 to ${A.address}`,
    `1: ${Q} AS_PATH 64512`,
    `end-of-refresh ipv4 to ${A.address}`,
  ])
  const told = [...toldTo(world.rib, B.address, 'ipv4')].map(({ prefix }) => prefix)
  t.strictSame(told.sort(), [P, Q])
})

t.test('without policy eBGP neither takes nor gives (RFC 8212)', async (t) => {
  const { importPolicy: _in, exportPolicy: _out, ...bare } = A
  const world = worldOf([bare, B, D])
  world.originate(Q)
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001]))
  t.strictSame(lines(world.settle()), [`2: ${Q} AS_PATH 64512`, `4: ${Q} AS_PATH `])
  const [path] = why(world.rib, P)
  t.match(path?.standing, { kind: 'rejected', reason: 'no import policy (RFC 8212)' })
  t.match(exportOf(world.rib, Q, A.address), { reason: 'no export policy (RFC 8212)' })
})

t.test('a policy that changes says what it changes', async (t) => {
  const world = worldOf([A, B, D])
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_003]))
  world.learn(A.address, 'ipv4', [{ prefix: '172.16.0.0/12' as Prefix }], route([65_003]))
  world.settle()
  world.setPolicies([B.address], B.importPolicy, PICKY)
  t.strictSame(lines(world.settle()), [
    `2: ${P} AS_PATH 64512 64512 64512 65003`,
    '2: 172.16.0.0/12 withdrawn',
  ])
  world.check()
})

t.test('part of a group goes on from what the group was told', async (t) => {
  const world = worldOf([A, B, D])
  const [R, S, T] = ['10.3.0.0/16', '10.4.0.0/16', '10.5.0.0/16'] as [Prefix, Prefix, Prefix]
  world.learn(A.address, 'ipv4', [{ prefix: P }, { prefix: Q }], route([65_003]))
  world.learn(B.address, 'ipv4', [{ prefix: R }], route([65_002]))
  world.settle()
  world.learn(A.address, 'ipv4', [{ prefix: Q }], undefined)
  world.settle()
  world.setPolicies([B.address], B.importPolicy, PICKY)
  t.strictSame(lines(world.settle()), [`2: ${P} AS_PATH 64512 64512 64512 65003`], 'the change')
  world.learn(A.address, 'ipv4', [{ prefix: S }, { prefix: T }], route([65_003]))
  world.settle()
  world.learn(A.address, 'ipv4', [{ prefix: P }], undefined)
  world.learn(B.address, 'ipv4', [{ prefix: R }], undefined)
  t.strictSame(
    lines(world.settle())
      .filter((line) => /^[12]:/.test(line))
      .sort(),
    [`1: ${R} withdrawn`, `2: ${P} withdrawn`],
    'who taught it is told nothing',
  )
  world.check()
  world.empty()
})

t.test(
  'what a part of a group is told later does not take the place of what it was told',
  async (t) => {
    const other: Policy = { name: 'other', rules: [], otherwise: 'accept' }
    const world = worldOf([A, B, D], { policies: { ...POLICY_FUNCTIONS, other: (_, set) => set } })
    const teach = (prefix: Prefix, asns: readonly number[]): readonly string[] => {
      world.learn(D.address, 'ipv4', [{ prefix }], route(asns))
      return lines(world.settle()).filter((line) => line.startsWith('2:'))
    }
    for (const prefix of [P, Q]) teach(prefix, [65_004])
    world.setPolicies([B.address], undefined, other)
    world.settle()
    t.strictSame(teach('10.3.0.0/16' as Prefix, [65_005]), ['2: 10.3.0.0/16 AS_PATH 64512 65005'])
    t.strictSame(teach(P, [65_005]), [`2: ${P} AS_PATH 64512 65005`])
    t.strictSame(teach(Q, [65_005]), [`2: ${Q} AS_PATH 64512 65005`])
    world.check()
  },
)

t.test('more prefixes than agreed', async (t) => {
  const limited = (action: 'warn' | 'ignore' | 'down'): Peer => ({
    ...A,
    families: { ipv4: { ...A.families.ipv4!, prefixesMax: { count: 2, action } } },
  })
  const three = [P, Q, '10.3.0.0/16' as Prefix].map((prefix) => ({ prefix }))
  for (const action of ['warn', 'down'] as const) {
    const world = worldOf([limited(action)])
    t.equal(world.learn(A.address, 'ipv4', three.slice(0, 2), route([65_001])), undefined)
    const found = world.learn(A.address, 'ipv4', three, route([65_001]))
    t.match(found, { peer: A.address, count: 3, limit: 2, action, ignored: 0 })
    t.equal(world.learn(A.address, 'ipv4', three, route([65_001])), undefined, 'said once')
  }
  const world = worldOf([limited('ignore'), B])
  t.match(world.learn(A.address, 'ipv4', three, route([65_001])), { count: 2, ignored: 1 })
  t.strictSame(lines(world.settle()).at(-1), `2: ${P} ${Q} AS_PATH 64512 65001`)
  t.equal(world.rib.families.ipv4.table.size, 2)
})

t.test('attributes that are treated as withdrawn take the route back', async (t) => {
  const world = worldOf([A, B])
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001]))
  world.settle()
  const announced = [nlri('ipv4', [{ prefix: P }], false)]
  const attributes = { bytes: new Uint8Array(9), start: 0, end: 9 }
  const update = { withdrawn: [], announced, attributes, endOfRib: undefined }
  world.rib.learn(A.address, update, () => undefined)
  t.strictSame(lines(world.settle()), [`kernel: ${P} gone`, `2: ${P} withdrawn`])
})

t.test('attributes are decoded when they are met for the first time', async (t) => {
  const world = worldOf([A, B])
  let decoded = 0
  const bytes = new TextEncoder().encode(JSON.stringify(route([65_001])))
  for (const prefix of [P, Q, P]) {
    const announced = [nlri('ipv4', [{ prefix }], false)]
    const attributes = { bytes, start: 0, end: bytes.length }
    world.rib.learn(
      A.address,
      { withdrawn: [], announced, attributes, endOfRib: undefined },
      (from) => {
        decoded++
        return decode(from)
      },
    )
  }
  t.equal(decoded, 1)
})

t.test('roles: a leak is not taken, and what is for customers stays (RFC 9234)', async (t) => {
  const customer: Peer = { ...A, role: 'customer' }
  const provider: Peer = { ...B, role: 'provider' }
  const friend: Peer = { ...C, role: 'peer', families: A.families }
  const world = worldOf([customer, provider, friend])
  const S = '10.3.0.0/16' as Prefix
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001], { onlyToCustomer: 65_001 }))
  world.learn(B.address, 'ipv4', [{ prefix: Q }], route([65_001]))
  world.originate(S)
  world.settle()
  t.match(why(world.rib, P)[0]?.standing, { kind: 'rejected' })
  const told = (peer: Peer): object =>
    Object.fromEntries(
      [...toldTo(world.rib, peer.address, 'ipv4')].map(({ prefix, attributes }) => [
        prefix,
        attributes.onlyToCustomer ?? 'all',
      ]),
    )
  t.strictSame(told(customer), { [Q]: 65_001, [S]: 64_512 })
  t.strictSame(told(provider), { [S]: 'all' })
  t.strictSame(told(friend), { [S]: 64_512 })
})

t.test('a family that is deferred only learns', async (t) => {
  const world = worldOf([A, B])
  world.rib.defer('ipv4', true)
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001]))
  t.ok(world.rib.isIdle)
  t.strictSame(lines(world.settle()), [])
  world.rib.defer('ipv4', false)
  t.equal(world.settle().length, 2)
  t.equal(A.address, '198.51.100.1' as Ip)
})

t.test('what two restarts left is gone', async (t) => {
  const world = worldOf([A, B])
  world.learn(A.address, 'ipv4', [{ prefix: P }, { prefix: Q }], route([65_001]))
  world.down(A.address, ['ipv4'])
  world.up(A)
  world.learn(A.address, 'ipv4', [{ prefix: P }], route([65_001]))
  world.down(A.address, ['ipv4'])
  world.settle()
  t.equal(why(world.rib, P).length, 1)
  t.strictSame(why(world.rib, Q), [])
  world.check()
})

t.test('a queue that grows while it is worked off loses nothing', async (t) => {
  const world = worldOf([A, B])
  const prefixes = Array.from({ length: 150 }, (_, at) => ({ prefix: `10.7.${at}.0/24` as Prefix }))
  world.learn(A.address, 'ipv4', prefixes.slice(0, 50), route([65_001]))
  world.work(40)
  world.learn(A.address, 'ipv4', prefixes.slice(50), route([65_001]))
  world.settle()
  t.equal(world.kernel.size, 150)
})

t.test('an own route has no next hop that could stay: it is this end of the session', async (t) => {
  const keeps: Policy = {
    name: 'keeps',
    rules: [{ set: { nextHop: 'unchanged' } }],
    otherwise: 'reject',
  }
  const world = worldOf([{ ...A, exportPolicy: keeps }])
  world.rib.originate(P)
  world.settle()
  const [told] = [...toldTo(world.rib, A.address, 'ipv4')]
  t.equal(told?.attributes.nextHop, A.families.ipv4?.self.nextHop)
})
