/**
 * A whole speaker: a session for each peer, one RIB, and the way between them.
 *
 * Decisions are made in turns, so that no input waits long for another: as long as
 * something is left to decide the speaker asks for a turn (`turn.give`), which whoever
 * drives it answers with `turn.given`.
 *
 * @module
 */

import type { Instant, Machine } from '../machine.ts'
import type { Ip, Prefix } from '../net/mod.ts'
import type { Originated, SpeakerConfig } from './config.ts'
import type { Family, NlriSlice } from './nlri.ts'
import type { RouteHop } from './rib/next-hops.ts'
import type { ConnectionId, DownReason, SessionInput, SessionState } from './session/types.ts'
import { SpeakerCore, type SpeakerOptions } from './speaker/machine.ts'
import { type Queries, queriesOf } from './speaker/queries.ts'

export type { SpeakerOptions } from './speaker/machine.ts'
export type { PeerFamilyView, PeerView, Queries, RouteFilter } from './speaker/queries.ts'

export type SpeakerInput =
  /** The whole configuration; what is different from before is carried out. */
  | { readonly kind: 'configure'; readonly config: SpeakerConfig }
  /** Something of a peer's transport. */
  | { readonly kind: 'session'; readonly peer: Ip; readonly input: SessionInput }
  /**
   * Own routes come and go beside the configuration, whose routes they hide. `remove`
   * takes back what was added so; a configuration's route is visible again then.
   */
  | {
      readonly kind: 'originate'
      readonly add: readonly Originated[]
      readonly remove: readonly Prefix[]
    }
  | { readonly kind: 'next-hop.changed'; readonly nextHop: Ip }
  | { readonly kind: 'bfd'; readonly peer: Ip; readonly isUp: boolean }
  /**
   * `in` applies the import policy again to what is kept, `refresh` asks the peer for
   * everything again, `out` tells it everything again, `hard` ends the session.
   */
  | {
      readonly kind: 'reset'
      readonly peer: Ip
      readonly how: 'refresh' | 'in' | 'out' | 'hard'
      readonly text?: string
    }
  /** The process is about to end: say so, or (graceful) close without a word, RFC 4724. */
  | { readonly kind: 'stop'; readonly isGraceful: boolean }
  | { readonly kind: 'turn.given' }

export type SpeakerEffect =
  | { readonly kind: 'connect'; readonly peer: Ip; readonly connection: ConnectionId }
  | {
      readonly kind: 'send'
      readonly peer: Ip
      readonly connection: ConnectionId
      /** Shared with other peers; never written to. */
      readonly bytes: Uint8Array
    }
  /** As the session has it: `isAbort` throws away what waits. */
  | {
      readonly kind: 'close'
      readonly peer: Ip
      readonly connection: ConnectionId
      readonly isAbort?: true
    }
  /** These prefixes have these next hops now; none where the list is empty. Own routes are not told. */
  | {
      readonly kind: 'routes'
      readonly nextHops: readonly RouteHop[]
      readonly prefixes: NlriSlice
      readonly count: number
    }
  /** After a restart everything is known again: routes of an earlier life that were not told since may go. */
  | { readonly kind: 'routes.complete'; readonly family: Family }
  | { readonly kind: 'turn.give' }
  | { readonly kind: 'report'; readonly report: SpeakerReport }

/** What is logged and counted. */
export type SpeakerReport =
  | {
      readonly event: 'state'
      readonly peer: Ip
      readonly from: SessionState
      readonly to: SessionState
    }
  | { readonly event: 'up'; readonly peer: Ip; readonly families: readonly Family[] }
  | { readonly event: 'down'; readonly peer: Ip; readonly reason: DownReason }
  | { readonly event: 'problem'; readonly peer: Ip; readonly problem: string }

export type SpeakerMachine = Machine<SpeakerInput, SpeakerEffect>

/** The machine, and what people ask it. */
export interface Speaker extends SpeakerMachine, Queries {}

/**
 * A speaker that waits for its first `configure`. Effects must be carried out in their
 * order; after `stop` nothing more comes.
 */
export function createSpeaker(options: SpeakerOptions = {}): Speaker {
  const core = new SpeakerCore(options)
  return Object.assign(queriesOf(core), {
    handle: (input: SpeakerInput, now: Instant) => core.handle(input, now),
    wake: (now: Instant) => core.wake(now),
    nextWake: () => core.nextWake(),
  })
}
