/** One session played by hand: what goes in, and in short words what came out. */
import { createSession, type Session } from '../../../src/bgp/session/mod.ts'
import type { SessionEffect, SessionInput, SessionTerms } from '../../../src/bgp/session/types.ts'
import type { Capabilities } from '../../../src/bgp/wire/capabilities.ts'
import { encodeKeepalive, frameMessage } from '../../../src/bgp/wire/framing.ts'
import { MESSAGE } from '../../../src/bgp/wire/iana.ts'
import { encodeNotification } from '../../../src/bgp/wire/notification.ts'
import { hexOf } from '../../../src/bgp/wire/octets.ts'
import { encodeOpen } from '../../../src/bgp/wire/open.ts'
import type { Instant } from '../../../src/machine.ts'
import type { Ip } from '../../../src/net/mod.ts'
import { hex } from '../wire/support.ts'

export const OUR_ID = '10.0.0.5' as Ip
export const PEER = '192.0.2.2' as Ip
const LOCAL = '192.0.2.1' as Ip

export interface Settings {
  readonly self?: Partial<SessionTerms['self']>
  readonly peer?: Partial<SessionTerms['peer']>
  readonly isRestarting?: boolean
}

/** We are AS 64512, the peer is AS 64513. */
export function termsOf({ self, peer, isRestarting = false }: Settings = {}): SessionTerms {
  return {
    self: { asn: 64512, routerId: OUR_ID, ...self },
    peer: { address: PEER, asn: 64513, ...peer },
    isRestarting,
  }
}

/** What a modern peer announces. */
export const FULL: Capabilities = {
  families: ['ipv4', 'ipv6'],
  routeRefresh: true,
  enhancedRouteRefresh: true,
  fourOctetAs: 64513,
  extendedNextHop: ['ipv4'],
  extendedMessage: true,
}

export interface PeerOpen {
  readonly asn?: number
  readonly holdSeconds?: number
  readonly id?: string
  readonly capabilities?: Capabilities
}

export const openOf = ({
  asn = 64513,
  holdSeconds = 90,
  id = '10.0.0.9',
  capabilities = FULL,
}: PeerOpen = {}): Uint8Array => encodeOpen({ asn, holdSeconds, id: id as Ip, capabilities })

export const KEEPALIVE = encodeKeepalive()
/** Nothing but End-of-RIB of IPv4. */
export const END_OF_RIB = frameMessage(MESSAGE.UPDATE, hex('0000 0000'))
/** End-of-RIB of IPv6. */
export const END_OF_RIB_6 = frameMessage(MESSAGE.UPDATE, hex('0000 0006 800f 03 000201'))
export const notification = (code: number, subcode: number, data = ''): Uint8Array =>
  encodeNotification(code, subcode, hex(data))

const TYPES = ['?', 'OPEN', 'UPDATE', 'NOTIFICATION', 'KEEPALIVE', 'ROUTE-REFRESH']

/** Octets as a word; of a NOTIFICATION also what it says. */
export function messageWord(bytes: Uint8Array): string {
  const type = TYPES[bytes[18] ?? 0] ?? '?'
  if (type !== 'NOTIFICATION') return type
  const data = bytes.length > 21 ? ` ${hexOf(bytes.subarray(21))}` : ''
  return `${bytes[19]}/${bytes[20]}${data}`
}

export function word(effect: SessionEffect): string {
  switch (effect.kind) {
    case 'send':
      return `${effect.connection}:${messageWord(effect.bytes)}`
    case 'connect':
      return `${effect.connection}:connect`
    case 'close':
      return `${effect.connection}:${effect.isAbort === true ? 'abort' : 'close'}`
    case 'state':
      return `>${effect.to}`
    case 'up':
      return 'up'
    case 'down':
      return effect.retain.length > 0 ? `down(${effect.retain.join(' ')})` : 'down'
    case 'stale-end':
      return `stale-end(${effect.family})`
    case 'update':
      return effect.update.endOfRib === undefined
        ? 'update'
        : `end-of-rib(${effect.update.endOfRib})`
    case 'refresh':
      return `refresh(${effect.what} ${effect.family})`
    case 'note':
      return 'note'
  }
}

export class Hand {
  now = 1000 as Instant
  readonly session: Session
  /** Everything that came out. */
  readonly effects: SessionEffect[] = []

  constructor(settings: Settings = {}) {
    this.session = createSession(termsOf(settings))
  }

  /** So much later, and one wake: a timer that is due twice runs once. */
  jump(ms: number): string {
    this.now = (this.now + ms) as Instant
    return this.#said(this.session.wake(this.now))
  }

  /** Feeds one input and says what came of it. */
  in(input: SessionInput): string {
    return this.#said(this.session.handle(input, this.now))
  }

  start(): string {
    return this.in({ kind: 'start' })
  }

  connected(connection: number): string {
    return this.in({ kind: 'connected', connection, local: LOCAL })
  }

  hear(connection: number, ...messages: readonly Uint8Array[]): string {
    const bytes = Uint8Array.from(messages.flatMap((each) => [...each]))
    return this.in({ kind: 'received', connection, bytes })
  }

  closed(connection: number): string {
    return this.in({ kind: 'closed', connection })
  }

  /** Lets time pass; every timer runs when it is due. */
  pass(ms: number): string {
    const until = this.now + ms
    const words: string[] = []
    for (;;) {
      const next = this.session.nextWake()
      if (next === undefined || next > until) break
      this.now = Math.max(this.now, next) as Instant
      words.push(this.#said(this.session.wake(this.now)))
    }
    this.now = until as Instant
    return words.filter((each) => each !== '').join(' ')
  }

  /** A session of connection 1 that is established. */
  establish(open: PeerOpen = {}): string {
    this.start()
    this.connected(1)
    return this.hear(1, openOf(open), KEEPALIVE)
  }

  get state(): string {
    return this.session.facts.state
  }

  get notes(): readonly string[] {
    return this.effects.flatMap((each) => (each.kind === 'note' ? [each.text] : []))
  }

  #said(effects: readonly SessionEffect[]): string {
    this.effects.push(...effects)
    return effects.map(word).join(' ')
  }
}
