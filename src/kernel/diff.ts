/**
 * The way from an actual kernel to a desired one, in an order that never cuts
 * off a pod that was reachable.
 *
 * @module
 */
import { finish, type Steps } from '../steps.ts'
import { NFT_SETS } from './firewall.ts'
import { isPodSet, PORT_SETS } from './nft-ports.ts'
import type { KernelOp } from './op.ts'
import { subjectOf } from './op.ts'
import { owns } from './ownership.ts'
import {
  identity,
  isNft,
  type KernelObject,
  type KernelState,
  type Link,
  linkOf,
  sameLinkKind,
  satisfies,
} from './state.ts'

/** A foreign object in the place of one of ours. Reported, never fought. */
export interface Conflict {
  readonly desired: KernelObject
  readonly actual: KernelObject
}

export interface Difference {
  /** In the order to apply. */
  readonly ops: readonly KernelOp[]
  readonly conflicts: readonly Conflict[]
}

/**
 * Compares whole states. Cost: linear in both.
 *
 * Objects of `actual` that are not ours are left alone. What hangs on a link
 * that we cannot have is skipped: one that only ADD can make, or somebody
 * else's under our name.
 */
export const diff = (desired: KernelState, actual: KernelState): Difference =>
  finish(diffSteps(desired, actual))

/** The same with a pause after every `slice` objects. Neither state may change meanwhile. */
export function* diffSteps(
  desired: KernelState,
  actual: KernelState,
  slice = Number.POSITIVE_INFINITY,
): Steps<Difference> {
  if (hasStrangeSet(desired, actual)) return yield* diffWithNewTable(desired, actual, slice)
  const conflicts: Conflict[] = []
  const links = linksOf(desired)
  const denied = deniedLinks(links, actual)
  const lost = linksToRecreate(links, actual, denied)
  const ops = ranked(lost)
  let seen = 0

  /** Objects of `actual` that nobody desires; most rounds find few or none. */
  let others = actual.size
  for (const [key, wanted] of desired) {
    if (++seen % slice === 0) yield
    const present = actual.get(key)
    if (present !== undefined) others--
    // What plans share is the same object in a simulated kernel.
    if (present === wanted && lost.size === 0) continue
    if (hangsOn(wanted, denied)) continue
    if (wanted.kind === 'link' && denied.has(wanted.name)) {
      if (present !== undefined) conflicts.push({ desired: wanted, actual: present })
      continue
    }
    const found = withoutLostMaster(present, lost)
    if (found === undefined) ops.push({ kind: 'add', object: wanted })
    else if (vanishes(found, lost)) {
      if (found.kind !== 'sysctl') ops.push({ kind: 'remove', object: found })
      ops.push({ kind: 'add', object: wanted })
    } else if (!satisfies(found, wanted)) {
      if (wanted.kind === 'sysctl' || owns(found, actual)) {
        ops.push({ kind: 'change', from: found, to: wanted })
      } else conflicts.push({ desired: wanted, actual: found })
    }
  }
  for (const [key, found] of actual) {
    if (others === 0) break
    if (++seen % slice === 0) yield
    if (desired.has(key)) continue
    others--
    if (owns(found, actual)) ops.push({ kind: 'remove', object: found })
  }
  return { ops: ops.inOrder(), conflicts }
}

/** Whether one of our nftables sets has another layout, as only somebody else can bring about. */
function hasStrangeSet(desired: KernelState, actual: KernelState): boolean {
  for (const set of [...NFT_SETS, ...PORT_SETS]) {
    const [key, found] = [identity(set), actual.get(identity(set))]
    const wanted = desired.get(key)
    if (wanted !== undefined && found !== undefined && !satisfies(found, wanted)) return true
  }
  return false
}

/** A set in use cannot be replaced: our tables are made anew, in the transaction that removes them. */
function* diffWithNewTable(
  desired: KernelState,
  actual: KernelState,
  slice: number,
): Steps<Difference> {
  const rest = new Map(actual)
  for (const [key, object] of actual) if (isNft(object)) rest.delete(key)
  const { ops, conflicts } = yield* diffSteps(desired, rest, slice)
  const tables = [...actual.values()].flatMap((object): readonly KernelOp[] =>
    object.kind === 'nft-table' ? [{ kind: 'remove', object }] : [],
  )
  const at = ops.findIndex((op) => isNft(subjectOf(op)))
  return { ops: [...ops.slice(0, at), ...tables, ...ops.slice(at)], conflicts }
}

/**
 * The way from one part of a plan to another, where the kernel is known to hold
 * the first and all of it is ours. No links, which others would hang on.
 */
export function step(before: KernelState, after: KernelState): readonly KernelOp[] {
  const ops = ranked(new Set())
  for (const [key, wanted] of after) {
    const found = before.get(key)
    if (found === undefined) ops.push({ kind: 'add', object: wanted })
    else if (!satisfies(found, wanted)) ops.push({ kind: 'change', from: found, to: wanted })
  }
  for (const [key, found] of before) {
    if (!after.has(key)) ops.push({ kind: 'remove', object: found })
  }
  return ops.inOrder()
}

function linksOf(state: KernelState): readonly Link[] {
  const links: Link[] = []
  for (const object of state.values()) if (object.kind === 'link') links.push(object)
  return links
}

/** Links of ours whose fixed attributes are wrong, with the links on top of them. */
function linksToRecreate(
  desired: readonly Link[],
  actual: KernelState,
  denied: ReadonlySet<string>,
): ReadonlySet<string> {
  const lost = new Set<string>()
  for (const wanted of desired) {
    const found = actual.get(identity(wanted))
    if (found?.kind !== 'link' || sameLinkKind(found.link, wanted.link)) continue
    if (owns(found, actual) && !hangsOn(wanted, denied)) lost.add(found.name)
  }
  // A VLAN link takes the macvlan on it along, and that one what hangs on it.
  for (const { name } of lost.size === 0 ? [] : desired) {
    const found = actual.get(`link ${name}`)
    if (found !== undefined && lost.has(linkOf(found) ?? '')) lost.add(name)
  }
  return lost
}

const vanishes = (object: KernelObject, lost: ReadonlySet<string>): boolean =>
  lost.size > 0 && lost.has(object.kind === 'link' ? object.name : (linkOf(object) ?? ''))

/** A port whose bridge is made anew has no bridge for a moment. */
function withoutLostMaster(
  found: KernelObject | undefined,
  lost: ReadonlySet<string>,
): KernelObject | undefined {
  if (found?.kind !== 'link' || found.master === undefined || !lost.has(found.master)) return found
  const { master: _gone, ...port } = found
  return port
}

/** Links that operations cannot bring about, and those to be made on top of them. */
function deniedLinks(desired: readonly Link[], actual: KernelState): ReadonlySet<string> {
  const denied = new Set<string>()
  const missing: Link[] = []
  for (const wanted of desired) {
    const found = actual.get(identity(wanted))
    if (found === undefined ? wanted.adopt === true : !owns(found, actual)) denied.add(wanted.name)
    else if (found === undefined) missing.push(wanted)
  }
  // Twice: what is on top of a bridge, a tunnel or the uplink, and a macvlan on top of that.
  for (const _ of ['once', 'twice']) {
    for (const link of missing) if (hangsOn(link, denied)) denied.add(link.name)
  }
  return denied
}

/** Whether `object` is on one of `links`, or is to be its port. */
function hangsOn(object: KernelObject, links: ReadonlySet<string>): boolean {
  if (links.size === 0) return false
  const master = object.kind === 'link' ? object.master : undefined
  return links.has(linkOf(object) ?? guardedLink(object) ?? '') || links.has(master ?? '')
}

/**
 * The link whose sender an element vouches for. It does not vanish with the
 * link, but without the link it is not wanted: DEL takes the link first.
 */
function guardedLink(object: KernelObject): string | undefined {
  if (object.kind !== 'nft-element') return undefined
  const [first] = object.key.split(' . ', 1)
  return isPodSet(object.set) ? first : undefined
}

/**
 * Ranks, lowest first. Add and change come before remove, so that a prefix
 * that moves is never without a route. Additions go from what carries to what
 * is carried: the kernel refuses a route over a missing link, and starts
 * resolving a gateway whose neighbour entry is not there yet; a gateway that
 * moves to another MAC needs that MAC's forwarding entry first. Removals go the
 * other way. Only a link that must be made anew is removed first, because its
 * name must be free, and elements before others come, because prefixes of one
 * set must not overlap: both in one transaction, so no packet sees it half done.
 */
const ADD_RANK = {
  sysctl: 10,
  'nft-table': 11,
  'nft-set': 12,
  'nft-element': 14,
  'nft-chain': 15,
  link: 20,
  'offload-off': 22,
  vni: 22,
  addr: 23,
  fdb: 24,
  neigh: 25,
  route: 26,
} as const satisfies Record<KernelObject['kind'], number>
const REMOVE_RANK = {
  route: 30,
  fdb: 31,
  neigh: 32,
  addr: 33,
  vni: 34,
  'offload-off': 34,
  link: 35,
  'nft-element': 13,
  'nft-chain': 37,
  'nft-set': 39,
  'nft-table': 40,
  sysctl: 41,
} as const satisfies Record<KernelObject['kind'], number>

/** Operations by their rank; those of one rank stay in the order they came in. */
interface Ranked {
  push(op: KernelOp): void
  inOrder(): readonly KernelOp[]
}

function ranked(lost: ReadonlySet<string>): Ranked {
  const byRank: KernelOp[][] = []
  return {
    push(op) {
      const rank = rankOf(op, lost)
      while (byRank.length <= rank) byRank.push([])
      byRank[rank]?.push(op)
    },
    inOrder: () => byRank.flat(),
  }
}

function rankOf(op: KernelOp, lost: ReadonlySet<string>): number {
  const object = subjectOf(op)
  if (op.kind !== 'remove') return addRank(object) + (object.kind === 'link' ? tier(object) : 0)
  const rank = REMOVE_RANK[object.kind] + (object.kind === 'link' ? 1 - tier(object) : 0)
  return vanishes(object, lost) ? rank - REMOVE_RANK.route : rank
}

/** A link's own settings come with it. */
const addRank = (object: KernelObject): number =>
  object.kind === 'sysctl' && linkOf(object) !== undefined ? ADD_RANK.addr : ADD_RANK[object.kind]

const TIERS: Partial<Record<Link['link']['type'], number>> = {
  ...{ bridge: 0, vxlan: 0, 'vxlan-gpe': 0 },
  macvlan: 2,
}

/** Bridges and tunnels first, then what is stacked on them or put into them, then what is on that. */
const tier = (link: Link): number => TIERS[link.link.type] ?? 1
