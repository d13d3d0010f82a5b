/** Random messages that a speaker could send, and contexts in which it sends them. */
import fc from 'fast-check'
import type { AsSegment, Attributes } from '../../../src/bgp/attributes.ts'
import type { Family } from '../../../src/bgp/nlri.ts'
import type { Capabilities } from '../../../src/bgp/wire/capabilities.ts'
import { compareLarge } from '../../../src/bgp/wire/communities.ts'
import type { Context } from '../../../src/bgp/wire/context.ts'
import type { PathPrefix } from '../../../src/bgp/wire/prefixes.ts'
import { type Ip, ipFromInteger, prefixOf } from '../../../src/net/mod.ts'

export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6']

/** Plain objects, as a decoder makes them. */
const record = <T>(model: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true })

const u32 = fc.oneof(fc.nat(0xffff), fc.integer({ min: 0, max: 0xffff_ffff }))
const asn = fc.oneof(
  fc.integer({ min: 1, max: 0xffff }),
  fc.constantFrom(1, 23456, 65535, 65536, 0xffff_ffff),
  fc.integer({ min: 1, max: 0xffff_ffff }),
)
export const ip4: fc.Arbitrary<Ip> = u32.map((value) => ipFromInteger(4, BigInt(value)))
const ip6: fc.Arbitrary<Ip> = fc
  .oneof(
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
    // Long runs of zeros, for the short form.
    fc
      .array(fc.constantFrom(0n, 0n, 1n, 0xfe80n), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.reduce<bigint>((sum, group) => (sum << 16n) | group, 0n)),
  )
  .map((value) => ipFromInteger(6, value))
const linkLocal: fc.Arbitrary<Ip> = fc
  .bigInt({ min: 0n, max: (1n << 64n) - 1n })
  .map((value) => ipFromInteger(6, (0xfe80n << 112n) | value))

export const families = fc.subarray([...FAMILIES])

export const contexts: fc.Arbitrary<Context> = record({
  peering: fc.constantFrom('external', 'internal', 'confederation'),
  families: fc.constant(FAMILIES),
  fourOctetAs: fc.boolean(),
  addPathReceive: families,
  addPathSend: families,
  extendedNextHop: fc.boolean(),
  messageOctetsMax: fc.constantFrom(4096, 65535),
  asSets: fc.constant('accept'),
})

const asns = (maxLength: number) => fc.array(asn, { minLength: 1, maxLength })
/** RFC 6793 section 3: a confederation with large numbers has no two-octet speakers. */
const members = fc.array(fc.integer({ min: 1, max: 0xffff }), { minLength: 1, maxLength: 255 })

/** Segments of confederations are in front: RFC 5065 puts them there, and AS4_PATH loses others. */
function asPaths({ peering }: Context): fc.Arbitrary<readonly AsSegment[]> {
  const segment = (
    kinds: readonly AsSegment['kind'][],
    numbers: fc.Arbitrary<number[]>,
  ): fc.Arbitrary<AsSegment> => record({ kind: fc.constantFrom(...kinds), asns: numbers })
  const plain = fc.array(segment(['sequence', 'sequence', 'set'], fc.oneof(asns(5), asns(255))), {
    maxLength: 3,
  })
  if (peering === 'external') return plain
  const confederation = fc.array(segment(['confed-sequence', 'confed-set'], members), {
    maxLength: 2,
  })
  const first: fc.Arbitrary<AsSegment[]> =
    peering === 'confederation'
      ? members.map((numbers) => [{ kind: 'confed-sequence', asns: numbers }])
      : fc.constant([])
  return fc.tuple(first, confederation, plain).map((parts) => parts.flat())
}

const ascending = (values: readonly number[]): readonly number[] =>
  [...new Set(values)].sort((a, b) => a - b)

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined })

const unknown: fc.Arbitrary<Attributes['unknown']> = fc
  .uniqueArray(
    record({
      code: fc.constantFrom(20, 21, 25, 33, 34, 99, 128, 254, 255),
      flags: fc.constant(0xe0),
      bytes: fc.uint8Array({ maxLength: 300 }),
    }),
    { selector: ({ code }) => code, minLength: 1, maxLength: 3 },
  )
  .map((all) => all.sort((a, b) => a.code - b.code))

/** What a peer of that context may say about prefixes of the family. */
export function attributesOf(context: Context, family: Family): fc.Arbitrary<Attributes> {
  const { peering } = context
  const plainHop = record({ nextHop: ip4, linkLocal: fc.constant(undefined) })
  const longHop = record({ nextHop: ip6, linkLocal: maybe(linkLocal) })
  const hop =
    family === 'ipv6' ? longHop : context.extendedNextHop ? fc.oneof(plainHop, longHop) : plainHop
  const inner = <T>(value: fc.Arbitrary<T>) =>
    peering === 'internal' ? maybe(value) : fc.constant(undefined)
  const rest = record({
    origin: fc.constantFrom('igp' as const, 'egp' as const, 'incomplete' as const),
    asPath: asPaths(context),
    med: maybe(u32),
    localPref:
      peering === 'internal' ? u32 : peering === 'external' ? fc.constant(undefined) : maybe(u32),
    atomicAggregate: maybe(fc.constant(true as const)),
    aggregator: maybe(record({ asn, id: ip4 })),
    communities: maybe(fc.array(u32, { minLength: 1, maxLength: 70 }).map(ascending)),
    extendedCommunities: maybe(
      fc
        .uniqueArray(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { minLength: 1 })
        .map((all) => all.sort((a, b) => (a < b ? -1 : 1))),
    ),
    largeCommunities: maybe(
      fc
        .uniqueArray(fc.tuple(u32, u32, u32), { minLength: 1, selector: (each) => each.join() })
        .map((all) => all.sort(compareLarge)),
    ),
    originatorId: inner(ip4),
    clusterList: inner(fc.array(ip4, { minLength: 1, maxLength: 70 })),
    onlyToCustomer: maybe(u32),
    unknown: maybe(unknown),
  })
  return fc.tuple(rest, hop).map(([fields, hops]) => {
    const all = Object.entries({ ...fields, ...hops })
    return Object.fromEntries(
      all.filter(([, value]) => value !== undefined),
    ) as unknown as Attributes
  })
}

export function prefixes(family: Family, hasPathIds: boolean): fc.Arbitrary<readonly PathPrefix[]> {
  const bits = family === 'ipv4' ? 32 : 128
  const one = fc
    .tuple(family === 'ipv4' ? ip4 : ip6, fc.integer({ min: 0, max: bits }), u32)
    .map(([ip, length, pathId]): PathPrefix => {
      const prefix = prefixOf(ip, length)
      return hasPathIds ? { prefix, pathId } : { prefix }
    })
  return fc.oneof(
    fc.array(one, { minLength: 1, maxLength: 5 }),
    fc.array(one, { minLength: 1, maxLength: 1500, size: 'max' }),
  )
}

const seconds = (max: number) => fc.nat(max)

export const capabilities: fc.Arbitrary<Capabilities> = record({
  families: maybe(families.filter(({ length }) => length > 0)),
  routeRefresh: maybe(fc.constant(true as const)),
  enhancedRouteRefresh: maybe(fc.constant(true as const)),
  fourOctetAs: maybe(asn),
  extendedNextHop: maybe(families),
  extendedMessage: maybe(fc.constant(true as const)),
  gracefulRestart: maybe(
    record({
      isRestarting: fc.boolean(),
      hasNotification: fc.boolean(),
      restartSeconds: seconds(4095),
      families: families.chain((all) =>
        fc
          .array(fc.boolean(), { minLength: all.length, maxLength: all.length })
          .map((bits) => all.map((family, at) => ({ family, isForwarding: bits[at] ?? false }))),
      ),
    }),
  ),
  longLived: maybe(
    fc.array(
      record({
        family: fc.constantFrom(...FAMILIES),
        isForwarding: fc.boolean(),
        staleSeconds: seconds(0xff_ffff),
      }),
      // Long enough that the OPEN needs RFC 9072.
      { maxLength: 36, size: 'max' },
    ),
  ),
  addPath: maybe(
    fc.uniqueArray(
      record({
        family: fc.constantFrom(...FAMILIES),
        direction: fc.constantFrom('receive' as const, 'send' as const, 'both' as const),
      }),
      { selector: ({ family }) => family },
    ),
  ),
  role: maybe(
    fc.constantFrom(
      'provider' as const,
      'route-server' as const,
      'route-server-client' as const,
      'customer' as const,
      'peer' as const,
    ),
  ),
}).map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
