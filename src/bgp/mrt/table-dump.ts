/**
 * A speaker's table as octets that `bgpdump` and others read: MRT, TABLE_DUMP_V2
 * (RFC 6396 section 4.3). First who the peers are, then a record for each prefix with
 * all of its paths, as they are after import.
 *
 * @module
 */
import type { Ip, Prefix } from '../../net/mod.ts'
import { networkAddress, prefixFamily, prefixLength } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import { encodeAttributes, isPlainNextHop, writeAttributeHeader } from '../wire/attributes.ts'
import { type Context, PLAIN_CONTEXT } from '../wire/context.ts'
import { ATTRIBUTE, FLAG } from '../wire/iana.ts'
import { ipOctets, joined } from '../wire/octets.ts'
import { number16, number32, record, TYPE } from './record.ts'

/** RFC 6396 section 4.3. */
const SUBTYPE = { peers: 1, ipv4: 2, ipv6: 4 } as const
/** Of entries and peers: counts have two octets. */
const COUNT_MAX = 0xffff
/** Section 4.3.1: AS numbers have four octets; the address has sixteen. */
const PEER_TYPE = { as4: 2, ip6: 1 } as const

export interface DumpedPeer {
  readonly address: Ip
  readonly asn: number
  readonly routerId: Ip
}

export interface DumpedPath {
  /** Its place among the peers. */
  readonly peer: number
  readonly attributes: Attributes
}

/** What a session inside an AS is told: LOCAL_PREF stays; AS numbers have four octets (section 4.3.4). */
const CONTEXT: Context = {
  ...PLAIN_CONTEXT,
  peering: 'internal',
  fourOctetAs: true,
  extendedNextHop: true,
}

/**
 * The first record of a dump; peers beyond 65 535 have no place in it.
 *
 * @param seconds Since 1970.
 */
export function peersRecord(
  collector: Ip,
  peers: readonly DumpedPeer[],
  seconds: number,
): Uint8Array {
  const known = peers.slice(0, COUNT_MAX)
  const parts = known.flatMap(({ address, asn, routerId }) => {
    const octets = ipOctets(address)
    const type = PEER_TYPE.as4 | (octets.length === 16 ? PEER_TYPE.ip6 : 0)
    return [Uint8Array.of(type), ipOctets(routerId), octets, number32(asn)]
  })
  const head = [ipOctets(collector), number16(0), number16(known.length)]
  return record(TYPE.tableDumpV2, SUBTYPE.peers, seconds, [...head, ...parts])
}

/** One prefix with its paths; `sequence` counts the prefixes of a dump from 0. */
export function prefixRecord(
  prefix: Prefix,
  paths: readonly DumpedPath[],
  sequence: number,
  seconds: number,
): Uint8Array {
  const [family, length] = [prefixFamily(prefix), prefixLength(prefix)]
  const address = ipOctets(networkAddress(prefix)).subarray(0, (length + 7) >>> 3)
  const entries = paths.slice(0, COUNT_MAX).flatMap(({ peer, attributes }) => {
    const octets = attributeOctetsOf(attributes)
    return [number16(peer), number32(seconds), number16(octets.length), octets]
  })
  const count = number16(entries.length / 4)
  const head = [number32(sequence), Uint8Array.of(length), address, count]
  const subtype = family === 4 ? SUBTYPE.ipv4 : SUBTYPE.ipv6
  return record(TYPE.tableDumpV2, subtype, seconds, [...head, ...entries])
}

/** Of MP_REACH_NLRI only the next hop is there (section 4.3.4). */
function attributeOctetsOf(attributes: Attributes): Uint8Array {
  const isPlain = isPlainNextHop(attributes.nextHop)
  const octets = encodeAttributes(attributes, CONTEXT, isPlain)
  if (isPlain) return octets
  const { nextHop, linkLocal } = attributes
  const hop = joined([ipOctets(nextHop), ...(linkLocal ? [ipOctets(linkLocal)] : [])])
  const reach = new Uint8Array(3 + 1 + hop.length)
  const at = writeAttributeHeader(reach, 0, FLAG.OPTIONAL, ATTRIBUTE.MP_REACH_NLRI, 1 + hop.length)
  reach[at] = hop.length
  reach.set(hop, at + 1)
  return joined([octets, reach])
}
