/**
 * OPEN: RFC 4271 section 4.2 and 6.2, RFC 5492, RFC 6793, RFC 9072.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import { type Capabilities, decodeCapabilities, encodeCapabilities } from './capabilities.ts'
import { type Reset, reset } from './fault.ts'
import { frameMessage } from './framing.ts'
import { AS_TRANS, ERROR, MESSAGE, OPEN_ERROR } from './iana.ts'
import { ip4At, ipOctets, u16 } from './octets.ts'

export interface Open {
  readonly kind: 'open'
  /** Of the four-octet capability, where it is there. */
  readonly asn: number
  /** 0 (no keepalives) or at least 3. */
  readonly holdSeconds: number
  /** The BGP identifier; RFC 6286: any number of 32 bits but 0. */
  readonly id: Ip
  readonly capabilities: Capabilities
  /** Codes of capabilities that this speaker does not know. */
  readonly unknownCapabilities: readonly number[]
  /** Capabilities that could not be read and count as absent, in words. */
  readonly ignored: readonly string[]
}

const VERSION = 4
/** Optional parameters: capabilities; 255 says that lengths have two octets (RFC 9072). */
const PARAMETER = { CAPABILITIES: 2, EXTENDED_LENGTH: 255 } as const
const FIXED_OCTETS = 10

/** Decodes the body; its ten first octets are there by the framer's check. */
export function decodeOpen(bytes: Uint8Array, start: number, end: number): Open | Reset {
  const version = bytes[start] ?? 0
  if (version !== VERSION) {
    const wanted = Uint8Array.of(0, VERSION)
    return openReset('UNSUPPORTED_VERSION', `version ${version}, wanted 4`, wanted)
  }
  const octets = parametersOf(bytes, start, end)
  if ('kind' in octets) return octets
  const decoded = decodeCapabilities(octets)
  if (decoded === undefined) return openReset('UNSPECIFIC', 'a capability is cut off')
  const { capabilities, unknown, ignored } = decoded
  const asn = capabilities.fourOctetAs ?? u16(bytes, start + 1)
  const holdSeconds = u16(bytes, start + 3)
  const id = ip4At(bytes, start + 5)
  if (asn === 0) return openReset('BAD_PEER_AS', 'AS 0 (RFC 7607)')
  if (holdSeconds === 1 || holdSeconds === 2) {
    return openReset('UNACCEPTABLE_HOLD_TIME', `${holdSeconds} s, wanted 0 or at least 3`)
  }
  if (id === '0.0.0.0') return openReset('BAD_IDENTIFIER', 'identifier 0.0.0.0')
  return {
    kind: 'open',
    asn,
    holdSeconds,
    id,
    capabilities,
    unknownCapabilities: unknown,
    ignored,
  }
}

function openReset(subcode: keyof typeof OPEN_ERROR, reason: string, data?: Uint8Array): Reset {
  return reset(ERROR.OPEN, OPEN_ERROR[subcode], reason, data)
}

/** The capabilities of all parameters, one behind the other. */
function parametersOf(bytes: Uint8Array, start: number, end: number): Uint8Array | Reset {
  let at = start + FIXED_OCTETS
  let length = bytes[start + 9] ?? 0
  const isExtended = length > 0 && bytes[at] === PARAMETER.EXTENDED_LENGTH
  if (isExtended) {
    if (end - at < 3) return openReset('UNSPECIFIC', 'an extended length is cut off')
    length = u16(bytes, at + 1)
    at += 3
  }
  if (at + length !== end) {
    return openReset('UNSPECIFIC', `parameters of ${length} octets where ${end - at} are`)
  }
  const found: number[] = []
  const headOctets = isExtended ? 3 : 2
  while (at < end) {
    const type = bytes[at] ?? 0
    const value = at + headOctets
    const next = value + (isExtended ? u16(bytes, at + 1) : (bytes[at + 1] ?? 0))
    if (value > end || next > end) return openReset('UNSPECIFIC', 'a parameter is cut off')
    if (type !== PARAMETER.CAPABILITIES) {
      return openReset('UNSUPPORTED_PARAMETER', `parameter ${type}, wanted 2`)
    }
    for (let octet = value; octet < next; octet++) found.push(bytes[octet] ?? 0)
    at = next
  }
  return Uint8Array.from(found)
}

export type OpenFields = Pick<Open, 'asn' | 'holdSeconds' | 'id' | 'capabilities'>

/** The whole message. A number that two octets cannot hold needs `capabilities.fourOctetAs`. */
export function encodeOpen({ asn, holdSeconds, id, capabilities }: OpenFields): Uint8Array {
  const shortAsn = asn > 0xffff ? AS_TRANS : asn
  const octets = encodeCapabilities(capabilities)
  const body = [VERSION, shortAsn >>> 8, shortAsn, holdSeconds >>> 8, holdSeconds, ...ipOctets(id)]
  return frameMessage(MESSAGE.OPEN, Uint8Array.from([...body, ...parameters(octets)]))
}

/** RFC 9072 only where it is needed: older peers do not know it. */
function parameters(capabilities: Uint8Array): readonly number[] {
  const { length } = capabilities
  if (length === 0) return [0]
  if (length + 2 < 255) return [length + 2, PARAMETER.CAPABILITIES, length, ...capabilities]
  const outer = length + 3
  return [
    ...[255, PARAMETER.EXTENDED_LENGTH, outer >>> 8, outer & 0xff],
    ...[PARAMETER.CAPABILITIES, length >>> 8, length & 0xff],
    ...capabilities,
  ]
}
