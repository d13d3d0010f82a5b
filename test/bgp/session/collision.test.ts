/** RFC 4271 section 6.8, RFC 6286 section 2.3, RFC 4724 section 5: two connections of one peer. */
import t from 'tap'
import type { SessionTerms } from '../../../src/bgp/session/types.ts'
import { FULL, Hand, KEEPALIVE, OUR_ID, openOf } from './support.ts'

/** 1 is ours, 2 the peer's. */
type Stays = 1 | 2

interface Case {
  readonly name: string
  readonly peerId: string
  readonly asn?: number
  readonly stays: Stays
}

// We are AS 64512 with identifier 10.0.0.5.
const CASES: readonly Case[] = [
  { name: 'the peer is higher', peerId: '10.0.0.9', stays: 2 },
  { name: 'the peer is lower', peerId: '10.0.0.1', stays: 1 },
  { name: 'identifiers are numbers, not text', peerId: '9.255.255.255', stays: 1 },
  { name: 'above 2^31', peerId: '224.0.0.1', stays: 2 },
  { name: 'equal, and the peer has the higher AS', peerId: OUR_ID, asn: 64513, stays: 2 },
  { name: 'equal, and we have the higher AS', peerId: OUR_ID, asn: 64511, stays: 1 },
]

function both(terms: Partial<SessionTerms['peer']>): Hand {
  const hand = new Hand({ peer: terms })
  hand.start()
  hand.connected(1)
  hand.connected(2)
  return hand
}

for (const { name, peerId, asn = 64513, stays } of CASES) {
  const open = openOf({ id: peerId, asn, capabilities: { ...FULL, fourOctetAs: asn } })
  const loser = stays === 1 ? 2 : 1
  const lost = `${loser}:6/7 ${loser}:close`
  for (const first of [1, 2]) {
    const hand = both({ asn })
    const words = hand.hear(first, open)
    const expected = first === stays ? `${stays}:KEEPALIVE >open-confirm ${lost}` : lost
    t.equal(words, expected, `${name}; OPEN first on ${first}`)
    if (first !== stays) hand.hear(stays, open)
    t.equal(hand.hear(stays, KEEPALIVE), '>established up', 'and that one is established')
    t.equal(hand.session.facts.agreed?.connection, stays)
    t.equal(hand.hear(loser, open, KEEPALIVE), '', 'the other is not heard any more')
  }
}

t.test('a connection that comes up behind one in OpenConfirm holds its OPEN back', async (t) => {
  const hand = new Hand()
  hand.start()
  hand.connected(2)
  hand.hear(2, openOf())
  t.equal(hand.connected(1), '', 'nothing yet')
  t.equal(hand.hear(2, KEEPALIVE), '1:6/7 1:close >established up', 'it is not needed')

  const other = new Hand()
  other.start()
  other.connected(2)
  other.hear(2, openOf())
  other.connected(1)
  t.equal(other.closed(2), 'note 1:OPEN >open-sent', 'it goes on when the first is gone')
  other.hear(1, openOf(), KEEPALIVE)
  t.equal(other.state, 'established')

  const early = new Hand()
  early.start()
  early.connected(2)
  early.hear(2, openOf({ id: '10.0.0.1' }))
  early.connected(1)
  t.equal(
    early.hear(1, openOf({ id: '10.0.0.1' })),
    '1:OPEN 1:KEEPALIVE 2:6/7 2:close',
    'the peer does not wait: decided as ever, here for ours',
  )
})

t.test('an attempt is given up when the peer was faster', async (t) => {
  const hand = new Hand()
  hand.start()
  t.equal(hand.connected(2), '2:OPEN >open-sent')
  t.equal(hand.hear(2, openOf(), KEEPALIVE), '2:KEEPALIVE >open-confirm 1:abort >established up')
  t.equal(hand.connected(1), '', 'what comes of it late is not heard')
})

t.test('a peer that connects again has given up what it began before', async (t) => {
  const hand = new Hand({ peer: { passive: true } })
  hand.start()
  hand.connected(2)
  t.equal(hand.connected(4), '4:OPEN 2:6/7 2:close')
  hand.hear(4, openOf(), KEEPALIVE)
  t.equal(hand.state, 'established')
})

t.test('a new connection beside an established one', async (t) => {
  const hand = new Hand()
  hand.establish()
  t.equal(hand.connected(2), '2:6/7 2:close note')
  t.equal(hand.connected(4), '4:6/7 4:close', 'said once')
  t.equal(hand.state, 'established')

  const graceful = new Hand()
  const restart = {
    isRestarting: false,
    hasNotification: true,
    restartSeconds: 60,
    families: [{ family: 'ipv4' as const, isForwarding: false }],
  }
  const capabilities = { ...FULL, gracefulRestart: restart }
  graceful.establish({ capabilities })
  t.equal(graceful.connected(2), '', 'of the same attempt, it may be')
  t.equal(graceful.hear(2, openOf({ capabilities })), '2:6/7 2:close', 'and is')
  graceful.connected(4)
  const restarted = { ...FULL, gracefulRestart: { ...restart, isRestarting: true } }
  t.equal(
    graceful.hear(4, openOf({ capabilities: restarted })),
    '1:abort down(ipv4) 4:OPEN >open-sent 4:KEEPALIVE >open-confirm',
    'the peer says that it has restarted: the old one is gone, nobody is told (RFC 4724)',
  )
  graceful.hear(4, KEEPALIVE)
  graceful.pass(10_000)
  t.equal(graceful.connected(6), '')
  t.match(
    graceful.hear(6, openOf({ capabilities })),
    '4:abort down(ipv4) 6:OPEN',
    'nor is it young',
  )
  graceful.hear(6, KEEPALIVE)
  graceful.pass(10_000)
  graceful.connected(8)
  t.match(graceful.closed(6), '8:OPEN >open-sent', 'the old one ends by itself')
})
