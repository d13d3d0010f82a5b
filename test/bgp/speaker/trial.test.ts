/** What a trial says of a route is what the speaker does with it: with peers of every kind, both ways. */
import t from 'tap'
import type { Attributes } from '../../../src/bgp/attributes.ts'
import type { PeerConfig } from '../../../src/bgp/config.ts'
import { FAMILIES } from '../../../src/bgp/nlri.ts'
import type { Policy } from '../../../src/bgp/policy/policy.ts'
import { SpeakerNetwork } from '../../../src/bgp/speaker/in-memory.ts'
import { configuredPeer, tryRoute } from '../../../src/bgp/speaker/trial.ts'
import { parsePrefix } from '../../../src/net/mod.ts'
import { ALL, at, ip, own, peer, speaker } from './support.ts'

/** Rules that look at prefixes: a class of each decides. */
const PICKY: Policy = {
  name: 'picky',
  rules: [
    {
      when: {
        prefixes: ['10.3.0.0/16', '10.7.0.0/16'].map((text) => ({ prefix: parsePrefix(text) })),
      },
      action: 'reject',
    },
    {
      name: 'even',
      when: { prefixes: [{ prefix: parsePrefix('10.4.0.0/16') }] },
      set: { med: 40 },
      action: 'continue',
    },
    {
      name: 'six',
      when: { prefixes: [{ prefix: parsePrefix('2001:db8:6::/48') }] },
      set: { addCommunities: [7] },
    },
  ],
  otherwise: 'accept',
}

const [CUSTOMER, PROVIDER] = [{ role: 'customer' }, { role: 'provider' }] as const
/** Of speaker 1, AS 65001: peer `192.0.2.N`. */
const PEERS: readonly (readonly [number, asn: number, Partial<PeerConfig>, itself?: object])[] = [
  [2, 65002, { importPolicy: PICKY, exportPolicy: PICKY }],
  [3, 65003, { transparent: true }, { enforceFirstAs: false }],
  [4, 65004, CUSTOMER, PROVIDER],
  [5, 65005, PROVIDER, CUSTOMER],
  [6, 65001, { isClient: true }],
  [7, 65001, { importPolicy: PICKY }],
  [8, 65001, {}],
  [9, 65009, { gracefulShutdown: true }],
]

const mine = (number: number): readonly string[] => [
  `10.${number}.0.0/16`,
  `2001:db8:${number}::/48`,
]

function world() {
  const net = new SpeakerNetwork()
  const known = PEERS.map(([number, asn, more]) => peer(`192.0.2.${number}`, asn, more))
  const node = net.add(
    'n1',
    at(1),
    speaker(1, 65001, known, mine(1), { clusterId: ip('10.9.9.9') }),
  )
  for (const [number, asn, , itself] of PEERS) {
    const teacher = peer('192.0.2.1', 65001, itself)
    const taught = mine(number).map((prefix) => own(prefix, { med: number }))
    const config = { ...speaker(number, asn, [teacher]), originate: taught }
    net.add(`n${number}`, at(number), config)
  }
  net.settle()
  return node.speaker
}

const text = (attributes: Attributes): string =>
  JSON.stringify(attributes, (_, value) => (typeof value === 'bigint' ? `${value}` : value))

t.test('what peers are told, and what is made of what they say', async (t) => {
  const speaker = world()
  const prefixes = [1, ...PEERS.map(([number]) => number)].flatMap(mine).map((p) => parsePrefix(p))
  let count = 0
  for (const [number] of PEERS) {
    const address = ip(`192.0.2.${number}`)
    const told = new Map(
      FAMILIES.flatMap((family) =>
        [...speaker.toldTo(address, family)].map((each) => [each.prefix, each.attributes]),
      ),
    )
    for (const prefix of prefixes) {
      const ground = speaker.trialGround(prefix, address)
      if (ground === undefined) throw new Error('there is such a peer')
      const { self, peer, used, received } = ground
      const name = `${prefix}, peer ${number}`
      for (const attributes of received) {
        const { outcome } = tryRoute({ self, peer, prefix, attributes, direction: 'in' })
        const path = speaker.why(prefix).find((each) => each.peer === address)
        const found = outcome.kind === 'accept' ? text(outcome.attributes) : undefined
        const isTaken = path !== undefined && path.standing.kind !== 'rejected'
        t.equal(found, isTaken ? text(path.attributes) : undefined, `in: ${name}`)
        count++
      }
      if (used === undefined || used.peer === address) continue
      const { attributes, from } = used
      const { outcome } = tryRoute({ self, peer, prefix, attributes, direction: { from } })
      const said = told.get(prefix)
      const found = outcome.kind === 'accept' ? text(outcome.attributes) : undefined
      t.equal(found, said && text(said), `out: ${name}`)
      count++
    }
  }
  t.ok(count > 100, `${count} trials`)
})

t.test('rules that matched are named, in both ways and families', async (t) => {
  const speaker = world()
  const matchedOf = (number: number, direction: 'in' | { readonly from: 'ebgp' }) => {
    const [v4, v6] = mine(number).map((text) => {
      const prefix = parsePrefix(text)
      const ground = speaker.trialGround(prefix, ip('192.0.2.2'))
      const attributes = ground?.used?.attributes
      if (ground === undefined || attributes === undefined) throw new Error(`no ${text}`)
      return tryRoute({ ...ground, prefix, attributes, direction }).matched
    })
    return [v4, v6]
  }
  for (const direction of ['in', { from: 'ebgp' }] as const) {
    t.strictSame(matchedOf(4, direction), [['even'], []])
    t.strictSame(matchedOf(6, direction), [[], ['six']])
  }
})

t.test(
  'without a session: next hops as the configuration has them, and its families',
  async (t) => {
    const hopOf = (more: Partial<PeerConfig>, family: 'ipv4' | 'ipv6' = 'ipv4') =>
      configuredPeer(peer('192.0.2.2', 65002, more), 65001).families[family]?.self.nextHop
    t.equal(hopOf({ localAddress: ip('192.0.2.1') }), '192.0.2.1')
    t.equal(hopOf({ localAddress: ip('192.0.2.1') }, 'ipv6'), '::', 'of another family')
    const nextHops = { ipv6: ip('2001:db8::1') }
    t.equal(hopOf({ localAddress: ip('192.0.2.1'), nextHops }, 'ipv6'), '2001:db8::1')
    const config = peer('192.0.2.2', 65002, { families: ['ipv4'], exportPolicy: ALL })
    const self = { asn: 65001, routerId: ip('192.0.2.1') }
    const attributes: Attributes = { origin: 'igp', asPath: [], nextHop: ip('2001:db8::9') }
    const direction = { from: 'own' } as const
    const tried = tryRoute({
      ...{ self, peer: configuredPeer(config, 65001), attributes, direction },
      prefix: parsePrefix('2001:db8:1::/48'),
    })
    t.strictSame(tried.outcome, { kind: 'reject', reason: 'the session has no ipv6' })
  },
)
