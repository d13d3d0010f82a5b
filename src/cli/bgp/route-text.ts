/**
 * A route of the command line: attributes as people write them, each by a flag.
 *
 * @module
 */
import { type Command, Option } from 'commander'
import type { AsSegment, Attributes, Origin } from '../../bgp/attributes.ts'
import { TriviumError } from '../../errors.ts'
import { type Ip, parseIp } from '../../net/mod.ts'
import { collect } from '../common.ts'
import { communityValue, largeCommunityValue } from './values.ts'

export interface RouteFlags {
  readonly asPath?: string
  readonly nextHop?: string
  readonly med?: string
  readonly localPref?: string
  readonly origin?: Origin
  readonly community?: readonly string[]
  readonly largeCommunity?: readonly string[]
  readonly onlyToCustomer?: string
}

export const withRouteFlags = (command: Command): Command =>
  command
    .option('--as-path <asns>', "e.g. '65002 65010 {65011 65012}'")
    .option('--next-hop <address>', "default: the peer's address")
    .option('--med <number>', '0 to 4294967295')
    .option('--local-pref <number>', '0 to 4294967295')
    .addOption(new Option('--origin <origin>', 'igp').choices(['igp', 'egp', 'incomplete']))
    .option('--community <value>', '65001:100, no-export, …; repeatable', collect)
    .option('--large-community <value>', '65001:1:2; repeatable', collect)
    .option('--only-to-customer <asn>', 'OTC of RFC 9234')

/** Whether any attribute was said. */
export const hasRoute = (flags: RouteFlags): boolean =>
  [flags.asPath, flags.nextHop, flags.med, flags.localPref, flags.origin, flags.community]
    .concat([flags.largeCommunity, flags.onlyToCustomer])
    .some((each) => each !== undefined)

/**
 * @param base What is not said.
 * @throws {TriviumError} USAGE: an attribute cannot be read.
 */
export function routeOf(
  flags: RouteFlags,
  base: { readonly nextHop: Ip; readonly asPath: readonly AsSegment[] },
): Attributes {
  const { asPath, nextHop, med, localPref, origin, onlyToCustomer } = flags
  const communities = (flags.community ?? []).map((text) => communityOf('--community', text))
  const large = (flags.largeCommunity ?? []).map((text) => largeOf(text))
  return {
    origin: origin ?? 'igp',
    asPath: asPath === undefined ? base.asPath : asPathOf(asPath),
    nextHop: nextHop === undefined ? base.nextHop : parseIp(nextHop, '--next-hop'),
    ...(med !== undefined && { med: numberOf('--med', med) }),
    ...(localPref !== undefined && { localPref: numberOf('--local-pref', localPref) }),
    ...(communities.length > 0 && {
      communities: [...new Set(communities)].sort((left, right) => left - right),
    }),
    ...(large.length > 0 && { largeCommunities: large }),
    ...(onlyToCustomer !== undefined && {
      onlyToCustomer: numberOf('--only-to-customer', onlyToCustomer),
    }),
  }
}

/** `65002 65010 {65011 65012}`; an empty text is an empty path. */
export function asPathOf(text: string): readonly AsSegment[] {
  const segments: AsSegment[] = []
  const words = text.slice(0, 10_000)
  if (words.replaceAll(/\{[\d\s,]*\d[\d\s,]*\}|\d+/g, '').trim() !== '') {
    throw refused('--as-path', text, "AS numbers like '65002 65010 {65011 65012}'")
  }
  for (const [word] of words.matchAll(/\{[^}]*\}|\d+/g)) {
    const asns = [...word.matchAll(/\d+/g)].map(([asn]) => numberOf('--as-path', asn))
    const last = segments.at(-1)
    if (word.startsWith('{')) segments.push({ kind: 'set', asns })
    else if (last?.kind === 'sequence') {
      segments.splice(-1, 1, { kind: 'sequence', asns: [...last.asns, ...asns] })
    } else segments.push({ kind: 'sequence', asns })
  }
  return segments
}

function communityOf(flag: string, text: string): number {
  const parsed = communityValue.safeParse(text)
  if (parsed.success) return parsed.data
  throw refused(flag, text, 'a community like 65001:100, or no-export, no-advertise, …')
}

function largeOf(text: string): readonly [number, number, number] {
  const parsed = largeCommunityValue.safeParse(text)
  if (parsed.success) return parsed.data
  throw refused('--large-community', text, 'a large community like 65001:1:2')
}

function numberOf(flag: string, text: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value <= 4_294_967_295) return value
  throw refused(flag, text, 'a whole number from 0 to 4294967295')
}

const refused = (flag: string, text: string, wanted: string): TriviumError =>
  new TriviumError(
    'USAGE',
    `Cannot read ${flag}: found ${JSON.stringify(text.slice(0, 60))}, wanted ${wanted}`,
  )
