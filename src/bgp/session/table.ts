/**
 * What one connection does with what happens to it: RFC 4271 section 8.2.2 as a table.
 *
 * Every connection has a machine of its own (section 8.2.1), as far as there is one:
 * what belongs to the peer (Idle, waiting in Active, ConnectRetry) is in `session.ts`.
 * Numbers behind the rows are the RFC's events.
 *
 * Other than in the RFC:
 * - An attempt to connect that fails leads to Active, never to Idle: nobody oscillates
 *   when a peer is not there yet, and Idle would refuse its connection.
 * - A NOTIFICATION is never answered by another, also where section 8.2.2 counts it
 *   among the unexpected messages.
 * - A further OPEN on a connection is unexpected, as RFC 6608 section 4 has it.
 *
 * @module
 */
import { type Reset, reset } from '../wire/fault.ts'
import { ERROR, FSM_ERROR, MESSAGE } from '../wire/iana.ts'

/**
 * Of one connection. `connecting`: no transport yet (Connect). `waiting`: a transport,
 * our OPEN is held back (DelayOpen). `closed`: nothing counts any more.
 */
export type Phase =
  | 'connecting'
  | 'waiting'
  | 'open-sent'
  | 'open-confirm'
  | 'established'
  | 'closed'

export type ConnectionEvent =
  | 'transport-up'
  | 'transport-down'
  | 'open'
  | 'update'
  | 'notification'
  | 'keepalive'
  | 'route-refresh'
  | 'malformed'
  | 'hold-expired'
  | 'keepalive-due'
  | 'send-hold-expired'

export type Action =
  /** Nothing. */
  | 'ignore'
  /** Send OPEN; OpenSent. */
  | 'greet'
  /** The attempt is over, and nobody's fault: Active, ConnectRetry. */
  | 'retry'
  /** Judge the OPEN, look for a collision, answer KEEPALIVE; OpenConfirm. */
  | 'confirm'
  /** Established. */
  | 'establish'
  /** The peer lives: the hold timer begins anew. */
  | 'hear'
  /** The same, and what the message says is handed on. */
  | 'deliver'
  | 'send-keepalive'
  /** NOTIFICATION by RFC 6608; Idle. */
  | 'refuse'
  /** NOTIFICATION that says what is wrong; Idle. */
  | 'fail'
  /** Without a NOTIFICATION; Idle. */
  | 'end'

type Row = readonly [
  connecting: Action,
  waiting: Action,
  openSent: Action,
  openConfirm: Action,
  established: Action,
]

const COLUMNS: Readonly<Record<Exclude<Phase, 'closed'>, 0 | 1 | 2 | 3 | 4>> = {
  connecting: 0,
  waiting: 1,
  'open-sent': 2,
  'open-confirm': 3,
  established: 4,
}

// biome-ignore format: columns
const ROWS: Readonly<Record<ConnectionEvent, Row>> = {
  //                     connecting waiting   OpenSent  OpenConfirm       Established
  'transport-up':      ['greet',   'ignore', 'ignore', 'ignore',         'ignore'],         // 16, 17
  'transport-down':    ['retry',   'retry',  'retry',  'end',            'end'],            // 18
  'open':              ['ignore',  'confirm','confirm','refuse',         'refuse'],         // 19, 20
  'update':            ['ignore',  'refuse', 'refuse', 'refuse',         'deliver'],        // 27
  'notification':      ['ignore',  'end',    'end',    'end',            'end'],            // 24, 25
  'keepalive':         ['ignore',  'refuse', 'refuse', 'establish',      'hear'],           // 26
  'route-refresh':     ['ignore',  'refuse', 'refuse', 'refuse',         'deliver'],        // RFC 2918
  'malformed':         ['ignore',  'fail',   'fail',   'fail',           'fail'],           // 21, 22, 28
  'hold-expired':      ['ignore',  'fail',   'fail',   'fail',           'fail'],           // 10
  'keepalive-due':     ['ignore',  'ignore', 'ignore', 'send-keepalive', 'send-keepalive'], // 11
  'send-hold-expired': ['ignore',  'ignore', 'fail',   'fail',           'fail'],           // RFC 9687
}

export function actionOf(phase: Phase, event: ConnectionEvent): Action {
  return phase === 'closed' ? 'ignore' : ROWS[event][COLUMNS[phase]]
}

const EVENTS: Readonly<Record<number, ConnectionEvent>> = {
  [MESSAGE.OPEN]: 'open',
  [MESSAGE.UPDATE]: 'update',
  [MESSAGE.NOTIFICATION]: 'notification',
  [MESSAGE.KEEPALIVE]: 'keepalive',
  [MESSAGE.ROUTE_REFRESH]: 'route-refresh',
}

/** Of a message's type. */
export const eventOf = (type: number): ConnectionEvent => EVENTS[type] ?? 'malformed'

const UNEXPECTED: Readonly<Partial<Record<Phase, number>>> = {
  'open-sent': FSM_ERROR.OPEN_SENT,
  'open-confirm': FSM_ERROR.OPEN_CONFIRM,
  established: FSM_ERROR.ESTABLISHED,
}

/** RFC 6608 section 4: the subcode is the state, the data the message's type. */
export function unexpected(phase: Phase, type: number): Reset {
  const what = `${eventOf(type)} in ${phase}`
  return reset(ERROR.FSM, UNEXPECTED[phase] ?? FSM_ERROR.UNSPECIFIED, what, Uint8Array.of(type))
}
