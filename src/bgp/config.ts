/**
 * What a speaker is told to be: plain data, whole at every change.
 *
 * Whoever changes something hands over the whole configuration again; the speaker
 * finds the difference. A peer whose session need not end for it keeps its session.
 *
 * @module
 */
import type { Ip, Prefix } from '../net/mod.ts'
import type { Attributes } from './attributes.ts'
import type { Family } from './nlri.ts'
import type { Policy } from './policy/policy.ts'
import type { StepName } from './rib/decision.ts'
import type { MedMissing } from './rib/loc-store.ts'
import type { PeerRole, PrefixLimit } from './rib/peers.ts'
import type { AddPathDirection } from './wire/capabilities.ts'

export interface SpeakerConfig {
  /** Own AS number, 1 to 4294967295. */
  readonly asn: number
  /** BGP identifier: unlike every other speaker's of this AS (RFC 6286). */
  readonly routerId: Ip
  /** Of a reflector; @default routerId */
  readonly clusterId?: Ip
  readonly peers: readonly PeerConfig[]
  /** What this speaker announces of itself; policies say to whom. */
  readonly originate: readonly Originated[]
  /** How many equally good paths are used together, 1 to 64. @default 1 */
  readonly multipath?: number
  /** @default best */
  readonly medMissing?: MedMissing
  /** @default false */
  readonly alwaysCompareMed?: boolean
  /** For every peer that does not say otherwise. @default false */
  readonly gracefulShutdown?: boolean
  /** Steps of the decision that are taken, for tests. @default all */
  readonly steps?: readonly StepName[]
}

export interface Originated {
  readonly prefix: Prefix
  readonly attributes?: Partial<Attributes>
}

/** Times in seconds. */
export interface PeerConfig {
  /** The peer's end of the session, and its name. */
  readonly address: Ip
  readonly asn: number
  /** For people. */
  readonly description?: string
  /** @default 179 */
  readonly port?: number
  /** This end. @default what the kernel takes */
  readonly localAddress?: Ip
  /** Wait for the peer's connection, and never begin one. @default false */
  readonly passive?: boolean
  /** RFC 2385, 1 to 80 octets. */
  readonly password?: string
  /** RFC 5082: the peer is so many hops away, 1 to 255; packets with a lower TTL than 256 less this are not heard. */
  readonly ttlSecurityHops?: number
  /** How far away an external peer may be without `ttlSecurityHops`: the TTL of what is sent, 1 to 255. @default 1 */
  readonly multihop?: number
  /** RFC 4271 section 4.2: 0 or 3 to 65535. @default 90 */
  readonly holdSeconds?: number
  /** Wait between two attempts to connect. @default 5 */
  readonly connectRetrySeconds?: number
  /** First wait after a session failed; doubles up to 60. @default 1 */
  readonly idleSeconds?: number
  /** @default both families */
  readonly families?: readonly Family[]
  /** What next hops we name are, in a family whose session address is the other's. */
  readonly nextHops?: Readonly<Partial<Record<Family, Ip>>>
  /** RFC 4456: this speaker reflects routes to and from it. Same AS only. @default false */
  readonly isClient?: boolean
  /** RFC 7911. */
  readonly addPath?: Readonly<Partial<Record<Family, AddPathDirection>>>
  /** RFC 4724. @default 120 s both ways; false: none */
  readonly gracefulRestart?: { readonly restartSeconds: number } | false
  /** What the peer is to us: RFC 9234. External peers only. */
  readonly role?: PeerRole
  /** Whether a peer without a role is refused. @default false */
  readonly isRoleStrict?: boolean
  /** By family: how many prefixes the peer may teach, and what happens beyond (RFC 4486). */
  readonly prefixesMax?: Readonly<Partial<Record<Family, PrefixLimit>>>
  /** None: eBGP takes nothing (RFC 8212), iBGP everything. */
  readonly importPolicy?: Policy
  readonly exportPolicy?: Policy
  /**
   * The session is about to end (RFC 8326 section 4.2): routes go elsewhere as long as it lasts. An
   * external peer is told GRACEFUL_SHUTDOWN with everything, and what it says is the last to be used;
   * an internal one is told local preference 0. @default the speaker's
   */
  readonly gracefulShutdown?: boolean
  /**
   * This speaker is a route server, and the external peer its client (RFC 7947): routes of others go to it
   * as they came, without our AS number, with their next hop, MED and communities. @default false
   */
  readonly transparent?: boolean
  /** RFC 5880-5882: when it says the peer is away, the session ends at once. */
  readonly bfd?: BfdConfig
  /** @default accept */
  readonly asSets?: 'accept' | 'withdraw'
  /** Whether a path of an external peer must begin with its AS; route servers' do not. @default true */
  readonly enforceFirstAs?: boolean
  /** RFC 8950. @default true */
  readonly extendedNextHop?: boolean
  /** RFC 8654. @default true */
  readonly extendedMessages?: boolean
  /** The administrator keeps it down. @default false */
  readonly isShutdown?: boolean
}

/** RFC 5880 section 6.8.1, single hop (RFC 5881). */
export interface BfdConfig {
  /** @default 300 */
  readonly intervalMs?: number
  /** @default 3 */
  readonly multiplier?: number
}
