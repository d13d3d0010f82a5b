/** Octets by hand, for tests that must not ask the encoder. */
import { type AttributesResult, decodeAttributes } from '../../../src/bgp/wire/attributes.ts'
import { type Context, PLAIN_CONTEXT } from '../../../src/bgp/wire/context.ts'
import { hexOf } from '../../../src/bgp/wire/octets.ts'
import type { UpdateFault } from '../../../src/bgp/wire/remedies.ts'
import { decodeUpdate, type UpdateResult } from '../../../src/bgp/wire/update.ts'

/** Octets of hexadecimal; blanks between them are free. */
export const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'))

export const toHex = hexOf

/** Both families, four-octet numbers, an internal peer: where most attributes mean something. */
export const INTERNAL: Context = {
  ...PLAIN_CONTEXT,
  peering: 'internal',
  families: ['ipv4', 'ipv6'],
  fourOctetAs: true,
}
export const EXTERNAL: Context = { ...INTERNAL, peering: 'external' }
export const TWO_OCTETS: Context = { ...EXTERNAL, fourOctetAs: false }

/** An attribute in hexadecimal: flags, code, value. */
export function attribute(flags: number, code: number, value = ''): string {
  const length = value.replace(/\s/g, '').length / 2
  const isLong = (flags & 0x10) !== 0
  const octet = (number: number): string => number.toString(16).padStart(2, '0')
  const lengthText = length.toString(16).padStart(isLong ? 4 : 2, '0')
  return `${octet(flags)}${octet(code)}${lengthText}${value}`
}

/** The body of an UPDATE in hexadecimal. */
export function updateBody(parts: {
  readonly withdrawn?: string
  readonly attributes?: string
  readonly nlri?: string
}): string {
  const { withdrawn = '', attributes = '', nlri = '' } = parts
  const length = (text: string): string =>
    (text.replace(/\s/g, '').length / 2).toString(16).padStart(4, '0')
  return length(withdrawn) + withdrawn + length(attributes) + attributes + nlri
}

export const ORIGIN = attribute(0x40, 1, '00')
export const AS_PATH = attribute(0x40, 2, '0201 0000fde9')
export const AS_PATH_2 = attribute(0x40, 2, '0201 fde9')
export const NEXT_HOP = attribute(0x40, 3, 'c0000201')
export const LOCAL_PREF = attribute(0x40, 5, '00000064')
/** IPv6 unicast, next hop 2001:db8::1, 2001:db8::/32. */
export const REACH_VALUE = '0002 01 10 20010db8000000000000000000000001 00 20 20010db8'
export const UNREACH_VALUE = '0002 01 20 20010db8'
export const TEN = '080a'

/** What an UPDATE comes to when its attributes are read, too: what a RIB does with it. */
export interface Outcome {
  readonly kind: 'accept' | 'withdraw' | 'reset'
  readonly faults: readonly UpdateFault[]
  readonly result: UpdateResult
  readonly attributes: readonly Extract<AttributesResult, { kind: 'attributes' }>[]
}

export function outcomeOf(
  body: Uint8Array,
  context: Context,
  start = 0,
  end: number = body.length,
): Outcome {
  const result = decodeUpdate(body, start, end, context)
  if (result.kind === 'reset') return { kind: 'reset', faults: [], result, attributes: [] }
  if (result.kind === 'withdraw') {
    return { kind: 'withdraw', faults: result.faults, result, attributes: [] }
  }
  const read = result.updates.flatMap(({ attributes }) =>
    attributes === undefined ? [] : [decodeAttributes(attributes, context)],
  )
  const refused = read.flatMap((each) => (each.kind === 'withdraw' ? each.faults : []))
  if (refused.length > 0) return { kind: 'withdraw', faults: refused, result, attributes: [] }
  const attributes = read.filter((each) => each.kind === 'attributes')
  const discarded = attributes.flatMap((each) => each.discarded)
  return { kind: 'accept', faults: [...result.discarded, ...discarded], result, attributes }
}
