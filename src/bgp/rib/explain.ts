/**
 * What a RIB holds, for people: why a path is the best, what is used, what a peer knows.
 * All of it is as of now: what waits in `Rib.work` is not in it.
 *
 * @module
 */
import type { Ip, Prefix } from '../../net/mod.ts'
import { prefixFamily, prefixLength } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import type { Family } from '../nlri.ts'
import type { StepName } from './decision.ts'
import type { FamilyRib } from './family-rib.ts'
import type { Imported } from './import.ts'
import type { LocKind } from './loc-store.ts'
import type { RouteHop } from './next-hops.ts'
import { NO_PATH } from './paths.ts'
import { OWN } from './peers.ts'
import type { Rib } from './rib.ts'

/** Where a path ended in the decision. */
export type Standing =
  | { readonly kind: 'best' }
  /** Equally good, and used with the best. */
  | { readonly kind: 'multipath' }
  | { readonly kind: 'lost'; readonly step: StepName }
  | { readonly kind: 'rejected'; readonly reason: string }

export interface ExplainedPath {
  readonly peer: Ip | 'own'
  readonly pathId: number
  /** After import; as received where that rejected it. */
  readonly attributes: Attributes
  /** Of a session that ended (RFC 4724). */
  readonly isStale: boolean
  readonly standing: Standing
}

/** Every path of a prefix, the best one first, then in the order in which they lost, the last one first. */
export function why(rib: Rib, prefix: Prefix): readonly ExplainedPath[] {
  const family = rib.families[prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6']
  family.table.readPrefix(prefix)
  const id = family.table.find()
  return id < 0 ? [] : explain(family, id)
}

/** Prefixes that are used, with their next hops in the kernel; none for own ones. */
export function* used(
  rib: Rib,
  family: Family,
  { from, to }: { readonly from: number; readonly to: number } = { from: 0, to: Number.MAX_VALUE },
): Generator<{
  readonly prefix: Prefix
  readonly best: ExplainedPath
  readonly nextHops: readonly RouteHop[]
}> {
  const of = rib.families[family]
  for (let id = from; id < Math.min(to, of.table.end); id++) {
    if (!of.table.has(id)) continue
    const [best] = explain(of, id)
    if (best?.standing.kind !== 'best') continue
    yield { prefix: of.table.prefixOf(id), best, nextHops: of.routeSets.of(of.routeOf(id)) }
  }
}

/** Every prefix with its paths that import let in. */
export function* accepted(
  rib: Rib,
  family: Family,
): Generator<{
  readonly prefix: Prefix
  readonly paths: readonly { readonly peer: Ip | 'own'; readonly attributes: Attributes }[]
}> {
  const { table, head, paths, loc } = rib.families[family]
  for (let id = 0; id < table.end; id++) {
    if (!table.has(id)) continue
    const found: { peer: Ip | 'own'; attributes: Attributes }[] = []
    for (let path = head[id]!; path !== NO_PATH; path = paths.next[path]!) {
      const used = paths.loc[path]!
      if (used === 0) continue
      const peer = rib.peers.nameOf(paths.peer[path]!)
      found.push({ peer, attributes: loc.attributesOf(used) })
    }
    if (found.length > 0) yield { prefix: table.prefixOf(id), paths: found }
  }
}

/** Adj-RIB-Out of one peer. */
export function* toldTo(
  rib: Rib,
  address: Ip,
  family: Family,
): Generator<{
  readonly prefix: Prefix
  readonly pathId: number
  readonly attributes: Attributes
}> {
  const of = rib.families[family]
  const member = rib.peers.find(address)
  for (const group of of.groups) {
    if (member === undefined || !group.members.includes(member)) continue
    for (let id = 0; id < of.table.end; id++) {
      if (!of.table.has(id)) continue
      const prefix = of.table.prefixOf(id)
      for (const told of group.toldTo(member, id)) yield { prefix, ...told }
    }
  }
}

/** The prefix, or the longest one around it, that there are paths of. */
export function covering(rib: Rib, prefix: Prefix): Prefix | undefined {
  const { table, head } = rib.families[prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6']
  table.readPrefix(prefix)
  for (let bits = prefixLength(prefix); bits >= 0; bits--) {
    table.cut(bits)
    const id = table.find()
    if (id >= 0 && head[id] !== NO_PATH) return table.prefixOf(id)
  }
  return undefined
}

/** What a peer taught of a prefix, as it came. */
export function received(rib: Rib, prefix: Prefix, address: Ip): readonly Attributes[] {
  const { table, head, paths, raw } = rib.families[prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6']
  const peer = rib.peers.find(address)
  table.readPrefix(prefix)
  const id = table.find()
  const found: Attributes[] = []
  if (id < 0 || peer === undefined) return found
  for (let path = head[id]!; path !== NO_PATH; path = paths.next[path]!) {
    if (paths.peer[path] === peer) found.push(raw.attributesOf(paths.raw[path]!))
  }
  return found
}

/** The path in use of a prefix, and what kind of neighbour it is from. */
export function best(
  rib: Rib,
  prefix: Prefix,
):
  | { readonly attributes: Attributes; readonly from: LocKind; readonly peer: Ip | 'own' }
  | undefined {
  const of = rib.families[prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6']
  of.table.readPrefix(prefix)
  const id = of.table.find()
  const path = id < 0 ? NO_PATH : of.decision.decide(of.head[id]!)
  if (path === NO_PATH) return undefined
  const loc = of.paths.loc[path]!
  return {
    attributes: of.loc.attributesOf(loc),
    from: of.loc.kindOf(loc),
    peer: rib.peers.nameOf(of.paths.peer[path]!),
  }
}

/** What becomes of the best path of a prefix on its way to a peer; undefined: there is none, or it is the peer's. */
export function exportOf(rib: Rib, prefix: Prefix, address: Ip): Imported | undefined {
  const of = rib.families[prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6']
  const member = rib.peers.find(address)
  of.table.readPrefix(prefix)
  const id = of.table.find()
  const best = id < 0 ? NO_PATH : of.decision.decide(of.head[id]!)
  if (best === NO_PATH || member === undefined || of.paths.peer[best] === member) return undefined
  for (const group of of.groups) {
    if (group.members.includes(member)) return group.explain(id, best)
  }
  return undefined
}

function explain(rib: FamilyRib, prefix: number): readonly ExplainedPath[] {
  const { paths, decision } = rib
  const lost = new Map<number, StepName>()
  const best = decision.decide(rib.head[prefix]!, (path, step) => lost.set(path, step))
  const chosen = new Set(decision.candidates.subarray(1, decision.chosen))
  const standingOf = (path: number): Standing => {
    if (path === best) return { kind: 'best' }
    if (chosen.has(path)) return { kind: 'multipath' }
    const step = lost.get(path)
    if (step !== undefined) return { kind: 'lost', step }
    return { kind: 'rejected', reason: rib.rejectionOf(prefix, path) }
  }
  // A step that decides among the last ones tells of those used together, too.
  const order = [...new Set([best, ...chosen, ...[...lost.keys()].reverse()])]
  const all: number[] = []
  for (let path = rib.head[prefix]!; path !== NO_PATH; path = paths.next[path]!) all.push(path)
  const placeOf = (path: number): number =>
    order.includes(path) ? order.indexOf(path) : order.length
  all.sort((left, right) => placeOf(left) - placeOf(right))
  return all.map((path) => {
    const peer = paths.peer[path]!
    const loc = paths.loc[path]!
    return {
      peer: rib.peers.nameOf(peer),
      pathId: paths.pathId[path]!,
      attributes: loc === 0 ? rib.raw.attributesOf(paths.raw[path]!) : rib.loc.attributesOf(loc),
      isStale: peer !== OWN && paths.epoch[path] !== rib.epochOf[peer],
      standing: standingOf(path),
    }
  })
}
