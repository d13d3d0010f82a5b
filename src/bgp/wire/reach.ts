/**
 * MP_REACH_NLRI and MP_UNREACH_NLRI: RFC 4760, RFC 2545, RFC 8950.
 *
 * @module
 */
import type { NlriSlice } from '../nlri.ts'
import type { Context } from './context.ts'
import { AFI, ATTRIBUTE, familyOf, SAFI_UNICAST } from './iana.ts'
import { u16 } from './octets.ts'
import { nlriFault } from './prefixes.ts'
import { faultOf, type UpdateFault } from './remedies.ts'

/** Prefixes of MP_REACH_NLRI and the octets of their next hop. */
export interface Reach {
  readonly nlri: NlriSlice
  readonly nextHop: Uint8Array
}

/** Prefixes of a family that was not negotiated: the attribute means nothing here. */
export interface Foreign {
  readonly afi: number
  readonly safi: number
  readonly isEmpty: boolean
  readonly fault: UpdateFault
}

export const isForeign = (value: object): value is Foreign => 'afi' in value
export const isFault = (value: object): value is UpdateFault => 'remedy' in value

/** Octets in front of the next hop: AFI, SAFI, its length. */
const REACH_HEAD_OCTETS = 4
const UNREACH_HEAD_OCTETS = 3

/** Reads the value from `start` to before `end`. */
export function decodeReach(
  bytes: Uint8Array,
  start: number,
  end: number,
  context: Context,
): Reach | Foreign | UpdateFault {
  const code = ATTRIBUTE.MP_REACH_NLRI
  // One octet behind the next hop is reserved.
  if (end - start < REACH_HEAD_OCTETS + 1) {
    return faultOf(code, 'length', `MP_REACH_NLRI of ${end - start} octets, wanted 5 or more`)
  }
  const afi = u16(bytes, start)
  const safi = bytes[start + 2] ?? 0
  const hopStart = start + REACH_HEAD_OCTETS
  const hopOctets = bytes[start + 3] ?? 0
  const nlriStart = hopStart + hopOctets + 1
  if (nlriStart > end) {
    return faultOf(
      code,
      'length',
      `a next hop of ${hopOctets} octets in ${end - start} of MP_REACH_NLRI`,
    )
  }
  const family = familyOf(afi, safi)
  if (family === undefined || !context.families.includes(family)) {
    return foreign('announced', afi, safi, nlriStart === end)
  }
  const isIp6Hop = family === 'ipv6' || context.extendedNextHop
  const fits =
    (isIp6Hop && (hopOctets === 16 || hopOctets === 32)) || (family === 'ipv4' && hopOctets === 4)
  if (!fits) {
    return faultOf(code, 'next-hop', `a next hop of ${hopOctets} octets for ${family}`)
  }
  const hasPathIds = context.addPathReceive.includes(family)
  const nlri: NlriSlice = { family, bytes, start: nlriStart, end, hasPathIds }
  const fault = nlriFault(nlri)
  if (fault !== undefined) return faultOf(code, 'nlri', `MP_REACH_NLRI: ${fault}`)
  return { nlri, nextHop: bytes.subarray(hopStart, hopStart + hopOctets) }
}

/** Reads the value from `start` to before `end`. */
export function decodeUnreach(
  bytes: Uint8Array,
  start: number,
  end: number,
  context: Context,
): NlriSlice | Foreign | UpdateFault {
  const code = ATTRIBUTE.MP_UNREACH_NLRI
  if (end - start < UNREACH_HEAD_OCTETS) {
    return faultOf(code, 'length', `MP_UNREACH_NLRI of ${end - start} octets, wanted 3 or more`)
  }
  const afi = u16(bytes, start)
  const safi = bytes[start + 2] ?? 0
  const nlriStart = start + UNREACH_HEAD_OCTETS
  const family = familyOf(afi, safi)
  if (family === undefined || !context.families.includes(family)) {
    return foreign('withdrawn', afi, safi, nlriStart === end)
  }
  const hasPathIds = context.addPathReceive.includes(family)
  const nlri: NlriSlice = { family, bytes, start: nlriStart, end, hasPathIds }
  const fault = nlriFault(nlri)
  return fault === undefined ? nlri : faultOf(code, 'nlri', `MP_UNREACH_NLRI: ${fault}`)
}

function foreign(
  subject: 'announced' | 'withdrawn',
  afi: number,
  safi: number,
  isEmpty: boolean,
): Foreign {
  const what = `prefixes of AFI ${afi} SAFI ${safi}, which was not negotiated`
  return { afi, safi, isEmpty, fault: faultOf(subject, 'family', what) }
}

/** The value without prefixes, which follow it. */
export function reachHead(family: NlriSlice['family'], nextHop: Uint8Array): Uint8Array {
  return Uint8Array.of(0, AFI[family], SAFI_UNICAST, nextHop.length, ...nextHop, 0)
}

export const unreachHead = (family: NlriSlice['family']): Uint8Array =>
  Uint8Array.of(0, AFI[family], SAFI_UNICAST)
