/** Traffic leaves a session before it ends, and comes back (RFC 8326). */
import t from 'tap'
import type { PeerConfig, SpeakerConfig } from '../../../src/bgp/config.ts'
import { WELL_KNOWN } from '../../../src/bgp/policy/policy.ts'
import { SpeakerNetwork, type SpeakerNode } from '../../../src/bgp/speaker/in-memory.ts'
import { parsePrefix } from '../../../src/net/mod.ts'
import { at, ip, peer, speaker, table } from './support.ts'

const [A, B, C, D] = [1, 2, 3, 4].map((number) => `192.0.2.${number}`) as [
  string,
  string,
  string,
  string,
]

/** A policy that leaves nothing of communities: the mark is made behind it. */
const BARE = {
  name: 'bare',
  rules: [{ set: { removeCommunities: 'all' } }],
  otherwise: 'accept',
} as const

/** `a` and `d` are one AS; `b` and `c` have one each. All but `c` and `d` know each other. */
const TERMS = {
  a: speaker(
    1,
    65001,
    [peer(C, 65003, { exportPolicy: BARE }), peer(B, 65002), peer(D, 65001)],
    ['10.1.0.0/16'],
  ),
  b: speaker(2, 65002, [peer(A, 65001), peer(C, 65003), peer(D, 65001)], ['10.2.0.0/16']),
  c: speaker(3, 65003, [peer(A, 65001), peer(B, 65002)], ['10.3.0.0/16']),
  d: speaker(4, 65001, [peer(A, 65001), peer(B, 65002)], ['10.4.0.0/16']),
}

interface World {
  readonly net: SpeakerNetwork
  readonly nodes: Readonly<Record<keyof typeof TERMS, SpeakerNode>>
  /** Prefixes that `c` or `d` had no way to for a moment. */
  lost(): number
  configure(config: SpeakerConfig): void
}

function world(): World {
  let lost = 0
  const net = new SpeakerNetwork({
    onEffect: ({ name }, effect) => {
      const isLoss = effect.kind === 'routes' && effect.nextHops.length === 0
      if (isLoss && (name === 'c' || name === 'd')) lost += effect.count
    },
  })
  const add = (name: keyof typeof TERMS, number: number): SpeakerNode =>
    net.add(name, at(number), TERMS[name])
  const nodes = { a: add('a', 1), b: add('b', 2), c: add('c', 3), d: add('d', 4) }
  net.settle()
  return {
    net,
    nodes,
    lost: () => lost,
    configure(config) {
      net.feed('a', { kind: 'configure', config })
      net.settle()
    },
  }
}

const toC = (change: Partial<PeerConfig>): SpeakerConfig => ({
  ...TERMS.a,
  peers: TERMS.a.peers.map((each) => (each.address === C ? { ...each, ...change } : each)),
})

const wayOf = (node: SpeakerNode, prefix: string): string | undefined =>
  table(node).find((line) => line.startsWith(`${prefix} `))

const bestOf = ({ speaker }: SpeakerNode, prefix: string) =>
  speaker.why(parsePrefix(prefix))[0]?.attributes

t.test('of one session, both ways', async (t) => {
  const { net, nodes, lost, configure } = world()
  const { a, c, d } = nodes
  const before = [table(a), table(c), table(d)]
  t.equal(wayOf(c, '10.1.0.0/16'), `10.1.0.0/16 via ${A} 65001`)
  t.equal(wayOf(d, '10.3.0.0/16'), `10.3.0.0/16 via ${C} 65003`, 'over a')
  configure(toC({ gracefulShutdown: true }))
  t.equal(wayOf(c, '10.1.0.0/16'), `10.1.0.0/16 via ${B} 65002 65001`, 'what the peer sends')
  t.equal(wayOf(d, '10.3.0.0/16'), `10.3.0.0/16 via ${B} 65002 65003`, 'what the AS sends')
  t.equal(wayOf(a, '10.3.0.0/16'), `10.3.0.0/16 via ${B} 65002 65003`, 'and this speaker')
  const told = c.speaker.why(parsePrefix('10.1.0.0/16')).find((each) => each.peer === A)
  t.strictSame(told?.attributes.communities, [WELL_KNOWN.gracefulShutdown])
  t.strictSame(told?.standing, { kind: 'lost', step: 'local-preference' })
  for (const [node, other] of [
    [a, C],
    [c, A],
  ] as const) {
    t.equal(node.speaker.peer(ip(other))?.session.establishments, 1, 'the session goes on')
    t.equal(node.speaker.peer(ip(other))?.state, 'established')
  }
  configure(toC({}))
  t.strictSame([table(a), table(c), table(d)], before, 'and back')
  configure(toC({ gracefulShutdown: true }))
  configure(toC({ gracefulShutdown: true, isShutdown: true }))
  t.not(c.speaker.peer(ip(A))?.state, 'established')
  t.equal(wayOf(c, '10.1.0.0/16'), `10.1.0.0/16 via ${B} 65002 65001`)
  t.equal(lost(), 0, 'nobody was without a way for a moment')
  configure(TERMS.a)
  net.settle(60_000)
  t.strictSame([table(a), table(c), table(d)], before)
})

t.test('of the whole speaker; a peer may be left out', async (t) => {
  const { nodes, configure } = world()
  const { a, b, c, d } = nodes
  configure({ ...toC({ gracefulShutdown: false }), gracefulShutdown: true })
  t.equal(wayOf(c, '10.1.0.0/16'), `10.1.0.0/16 via ${A} 65001`, 'left out')
  t.equal(wayOf(b, '10.1.0.0/16'), `10.1.0.0/16 via ${D} 65001`, 'over the other of the AS')
  t.equal(bestOf(d, '10.1.0.0/16')?.localPref, 0, 'inside the AS')
  t.strictSame(bestOf(d, '10.1.0.0/16')?.communities, undefined)
  t.equal(bestOf(a, '10.4.0.0/16')?.localPref, 100, 'the other one is not about to go')
  const tried = a.speaker.trialGround(parsePrefix('10.1.0.0/16'), ip(B))
  t.equal(tried?.peer.gracefulShutdown, true, 'policy test knows')
  configure(TERMS.a)
  t.equal(bestOf(d, '10.1.0.0/16')?.localPref, 100, 'and back')
  t.equal(wayOf(b, '10.1.0.0/16'), `10.1.0.0/16 via ${A} 65001`)
  t.equal(a.speaker.peer(ip(D))?.session.establishments, 1)
})

t.test('without an import policy nothing comes in all the same (RFC 8212)', async (t) => {
  const { nodes, configure } = world()
  const { importPolicy: _none, ...rest } = peer(C, 65003, { gracefulShutdown: true })
  configure({ ...TERMS.a, peers: [rest, ...TERMS.a.peers.slice(1)] })
  t.equal([...nodes.a.speaker.routes('ipv4', { from: ip(C) })].length, 0)
})
