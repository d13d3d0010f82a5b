/** Graceful restart, as stories: RFC 4724, RFC 8538. */
import t from 'tap'
import type { Family } from '../../../src/bgp/nlri.ts'
import type { Capabilities, GracefulRestart } from '../../../src/bgp/wire/capabilities.ts'
import { decodeOpen } from '../../../src/bgp/wire/open.ts'
import {
  END_OF_RIB,
  END_OF_RIB_6,
  FULL,
  Hand,
  KEEPALIVE,
  notification,
  openOf,
  type Settings,
} from './support.ts'

interface Restart extends Partial<GracefulRestart> {
  /** With the F bit. */
  readonly kept?: readonly Family[]
  readonly lost?: readonly Family[]
}

function withRestart({ kept = [], lost = [], ...more }: Restart = {}): Capabilities {
  const families = [
    ...kept.map((family) => ({ family, isForwarding: true })),
    ...lost.map((family) => ({ family, isForwarding: false })),
  ]
  const gracefulRestart = {
    isRestarting: false,
    hasNotification: false,
    restartSeconds: 60,
    families,
    ...more,
  }
  return { ...FULL, gracefulRestart }
}

const BOTH = { lost: ['ipv4', 'ipv6'] } as const
const BOTH_N = { ...BOTH, hasNotification: true }
const RETURNED = { kept: ['ipv4', 'ipv6'], isRestarting: true } as const

function established(restart: Restart = BOTH, settings: Settings = {}): Hand {
  const hand = new Hand(settings)
  hand.establish({ capabilities: withRestart(restart) })
  return hand
}

/** The peer is back, over a connection of its own. */
function back(hand: Hand, capabilities: Capabilities, connection = 2): string {
  hand.connected(connection)
  return hand.hear(connection, openOf({ capabilities }), KEEPALIVE)
}

t.test('a peer that restarts and says everything again', async (t) => {
  const hand = established()
  t.equal(hand.closed(1), 'down(ipv4 ipv6) >idle')
  t.strictSame(hand.session.facts.stale, ['ipv4', 'ipv6'])
  t.equal(back(hand, withRestart(RETURNED)), '2:KEEPALIVE >open-confirm >established up')
  t.equal(hand.hear(2, END_OF_RIB), 'end-of-rib(ipv4)')
  t.strictSame(hand.session.facts.stale, ['ipv6'])
  t.equal(hand.hear(2, END_OF_RIB_6), 'end-of-rib(ipv6)')
  t.strictSame(hand.session.facts.stale, [])
})

t.test('the restart time of the peer is the limit', async (t) => {
  const hand = established({ ...BOTH, restartSeconds: 30 })
  hand.closed(1)
  t.notMatch(hand.pass(29_999), 'stale-end')
  t.match(hand.pass(1), 'stale-end(ipv4) stale-end(ipv6)')
  t.strictSame(hand.session.facts.stale, [])
})

t.test('a peer that comes back and never says End-of-RIB', async (t) => {
  const hand = established()
  hand.closed(1)
  back(hand, withRestart(RETURNED))
  const words: string[] = []
  for (let minute = 0; minute < 6; minute++) {
    t.notMatch(words.join(' '), 'stale-end')
    words.push(hand.pass(60_000))
    hand.hear(2, KEEPALIVE)
  }
  t.match(words.join(' '), 'stale-end(ipv4) stale-end(ipv6)')
})

const RETURNS: readonly (readonly [name: string, Capabilities, ended: string])[] = [
  ['kept both', withRestart(RETURNED), ''],
  ['kept IPv6 only', withRestart({ kept: ['ipv6'], lost: ['ipv4'] }), ' stale-end(ipv4)'],
  ['does not speak of IPv6', withRestart({ kept: ['ipv4'] }), ' stale-end(ipv6)'],
  ['kept nothing', withRestart(BOTH), ' stale-end(ipv4) stale-end(ipv6)'],
  ['has no graceful restart any more', FULL, ' stale-end(ipv4) stale-end(ipv6)'],
  ['has IPv4 only now', { ...withRestart(RETURNED), families: ['ipv4'] }, ' stale-end(ipv6)'],
]
for (const [name, capabilities, ended] of RETURNS) {
  const hand = established()
  hand.closed(1)
  const words = back(hand, capabilities)
  t.match(words, new RegExp(`>established up${ended.replace(/[()]/g, '\\$&')}$`), `back: ${name}`)
}

/** How the session ends, and what is kept: without and with the N bit of both. */
type End = (hand: Hand) => string
const ENDS: readonly (readonly [name: string, end: End, without: string, withBit: string])[] = [
  ['transport', (hand) => hand.closed(1), 'down(ipv4 ipv6)', 'down(ipv4 ipv6)'],
  ['silence', (hand) => hand.jump(90_000), '1:4/0 1:close down ', '1:4/0 1:close down(ipv4 ipv6)'],
  [
    'an error of the peer',
    (hand) => hand.hear(1, openOf()),
    '1:5/3 01 1:close down ',
    '1:5/3 01 1:close down(ipv4 ipv6)',
  ],
  [
    'NOTIFICATION of the peer',
    (hand) => hand.hear(1, notification(6, 4)),
    '1:close down ',
    '1:close down(ipv4 ipv6)',
  ],
  [
    'hard reset of the peer',
    (hand) => hand.hear(1, notification(6, 9, '0602')),
    '1:close down ',
    '1:close down ',
  ],
  [
    'another configuration',
    (hand) => hand.in({ kind: 'stop', subcode: 6 }),
    '1:6/6 1:close down ',
    '1:6/6 1:close down ',
  ],
  [
    'another configuration, and on',
    (hand) => hand.in({ kind: 'restart', subcode: 6 }),
    '1:6/6 1:close down ',
    '1:6/6 1:close down(ipv4 ipv6)',
  ],
  [
    'a reset by the administrator',
    (hand) => hand.in({ kind: 'restart', subcode: 4, text: 'a' }),
    '1:6/4 0161 1:close down ',
    '1:6/9 06040161 1:close down ',
  ],
  [
    'shutdown',
    (hand) => hand.in({ kind: 'stop', subcode: 2, text: 'a' }),
    '1:6/2 0161 1:close down ',
    '1:6/9 06020161 1:close down ',
  ],
  [
    'de-configured',
    (hand) => hand.in({ kind: 'stop', subcode: 3 }),
    '1:6/3 1:close down ',
    '1:6/9 0603 1:close down ',
  ],
  [
    'BFD',
    (hand) => hand.in({ kind: 'bfd-down' }),
    '1:6/10 1:close down ',
    '1:6/9 060a 1:close down ',
  ],
  [
    'too many prefixes',
    (hand) => hand.in({ kind: 'prefixes-exceeded', family: 'ipv4', limit: 2 }),
    '1:6/1 00010100000002 1:close down ',
    '1:6/9 060100010100000002 1:close down ',
  ],
]
for (const [name, end, without, withBit] of ENDS) {
  const starts = (words: string, wanted: string): boolean => `${words} `.startsWith(wanted)
  const plain = end(established(BOTH))
  t.ok(starts(plain, without), `${name}, without the N bit: ${plain}`)
  const said = end(established(BOTH_N))
  t.ok(starts(said, withBit), `${name}, with it: ${said}`)
  const none = end(established(BOTH_N, { peer: { gracefulRestart: false } }))
  t.notMatch(none, 'down(', `${name}, without graceful restart here: ${none}`)
}

t.test('nothing is kept of a peer that has no time', async (t) => {
  t.equal(established({ ...BOTH, restartSeconds: 0 }).closed(1), 'down >idle')
  t.equal(established({}).closed(1), 'down >idle', 'nor of one without families')
})

t.test('whom the administrator stops while it is away', async (t) => {
  const hand = established()
  hand.closed(1)
  const words = hand.in({ kind: 'stop', subcode: 2 })
  t.equal(words, 'stale-end(ipv4) stale-end(ipv6)')
  t.equal(hand.session.nextWake(), undefined)
})

t.test('a peer that fails again before it is done', async (t) => {
  const hand = established()
  hand.closed(1)
  back(hand, withRestart(RETURNED))
  hand.hear(2, END_OF_RIB)
  t.equal(hand.closed(2), 'down(ipv4 ipv6) >idle')
  t.notMatch(hand.pass(59_000), 'stale-end', 'with a time of its own')
  t.match(hand.pass(1000), 'stale-end(ipv4) stale-end(ipv6)')
})

/** What our last OPEN says of restarts. */
function ours(hand: Hand): GracefulRestart | undefined {
  const sent = hand.effects.flatMap((each) => (each.kind === 'send' ? [each.bytes] : []))
  const bytes = sent.findLast((each) => each[18] === 1)
  const open = bytes && decodeOpen(bytes, 19, bytes.length)
  return open?.kind === 'open' ? open.capabilities.gracefulRestart : undefined
}
const bits = (restart: GracefulRestart | undefined): string =>
  restart === undefined
    ? 'none'
    : [
        ...(restart.isRestarting ? ['R'] : []),
        ...(restart.hasNotification ? ['N'] : []),
        ...restart.families.map(
          ({ family, isForwarding }) => `${family}${isForwarding ? ' F' : ''}`,
        ),
        restart.restartSeconds,
      ].join(', ')

t.test('our own restart, in our OPEN', async (t) => {
  const fresh = new Hand()
  fresh.start()
  fresh.connected(1)
  t.equal(bits(ours(fresh)), 'N, ipv4, ipv6, 120', 'nothing was kept: nothing was there')

  const restarted = new Hand({
    isRestarting: true,
    peer: { gracefulRestart: { restartSeconds: 9999 } },
  })
  restarted.start()
  restarted.connected(1)
  t.equal(bits(ours(restarted)), 'R, N, ipv4 F, ipv6 F, 4095')

  const alive = established()
  alive.closed(1)
  alive.connected(2)
  t.equal(bits(ours(alive)), 'N, ipv4 F, ipv6 F, 120', 'only the session was away')

  const none = new Hand({ peer: { gracefulRestart: false } })
  none.start()
  none.connected(1)
  t.equal(bits(ours(none)), 'none')
})

t.test('this speaker goes without a word, so that its routes are kept', async (t) => {
  t.equal(established().in({ kind: 'abandon' }), '1:close down >idle')
})
