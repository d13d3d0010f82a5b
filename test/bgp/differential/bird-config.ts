/**
 * A router of a topology as a configuration of BIRD 2, options and filters chosen so that
 * it means the same as ours. Where BIRD differs by design, and what makes it equal, is in
 * `EQUALISERS`; `run.ts --without NAME` shows networks that differ without one of them.
 *
 * @module
 */
import type { Originated } from '../../../src/bgp/config.ts'
import type { Family } from '../../../src/bgp/nlri.ts'
import {
  type Changes,
  type Condition,
  type Policy,
  type Source,
  WELL_KNOWN,
} from '../../../src/bgp/policy/policy.ts'
import { type Ip, type Prefix, prefixFamily } from '../../../src/net/mod.ts'
import {
  addressOf,
  type End,
  endAddress,
  FAMILIES,
  type Router,
  routerOf,
  type Session,
  sidesOf,
  type Topology,
} from './topology.ts'

/**
 * What is BIRD's way and not ours (RFC 4271 where it says something), and how it is made
 * equal. Seen with 2.0.12 in networks that differ without it: next-hop 2 of 12 (first
 * seed 4), well-known 6 of 12 (3), own-med 11 of 12 (1), graceful-shutdown 7 of 24 (2),
 * cluster 15 of 60 (106), med 2 of 70 (105).
 */
export const EQUALISERS = {
  'next-hop':
    'A path without a way to its next hop is excluded (9.1.2.1); BIRD uses and tells it where there is no other. Not exported: `dest = RTD_UNREACHABLE`.',
  'well-known':
    'NO_EXPORT and the like on own routes: BIRD minds them in what others taught only. Rejected on the way out.',
  'own-med':
    'MED of an own route is told to another AS; BIRD tells none that no export filter has set. Set to itself.',
  'graceful-shutdown':
    'RFC 8326: BIRD leaves GRACEFUL_SHUTDOWN to filters. LOCAL_PREF 0 on the way in.',
  cluster:
    "RFC 4456 section 8: BIRD looks for its own cluster in CLUSTER_LIST at clients' sessions only. Rejected on the way in.",
  med: 'Paths of one neighbour AS are compared as a group (9.1.2.2 c); BIRD compares two by two unless told `deterministic med on`.',
} as const

export type Equaliser = keyof typeof EQUALISERS

/** Where the link is that all next hops lie behind. */
export const GATEWAY = { ipv4: '198.18.0.2', ipv6: 'fd01::2' } as const

export const familyOf = (prefix: Prefix): Family => (prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6')

/** Of a session at one of its routers. */
export const protocolName = ({ id }: Session, { kind }: End): string =>
  `${kind === 'ebgp' ? 'e' : 'i'}${id}`

/** Own routes of a router: what is announced later is there, too, switched off. */
export function ownRoutes(
  { events }: Topology,
  { id, originate }: Router,
): readonly { readonly name: string; readonly route: Originated; readonly isLater: boolean }[] {
  const later = events.flatMap((event) =>
    event.kind === 'announce' && event.router === id ? [event.route] : [],
  )
  return [...originate, ...later].map((route, index) => {
    const isLater = index >= originate.length
    return { name: `own${index}`, route, isLater }
  })
}

export interface BirdOptions {
  /** One of the equalisers that is left out. */
  readonly without?: Equaliser | undefined
  /** The address by which a router is known to others. @default its own */
  readonly seenAs?: (address: Ip) => Ip
  /** Further lines. */
  readonly more?: readonly string[]
}

/** The text of a router's configuration. */
export function birdConfig(topology: Topology, id: number, options: BirdOptions = {}): string {
  const router = routerOf(topology, id)
  const sides = sidesOf(topology, id)
  return [
    `router id ${router.routerId};`,
    'ipv4 table igp4; ipv6 table igp6;',
    'protocol device { scan time 3600; }',
    ...FAMILIES.map((family) => igp(topology, router, family)),
    ...ownRoutes(topology, router).map(ownRoute),
    ...sides.map(({ session, near, far }) => protocol(topology, { session, near, far }, options)),
    ...(options.more ?? []),
    '',
  ].join('\n')
}

function igp(topology: Topology, { id, costs }: Router, family: Family): string {
  const version = family === 'ipv4' ? 4 : 6
  const routes = topology.routers.flatMap((other) => {
    const cost = costs[other.id]
    if (other.id === id || cost === undefined) return []
    const aliases = new Set([1, ...sidesOf(topology, other.id).map(({ near }) => near.alias)])
    return [...aliases].map((alias) => {
      const host = `${addressOf(other.id, alias, family)}/${family === 'ipv4' ? 32 : 128}`
      return `  route ${host} via ${GATEWAY[family]} { igp_metric = ${cost}; };`
    })
  })
  return [
    `protocol static way${version} {`,
    `  ${family} { table igp${version}; };`,
    ...routes,
    '}',
  ].join('\n')
}

function ownRoute({ name, route, isLater }: ReturnType<typeof ownRoutes>[number]): string {
  const { prefix, attributes = {} } = route
  const { med, origin, localPref, communities, largeCommunities } = attributes
  const set = changeLines({
    ...(med !== undefined && { med }),
    ...(origin !== undefined && { origin }),
    ...(localPref !== undefined && { localPref }),
    ...(communities !== undefined && { addCommunities: communities }),
    ...(largeCommunities !== undefined && { addLargeCommunities: largeCommunities }),
  })
  const block = set.length > 0 ? ` { ${set.join(' ')} }` : ''
  const state = isLater ? ' disabled;' : ''
  return `protocol static ${name} {${state} ${familyOf(prefix)}; route ${prefix} blackhole${block}; }`
}

function protocol(
  topology: Topology,
  { session, near, far }: ReturnType<typeof sidesOf>[number],
  { without, seenAs = (address) => address }: BirdOptions,
): string {
  const { medMissing, alwaysCompareMed } = topology
  const [router, other] = [routerOf(topology, near.router), routerOf(topology, far.router)]
  const { clusterId } = router
  const lines = [
    `local ${endAddress(session, near)} as ${router.asn};`,
    `neighbor ${seenAs(endAddress(session, far))} as ${other.asn};`,
    'multihop; strict bind on; graceful restart off;',
    'connect delay time 1; connect retry time 1; error wait time 1, 2;',
    alwaysCompareMed ? 'med metric on;' : without === 'med' ? '' : 'deterministic med on;',
    `default bgp_med ${medMissing === 'best' ? 0 : 0xffff_ffff};`,
    ...(near.kind === 'client' ? ['rr client;'] : []),
    ...(near.kind === 'client' && clusterId ? [`rr cluster id ${clusterId};`] : []),
    ...(near.role ? [`local role ${NEAR_ROLE[near.role]};`] : []),
    ...session.families.flatMap((family) => channel(session, family, { near, router, without })),
  ]
  return `protocol bgp ${protocolName(session, near)} {\n  ${lines.join('\n  ')}\n}`
}

/** BIRD's `local role` is what this end is, ours what the other one is. */
const NEAR_ROLE = {
  customer: 'provider',
  provider: 'customer',
  peer: 'peer',
  'route-server': 'rs_client',
  'route-server-client': 'rs_server',
} as const

function channel(
  session: Session,
  family: Family,
  side: { readonly near: End; readonly router: Router; readonly without: Equaliser | undefined },
): readonly string[] {
  const { near, router, without } = side
  const self = addressOf(near.router, near.alias, family)
  const nextHop = session.transport === family ? '' : ` next hop address ${self};`
  const terms = { family, self, router, kind: near.kind, without }
  return [
    `${family} { igp table igp${family === 'ipv4' ? 4 : 6};${nextHop}`,
    '  import filter {',
    ...importFilter(near.importPolicy, terms).map((line) => `    ${line}`),
    '  };',
    '  export filter {',
    ...exportFilter(near.exportPolicy, terms).map((line) => `    ${line}`),
    '  };',
    '};',
  ]
}

interface Terms {
  readonly family: Family
  readonly self: string
  readonly router: Router
  readonly kind: End['kind']
  readonly without: Equaliser | undefined
}

function importFilter(policy: Policy | undefined, terms: Terms): readonly string[] {
  const { router, kind, without } = terms
  if (kind !== 'ebgp') {
    const cluster = router.clusterId ?? router.routerId
    const loop = without === 'cluster' ? [] : [`if ${cluster} ~ bgp_cluster_list then reject;`]
    return [...loop, ...ruleLines(policy ?? ALL, { ...terms, way: 'in', accept: 'accept;' })]
  }
  const accept =
    without === 'graceful-shutdown'
      ? 'accept;'
      : 'if (65535,0) ~ bgp_community then bgp_local_pref = 0; accept;'
  return ruleLines(policy ?? NOTHING, { ...terms, way: 'in', accept })
}

/** Who hears nothing of a route with such a community. */
const HELD = {
  inside: [WELL_KNOWN.noAdvertise],
  outside: [WELL_KNOWN.noAdvertise, WELL_KNOWN.noExport, WELL_KNOWN.noExportSubconfed],
} as const

function exportFilter(policy: Policy | undefined, terms: Terms): readonly string[] {
  const isOutside = terms.kind === 'ebgp'
  const held = HELD[isOutside ? 'outside' : 'inside'].map((each) => `${pair(each)} ~ bgp_community`)
  const lines: Readonly<Record<string, readonly string[]>> = {
    'next-hop': ['if dest = RTD_UNREACHABLE then reject;'],
    'well-known': [`if source = RTS_STATIC && (${anyOf(held)}) then reject;`],
    'own-med': isOutside
      ? ['if source = RTS_STATIC && defined(bgp_med) then bgp_med = bgp_med;']
      : [],
  }
  return [
    `ip before = ${terms.self};`,
    'if source = RTS_BGP then before = bgp_next_hop;',
    ...Object.entries(lines).flatMap(([name, each]) => (name === terms.without ? [] : each)),
    ...ruleLines(policy ?? (isOutside ? NOTHING : ALL), {
      ...terms,
      way: 'out',
      accept: 'accept;',
    }),
  ]
}

const ALL: Policy = { name: 'all', rules: [], otherwise: 'accept' }
const NOTHING: Policy = { name: 'nothing', rules: [], otherwise: 'reject' }

interface RuleTerms extends Terms {
  readonly way: 'in' | 'out'
  readonly accept: string
}

function ruleLines({ rules, otherwise }: Policy, terms: RuleTerms): readonly string[] {
  const { accept } = terms
  const lines = rules.flatMap(({ when = {}, set = {}, action = 'accept' }) => {
    const end = action === 'continue' ? '' : action === 'reject' ? 'reject;' : accept
    const body = action === 'reject' ? [] : changeLines(set, terms)
    const tests = conditionTexts(when, terms)
    const head = tests.length > 0 ? `if ${tests.map((test) => `(${test})`).join(' && ')} then ` : ''
    return [`${head}{ ${[...body, end].join(' ')} }`]
  })
  return [...lines, otherwise === 'accept' ? accept : 'reject;']
}

const pair = (value: number): string => `(${value >>> 16},${value & 0xffff})`
const anyOf = (tests: readonly string[]): string =>
  tests.length === 0 ? 'false' : tests.join(' || ')

function conditionTexts(when: Condition, terms: RuleTerms): readonly string[] {
  const { family, way, kind, router } = terms
  // On the way out ours is in front of AS_PATH already.
  const isPrepended = way === 'out' && kind === 'ebgp'
  const ranges = when.prefixes?.filter(({ prefix }) => familyOf(prefix) === family)
  const sets = ranges?.map(({ prefix, ge = Number(prefix.split('/')[1]), le = ge }) => {
    return `net ~ [ ${prefix}{${ge},${le}} ]`
  })
  const origins = when.originatesIn?.map((asn) =>
    isPrepended && asn === router.asn
      ? `bgp_path.len = 0 || bgp_path.last = ${asn}`
      : `bgp_path.last = ${asn}`,
  )
  const passes = when.passes?.map((asn) =>
    isPrepended && asn === router.asn ? 'true' : `bgp_path ~ [= * ${asn} * =]`,
  )
  const length = when.asPathLengthMax
  return [
    ...(sets ? [anyOf(sets)] : []),
    ...(when.sources ? [anyOf(when.sources.map((each) => sourceText(each, terms)))] : []),
    ...(when.communities
      ? [anyOf(when.communities.map((each) => `${pair(each)} ~ bgp_community`))]
      : []),
    ...(when.largeCommunities
      ? [anyOf(when.largeCommunities.map((each) => `(${each}) ~ bgp_large_community`))]
      : []),
    ...(when.nextHops ? [anyOf(when.nextHops.map((each) => `bgp_next_hop = ${each}`))] : []),
    ...(passes ? [anyOf(passes)] : []),
    ...(origins ? [anyOf(origins)] : []),
    ...(length === undefined ? [] : [`bgp_path.len <= ${length - (isPrepended ? 1 : 0)}`]),
  ]
}

/** Protocols have names for it: `protocolName`. */
function sourceText(source: Source, { way, kind }: RuleTerms): string {
  if (way === 'in') return String((kind === 'ebgp') === (source === 'ebgp') && source !== 'own')
  if (source === 'own') return 'source = RTS_STATIC'
  // In parentheses: BIRD gives `&&` and `||` one precedence.
  return `(source = RTS_BGP && proto ~ "${source === 'ebgp' ? 'e' : 'i'}*")`
}

const ORIGINS = { igp: 'ORIGIN_IGP', egp: 'ORIGIN_EGP', incomplete: 'ORIGIN_INCOMPLETE' } as const

function changeLines(set: Changes, terms?: RuleTerms): readonly string[] {
  const { med, removeCommunities: removed, nextHop } = set
  const own = terms === undefined ? '' : `bgp_path.prepend(${terms.router.asn});`
  return [
    ...(set.localPref === undefined ? [] : [`bgp_local_pref = ${set.localPref};`]),
    ...(med === undefined ? [] : [med === 'remove' ? 'unset(bgp_med);' : `bgp_med = ${med};`]),
    ...(set.origin ? [`bgp_origin = ${ORIGINS[set.origin]};`] : []),
    ...Array.from({ length: set.prepend ?? 0 }, () => own),
    ...(removed === 'all' ? ['bgp_community.empty;'] : []),
    ...(removed === undefined || removed === 'all'
      ? []
      : removed.map((each) => `bgp_community.delete(${pair(each)});`)),
    ...(set.addCommunities ?? []).map((each) => `bgp_community.add(${pair(each)});`),
    ...(set.removeLargeCommunities ? ['bgp_large_community.empty;'] : []),
    ...(set.addLargeCommunities ?? []).map((each) => `bgp_large_community.add((${each}));`),
    ...(nextHop === undefined || terms === undefined ? [] : [nextHopLine(nextHop, terms)]),
  ]
}

/** What a filter has set is not set to this end of the session any more. */
function nextHopLine(nextHop: string, { self }: RuleTerms): string {
  if (nextHop === 'unchanged') return 'bgp_next_hop = before;'
  return `bgp_next_hop = ${nextHop === 'self' ? self : nextHop};`
}
