/**
 * What differs between two views of one node, as far as it matters to a plan
 * that is mostly about peers.
 *
 * @module
 */
import type { BlockClaim, ClusterView, NetworkView, NodeRecord } from './view.ts'

/** Peers whose part of the plan may be another; nothing else has changed but pods. */
export interface PeerChanges {
  /** Names of nodes whose record came, went or changed. */
  readonly nodes: ReadonlySet<string>
  /** For each network, in order, names of nodes whose blocks are others. */
  readonly owners: readonly ReadonlySet<string>[]
}

/**
 * Compares two views of one node, without its own attachments. Records that are
 * the same object cost next to nothing.
 *
 * @returns undefined when more than peers differs: this node, its own blocks,
 * networks, openings.
 */
export function peerChanges(before: ClusterView, after: ClusterView): PeerChanges | undefined {
  const { self, networks } = after
  if (!sameNode(before.self, self) || before.networks.length !== networks.length) return undefined
  if (!sameJson(before.allows, after.allows)) return undefined
  if (!sameBgp(before.bgp, after.bgp)) return undefined
  const owners: ReadonlySet<string>[] = []
  for (const [index, network] of networks.entries()) {
    const was = before.networks[index]
    if (was === undefined || !sameRecord(was, network)) return undefined
    const changed = changedOwners(was.claims, network.claims)
    if (changed.has(self.name)) return undefined
    owners.push(changed)
  }
  return { nodes: changedNodes(before.nodes, after.nodes), owners }
}

const sameRecord = (left: NetworkView, right: NetworkView): boolean =>
  sameJson(left.network, right.network)

/** What of it is in a plan: a rack's summaries, and whose rack is which. */
const sameBgp = (left: ClusterView['bgp'], right: ClusterView['bgp']): boolean =>
  left === right || sameJson([...(left?.racks.values() ?? [])], [...(right?.racks.values() ?? [])])

const sameJson = (left: object, right: object): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right)

/** Both lists are in address order, so what differs lies between two equal ends. */
function changedOwners(
  before: readonly BlockClaim[],
  after: readonly BlockClaim[],
): ReadonlySet<string> {
  if (before === after) return new Set()
  const least = Math.min(before.length, after.length)
  let head = 0
  while (head < least && sameClaim(before[head], after[head])) head++
  let tail = 0
  while (tail < least - head && sameClaim(before.at(-1 - tail), after.at(-1 - tail))) tail++
  const owners = new Set<string>()
  const was = new Map<string, BlockClaim>()
  for (const claim of before.slice(head, before.length - tail)) was.set(claim.cidr, claim)
  for (const claim of after.slice(head, after.length - tail)) {
    const old = was.get(claim.cidr)
    was.delete(claim.cidr)
    if (sameClaim(old, claim)) continue
    owners.add(claim.node)
    if (old !== undefined) owners.add(old.node)
  }
  for (const { node } of was.values()) owners.add(node)
  return owners
}

function changedNodes(
  before: ReadonlyMap<string, NodeRecord>,
  after: ReadonlyMap<string, NodeRecord>,
): ReadonlySet<string> {
  const names = new Set<string>()
  if (before === after) return names
  let kept = 0
  for (const [name, node] of after) {
    const was = before.get(name)
    if (was !== undefined) kept++
    if (!sameNode(was, node)) names.add(name)
  }
  if (kept < before.size) for (const name of before.keys()) if (!after.has(name)) names.add(name)
  return names
}

const sameClaim = (left: BlockClaim | undefined, right: BlockClaim | undefined): boolean =>
  left === right ||
  (left?.cidr === right?.cidr && left?.node === right?.node && left?.first === right?.first)

const sameNode = (left: NodeRecord | undefined, right: NodeRecord | undefined): boolean =>
  left === right ||
  (left !== undefined &&
    left.name === right?.name &&
    left.vtepMac === right.vtepMac &&
    left.underlayLink === right.underlayLink &&
    left.uplinkPort === right.uplinkPort &&
    left.underlayMtuBytes === right.underlayMtuBytes &&
    left.kernelRelease === right.kernelRelease &&
    left.rack === right.rack &&
    left.underlayPrefixes?.join() === right.underlayPrefixes?.join() &&
    left.underlayIps.join() === right.underlayIps.join())
