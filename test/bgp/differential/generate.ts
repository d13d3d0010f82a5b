/**
 * Networks from seeds: ASes in a hierarchy, each a full mesh or reflectors with their
 * clients, an IGP, several announcers of a prefix, and policies that mostly settle.
 *
 * @module
 */
import type { Originated } from '../../../src/bgp/config.ts'
import type { Family } from '../../../src/bgp/nlri.ts'
import { community, WELL_KNOWN } from '../../../src/bgp/policy/policy.ts'
import type { PeerKind, PeerRole } from '../../../src/bgp/rib/peers.ts'
import type { Ip, Prefix } from '../../../src/net/mod.ts'
import { type Prng, prng } from '../../../src/prng.ts'
import { type Dice, dice } from './dice.ts'
import {
  exportPolicy,
  importPolicy,
  internalExport,
  internalImport,
  type Relation,
} from './policies.ts'
import type { End, Event, Router, Session, Topology } from './topology.ts'

/** An AS of the network to be. */
interface Domain {
  readonly asn: number
  readonly routers: readonly number[]
  /** Whether border routers name themselves as next hop. */
  readonly isSelfAtBorder: boolean
  /** Whether routes go where Gao and Rexford would have them go. */
  readonly isValleyFree: boolean
}

type Draft = { -readonly [Key in keyof Router]: Router[Key] } & { costs: Record<number, number> }

interface Building {
  readonly dice: Dice
  readonly domains: readonly Domain[]
  readonly routers: readonly Draft[]
  readonly sessions: Session[]
  /** Metric of links between routers that know each other. */
  readonly links: Map<string, number>
}

const ASNS = [64_500, 64_501, 64_999, 65_010, 4_200_000_001, 4_200_000_777]
const POOL = [
  ...['172.16.0.0/12', '172.16.0.0/16', '172.16.1.0/24', '172.16.2.0/24', '172.17.3.128/25'],
  ...['192.168.0.0/16', '192.168.7.0/24', '192.168.7.9/32', '0.0.0.0/0', '172.31.255.0/30'],
  ...['2001:db8::/32', '2001:db8:1::/48', '2001:db8:1:2::/64', '2001:db8:f::1/128', '::/0'],
] as string[] as Prefix[]

export function generate(seed: number): Topology {
  const chance: Prng = prng(`differential ${seed}`)
  const roll = dice(chance.fork('shape'))
  const building = begin(roll)
  for (const domain of building.domains) inside(building, domain)
  between(building)
  measure(building)
  const prefixes = roll.some(POOL, 4, 9)
  const { isValleyFree } = building.domains[0]!
  for (const prefix of prefixes) {
    for (const router of roll.some(building.routers, 1, 4)) {
      router.originate = [...router.originate, own(roll, prefix, isValleyFree)]
    }
  }
  const { routers, sessions } = building
  const isAlways = roll.oneIn(6)
  const medMissing = roll.oneIn(7) ? 'worst' : 'best'
  const topology = { seed, routers, sessions, medMissing, alwaysCompareMed: isAlways } as const
  return { ...topology, events: eventsOf(dice(chance.fork('events')), building, prefixes) }
}

function begin(roll: Dice): Building {
  const count = roll.between(3, 6)
  const total = roll.between(Math.max(5, count), 20)
  const sizes = Array.from({ length: count }, () => 1)
  for (let left = total - count; left > 0; left--) sizes[roll.below(count)]!++
  const ids = roll.shuffled(Array.from({ length: 200 }, (_, index) => index + 1))
  const isValleyFree = !roll.oneIn(3)
  const routers: Draft[] = []
  const domains = sizes.map((size, index): Domain => {
    const asn = ASNS[index]!
    const members = Array.from({ length: size }, () => {
      const id = routers.length + 1
      routers.push({ id, asn, routerId: `10.255.0.${ids[id]}` as Ip, originate: [], costs: {} })
      return id
    })
    return { asn, routers: members, isSelfAtBorder: roll.oneIn(2), isValleyFree }
  })
  return { dice: roll, domains, routers, sessions: [], links: new Map() }
}

/** Links of the IGP and sessions inside of an AS. */
function inside(building: Building, { routers }: Domain): void {
  const { dice: roll } = building
  for (const [index, router] of routers.entries()) {
    if (index === 0) continue
    link(building, router, routers[roll.below(index)]!)
    if (roll.oneIn(2)) link(building, router, routers[roll.below(index)]!)
  }
  if (routers.length < 3 || (routers.length < 6 && roll.oneIn(3))) {
    for (const [index, left] of routers.entries()) {
      for (const right of routers.slice(index + 1)) internal(building, left, right, 'ibgp', 'ibgp')
    }
    return
  }
  reflected(building, routers)
}

/** Reflectors know each other; a client has one to three of them, and perhaps clients of its own. */
function reflected(building: Building, routers: readonly number[]): void {
  const { dice: roll } = building
  const order = roll.shuffled(routers)
  const tops = order.splice(0, roll.between(1, Math.min(3, order.length - 1)))
  const shared = `10.254.0.${tops[0]}` as Ip
  const isShared = roll.oneIn(4)
  for (const [index, left] of tops.entries()) {
    const router = building.routers[left - 1]!
    if (isShared) router.clusterId = shared
    else if (roll.oneIn(3)) router.clusterId = `10.253.0.${left}` as Ip
    for (const right of tops.slice(index + 1)) internal(building, left, right, 'ibgp', 'ibgp')
  }
  const middle: number[] = []
  for (const client of order) {
    const above = middle.length > 0 && roll.oneIn(3) ? [...middle, ...tops] : tops
    for (const reflector of roll.some(above, 1, 3)) {
      internal(building, reflector, client, 'client', 'ibgp')
    }
    if (roll.oneIn(4)) middle.push(client)
  }
}

function link({ dice: roll, links }: Building, left: number, right: number): void {
  links.set(`${left} ${right}`, roll.oneIn(2) ? 1 : roll.between(1, 4))
}

function internal(
  building: Building,
  left: number,
  right: number,
  leftKind: PeerKind,
  rightKind: PeerKind,
): void {
  const { dice: roll, domains } = building
  const domain = domains.find(({ routers }) => routers.includes(left))!
  const isSelf = domain.isSelfAtBorder
  const end = (router: number, kind: PeerKind): Omit<End, 'alias'> => {
    const [taken, told] = [internalImport(roll), internalExport(roll, isSelf)]
    return {
      router,
      kind,
      ...(taken && { importPolicy: taken }),
      ...(told && { exportPolicy: told }),
    }
  }
  connect(building, end(left, leftKind), end(right, rightKind), ['ipv4', 'ipv6'])
}

/** Sessions between ASes: each has one above it at least, and some have peers. */
function between(building: Building): void {
  const { dice: roll, domains } = building
  for (const [index, domain] of domains.entries()) {
    if (index === 0) continue
    const above = roll.some(domains.slice(0, index), 1, 2)
    for (const provider of above) adjacent(building, provider, domain, 'customer')
    for (const other of domains.slice(0, index)) {
      if (!above.includes(other) && roll.oneIn(3)) adjacent(building, other, domain, 'peer')
    }
  }
}

function adjacent(building: Building, upper: Domain, lower: Domain, relation: Relation): void {
  const { dice: roll } = building
  for (let count = roll.between(1, 3); count > 0; count--) {
    const [left, right] = [roll.one(upper.routers), roll.one(lower.routers)]
    if (!building.links.has(`${left} ${right}`)) link(building, left, right)
    const withRole = roll.oneIn(4)
    const parallel = roll.oneIn(4) ? 2 : 1
    for (let each = 0; each < parallel; each++) {
      external(building, [left, upper, relation], [right, lower, opposite(relation)], withRole)
    }
  }
}

const opposite = (relation: Relation): Relation =>
  relation === 'customer' ? 'provider' : relation === 'provider' ? 'customer' : 'peer'

type Side = readonly [router: number, domain: Domain, other: Relation]

function external(building: Building, left: Side, right: Side, withRole: boolean): void {
  const { dice: roll } = building
  const asns = building.domains.map(({ asn }) => asn)
  const end = ([router, { asn, isValleyFree }, relation]: Side): Omit<End, 'alias'> => {
    const terms = { asn, asns, relation, isValleyFree }
    const role: PeerRole = relation
    return {
      router,
      kind: 'ebgp',
      importPolicy: importPolicy(roll, terms),
      exportPolicy: exportPolicy(roll, terms),
      ...(withRole && { role }),
    }
  }
  const families: readonly Family[] = roll.oneIn(8)
    ? [roll.one(['ipv4', 'ipv6'] as const)]
    : ['ipv4', 'ipv6']
  connect(building, end(left), end(right), families)
}

function connect(
  { dice: roll, sessions }: Building,
  left: Omit<End, 'alias'>,
  right: Omit<End, 'alias'>,
  families: readonly Family[],
): void {
  const same = sessions.filter(({ ends }) =>
    [left.router, right.router].every((router) => ends.some((each) => each.router === router)),
  )
  // A peer's address is its name: parallel sessions have other addresses at both ends.
  const alias = same.length + 1
  const transport = roll.oneIn(3) ? 'ipv6' : 'ipv4'
  const ends = [
    { ...left, alias },
    { ...right, alias },
  ] as const
  sessions.push({ id: sessions.length + 1, transport, families, ends })
}

/** Shortest ways inside of an AS and to the routers next to it; some are missing. */
function measure({ dice: roll, domains, routers, links }: Building): void {
  const metricOf = (left: number, right: number): number | undefined =>
    links.get(`${left} ${right}`) ?? links.get(`${right} ${left}`)
  for (const { routers: members } of domains) {
    const outside = routers.map(({ id }) => id).filter((id) => !members.includes(id))
    for (const from of members) {
      const { costs } = routers[from - 1]!
      costs[from] = 0
      for (let round = 0; round < members.length; round++) {
        for (const via of members) {
          for (const to of members) {
            const [first, second] = [costs[via], metricOf(via, to)]
            if (first === undefined || second === undefined) continue
            costs[to] = Math.min(costs[to] ?? Number.POSITIVE_INFINITY, first + second)
          }
        }
      }
      for (const to of outside) {
        const ways = members.flatMap((via) => {
          const [first, second] = [costs[via], metricOf(via, to)]
          return first === undefined || second === undefined ? [] : [first + second]
        })
        const isNext = metricOf(from, to) !== undefined
        const isKnown = isNext ? !roll.oneIn(30) : !roll.oneIn(8)
        if (ways.length > 0 && isKnown) costs[to] = Math.min(...ways)
      }
      delete costs[from]
    }
  }
}

const COLOURS = [community(64_999, 7), community(64_999, 8), community(64_500, 9)]

function own(roll: Dice, prefix: Prefix, isValleyFree: boolean): Originated {
  // Below what customers teach an AS does not agree on whose route it is.
  const localPref = isValleyFree && !roll.oneIn(10) ? 300 : roll.oneIn(9) ? 110 : undefined
  const wellKnown = roll.oneIn(12) ? [roll.one(Object.values(WELL_KNOWN))] : []
  const communities = [...(roll.oneIn(3) ? roll.some(COLOURS, 1, 2) : []), ...wellKnown]
  communities.sort((left, right) => left - right)
  return {
    prefix,
    attributes: {
      ...(roll.oneIn(4) && { med: roll.one([0, 5, 10]) }),
      ...(roll.oneIn(4) && { origin: roll.one(['egp', 'incomplete'] as const) }),
      ...(localPref !== undefined && { localPref }),
      ...(communities.length > 0 && { communities }),
      ...(roll.oneIn(6) && { largeCommunities: [[4_200_000_001, 5, 6]] as const }),
    },
  }
}

function eventsOf(roll: Dice, building: Building, prefixes: readonly Prefix[]): readonly Event[] {
  const { routers, sessions, domains } = building
  const { isValleyFree } = domains[0]!
  const cut = new Set<number>()
  const known = new Map(
    routers.map(({ id, originate }) => [id, new Set(originate.map(({ prefix }) => prefix))]),
  )
  return Array.from({ length: roll.between(2, 6) }, (): Event => {
    const { id } = roll.one(routers)
    const held = known.get(id)!
    if (roll.oneIn(3) && cut.size < sessions.length) {
      const left = sessions.filter((each) => !cut.has(each.id))
      const session = roll.one(left).id
      cut.add(session)
      return { kind: 'cut', session }
    }
    const prefix = roll.one(held.size > 0 && roll.oneIn(2) ? [...held] : prefixes)
    if (held.delete(prefix)) return { kind: 'withdraw', router: id, prefix }
    held.add(prefix)
    return { kind: 'announce', router: id, route: own(roll, prefix, isValleyFree) }
  })
}
