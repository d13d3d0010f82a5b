/**
 * What the parts of a speaker share.
 *
 * @module
 */
import type { Instant } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import type { SpeakerConfig } from '../config.ts'
import type { Rib } from '../rib/mod.ts'
import type { SpeakerEffect } from '../speaker.ts'
import type { Deferral } from './deferral.ts'
import type { Encodings } from './outbound.ts'
import type { Peering } from './peering.ts'

export interface Scene {
  /** The moment of the input that is being taken. */
  readonly now: Instant
  readonly config: SpeakerConfig
  readonly rib: Rib
  readonly peerings: ReadonlyMap<Ip, Peering>
  readonly encodings: Encodings
  /** While decisions wait after a restart. */
  readonly deferral: Deferral | undefined
  emit(effect: SpeakerEffect): void
  /** Octets for an established session; `updates` of the messages are UPDATEs. */
  send(peering: Peering, bytes: Uint8Array, updates: number): void
  /** Reported once for each session and `key`. @param key default: the words */
  problem(peering: Peering, problem: string, key?: string): void
}
