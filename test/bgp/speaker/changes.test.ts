/** Configurations change, speakers restart, people reset: what that costs, and what not. */
import t from 'tap'
import type { PeerConfig, SpeakerConfig } from '../../../src/bgp/config.ts'
import type { Policy } from '../../../src/bgp/policy/policy.ts'
import { SpeakerNetwork, type SpeakerNode } from '../../../src/bgp/speaker/in-memory.ts'
import type { SpeakerEffect } from '../../../src/bgp/speaker.ts'
import { ALL, at, ip, own, peer, speaker, table } from './support.ts'

const [A, B] = [ip('192.0.2.1'), ip('192.0.2.2')]

interface Pair {
  readonly net: SpeakerNetwork
  readonly a: SpeakerNode
  readonly b: SpeakerNode
  /** Effects of `b` since the last call. */
  heard(): readonly SpeakerEffect[]
  configure(name: 'a' | 'b', config: SpeakerConfig): void
}

const TERMS = {
  a: speaker(1, 65001, [peer(B, 65002)], ['10.1.0.0/16', '2001:db8:1::/48']),
  b: speaker(2, 65002, [peer(A, 65001)], ['10.2.0.0/16']),
}

function pair(a = TERMS.a, b = TERMS.b): Pair {
  let effects: SpeakerEffect[] = []
  const net = new SpeakerNetwork({
    onEffect: ({ name }, effect) => {
      if (name === 'b') effects.push(effect)
    },
  })
  const nodes = { a: net.add('a', at(1), a), b: net.add('b', at(2), b) }
  net.settle()
  return {
    net,
    ...nodes,
    heard() {
      const all = effects
      effects = []
      return all
    },
    configure(name, config) {
      net.feed(name, { kind: 'configure', config })
      net.settle()
    },
  }
}

const establishments = ({ speaker }: SpeakerNode, address = A): number =>
  speaker.peer(address)?.session.establishments ?? 0

/** The configuration with its only peer changed. */
const withPeer = (config: SpeakerConfig, change: Partial<PeerConfig>): SpeakerConfig => ({
  ...config,
  peers: config.peers.map((each) => ({ ...each, ...change })),
})

const prefer = (localPref: number): Policy => ({
  name: 'prefer',
  rules: [{ set: { localPref } }],
  otherwise: 'accept',
})

t.test('policies, own routes and words change without ending a session', async (t) => {
  const { b, configure } = pair()
  configure('b', withPeer(TERMS.b, { importPolicy: prefer(300), description: 'up' }))
  const [route] = b.speaker.routes('ipv4', { from: A })
  t.equal(route?.best.attributes.localPref, 300, 'the import policy')
  const none: Policy = { name: 'none', rules: [], otherwise: 'reject' }
  configure('a', withPeer(TERMS.a, { exportPolicy: none }))
  t.strictSame(table(b), ['10.2.0.0/16 via 0.0.0.0'], 'the export policy')
  configure('a', { ...TERMS.a, originate: [] })
  t.strictSame(table(b, 'ipv6'), [])
  configure('a', TERMS.a)
  t.strictSame(table(b), ['10.1.0.0/16 via 192.0.2.1 65001', '10.2.0.0/16 via 0.0.0.0'])
  t.equal(establishments(b), 1)
  t.equal(b.speaker.peer(A)?.description, 'up')
})

t.test('an equal policy read again says nothing', async (t) => {
  const { heard, configure } = pair()
  heard()
  const again = structuredClone(TERMS.b) as SpeakerConfig
  configure('b', again)
  const kinds = heard().map(({ kind }) => kind)
  t.notOk(kinds.includes('turn.give'), 'nothing is decided anew')
})

t.test('other timers, families and numbers end the session with a Cease', async (t) => {
  const { net, a, b, configure } = pair()
  configure('b', withPeer(TERMS.b, { holdSeconds: 30 }))
  t.match(a.speaker.peer(B)?.session.lastError, { by: 'peer', code: 6, subcode: 6 })
  t.equal(b.speaker.peer(A)?.agreed?.holdSeconds, 30)
  configure('b', withPeer(TERMS.b, { families: ['ipv4'] }))
  t.strictSame(table(b, 'ipv6'), [], 'a family less')
  t.equal(table(b).length, 2)
  configure('b', { ...TERMS.b, routerId: ip('192.0.2.77') })
  t.equal(a.speaker.peer(B)?.agreed?.routerId, '192.0.2.77', 'another identifier')
  t.equal(table(b, 'ipv6').length, 1)
  configure('b', { ...TERMS.b, peers: [] })
  t.match(a.speaker.peer(B)?.session.lastError, { by: 'peer', code: 6, subcode: 3 })
  t.strictSame(table(b), ['10.2.0.0/16 via 0.0.0.0'], 'a peer that is none any more')
  configure('b', withPeer(TERMS.b, { isShutdown: true }))
  t.equal(b.speaker.peer(A)?.state, 'idle')
  configure('b', TERMS.b)
  net.settle(60_000)
  t.equal(table(b).length, 2, 'and back')
})

t.test('another speaker takes its routes back from the kernel', async (t) => {
  const { heard, configure } = pair()
  heard()
  configure('b', { ...TERMS.b, multipath: 4 })
  const routes = heard().flatMap((effect) => (effect.kind === 'routes' ? [effect] : []))
  const counts = routes.map(({ nextHops, count }) => [nextHops.length, count])
  t.strictSame(
    counts,
    [
      [0, 1],
      [0, 1],
      [1, 1],
      [1, 1],
    ],
    'away, then there again',
  )
})

t.test('a graceful restart loses nothing (RFC 4724)', async (t) => {
  const { net, a, b, heard } = pair()
  const before = [table(b), table(b, 'ipv6')]
  heard()
  net.feed('a', { kind: 'stop', isGraceful: true })
  net.runFor(1000)
  t.not(b.speaker.peer(A)?.state, 'established')
  t.strictSame([table(b), table(b, 'ipv6')], before, 'kept while it is away')
  t.ok(
    [...b.speaker.routes('ipv4')].some(({ best }) => best.isStale),
    'as stale',
  )
  net.restart('a', { ...TERMS.a, originate: TERMS.a.originate.slice(0, 1) }, { isRestarting: true })
  net.settle(30_000)
  t.strictSame(table(b), before[0])
  t.strictSame(table(b, 'ipv6'), [], 'what was not said again is gone')
  t.notOk([...b.speaker.routes('ipv4')].some(({ best }) => best.isStale))
  const routes = heard().flatMap((effect) => (effect.kind === 'routes' ? [effect] : []))
  t.strictSame(
    routes.map(({ prefixes }) => prefixes.family),
    ['ipv6'],
    'the kernel heard of that only',
  )
  t.equal(table(a).length, 2, 'and the restarted one knows its peer’s')
  net.feed('a', { kind: 'stop', isGraceful: false })
  net.settle()
  t.strictSame(table(b), ['10.2.0.0/16 via 0.0.0.0'], 'a hard end keeps nothing')
})

t.test('one that does not come back in time', async (t) => {
  const { net, b } = pair(withPeer(TERMS.a, { gracefulRestart: { restartSeconds: 20 } }))
  net.kill('a')
  net.runFor(19_000)
  t.equal(table(b).length, 2)
  net.runFor(2000)
  net.settle()
  t.equal(table(b).length, 1)
})

t.test('resets', async (t) => {
  const { net, a, b, heard } = pair()
  const updates = (): number => a.speaker.peer(B)?.session.counters.updatesIn ?? 0
  const before = updates()
  net.feed('a', { kind: 'reset', peer: B, how: 'refresh' })
  net.settle()
  t.ok(updates() > before, 'refresh: the peer says everything again')
  const [told] = [updates()]
  net.feed('b', { kind: 'reset', peer: A, how: 'out' })
  net.settle()
  t.ok(updates() > told, 'out: it is told everything again')
  t.equal(table(a).length, 2)
  heard()
  net.feed('b', { kind: 'reset', peer: A, how: 'in' })
  net.settle()
  t.ok(
    heard().some(({ kind }) => kind === 'turn.give'),
    'in: everything is asked for again of the policy',
  )
  t.equal(table(b).length, 2)
  t.equal(establishments(b), 1)
  net.feed('b', { kind: 'reset', peer: A, how: 'hard', text: 'a new cable' })
  net.settle()
  t.match(a.speaker.peer(B)?.session.lastError, { subcode: 4, text: /a new cable/ })
  t.equal(establishments(b), 2, 'hard: a new session')
  t.equal(table(b).length, 2)
})

t.test('a reflector between three of one AS (RFC 4456)', async (t) => {
  const net = new SpeakerNetwork()
  const inside = (number: number): SpeakerConfig =>
    speaker(number, 65001, [peer(B, 65001)], [`10.${number}.0.0/16`])
  const clients = [1, 3].map((number) => peer(`192.0.2.${number}`, 65001, { isClient: true }))
  net.add('rr', at(2), speaker(2, 65001, [...clients, peer('192.0.2.4', 65001)]))
  const nodes = [1, 3, 4].map((number) => net.add(`n${number}`, at(number), inside(number)))
  net.settle()
  for (const node of nodes) {
    t.equal(table(node).length, 3, `${node.name} knows all`)
  }
  const [, paths] = [0, nodes[0]!.speaker.toldTo(B, 'ipv4')]
  t.strictSame(
    [...paths].map(({ prefix }) => prefix),
    ['10.1.0.0/16'],
    'and says its own only',
  )
  const [learned] = [...nodes[1]!.speaker.routes('ipv4', { from: B })]
  t.match(learned?.best.attributes, { originatorId: '192.0.2.1', clusterList: ['192.0.2.2'] })
})

t.test('own routes beside the configuration', async (t) => {
  const { net, b } = pair()
  const { prefix } = TERMS.a.originate[0]!
  net.feed('a', { kind: 'originate', add: [own(prefix, { med: 7 })], remove: [] })
  net.settle()
  t.equal([...b.speaker.routes('ipv4', { from: A })][0]?.best.attributes.med, 7, 'hides the other')
  net.feed('a', { kind: 'configure', config: { ...TERMS.a, originate: [] } })
  net.settle()
  t.equal(table(b).length, 2, 'stays when that one goes')
  net.feed('a', { kind: 'originate', add: [], remove: [prefix] })
  net.settle()
  t.equal(table(b).length, 1)
})

t.test('a link that is cut, and one that BFD watches', async (t) => {
  const { net, b } = pair(
    withPeer(TERMS.a, { gracefulRestart: false }),
    withPeer(TERMS.b, { gracefulRestart: false }),
  )
  net.cut('a', 'b')
  net.runFor(60_000)
  t.equal(b.speaker.peer(A)?.state, 'established', 'the hold time is not over')
  net.runFor(31_000)
  t.not(b.speaker.peer(A)?.state, 'established')
  t.equal(table(b).length, 1)
  net.mend('a', 'b')
  net.runFor(60_000)
  t.equal(table(b).length, 2)
  net.feed('b', { kind: 'bfd', peer: A, isUp: false })
  net.runFor(10)
  t.equal(table(b).length, 1, 'at once')
  t.match(b.speaker.peer(A)?.session.lastError, { code: 6, subcode: 10 })
})

t.test('a thousand sessions', async (t) => {
  const net = new SpeakerNetwork()
  const address = (number: number): string => `10.255.${number >> 8}.${number & 255}`
  const hub = ip('10.254.0.1')
  const spokes = Array.from({ length: 1000 }, (_, number) => number)
  net.add('hub', [hub], {
    ...speaker(
      1,
      65000,
      spokes.map((number) => peer(address(number), 65000, { isClient: true, passive: true })),
    ),
  })
  for (const number of spokes) {
    const terms = speaker(1, 65000, [peer(hub, 65000, { importPolicy: ALL })])
    net.add(`n${number}`, [address(number)], {
      ...terms,
      routerId: ip(address(number)),
      originate: number % 100 === 0 ? [own(`10.0.${number / 100}.0/24`)] : [],
    })
  }
  net.settle()
  t.ok(
    net
      .node('hub')
      .speaker.peers()
      .every(({ state }) => state === 'established'),
  )
  t.equal(table(net.node('n7')).length, 10)
  net.runFor(200_000)
  t.ok(
    net
      .node('hub')
      .speaker.peers()
      .every(({ state }) => state === 'established'),
    'and stay',
  )
})
