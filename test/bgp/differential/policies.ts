/**
 * Policies of the networks: those of Gao and Rexford (what customers teach is preferred
 * and told to everybody, all else to customers only), with exceptions that change
 * attributes and leave routes out but keep the order of preference between neighbours.
 *
 * @module
 */
import {
  type Changes,
  type Condition,
  community,
  type Policy,
  type PrefixRange,
  type Rule,
  WELL_KNOWN,
} from '../../../src/bgp/policy/policy.ts'
import type { Prefix } from '../../../src/net/mod.ts'
import type { Dice } from './dice.ts'
import { addressOf } from './topology.ts'

/** What the other end is to this one. */
export type Relation = 'customer' | 'peer' | 'provider'

export interface Terms {
  readonly asn: number
  readonly asns: readonly number[]
  readonly relation: Relation
  readonly isValleyFree: boolean
}

const PREFERENCE: Readonly<Record<Relation, number>> = { customer: 200, peer: 150, provider: 100 }
const RELATIONS: readonly Relation[] = ['customer', 'peer', 'provider']

const RANGES: readonly PrefixRange[] = [
  { prefix: '172.16.0.0/12' as Prefix, ge: 13, le: 24 },
  { prefix: '172.16.0.0/16' as Prefix },
  { prefix: '192.168.0.0/16' as Prefix, le: 32 },
  { prefix: '0.0.0.0/0' as Prefix },
  { prefix: '0.0.0.0/0' as Prefix, ge: 20, le: 30 },
  { prefix: '2001:db8::/32' as Prefix, ge: 48 },
  { prefix: '2001:db8::/32' as Prefix, ge: 33, le: 128 },
  { prefix: '::/0' as Prefix, le: 64 },
]
const COLOURS = [community(64_999, 7), community(64_999, 8), community(64_500, 9)]
const LARGE = [
  [4_200_000_001, 5, 6],
  [4_200_000_001, 5, 7],
] as const

const NEXT_HOPS = Array.from({ length: 20 }, (_, index) => [
  addressOf(index + 1, 1, 'ipv4'),
  addressOf(index + 1, 1, 'ipv6'),
]).flat()

/** How a route is marked that came from a neighbour of this kind. */
function mark(
  asn: number,
  relation: Relation,
): Pick<Condition, 'communities' | 'largeCommunities'> {
  const value = 1 + RELATIONS.indexOf(relation)
  return asn < 0x1_0000
    ? { communities: [community(asn, value)] }
    : { largeCommunities: [[asn, 0, value]] }
}

export function importPolicy(roll: Dice, { asn, asns, relation, isValleyFree }: Terms): Policy {
  const base = isValleyFree ? PREFERENCE[relation] : 100
  // What is to be marked at the end may not be taken before.
  const exceptions = tweaks(roll, { asns, mayAccept: !isValleyFree, way: 'in' }, (): Changes => {
    switch (roll.below(6)) {
      case 0:
        // Without an order among neighbours, preferences that differ mostly have no or several outcomes.
        return { localPref: isValleyFree || roll.oneIn(8) ? base + 10 * roll.below(3) : base }
      case 1:
        return { med: roll.oneIn(3) ? 'remove' : 5 * roll.below(3) }
      case 2:
        return { origin: roll.one(['igp', 'egp', 'incomplete'] as const) }
      case 3:
        return { removeCommunities: roll.oneIn(2) ? 'all' : [roll.one(COLOURS)] }
      default:
        return coloured(roll)
    }
  })
  const { communities, largeCommunities } = mark(asn, relation)
  const others = RELATIONS.flatMap((each) => mark(asn, each).communities ?? [])
  const marking: Changes = {
    ...(communities && { removeCommunities: others, addCommunities: communities }),
    ...(largeCommunities && {
      removeLargeCommunities: 'all',
      addLargeCommunities: largeCommunities,
    }),
  }
  const first: Rule = { set: { localPref: base }, action: 'continue' }
  const rules = isValleyFree ? [first, ...exceptions, { set: marking }] : [first, ...exceptions]
  return { name: `from-${relation}`, rules, otherwise: 'accept' }
}

export function exportPolicy(roll: Dice, { asn, asns, relation, isValleyFree }: Terms): Policy {
  const withheld = (['peer', 'provider'] as const).map(
    (each): Rule => ({ when: mark(asn, each), action: 'reject' }),
  )
  const exceptions = tweaks(roll, { asns, mayAccept: true, way: 'out' }, (): Changes => {
    switch (roll.below(6)) {
      case 0:
        return { prepend: roll.between(1, 3) }
      case 1:
      case 2:
        return { med: roll.oneIn(4) ? 'remove' : 5 * roll.below(4) }
      case 4:
        return roll.oneIn(3)
          ? { addCommunities: [roll.one(Object.values(WELL_KNOWN))] }
          : coloured(roll)
      case 3:
        return { nextHop: roll.oneIn(2) ? 'unchanged' : 'self' }
      default:
        return coloured(roll)
    }
  })
  const isHeld = isValleyFree && relation !== 'customer'
  const rules = isHeld ? [...withheld, ...exceptions] : exceptions
  return { name: `to-${relation}`, rules, otherwise: 'accept' }
}

/** Mostly none: inside of an AS everybody sees the same. */
export function internalImport(roll: Dice): Policy | undefined {
  if (!roll.oneIn(8)) return undefined
  const set: Changes = { addCommunities: [roll.one(COLOURS)] }
  const rules: Rule[] = [{ set, action: 'continue' }]
  if (roll.oneIn(3)) rules.push({ when: { prefixes: roll.some(RANGES, 1, 2) }, action: 'reject' })
  return { name: 'inside', rules, otherwise: 'accept' }
}

export function internalExport(roll: Dice, isSelf: boolean): Policy | undefined {
  if (!isSelf) return undefined
  const rules: Rule[] = [
    { when: { sources: ['ebgp'] }, set: { nextHop: 'self' }, action: 'continue' },
  ]
  if (roll.oneIn(6)) rules.push({ when: { sources: ['own'] }, set: { med: 5 * roll.below(4) } })
  return { name: 'next-hop-self', rules, otherwise: 'accept' }
}

const coloured = (roll: Dice): Changes =>
  roll.oneIn(3)
    ? { addLargeCommunities: [roll.one(LARGE)] }
    : { addCommunities: [roll.one(COLOURS)] }

interface Exceptional {
  readonly asns: readonly number[]
  readonly mayAccept: boolean
  readonly way: 'in' | 'out'
}

function tweaks(
  roll: Dice,
  { asns, mayAccept, way }: Exceptional,
  change: () => Changes,
): readonly Rule[] {
  return Array.from({ length: roll.below(4) }, (): Rule => {
    const when = condition(roll, asns, way)
    const isRejected = when !== undefined && roll.oneIn(5)
    const rest: Rule = isRejected
      ? { action: 'reject' }
      : { set: change(), action: roll.oneIn(6) && mayAccept ? 'accept' : 'continue' }
    return { ...(when && { when }), ...rest }
  })
}

function condition(roll: Dice, asns: readonly number[], way: 'in' | 'out'): Condition | undefined {
  switch (roll.below(11)) {
    case 0:
    case 1:
    case 2:
      return { prefixes: roll.some(RANGES, 1, 3) }
    case 3:
      return { communities: roll.some(COLOURS, 1, 2) }
    case 4:
      return { largeCommunities: [roll.one(LARGE)] }
    case 5:
      return { passes: roll.some(asns, 1, 2) }
    case 6:
      return { originatesIn: roll.some(asns, 1, 2) }
    case 7:
      return { asPathLengthMax: roll.between(1, 4) }
    case 8:
      return way === 'in'
        ? { nextHops: roll.some(NEXT_HOPS, 2, 4) }
        : { sources: roll.some(['own', 'ebgp', 'ibgp'] as const, 1, 2) }
    case 9:
      return { prefixes: roll.some(RANGES, 1, 3), communities: roll.some(COLOURS, 1, 3) }
    default:
      return undefined
  }
}
