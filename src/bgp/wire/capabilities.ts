/**
 * Capabilities of an OPEN, a row each: RFC 5492 and those named at the rows.
 *
 * Families that are not ours are passed over. A capability that we know with octets
 * that we cannot read counts as absent, and is named in `ignored`.
 *
 * @module
 */
import type { Family } from '../nlri.ts'
import { AFI, CAPABILITY, familyOf, SAFI_UNICAST } from './iana.ts'
import { u16, u32 } from './octets.ts'

/** RFC 9234 section 4.1: what the speaker is to its neighbour. */
export type Role = 'provider' | 'route-server' | 'route-server-client' | 'customer' | 'peer'

export interface Capabilities {
  /** RFC 4760. */
  readonly families?: readonly Family[]
  /** RFC 2918. */
  readonly routeRefresh?: true
  /** RFC 7313. */
  readonly enhancedRouteRefresh?: true
  /** RFC 6793: the speaker's AS number. */
  readonly fourOctetAs?: number
  /** RFC 8950: families whose next hop may be an IPv6 address. */
  readonly extendedNextHop?: readonly Family[]
  /** RFC 8654. */
  readonly extendedMessage?: true
  /** RFC 4724, RFC 8538. */
  readonly gracefulRestart?: GracefulRestart
  /** RFC 9494. */
  readonly longLived?: readonly LongLived[]
  /** RFC 7911: what the speaker can do, seen from itself. */
  readonly addPath?: readonly { readonly family: Family; readonly direction: AddPathDirection }[]
  /** RFC 9234. */
  readonly role?: Role
  /** Several were announced that contradict each other: RFC 9234 section 4.2. */
  readonly hasOtherRole?: true
}

export type AddPathDirection = 'receive' | 'send' | 'both'

export interface GracefulRestart {
  /** The R bit: it has restarted, and waits for nobody's End-of-RIB from us. */
  readonly isRestarting: boolean
  /** The N bit of RFC 8538: NOTIFICATIONs, too, start a graceful restart. */
  readonly hasNotification: boolean
  /** How long the session may be away, 0 to 4095. */
  readonly restartSeconds: number
  /** Families, and whether their forwarding state was kept. */
  readonly families: readonly { readonly family: Family; readonly isForwarding: boolean }[]
}

export interface LongLived {
  readonly family: Family
  readonly isForwarding: boolean
  /** How long stale routes live, 0 to 16777215. */
  readonly staleSeconds: number
}

type Draft = { -readonly [Key in keyof Capabilities]: Capabilities[Key] }

interface Row {
  readonly code: number
  readonly name: string
  /** False: the length or a value is not what it must be. */
  decode(draft: Draft, bytes: Uint8Array): boolean
  /** One value for each capability to be written; a code may come several times. */
  encode(capabilities: Capabilities): readonly Uint8Array[]
}

const ROLES: readonly Role[] = [
  'provider',
  'route-server',
  'route-server-client',
  'customer',
  'peer',
]
const DIRECTIONS: readonly (AddPathDirection | undefined)[] = [undefined, 'receive', 'send', 'both']

type FlagField = 'routeRefresh' | 'enhancedRouteRefresh' | 'extendedMessage'

function flag(code: number, name: string, field: FlagField): Row {
  return {
    code,
    name,
    decode(draft, { length }) {
      if (length === 0) draft[field] = true
      return length === 0
    },
    encode: ({ [field]: isThere }) => (isThere ? [new Uint8Array(0)] : []),
  }
}

/** Runs over tuples of a fixed size that begin with AFI and SAFI. */
function tuples(
  bytes: Uint8Array,
  from: number,
  size: number,
  each: (family: Family, at: number) => void,
): boolean {
  if ((bytes.length - from) % size !== 0) return false
  for (let at = from; at < bytes.length; at += size) {
    const family = familyOf(u16(bytes, at), bytes[at + 2] ?? 0)
    if (family !== undefined) each(family, at)
  }
  return true
}

const familyOctets = (family: Family): readonly number[] => [0, AFI[family], SAFI_UNICAST]

/** IPv6: which address family the next hop has. */
const NEXT_HOP_AFI = AFI.ipv6

const ROWS: readonly Row[] = [
  {
    code: CAPABILITY.MULTIPROTOCOL,
    name: 'Multiprotocol',
    decode(draft, bytes) {
      if (bytes.length !== 4) return false
      const family = familyOf(u16(bytes, 0), bytes[3] ?? 0)
      const known = draft.families ?? []
      draft.families = family === undefined || known.includes(family) ? known : [...known, family]
      return true
    },
    encode: ({ families = [] }) =>
      families.map((family) => Uint8Array.of(0, AFI[family], 0, SAFI_UNICAST)),
  },
  flag(CAPABILITY.ROUTE_REFRESH, 'Route Refresh', 'routeRefresh'),
  {
    code: CAPABILITY.EXTENDED_NEXT_HOP,
    name: 'Extended Next Hop Encoding',
    decode(draft, bytes) {
      if (bytes.length % 6 !== 0) return false
      const found = new Set(draft.extendedNextHop)
      for (let at = 0; at < bytes.length; at += 6) {
        const family = familyOf(u16(bytes, at), u16(bytes, at + 2))
        if (family !== undefined && u16(bytes, at + 4) === NEXT_HOP_AFI) found.add(family)
      }
      draft.extendedNextHop = [...found]
      return true
    },
    encode: ({ extendedNextHop: all }) =>
      all === undefined
        ? []
        : [Uint8Array.from(all.flatMap((f) => [0, AFI[f], 0, SAFI_UNICAST, 0, NEXT_HOP_AFI]))],
  },
  flag(CAPABILITY.EXTENDED_MESSAGE, 'Extended Message', 'extendedMessage'),
  {
    code: CAPABILITY.ROLE,
    name: 'BGP Role',
    decode(draft, bytes) {
      const role = bytes.length === 1 ? ROLES[bytes[0] ?? 255] : undefined
      if (role !== undefined && draft.role !== undefined && draft.role !== role) {
        draft.hasOtherRole = true
      }
      if (role !== undefined) draft.role = role
      return role !== undefined
    },
    encode: ({ role }) => (role === undefined ? [] : [Uint8Array.of(ROLES.indexOf(role))]),
  },
  {
    code: CAPABILITY.GRACEFUL_RESTART,
    name: 'Graceful Restart',
    decode(draft, bytes) {
      const families: GracefulRestart['families'][number][] = []
      const isWhole =
        bytes.length >= 2 &&
        tuples(bytes, 2, 4, (family, at) => {
          families.push({ family, isForwarding: ((bytes[at + 3] ?? 0) & 0x80) !== 0 })
        })
      if (!isWhole) return false
      const head = u16(bytes, 0)
      draft.gracefulRestart = {
        isRestarting: (head & 0x8000) !== 0,
        hasNotification: (head & 0x4000) !== 0,
        restartSeconds: head & 0xfff,
        families,
      }
      return true
    },
    encode: ({ gracefulRestart }) => (gracefulRestart ? [gracefulOctets(gracefulRestart)] : []),
  },
  {
    code: CAPABILITY.FOUR_OCTET_AS,
    name: 'Four-octet AS Number',
    decode(draft, bytes) {
      if (bytes.length === 4) draft.fourOctetAs = u32(bytes, 0)
      return bytes.length === 4
    },
    encode({ fourOctetAs: asn }) {
      if (asn === undefined) return []
      return [Uint8Array.of(asn >>> 24, asn >>> 16, asn >>> 8, asn)]
    },
  },
  {
    code: CAPABILITY.ADD_PATH,
    name: 'ADD-PATH',
    decode(draft, bytes) {
      const found = [...(draft.addPath ?? [])]
      const isWhole = tuples(bytes, 0, 4, (family, at) => {
        // RFC 7911 section 4: another value means that the tuple is ignored.
        const direction = DIRECTIONS[bytes[at + 3] ?? 0]
        const isNew = found.every((each) => each.family !== family)
        if (direction !== undefined && isNew) found.push({ family, direction })
      })
      if (isWhole) draft.addPath = found
      return isWhole
    },
    encode: ({ addPath }) =>
      addPath === undefined
        ? []
        : [
            Uint8Array.from(
              addPath.flatMap(({ family, direction }) => [
                ...familyOctets(family),
                DIRECTIONS.indexOf(direction),
              ]),
            ),
          ],
  },
  flag(CAPABILITY.ENHANCED_ROUTE_REFRESH, 'Enhanced Route Refresh', 'enhancedRouteRefresh'),
  {
    code: CAPABILITY.LONG_LIVED_GRACEFUL_RESTART,
    name: 'Long-Lived Graceful Restart',
    decode(draft, bytes) {
      const found: LongLived[] = []
      const isWhole = tuples(bytes, 0, 7, (family, at) => {
        const isForwarding = ((bytes[at + 3] ?? 0) & 0x80) !== 0
        found.push({ family, isForwarding, staleSeconds: u32(bytes, at + 3) & 0xff_ffff })
      })
      if (isWhole) draft.longLived = found
      return isWhole
    },
    encode: ({ longLived }) =>
      longLived === undefined
        ? []
        : [
            Uint8Array.from(
              longLived.flatMap(({ family, isForwarding, staleSeconds: s }) => [
                ...familyOctets(family),
                ...[isForwarding ? 0x80 : 0, s >>> 16, s >>> 8, s],
              ]),
            ),
          ],
  },
]

function gracefulOctets(restart: GracefulRestart): Uint8Array {
  const { isRestarting, hasNotification, restartSeconds, families } = restart
  const bits = (isRestarting ? 0x80 : 0) | (hasNotification ? 0x40 : 0)
  return Uint8Array.of(
    bits | (restartSeconds >>> 8),
    restartSeconds,
    ...families.flatMap(({ family, isForwarding }) => [
      ...familyOctets(family),
      isForwarding ? 0x80 : 0,
    ]),
  )
}

const BY_CODE: ReadonlyMap<number, Row> = new Map(ROWS.map((row) => [row.code, row]))
/** Known, and of no use here: the peer's host name. */
const PASSED_OVER: readonly number[] = [CAPABILITY.FQDN]

export interface DecodedCapabilities {
  readonly capabilities: Capabilities
  /** Codes of those that this speaker does not know. */
  readonly unknown: readonly number[]
  /** Those it knows and could not read, in words. */
  readonly ignored: readonly string[]
}

/** Reads capabilities one behind the other; undefined when one is longer than what is left. */
export function decodeCapabilities(bytes: Uint8Array): DecodedCapabilities | undefined {
  const capabilities: Draft = {}
  const unknown = new Set<number>()
  const ignored: string[] = []
  let at = 0
  while (at < bytes.length) {
    const code = bytes[at] ?? 0
    const next = at + 2 + (bytes[at + 1] ?? 0)
    if (at + 2 > bytes.length || next > bytes.length) return undefined
    const row = BY_CODE.get(code)
    if (row === undefined) {
      if (!PASSED_OVER.includes(code)) unknown.add(code)
    } else if (!row.decode(capabilities, bytes.subarray(at + 2, next))) {
      ignored.push(`${row.name} of ${next - at - 2} octets`)
    }
    at = next
  }
  return { capabilities, unknown: [...unknown], ignored }
}

export function encodeCapabilities(capabilities: Capabilities): Uint8Array {
  const octets = ROWS.flatMap((row) =>
    row.encode(capabilities).flatMap((value) => [row.code, value.length, ...value]),
  )
  return Uint8Array.from(octets)
}

/** Names of what is announced, for text. */
export function capabilityNames(capabilities: Capabilities): readonly string[] {
  return ROWS.filter((row) => row.encode(capabilities).length > 0).map(({ name }) => name)
}
