/**
 * From what a RIB says to octets: each set of prefixes is written once for all peers
 * whose sessions agreed on the same encoding, and its octets are shared by them.
 *
 * Consecutive messages to the same peers leave as one piece.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import type { Family, NlriSlice } from '../nlri.ts'
import type { Context } from '../wire/context.ts'
import {
  type EncodedAttributes,
  packAnnouncements,
  packWithdrawals,
  prepareAttributes,
} from '../wire/pack.ts'

/** Sets of attributes that are kept in octets from turn to turn: some hundred kilobytes. */
const PREPARED_MAX = 4096

/** All that an UPDATE's octets depend on, shared by the sessions that agreed on it. */
export interface Encoding {
  readonly context: Context
  /** Attributes in octets; null: these cannot be said. */
  readonly prepared: Readonly<Record<Family, Map<Attributes, EncodedAttributes | null>>>
}

/** Encodings by what they depend on. */
export class Encodings {
  readonly #byKey = new Map<string, Encoding>()

  of(context: Context): Encoding {
    const { peering, fourOctetAs, addPathSend, extendedNextHop, messageOctetsMax } = context
    const rest = [fourOctetAs, [...addPathSend].sort(), extendedNextHop, messageOctetsMax]
    const key = [peering, ...rest].join()
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const encoding = { context, prepared: { ipv4: new Map(), ipv6: new Map() } }
    this.#byKey.set(key, encoding)
    return encoding
  }

  /**
   * What was worked out is forgotten when it is much. A few sets are kept: sessions that
   * come up one after the other are told the same.
   */
  endTurn(): void {
    for (const { prepared } of this.#byKey.values()) {
      if (prepared.ipv4.size > PREPARED_MAX) prepared.ipv4.clear()
      if (prepared.ipv6.size > PREPARED_MAX) prepared.ipv6.clear()
    }
  }
}

/** What is said of prefixes, in octets; `problem` where the peers cannot be told it. */
export interface Said {
  readonly messages: readonly Uint8Array[]
  readonly problem: string | undefined
}

/**
 * Messages of one output. What cannot be said in this encoding is withdrawn: the
 * peer must not go on with what it was told before.
 */
export function messagesFor(
  encoding: Encoding,
  attributes: Attributes | undefined,
  prefixes: NlriSlice,
): Said {
  const { context, prepared } = encoding
  if (attributes === undefined) return said(packWithdrawals(prefixes, context))
  const { family } = prefixes
  const known = prepared[family].get(attributes)
  if (known === undefined) {
    const isTellable = hopFault(attributes, family, context) === undefined
    const fresh = isTellable ? prepareAttributes(attributes, family, context) : null
    prepared[family].set(attributes, fresh)
    return pack(encoding, attributes, prefixes, fresh)
  }
  return pack(encoding, attributes, prefixes, known)
}

function pack(
  { context }: Encoding,
  attributes: Attributes,
  prefixes: NlriSlice,
  octets: EncodedAttributes | null,
): Said {
  if (octets !== null) {
    const messages = packAnnouncements(octets, prefixes, context)
    if (messages !== undefined) return said(messages)
  }
  const problem =
    hopFault(attributes, prefixes.family, context) ??
    `attributes of ${octets?.octets.length} octets leave no room in ${context.messageOctetsMax} (RFC 8654 section 4)`
  return { messages: packWithdrawals(prefixes, context), problem }
}

const said = (messages: readonly Uint8Array[]): Said => ({ messages, problem: undefined })

/** The next hop of a family for which this end of a session has no address. */
export const NO_HOP: Readonly<Record<Family, Ip>> = { ipv4: '0.0.0.0' as Ip, ipv6: '::' as Ip }

/** Why a next hop cannot be said. */
function hopFault(
  { nextHop, linkLocal }: Attributes,
  family: Family,
  { extendedNextHop }: Context,
): string | undefined {
  const isIp6 = nextHop.includes(':')
  if (nextHop === NO_HOP.ipv4 || (nextHop === NO_HOP.ipv6 && linkLocal === undefined)) {
    return `${family} routes are not announced: this end of the session has no address for their next hop; set nextHops.${family}`
  }
  if (family === 'ipv6' && !isIp6) return `IPv6 routes with the next hop ${nextHop} are held back`
  if (family === 'ipv4' && isIp6 && !extendedNextHop) {
    return `IPv4 routes with the next hop ${nextHop} are held back: the peer lacks extended next hops (RFC 8950)`
  }
  return undefined
}
