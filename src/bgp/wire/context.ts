/**
 * What two speakers agreed on, as far as it changes the octets of an UPDATE.
 *
 * @module
 */
import type { Family } from '../nlri.ts'
import { MESSAGE_OCTETS_MAX } from './framing.ts'

/** Fixed once a session is established. */
export interface Context {
  /** `confederation`: another member AS of the same confederation (RFC 5065). */
  readonly peering: 'external' | 'internal' | 'confederation'
  /** Those that both announced; without any multiprotocol capability IPv4. */
  readonly families: readonly Family[]
  /** RFC 6793: AS numbers in AS_PATH and AGGREGATOR have four octets. */
  readonly fourOctetAs: boolean
  /** RFC 7911: families whose prefixes come, and go, with path identifiers. */
  readonly addPathReceive: readonly Family[]
  readonly addPathSend: readonly Family[]
  /** RFC 8950: IPv4 prefixes may have an IPv6 next hop. */
  readonly extendedNextHop: boolean
  /** Largest message: 4096, or 65535 by RFC 8654. */
  readonly messageOctetsMax: number
  /** RFC 9774 asks for `withdraw`: paths with AS_SET or AS_CONFED_SET are treated as withdrawn. */
  readonly asSets: 'accept' | 'withdraw'
  /** The path of an external peer must begin with this AS (RFC 4271 section 6.3); not checked when absent. */
  readonly firstAs?: number
}

/** An external peer that announced no capability. */
export const PLAIN_CONTEXT: Context = {
  peering: 'external',
  families: ['ipv4'],
  fourOctetAs: false,
  addPathReceive: [],
  addPathSend: [],
  extendedNextHop: false,
  messageOctetsMax: MESSAGE_OCTETS_MAX,
  asSets: 'accept',
}
