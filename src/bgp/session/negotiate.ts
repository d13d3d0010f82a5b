/**
 * What two OPENs come to: which session both can have, or why there is none.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import { FAMILIES, type Family } from '../nlri.ts'
import type { PeerRole } from '../rib/peers.ts'
import {
  type AddPathDirection,
  type Capabilities,
  encodeCapabilities,
  type Role,
} from '../wire/capabilities.ts'
import type { Context } from '../wire/context.ts'
import { type Reset, reset } from '../wire/fault.ts'
import { EXTENDED_MESSAGE_OCTETS_MAX, MESSAGE_OCTETS_MAX } from '../wire/framing.ts'
import { ERROR, OPEN_ERROR } from '../wire/iana.ts'
import type { Open } from '../wire/open.ts'
import type { SessionTerms } from './types.ts'

export const HOLD_SECONDS_DEFAULT = 90
const RESTART_SECONDS_DEFAULT = 120
/** What the capability's field can say: RFC 4724 section 3. */
const RESTART_SECONDS_MAX = 4095

/** What the peer is to us, and what we are to it: RFC 9234 section 4.2. */
const OUR_ROLE: Readonly<Record<PeerRole, Role>> = {
  provider: 'customer',
  customer: 'provider',
  peer: 'peer',
  'route-server': 'route-server-client',
  'route-server-client': 'route-server',
}

export interface OwnOpen {
  /**
   * Whether our forwarding state outlived what went before: this process runs since, or
   * it was kept over a restart. The F bits of RFC 4724.
   */
  readonly isForwarding: boolean
}

const familiesOf = ({ peer }: SessionTerms): readonly Family[] => peer.families ?? FAMILIES

/** What this speaker announces to this peer. */
export function ownCapabilities(terms: SessionTerms, { isForwarding }: OwnOpen): Capabilities {
  const { self, peer, isRestarting = false } = terms
  const families = familiesOf(terms)
  const addPath = families.flatMap((family) => {
    const direction = peer.addPath?.[family]
    return direction === undefined ? [] : [{ family, direction }]
  })
  const hasNextHop = peer.extendedNextHop !== false && families.includes('ipv4')
  const restart = peer.gracefulRestart ?? { restartSeconds: RESTART_SECONDS_DEFAULT }
  const isExternal = peer.asn !== self.asn
  return {
    families,
    routeRefresh: true,
    enhancedRouteRefresh: true,
    fourOctetAs: self.asn,
    ...(hasNextHop && { extendedNextHop: ['ipv4'] as const }),
    ...(peer.extendedMessages !== false && { extendedMessage: true as const }),
    ...(peer.role !== undefined && isExternal && { role: OUR_ROLE[peer.role] }),
    ...(addPath.length > 0 && { addPath }),
    ...(restart !== false && {
      gracefulRestart: {
        isRestarting,
        hasNotification: true,
        restartSeconds: Math.min(restart.restartSeconds, RESTART_SECONDS_MAX),
        families: families.map((family) => ({ family, isForwarding })),
      },
    }),
  }
}

export interface Agreement {
  readonly kind: 'agreement'
  readonly routerId: Ip
  readonly holdSeconds: number
  readonly context: Context
  readonly refresh: 'none' | 'plain' | 'enhanced'
  /** What an operator may want to know. */
  readonly notes: readonly string[]
}

/** `ours` is what our OPEN said; empty when it went without capabilities. */
export function negotiate(terms: SessionTerms, ours: Capabilities, open: Open): Agreement | Reset {
  const fault = faultOf(terms, ours, open)
  if (fault !== undefined) return fault
  const { self, peer } = terms
  const theirs = open.capabilities
  const isInternal = self.asn === peer.asn
  const families = commonFamilies(ours, theirs)
  const both = (has: (capabilities: Capabilities) => unknown): boolean =>
    Boolean(has(ours)) && Boolean(has(theirs))
  const context: Context = {
    peering: isInternal ? 'internal' : 'external',
    families,
    fourOctetAs: both(({ fourOctetAs }) => fourOctetAs !== undefined),
    addPathReceive: families.filter((f) => can(ours, f, 'receive') && can(theirs, f, 'send')),
    addPathSend: families.filter((f) => can(ours, f, 'send') && can(theirs, f, 'receive')),
    extendedNextHop: both(({ extendedNextHop }) => extendedNextHop?.includes('ipv4')),
    messageOctetsMax: both(({ extendedMessage }) => extendedMessage)
      ? EXTENDED_MESSAGE_OCTETS_MAX
      : MESSAGE_OCTETS_MAX,
    asSets: peer.asSets ?? 'accept',
    ...(!isInternal && peer.enforceFirstAs !== false && { firstAs: peer.asn }),
  }
  return {
    kind: 'agreement',
    routerId: open.id,
    holdSeconds: Math.min(peer.holdSeconds ?? HOLD_SECONDS_DEFAULT, open.holdSeconds),
    context,
    refresh: both(({ enhancedRouteRefresh }) => enhancedRouteRefresh)
      ? 'enhanced'
      : both(({ routeRefresh }) => routeRefresh)
        ? 'plain'
        : 'none',
    notes: notesOf(terms, open, families),
  }
}

/** RFC 4760 section 8: without the capability a speaker has IPv4 only. */
function commonFamilies(ours: Capabilities, theirs: Capabilities): readonly Family[] {
  const { families: mine = ['ipv4'] } = ours
  const { families: other = ['ipv4'] } = theirs
  return mine.filter((family) => other.includes(family))
}

/** RFC 7911 section 4: `direction` seen from the speaker that announced it. */
function can({ addPath = [] }: Capabilities, family: Family, direction: AddPathDirection): boolean {
  const found = addPath.find((each) => each.family === family)?.direction
  return found === direction || found === 'both'
}

/** RFC 4271 section 6.2, and what later ones add to it. */
function faultOf(terms: SessionTerms, ours: Capabilities, open: Open): Reset | undefined {
  const { self, peer } = terms
  if (open.asn !== peer.asn) {
    return openReset('BAD_PEER_AS', `the peer is AS ${open.asn}, wanted ${peer.asn}`)
  }
  if (open.id === self.routerId && peer.asn === self.asn) {
    return openReset('BAD_IDENTIFIER', `identifier ${open.id} is our own (RFC 6286)`)
  }
  if (commonFamilies(ours, open.capabilities).length === 0) {
    const wanted = familiesOf(terms)
    const data = encodeCapabilities({ families: wanted })
    const found = (open.capabilities.families ?? ['ipv4']).join(', ') || 'none of ours'
    const what = `families of the peer: ${found}, wanted ${wanted.join(' or ')}`
    return openReset('UNSUPPORTED_CAPABILITY', what, data)
  }
  return peer.asn === self.asn ? undefined : roleFault(terms, open.capabilities)
}

/** RFC 9234 section 4.2. */
function roleFault(
  { peer }: SessionTerms,
  { role, hasOtherRole }: Capabilities,
): Reset | undefined {
  if (hasOtherRole) return openReset('ROLE_MISMATCH', 'the peer has roles that contradict')
  if (peer.role === undefined || role === peer.role) return undefined
  if (role === undefined && peer.isRoleStrict !== true) return undefined
  return openReset('ROLE_MISMATCH', `the peer's role is ${role ?? 'unsaid'}, wanted ${peer.role}`)
}

function openReset(subcode: keyof typeof OPEN_ERROR, reason: string, data?: Uint8Array): Reset {
  return reset(ERROR.OPEN, OPEN_ERROR[subcode], reason, data)
}

function notesOf(terms: SessionTerms, open: Open, families: readonly Family[]): readonly string[] {
  const lacking = familiesOf(terms).filter((family) => !families.includes(family))
  const notes = open.ignored.map((what) => `ignored capability: ${what}`)
  if (lacking.length > 0) notes.push(`the peer does not have ${lacking.join(', ')}`)
  return notes
}
