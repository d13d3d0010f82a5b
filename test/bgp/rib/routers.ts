/** Peers, prefixes, policies and histories of calls that the tests of the RIB draw from. */
import fc from 'fast-check'
import type { Attributes } from '../../../src/bgp/attributes.ts'
import type { Family } from '../../../src/bgp/nlri.ts'
import { community, type Policy, WELL_KNOWN } from '../../../src/bgp/policy/policy.ts'
import type { Peer, PeerFamily } from '../../../src/bgp/rib/peers.ts'
import type { Ip, Prefix } from '../../../src/net/mod.ts'
import { OWN_ASN, OWN_ID, type PolicyFunctions } from './model.ts'
import { familyOf, type World } from './world.ts'

const RED = community(64_512, 1)

/** Takes everything, as eBGP must be told to. */
export const ALL: Policy = { name: 'all', rules: [], otherwise: 'accept' }

/** Prefix lists, next hop, metric and communities. */
export const PICKY: Policy = {
  name: 'picky',
  rules: [
    {
      when: { prefixes: [{ prefix: '10.0.0.0/8' as Prefix, ge: 9, le: 24 }] },
      set: { localPref: 150 },
      action: 'continue',
    },
    { when: { communities: [RED] }, action: 'reject' },
    {
      when: {
        prefixes: [{ prefix: '10.1.0.0/16' as Prefix }, { prefix: 'fd00::/8' as Prefix, le: 128 }],
      },
      set: { med: 7, addCommunities: [RED], prepend: 2 },
    },
    { when: { passes: [65_003] }, action: 'reject' },
    { when: { sources: ['own'] }, set: { nextHop: '192.0.2.77' as Ip } },
  ],
  otherwise: 'accept',
}

/** The same sentence by sentence. */
export const POLICY_FUNCTIONS: PolicyFunctions = {
  all: (_, attributes) => attributes,
  picky: (prefix, attributes, source) => {
    const length = Number(prefix.split('/')[1])
    let now = attributes
    if (prefix.startsWith('10.') && length >= 9 && length <= 24) now = { ...now, localPref: 150 }
    if (now.communities?.includes(RED)) return undefined
    if (prefix === '10.1.0.0/16' || prefix.startsWith('fd')) {
      const communities = [...(now.communities ?? []), RED].sort((a, b) => a - b)
      const [first, ...rest] = now.asPath
      const own = [OWN_ASN, OWN_ASN]
      const asPath: Attributes['asPath'] =
        first?.kind === 'sequence'
          ? [{ kind: 'sequence', asns: [...own, ...first.asns] }, ...rest]
          : [{ kind: 'sequence', asns: own }, ...now.asPath]
      return { ...now, med: 7, communities, asPath }
    }
    if (now.asPath.some(({ asns }) => asns.includes(65_003))) return undefined
    if (source !== 'own') return now
    const { linkLocal: _, ...rest } = now
    return { ...rest, nextHop: '192.0.2.77' as Ip }
  },
}

const both = (last: number, more: Partial<PeerFamily> = {}): Peer['families'] => ({
  ipv4: { self: { nextHop: `192.0.2.${last}` as Ip }, ...more },
  ipv6: {
    self: { nextHop: `2001:db8::${last}` as Ip, linkLocal: 'fe80::1' as Ip },
    ...more,
  },
})

function peer(last: number, kind: Peer['kind'], asn: number, more: Partial<Peer> = {}): Peer {
  const policies = kind === 'ebgp' ? { importPolicy: ALL, exportPolicy: ALL } : {}
  // Router ids are not in the order of addresses; two are equal.
  const routerId = `10.0.1.${[9, 5, 5, 3, 7, 2, 4, 6][last % 8]}` as Ip
  const address = `198.51.100.${last}` as Ip
  return { address, kind, asn, routerId, families: both(1), ...policies, ...more }
}

export const PEERS: readonly Peer[] = [
  peer(1, 'ebgp', 65_001),
  peer(2, 'ebgp', 65_001),
  peer(3, 'ebgp', 65_002, { families: both(3, { addPathSend: true }) }),
  peer(4, 'ibgp', OWN_ASN),
  peer(5, 'client', OWN_ASN),
  peer(6, 'client', OWN_ASN, { families: both(1, { addPathSend: true }) }),
  peer(7, 'ebgp', 65_003, { families: { ipv4: { self: { nextHop: '192.0.2.1' as Ip } } } }),
  peer(8, 'ibgp', OWN_ASN),
]

export const NEXT_HOPS = [
  '192.0.2.10',
  '192.0.2.11',
  '192.0.2.12',
  '2001:db8::10',
] as string[] as Ip[]
const PREFIXES = [
  ...['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3/32', '172.16.0.0/12'],
  ...['::/0', 'fd00::/48', '2001:db8:1::/64', '2001:db8:1::5/128'],
] as string[] as Prefix[]

/** Few values, so that paths tie often and every step of a decision has its turn. */
const attributes: fc.Arbitrary<Attributes> = fc
  .record({
    origin: fc.constantFrom('igp' as const, 'igp' as const, 'egp' as const, 'incomplete' as const),
    asPath: fc.constantFrom<Attributes['asPath'][]>(
      [{ kind: 'sequence', asns: [65_001] }],
      [{ kind: 'sequence', asns: [65_001] }],
      [{ kind: 'sequence', asns: [65_002] }],
      [{ kind: 'sequence', asns: [65_001, 65_004] }],
      [
        { kind: 'sequence', asns: [65_002] },
        { kind: 'set', asns: [65_003, 65_005] },
      ],
      [{ kind: 'sequence', asns: [65_004, OWN_ASN] }],
      [],
    ),
    nextHop: fc.constantFrom(...NEXT_HOPS),
    linkLocal: fc.constantFrom(undefined, undefined, 'fe80::99' as Ip),
    med: fc.constantFrom(undefined, 0, 10, 20),
    localPref: fc.constantFrom(undefined, undefined, 100, 200),
    communities: fc.constantFrom<(readonly number[] | undefined)[]>(
      ...[undefined, undefined, undefined, undefined, [RED]],
      ...Object.values(WELL_KNOWN).map((each) => [each]),
    ),
    originatorId: fc.constantFrom(undefined, undefined, '10.0.1.1' as Ip, '10.0.1.8' as Ip, OWN_ID),
    clusterList: fc.constantFrom<(readonly Ip[] | undefined)[]>(
      ...[undefined, undefined, ['10.9.9.9' as Ip], ['10.9.9.9' as Ip, '10.9.9.8' as Ip], [OWN_ID]],
    ),
  })
  .map(
    (whole) =>
      Object.fromEntries(
        Object.entries(whole).filter(([, value]) => value !== undefined),
      ) as unknown as Attributes,
  )

/** One call, with its words for a failure. */
export interface Step {
  readonly text: string
  run(world: World): void
  toString(): string
}

const step = (text: string, run: (world: World) => void): Step => ({
  text,
  run,
  toString: () => text,
})
const aPeer = fc.constantFrom(...PEERS)
const aFamily = fc.constantFrom<Family[]>('ipv4', 'ipv6')
const aRoute = fc.record({
  prefix: fc.constantFrom(...PREFIXES),
  pathId: fc.integer({ min: 0, max: 2 }),
})
const aPolicy = fc.constantFrom(undefined, ALL, PICKY)

function learn(
  from: Peer,
  routes: readonly { prefix: Prefix; pathId: number }[],
  set: Attributes | undefined,
): Step {
  const text = set === undefined ? 'withdraws' : JSON.stringify(set)
  const names = routes.map(({ prefix, pathId }) => `${prefix}#${pathId}`).join(' ')
  return step(`${from.address}: ${names} ${text}`, (world) => {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const own = routes.filter(({ prefix }) => familyOf(prefix) === family)
      const hasPathIds = from.families[family]?.addPathSend === true
      if (own.length > 0) world.learn(from.address, family, own, set, hasPathIds)
    }
  })
}

const teaching = fc
  .tuple(aPeer, fc.array(aRoute, { minLength: 1, maxLength: 4 }), attributes)
  .map(([from, routes, set]) => learn(from, routes, set))

const others = fc.oneof(
  fc
    .tuple(aPeer, fc.array(aRoute, { minLength: 1, maxLength: 3 }))
    .map(([from, routes]) => learn(from, routes, undefined)),
  aPeer.map((each) => step(`up ${each.address}`, (world) => world.up(each))),
  fc
    .tuple(aPeer, fc.subarray<Family>(['ipv4', 'ipv6']))
    .map(([{ address }, retain]) =>
      step(`down ${address} retain [${retain}]`, (world) => world.down(address, retain)),
    ),
  fc
    .tuple(aPeer, aFamily)
    .map(([{ address }, family]) =>
      step(`end-of-rib ${address} ${family}`, (world) => world.endOfRib(address, family)),
    ),
  fc
    .tuple(aPeer, aFamily)
    .map(([{ address }, family]) =>
      step(`sweep ${address} ${family}`, (world) => world.sweep(address, family)),
    ),
  fc
    .tuple(aPeer, aFamily)
    .map(([{ address }, family]) =>
      step(`stale ${address} ${family}`, (world) => world.markStale(address, family)),
    ),
  fc
    .tuple(aRoute, fc.constantFrom(undefined, 5))
    .map(([{ prefix }, med]) =>
      step(`originate ${prefix} ${med}`, (world) =>
        world.originate(prefix, med === undefined ? {} : { med }),
      ),
    ),
  aRoute.map(({ prefix }) => step(`withdraw own ${prefix}`, (world) => world.withdrawOwn(prefix))),
  fc
    .tuple(
      fc.subarray(
        PEERS.map(({ address }) => address),
        { minLength: 1, maxLength: 3 },
      ),
      aPolicy,
      aPolicy,
      fc.record({ gracefulShutdown: fc.boolean(), transparent: fc.boolean() }),
    )
    .map(([them, way, out, more]) =>
      step(`policies ${them} in ${way?.name} out ${out?.name} ${JSON.stringify(more)}`, (world) =>
        world.setPolicies(them, way, out, more),
      ),
    ),
  fc
    .tuple(fc.constantFrom(...NEXT_HOPS), fc.constantFrom(undefined, 1, 1, 2))
    .map(([hop, cost]) => step(`cost ${hop} ${cost}`, (world) => world.setCost(hop, cost))),
  fc.tuple(aPeer, aFamily).map(([{ address }, family]) =>
    step(`refresh ${address} ${family}`, (world) => {
      if (world.model.up.has(address)) world.rib.refresh(address, family)
    }),
  ),
  fc
    .integer({ min: 1, max: 5 })
    .map((budget) => step(`work ${budget}`, (world) => world.work(budget))),
  fc.constant(
    step('settle', (world) => {
      world.settle(3)
      world.check()
    }),
  ),
)

/** Calls in any order, teaching more often than the rest. */
export const histories = fc.array(
  fc.oneof({ arbitrary: teaching, weight: 3 }, { arbitrary: others, weight: 3 }),
  {
    minLength: 5,
    maxLength: 40,
    size: 'max',
  },
)

const BASE: Attributes = {
  origin: 'igp',
  asPath: [{ kind: 'sequence', asns: [65_001] }],
  nextHop: NEXT_HOPS[0]!,
  originatorId: '10.0.1.3' as Ip,
}

/** Paths of one prefix that differ in one attribute at most, so that each step decides often. */
export const rivalries = fc.array(
  fc
    .tuple(
      aPeer,
      fc.integer({ min: 0, max: 2 }),
      attributes,
      fc.constantFrom<(keyof Attributes | undefined)[]>(
        ...(['origin', 'asPath', 'nextHop', 'med', 'localPref'] as const),
        ...(['clusterList', 'clusterList', undefined, undefined, undefined] as const),
      ),
      fc.boolean(),
    )
    .map(([from, pathId, other, field, isOwn]) => {
      const prefix = PREFIXES[0]!
      if (isOwn && field === 'nextHop') {
        const cost = pathId === 0 ? undefined : pathId
        return step(`cost ${cost}`, (world) => world.setCost(BASE.nextHop, cost))
      }
      if (isOwn && field === undefined) return step('own', (world) => world.originate(prefix))
      const value = field && other[field]
      const set = value === undefined ? BASE : { ...BASE, [field!]: value }
      return learn(from, [{ prefix, pathId }], set)
    }),
  { minLength: 2, maxLength: 5 },
)

/** All peers up and every next hop in reach, then the history, a look, and the end of all sessions. */
export function play(world: World, history: readonly Step[]): void {
  for (const [index, hop] of NEXT_HOPS.entries()) world.setCost(hop, index === 2 ? 2 : 1)
  for (const each of PEERS) world.up(each)
  for (const { run } of history) run(world)
  world.settle(7)
  world.check()
  world.empty()
}
