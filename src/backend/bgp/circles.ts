/**
 * Which nodes speak to which: all nodes of one AS are a circle, in which every two
 * have a session, or every one has a session with those that reflect (RFC 4456).
 *
 * Who reflects is the same on every node without anybody asking: by label, or by
 * rendezvous hashing, so that a node that comes or goes moves at most one of them.
 *
 * @module
 */
import type { BgpView, ClusterView, NodeRecord } from '../../cluster/view.ts'
import { hash64 } from '../../hash.ts'

/** `auto`: up to so many nodes each speaks to each. */
export const MESH_MAX = 100
/** One may fail while another is being replaced. */
export const REFLECTORS = 3

/** Nodes of one AS. */
export interface Circle {
  readonly asn: number
  /** By name. */
  readonly members: readonly NodeRecord[]
  /** Names of those that reflect; undefined: each speaks to each. */
  readonly reflectors: ReadonlySet<string> | undefined
}

/** Another node of the circle, and what it is to this one. */
export interface Partner {
  readonly node: NodeRecord
  /** `reflector`: it reflects to us; `client`: we to it; `both`: each to others; `equal`: nobody reflects. */
  readonly is: 'equal' | 'reflector' | 'client' | 'both'
}

export const asnOf = (node: NodeRecord, { settings, racks, nodes }: BgpView): number =>
  nodes.get(node.name)?.asn ?? racks.get(node.rack ?? '')?.asn ?? settings.asn

/** The circle of the node that plans. */
export function circleOf({ self, nodes }: ClusterView, bgp: BgpView): Circle {
  const asn = asnOf(self, bgp)
  // Its own record may be newer than what the others know; it is a member in any case.
  return circlesOf(nodes, bgp).get(asn) ?? { asn, members: [self], reflectors: undefined }
}

type Circles = ReadonlyMap<number, Circle>

/** By the very records: a node plans again and again, and nodes of a simulated cluster share them. */
const known = new WeakMap<ReadonlyMap<string, NodeRecord>, WeakMap<BgpView, Circles>>()

function circlesOf(nodes: ReadonlyMap<string, NodeRecord>, bgp: BgpView): Circles {
  const before = known.get(nodes) ?? new WeakMap<BgpView, Circles>()
  known.set(nodes, before)
  const found = before.get(bgp)
  if (found !== undefined) return found
  const members = new Map<number, NodeRecord[]>()
  for (const node of [...nodes.values()].sort(byName)) {
    const asn = asnOf(node, bgp)
    const list = members.get(asn)
    if (list === undefined) members.set(asn, [node])
    else list.push(node)
  }
  const circles = new Map<number, Circle>()
  for (const [asn, all] of members) {
    circles.set(asn, { asn, members: all, reflectors: reflectorsOf(all, bgp) })
  }
  before.set(bgp, circles)
  return circles
}

const byName = (left: NodeRecord, right: NodeRecord): number => (left.name < right.name ? -1 : 1)

function reflectorsOf(
  members: readonly NodeRecord[],
  { settings: { sessions }, nodes }: BgpView,
): ReadonlySet<string> | undefined {
  const isMesh = sessions === 'mesh' || (sessions === 'auto' && members.length <= MESH_MAX)
  if (isMesh || sessions === 'none') return undefined
  const labelled = members.filter(({ name }) => nodes.get(name)?.reflector === true)
  return new Set((labelled.length > 0 ? labelled : chosen(members)).map(({ name }) => name))
}

/** The highest scores, of different racks while there are any. */
function chosen(members: readonly NodeRecord[]): readonly NodeRecord[] {
  const ranked = members
    .map((node) => ({ node, score: hash64(node.name, SEED) }))
    .sort((a, b) => b.score[0] - a.score[0] || b.score[1] - a.score[1] || byName(a.node, b.node))
    .map(({ node }) => node)
  const racks = new Set<string>()
  const best = ranked.filter(({ rack = '' }) => !racks.has(rack) && racks.add(rack))
  const others = ranked.filter((node) => !best.includes(node))
  return [...best, ...others].slice(0, REFLECTORS)
}

/** Nothing else that is hashed by node names goes with it. */
const SEED = 0xb69

/** With whom the node has sessions, by name. */
export function partnersOf(self: NodeRecord, bgp: BgpView, circle: Circle): readonly Partner[] {
  if (bgp.settings.sessions === 'none') return []
  const { members, reflectors } = circle
  const others = members.filter(({ name }) => name !== self.name)
  if (reflectors === undefined) return others.map((node) => ({ node, is: 'equal' }))
  const reflects = reflectors.has(self.name)
  return others.flatMap((node): readonly Partner[] => {
    if (reflectors.has(node.name)) return [{ node, is: reflects ? 'both' : 'reflector' }]
    return reflects ? [{ node, is: 'client' }] : []
  })
}
