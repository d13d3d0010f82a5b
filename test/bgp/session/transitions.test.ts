/**
 * RFC 4271 section 8.2.2, state by state and event by event: where the machine goes,
 * what it sends, and what it tells.
 */
import t from 'tap'
import { frameMessage } from '../../../src/bgp/wire/framing.ts'
import { MESSAGE } from '../../../src/bgp/wire/iana.ts'
import { encodeRouteRefresh } from '../../../src/bgp/wire/route-refresh.ts'
import { hex } from '../wire/support.ts'
import { END_OF_RIB, Hand, KEEPALIVE, notification, openOf } from './support.ts'
import { TRANSITIONS } from './transitions.ts'

/** How each state is reached; the connection is 1 where there is one. */
const STATES: Readonly<Record<string, (hand: Hand) => void>> = {
  Stopped: () => {},
  Idle: (hand) => {
    // After a failure.
    hand.start()
    hand.connected(1)
    hand.hear(1, openOf({ id: '0.0.0.0' }))
  },
  Connect: (hand) => hand.start(),
  Active: (hand) => {
    hand.start()
    hand.in({ kind: 'connect-failed', connection: 1, reason: 'refused' })
  },
  OpenSent: (hand) => {
    hand.start()
    hand.connected(1)
  },
  OpenConfirm: (hand) => {
    hand.start()
    hand.connected(1)
    hand.hear(1, openOf())
  },
  Established: (hand) => hand.establish(),
}

const receive =
  (bytes: Uint8Array) =>
  (hand: Hand): string =>
    hand.hear(1, bytes)

/** With the RFC's number and name where it has one. */
const EVENTS: Readonly<Record<string, (hand: Hand) => string>> = {
  '1 ManualStart': (hand) => hand.start(),
  '2 ManualStop': (hand) => hand.in({ kind: 'stop', subcode: 2, text: 'go' }),
  'restart by the administrator': (hand) => hand.in({ kind: 'restart', subcode: 4, text: 'go' }),
  'stop without a word': (hand) => hand.in({ kind: 'abandon' }),
  '9 ConnectRetryTimer_Expires, 13 IdleHoldTimer_Expires': (hand) => hand.jump(5000),
  '10 HoldTimer_Expires': (hand) => hand.jump(hand.state === 'open-sent' ? 240_000 : 90_000),
  '11 KeepaliveTimer_Expires': (hand) => hand.jump(30_000),
  '29 SendHoldTimer_Expires': (hand) => {
    hand.in({ kind: 'flow', connection: 1, isBlocked: true })
    return hand.jump(480_000)
  },
  '16 Tcp_CR_Acked': (hand) => hand.connected(1),
  '17 TcpConnectionConfirmed': (hand) => hand.connected(2),
  '18 TcpConnectionFails': (hand) => hand.closed(1),
  '19 BGPOpen': receive(openOf()),
  '21 BGPHeaderErr': receive(new Uint8Array(19)),
  '22 BGPOpenMsgErr': receive(openOf({ id: '0.0.0.0' })),
  '24 NotifMsgVerErr': receive(notification(2, 1)),
  '25 NotifMsg': receive(notification(6, 4)),
  '26 KeepAliveMsg': receive(KEEPALIVE),
  '27 UpdateMsg': receive(END_OF_RIB),
  '28 UpdateMsgErr': receive(frameMessage(MESSAGE.UPDATE, hex('0009 0000'))),
  'ROUTE-REFRESH': receive(encodeRouteRefresh('ipv4')),
  'BFD down': (hand) => hand.in({ kind: 'bfd-down' }),
  'too many prefixes': (hand) =>
    hand.in({ kind: 'prefixes-exceeded', family: 'ipv6', limit: 1000 }),
  'ask for refresh': (hand) => hand.in({ kind: 'ask-refresh', family: 'ipv6' }),
}

const found: string[] = []
for (const [event, cause] of Object.entries(EVENTS)) {
  found.push(event)
  for (const [state, reach] of Object.entries(STATES)) {
    const hand = new Hand()
    reach(hand)
    const words = cause(hand)
    found.push(`  ${state.padEnd(12)}-> ${hand.state.padEnd(13)}${words}`.trimEnd())
  }
}
if (process.env['SHOW'] === '1') console.log(found.join('\n'))
t.strictSame(found, TRANSITIONS.trim().split('\n'))
