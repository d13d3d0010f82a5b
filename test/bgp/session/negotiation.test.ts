/** What two OPENs come to: a row each. */
import t from 'tap'
import type { Capabilities } from '../../../src/bgp/wire/capabilities.ts'
import { encodeCapabilities } from '../../../src/bgp/wire/capabilities.ts'
import { frameMessage } from '../../../src/bgp/wire/framing.ts'
import { MESSAGE } from '../../../src/bgp/wire/iana.ts'
import { hexOf } from '../../../src/bgp/wire/octets.ts'
import { decodeOpen, type Open } from '../../../src/bgp/wire/open.ts'
import { hex } from '../wire/support.ts'
import {
  FULL,
  Hand,
  KEEPALIVE,
  notification,
  OUR_ID,
  openOf,
  type PeerOpen,
  type Settings,
} from './support.ts'

const BARE: Capabilities = {}
const INTERNAL: Settings = { peer: { asn: 64512 } }
const internal = (more: PeerOpen = {}): PeerOpen => ({
  asn: 64512,
  capabilities: { ...FULL, fourOctetAs: 64512 },
  ...more,
})
const without = (key: keyof Capabilities): Capabilities => {
  const { [key]: _gone, ...rest } = FULL
  return rest
}

/** Facts of the agreement in words. */
function agreedWords(hand: Hand): string {
  const { agreed } = hand.session.facts
  if (agreed === undefined) return hand.state
  const { context, holdSeconds, refresh } = agreed
  return [
    context.families.join('+'),
    `hold ${holdSeconds}`,
    context.peering,
    context.fourOctetAs ? 'as4' : 'as2',
    refresh,
    context.messageOctetsMax,
    ...(context.extendedNextHop ? ['enh'] : []),
    ...context.addPathReceive.map((family) => `rx ${family}`),
    ...context.addPathSend.map((family) => `tx ${family}`),
    ...(context.firstAs === undefined ? [] : [`first ${context.firstAs}`]),
    ...(context.asSets === 'withdraw' ? ['no sets'] : []),
  ].join(', ')
}

type Row = readonly [name: string, settings: Settings, open: PeerOpen, outcome: string]
const ALL = 'ipv4+ipv6, hold 90, external, as4, enhanced, 65535, enh'
const FIRST = ', first 64513'

const ROWS: readonly Row[] = [
  ['everything', {}, {}, ALL + FIRST],
  ['no capability', {}, { capabilities: BARE }, `ipv4, hold 90, external, as2, none, 4096${FIRST}`],
  ['first AS not enforced', { peer: { enforceFirstAs: false } }, {}, ALL],
  ['no AS_SET', { peer: { asSets: 'withdraw' } }, {}, `${ALL + FIRST}, no sets`],
  ['internal', INTERNAL, internal(), ALL.replace('external', 'internal')],
  // Families: RFC 4760 section 8.
  [
    'one family of two',
    {},
    { capabilities: { ...FULL, families: ['ipv6'] } },
    `ipv6, hold 90, external, as4, enhanced, 65535, enh${FIRST}`,
  ],
  [
    'none in common: what we want is shown',
    { peer: { families: ['ipv6'] } },
    { capabilities: { ...FULL, families: ['ipv4'] } },
    `2/7 ${hexOf(encodeCapabilities({ families: ['ipv6'] }))}`,
  ],
  [
    'no capability is IPv4 only',
    { peer: { families: ['ipv6'] } },
    { capabilities: BARE },
    `2/7 ${hexOf(encodeCapabilities({ families: ['ipv6'] }))}`,
  ],
  // AS numbers: RFC 4271 section 6.2, RFC 6793.
  ['another AS', {}, { asn: 64514, capabilities: { ...FULL, fourOctetAs: 64514 } }, '2/2'],
  ['the capability counts', {}, { capabilities: { ...FULL, fourOctetAs: 4200000001 } }, '2/2'],
  [
    'AS 4200000001 behind AS_TRANS',
    { peer: { asn: 4200000001 } },
    { asn: 4200000001, capabilities: { ...FULL, fourOctetAs: 4200000001 } },
    `${ALL}, first 4200000001`,
  ],
  ['AS_TRANS alone', { peer: { asn: 4200000001 } }, { asn: 23456, capabilities: BARE }, '2/2'],
  // Identifiers: RFC 6286.
  ['our identifier, internal', INTERNAL, internal({ id: OUR_ID }), '2/3'],
  ['our identifier, external', {}, { id: OUR_ID }, ALL + FIRST],
  ['identifier 0', {}, { id: '0.0.0.0' }, '2/3'],
  // Hold time: the smaller; 0 is none; 1 and 2 are refused.
  ['shorter than ours', {}, { holdSeconds: 9 }, ALL.replace('90', '9') + FIRST],
  ['longer than ours', {}, { holdSeconds: 240 }, ALL + FIRST],
  ['the peer wants none', {}, { holdSeconds: 0 }, ALL.replace('90', '0') + FIRST],
  ['we want none', { peer: { holdSeconds: 0 } }, {}, ALL.replace('90', '0') + FIRST],
  ['too short', {}, { holdSeconds: 2 }, '2/6'],
  // One capability less on either side.
  [
    'no refresh',
    {},
    { capabilities: { families: FULL.families!, fourOctetAs: 64513 } },
    `ipv4+ipv6, hold 90, external, as4, none, 4096${FIRST}`,
  ],
  [
    'plain refresh',
    {},
    { capabilities: without('enhancedRouteRefresh') },
    ALL.replace('enhanced', 'plain') + FIRST,
  ],
  [
    'short messages of the peer',
    {},
    { capabilities: without('extendedMessage') },
    ALL.replace('65535', '4096') + FIRST,
  ],
  [
    'short messages of ours',
    { peer: { extendedMessages: false } },
    {},
    ALL.replace('65535', '4096') + FIRST,
  ],
  [
    'next hops of the peer',
    {},
    { capabilities: without('extendedNextHop') },
    ALL.replace(/, enh$/, '') + FIRST,
  ],
  [
    'next hops of ours',
    { peer: { extendedNextHop: false } },
    {},
    ALL.replace(/, enh$/, '') + FIRST,
  ],
  // ADD-PATH: RFC 7911 section 4, directions as each side sees itself.
  ...(
    [
      ['both', 'both', ', rx ipv4, tx ipv4'],
      ['both', 'send', ', rx ipv4'],
      ['both', 'receive', ', tx ipv4'],
      ['send', 'both', ', tx ipv4'],
      ['send', 'send', ''],
      ['send', 'receive', ', tx ipv4'],
      ['receive', 'both', ', rx ipv4'],
      ['receive', 'send', ', rx ipv4'],
      ['receive', 'receive', ''],
    ] as const
  ).map(
    ([ours, theirs, words]): Row => [
      `ADD-PATH ${ours} to ${theirs}`,
      { peer: { addPath: { ipv4: ours } } },
      { capabilities: { ...FULL, addPath: [{ family: 'ipv4', direction: theirs }] } },
      ALL + words + FIRST,
    ],
  ),
  [
    'ADD-PATH of another family',
    { peer: { addPath: { ipv6: 'both' } } },
    { capabilities: { ...FULL, addPath: [{ family: 'ipv4', direction: 'both' }] } },
    ALL + FIRST,
  ],
  // Roles: RFC 9234 section 4.2; `peer.role` is what the peer is to us.
  ...(['provider', 'customer', 'peer', 'route-server', 'route-server-client'] as const).flatMap(
    (role): Row[] =>
      (['provider', 'customer', 'peer', 'route-server', 'route-server-client'] as const).map(
        (theirs) => [
          `a ${theirs} where a ${role} is wanted`,
          { peer: { role } },
          { capabilities: { ...FULL, role: theirs } },
          role === theirs ? ALL + FIRST : '2/11',
        ],
      ),
  ),
  ['no role', { peer: { role: 'peer' } }, {}, ALL + FIRST],
  ['no role, strictly', { peer: { role: 'peer', isRoleStrict: true } }, {}, '2/11'],
  ['a role that we do not have', {}, { capabilities: { ...FULL, role: 'customer' } }, ALL + FIRST],
  [
    'roles mean nothing inside an AS',
    { peer: { asn: 64512, role: 'peer', isRoleStrict: true } },
    internal(),
    ALL.replace('external', 'internal'),
  ],
]

for (const [name, settings, open, outcome] of ROWS) {
  const hand = new Hand(settings)
  hand.start()
  hand.connected(1)
  const words = hand.hear(1, openOf(open), KEEPALIVE)
  if (/^\d/.test(outcome)) t.equal(words, `1:${outcome} 1:close note >idle`, name)
  else t.equal(agreedWords(hand), outcome, name)
}

t.test('RFC 9234: one role several times is one, two are refused', async (t) => {
  const [customer, again, peer] = ['020309 0103', '020309 0103', '020309 0104']
  for (const [roles, words] of [
    [[customer, again], 'note 1:KEEPALIVE >open-confirm'],
    [[customer, peer], '1:2/11 1:close note >idle'],
  ] as const) {
    const parameters = hex(roles.join(''))
    const fixed = hex('04 fc01 005a 0a000009')
    const body = Uint8Array.of(...fixed, parameters.length, ...parameters)
    const hand = new Hand()
    hand.start()
    hand.connected(1)
    t.equal(hand.hear(1, frameMessage(MESSAGE.OPEN, body)), words)
  }
})

/** The OPEN that was sent last. */
function ourOpen(hand: Hand): Open {
  const sent = hand.effects.filter((each) => each.kind === 'send').map(({ bytes }) => bytes)
  const bytes = sent.findLast((each) => each[18] === 1)
  const open = bytes && decodeOpen(bytes, 19, bytes.length)
  if (open?.kind !== 'open') throw new Error('no OPEN was sent')
  return open
}

t.test('what we announce', async (t) => {
  const hand = new Hand({ self: { asn: 4200000000 }, peer: { role: 'provider', holdSeconds: 30 } })
  hand.start()
  hand.connected(1)
  const open = ourOpen(hand)
  t.equal(open.asn, 4200000000)
  t.equal(open.holdSeconds, 30)
  t.equal(open.id, OUR_ID)
  t.strictSame(open.capabilities, {
    families: ['ipv4', 'ipv6'],
    routeRefresh: true,
    extendedNextHop: ['ipv4'],
    extendedMessage: true,
    role: 'customer',
    gracefulRestart: {
      isRestarting: false,
      hasNotification: true,
      restartSeconds: 120,
      families: [
        { family: 'ipv4', isForwarding: false },
        { family: 'ipv6', isForwarding: false },
      ],
    },
    fourOctetAs: 4200000000,
    enhancedRouteRefresh: true,
  })
})

t.test('RFC 5492: a peer without optional parameters gets an OPEN without', async (t) => {
  const hand = new Hand()
  hand.start()
  hand.connected(1)
  hand.hear(1, notification(2, 4))
  hand.pass(1000)
  t.equal(hand.connected(3), '3:OPEN >open-sent')
  t.strictSame(ourOpen(hand).capabilities, {})
  hand.hear(3, openOf({ capabilities: FULL }), KEEPALIVE)
  const plain = `ipv4, hold 90, external, as2, none, 4096${FIRST}`
  t.equal(agreedWords(hand), plain, 'and nothing that we did not announce is agreed on')

  const again = new Hand()
  again.start()
  again.connected(1)
  again.hear(1, notification(2, 4))
  again.pass(1000)
  again.connected(3)
  again.hear(3, notification(2, 4))
  again.pass(2000)
  again.connected(5)
  t.ok(ourOpen(again).capabilities.families, 'that was not it: with capabilities again')

  const six = new Hand({ peer: { families: ['ipv6'] } })
  six.start()
  six.connected(1)
  six.hear(1, notification(2, 4))
  six.pass(1000)
  six.connected(3)
  t.ok(ourOpen(six).capabilities.families, 'IPv6 does not go without')
})

t.test('RFC 5492: a peer that wants what we lack is asked again after a long time', async (t) => {
  const hand = new Hand()
  hand.start()
  hand.connected(1)
  hand.hear(1, notification(2, 7))
  t.equal(hand.pass(44_000), '')
  t.match(hand.pass(16_000), '3:connect')
})
