/**
 * Values of a speaker's file, as people write them.
 *
 * @module
 */
import { z } from 'zod'
import { community, type PrefixRange, WELL_KNOWN } from '../../bgp/policy/policy.ts'
import { ADDRESS_BITS } from '../../net/ip.ts'
import { prefixFamily, prefixLength, tryParseIp, tryParsePrefix } from '../../net/mod.ts'

/** A value as errors show it. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  return (JSON.stringify(value) ?? String(value)).slice(0, 60)
}

export function whole(low: number, high: number) {
  const error = ({ input }: { readonly input?: unknown }) =>
    `found ${show(input)}, wanted a whole number from ${low} to ${high}`
  return z.number({ error }).int({ error }).min(low, { error }).max(high, { error })
}

/** Text that `read` understands; `wanted` is said where it does not. */
function written<T>(wanted: string, read: (text: string) => T | undefined) {
  const complain = (input: unknown): string => `found ${show(input)}, wanted ${wanted}`
  return z.string({ error: ({ input }) => complain(input) }).transform((text, context): T => {
    const value = read(text)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: complain(text) })
    return z.NEVER
  })
}

export const ipValue = written('an IPv4 or IPv6 address', tryParseIp)

export const prefixValue = written('a prefix like 10.42.0.0/16 without host bits', tryParsePrefix)

/** `10.42.0.0/16`, `10.42.0.0/16 ge 26 le 28`, as routers write it. */
export const rangeValue = written(
  'a prefix like 10.42.0.0/16 ge 24 le 28',
  (text): PrefixRange | undefined => {
    const [, network = '', ge, le] = /^(\S+)(?: ge (\d+))?(?: le (\d+))?$/.exec(text) ?? []
    const prefix = tryParsePrefix(network)
    if (prefix === undefined) return undefined
    const bits = ADDRESS_BITS[prefixFamily(prefix)]
    const isIn = (length: string | undefined): boolean =>
      length === undefined || (Number(length) >= prefixLength(prefix) && Number(length) <= bits)
    if (!isIn(ge) || !isIn(le) || (ge && le && Number(ge) > Number(le))) return undefined
    // As routers have it: `le` alone begins at the prefix's own length.
    return {
      prefix,
      ...(ge !== undefined && { ge: Number(ge) }),
      ...(le !== undefined && { le: Number(le) }),
      ...(ge !== undefined && le === undefined && { le: bits }),
    }
  },
)

const NAMES: Readonly<Record<string, number>> = {
  'graceful-shutdown': WELL_KNOWN.gracefulShutdown,
  'no-export': WELL_KNOWN.noExport,
  'no-advertise': WELL_KNOWN.noAdvertise,
  'no-export-subconfed': WELL_KNOWN.noExportSubconfed,
}

export const communityValue = written(
  `a community like 65001:100, or ${Object.keys(NAMES).join(', ')}`,
  (text) => {
    const [, high, low] = /^(\d{1,5}):(\d{1,5})$/.exec(text) ?? []
    if (high === undefined) return NAMES[text]
    const parts = [Number(high), Number(low)] as const
    return parts.every((part) => part <= 0xffff) ? community(...parts) : undefined
  },
)

export const largeCommunityValue = written(
  'a large community like 65001:1:2',
  (text): readonly [number, number, number] | undefined => {
    const parts = /^\d{1,10}:\d{1,10}:\d{1,10}$/.test(text) ? text.split(':').map(Number) : []
    const [first = 0, second = 0, third = 0] = parts
    return parts.length === 3 && parts.every((part) => part <= 0xffff_ffff)
      ? [first, second, third]
      : undefined
  },
)

const EXTENDED_KINDS: Readonly<Record<string, bigint>> = { rt: 2n, ro: 3n }

/** RFC 4360: route target or origin of an AS; one above 65535 leaves two octets for the value (RFC 5668). */
export const extendedCommunityValue = written(
  'an extended community like rt:65001:100 or ro:65001:100',
  (text): bigint | undefined => {
    const [, kind = '', asn, value] = /^(rt|ro):(\d{1,10}):(\d{1,10})$/.exec(text) ?? []
    if (asn === undefined || value === undefined) return undefined
    const [as, low, subtype] = [BigInt(asn), BigInt(value), EXTENDED_KINDS[kind] ?? 0n]
    if (as > 0xffff_ffffn) return undefined
    if (as > 0xffffn) {
      return low > 0xffffn ? undefined : ((0x0200n | subtype) << 48n) | (as << 16n) | low
    }
    return low > 0xffff_ffffn ? undefined : (subtype << 48n) | (as << 32n) | low
  },
)
