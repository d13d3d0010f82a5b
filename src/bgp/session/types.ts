/**
 * What goes into the machine of one peer and what comes out of it.
 *
 * A connection has a number: those that this side begins are odd and made by the
 * machine, those that are accepted are even and made by whoever listens. Two of one
 * peer may be open at a time until RFC 4271 section 6.8 has ended one of them.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import type { PeerConfig, SpeakerConfig } from '../config.ts'
import type { Family, Update } from '../nlri.ts'
import type { Capabilities } from '../wire/capabilities.ts'
import type { Context } from '../wire/context.ts'
import type { UpdateFault } from '../wire/remedies.ts'

export type ConnectionId = number

/** One peer's part of a configuration. */
export interface SessionTerms {
  readonly self: Pick<SpeakerConfig, 'asn' | 'routerId'>
  readonly peer: PeerConfig
  /** This speaker has just started and its forwarding state was kept: the R and F bits of RFC 4724. */
  readonly isRestarting?: boolean
}

/** RFC 4271 section 8.2.2. */
export type SessionState =
  | 'idle'
  | 'connect'
  | 'active'
  | 'open-sent'
  | 'open-confirm'
  | 'established'

export type SessionInput =
  /** ManualStart. */
  | { readonly kind: 'start' }
  /** ManualStop, with a Cease of this subcode and the words of RFC 9003. */
  | { readonly kind: 'stop'; readonly subcode: number; readonly text?: string }
  /** The same, and begins anew, on amended terms: where RFC 8538 is agreed on, paths stay meanwhile. */
  | { readonly kind: 'restart'; readonly subcode: number; readonly text?: string }
  /** Stops without a word: this speaker comes back, and peers keep its routes (RFC 4724). */
  | { readonly kind: 'abandon' }
  /** An outgoing connection is there, or the peer's was accepted. */
  | {
      readonly kind: 'connected'
      readonly connection: ConnectionId
      readonly local: Ip
      /** IPv6 link-local address of this end's link, for RFC 2545 next hops. */
      readonly linkLocal?: Ip
      /** An address of the other family on that link: a next hop for its routes. */
      readonly other?: Ip
    }
  | { readonly kind: 'connect-failed'; readonly connection: ConnectionId; readonly reason: string }
  /** `bytes` are given away: whoever read them never writes to them again. */
  | { readonly kind: 'received'; readonly connection: ConnectionId; readonly bytes: Uint8Array }
  /** The transport has ended; nothing more comes of it. */
  | { readonly kind: 'closed'; readonly connection: ConnectionId; readonly reason?: string }
  /**
   * What was sent is more than the transport takes (`isBlocked`), or everything is out.
   * Said again when some of it has gone out, which starts the time of RFC 9687 anew.
   */
  | {
      readonly kind: 'flow'
      readonly connection: ConnectionId
      readonly isBlocked: boolean
      /** What is not out yet. */
      readonly waitingOctets?: number
    }
  /** BFD says the peer is away (RFC 5882 section 4.2). */
  | { readonly kind: 'bfd-down' }
  /** Ask the peer to say everything again: RFC 2918. */
  | { readonly kind: 'ask-refresh'; readonly family: Family }
  /** The peer taught more than it may: RFC 4486 section 4. */
  | { readonly kind: 'prefixes-exceeded'; readonly family: Family; readonly limit: number }

export type SessionEffect =
  | { readonly kind: 'connect'; readonly connection: ConnectionId }
  | { readonly kind: 'send'; readonly connection: ConnectionId; readonly bytes: Uint8Array }
  /**
   * After everything that was sent before is out; `isAbort`: at once, and what waits is
   * thrown away. Of an attempt to connect: gives it up. Nothing of it is heard again.
   */
  | { readonly kind: 'close'; readonly connection: ConnectionId; readonly isAbort?: true }
  | { readonly kind: 'up'; readonly agreed: Agreed }
  /**
   * The session is over. Paths of the families in `retain` stay in use as stale until
   * `stale-end` or until the peer says its End-of-RIB: RFC 4724 section 4.2.
   */
  | { readonly kind: 'down'; readonly reason: DownReason; readonly retain: readonly Family[] }
  /** The restart time is over, or the peer came back without having kept its state. */
  | { readonly kind: 'stale-end'; readonly family: Family }
  | {
      readonly kind: 'update'
      readonly update: Update
      readonly context: Context
      /** What was wrong with it and what became of it: RFC 7606. */
      readonly faults: readonly UpdateFault[]
    }
  /** RFC 2918, RFC 7313: `ask` wants everything; `begin` and `end` surround what we asked for. */
  | {
      readonly kind: 'refresh'
      readonly family: Family
      readonly what: 'ask' | 'begin' | 'end'
    }
  | { readonly kind: 'state'; readonly from: SessionState; readonly to: SessionState }
  /** Something an operator wants to know, once: a refused connection, an ignored capability. */
  | { readonly kind: 'note'; readonly text: string }

/** What an established session agreed on. */
export interface Agreed {
  readonly connection: ConnectionId
  readonly local: Ip
  readonly linkLocal?: Ip
  readonly routerId: Ip
  /** 0: no keepalives. */
  readonly holdSeconds: number
  readonly context: Context
  readonly refresh: 'none' | 'plain' | 'enhanced'
  /** What the peer announced. */
  readonly capabilities: Capabilities
  /** What this speaker announced. */
  readonly ours: Capabilities
}

/** What people ask about one peer. */
export interface SessionFacts {
  readonly state: SessionState
  readonly establishedAt: Instant | undefined
  /** How often it was established. */
  readonly establishments: number
  readonly agreed: Agreed | undefined
  /** Milliseconds between two KEEPALIVEs, without jitter; 0: none. */
  readonly keepaliveMs: number
  readonly counters: Readonly<SessionCounters>
  /** Why the last connection ended. */
  readonly lastError: DownReason | undefined
  /** Families of which the peer's paths are kept although it is away or not done yet. */
  readonly stale: readonly Family[]
}

/** Since the session was made. What the RIB sends is counted by `countUpdates`. */
export interface SessionCounters {
  messagesIn: number
  messagesOut: number
  updatesIn: number
  updatesOut: number
}

/** Why a session ended, in the RFC's numbers where there are any, and in words. */
export interface DownReason {
  readonly by: 'us' | 'peer'
  /** Of the NOTIFICATION that was sent or received. */
  readonly code?: number
  readonly subcode?: number
  readonly text: string
}
