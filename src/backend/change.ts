/**
 * The incremental planner: what a plan loses and gains when only peers changed.
 * In a cluster of thousands nearly every change is one peer's, and a plan of the
 * whole node for it would cost all of them.
 *
 * A property test holds it equal to planning both views whole.
 *
 * @module
 */
import { peerChanges } from '../cluster/changes.ts'
import type { ClusterView, NetworkView } from '../cluster/view.ts'
import { identity, type KernelObject, type KernelState } from '../kernel/mod.ts'
import { finish, type Steps } from '../steps.ts'
import { nodeGuards } from './firewall.ts'
import { isMoving } from './moving.ts'
import { ownersOf } from './peers.ts'
import { backends } from './registry.ts'

/** Objects by identity that stood in the plan before, and those that stand in it now. */
export interface PlanChange {
  readonly before: KernelState
  readonly after: KernelState
}

/** Above this share of peers a whole plan is as cheap. */
const PEERS_SHARE_MAX = 0.25

/**
 * The change of the plan from one view to the next.
 *
 * @returns undefined when the views differ in more than peers and pods, or a
 * peer has a problem to report: then only the whole plan tells.
 */
export const planChange = (before: ClusterView, after: ClusterView): PlanChange | undefined =>
  finish(planChangeIn(before, after, Number.POSITIVE_INFINITY))

/** The same with a pause after about every `slice` peers. */
export function* planChangeIn(
  before: ClusterView,
  after: ClusterView,
  slice: number,
): Steps<PlanChange | undefined> {
  const changes = peerChanges(before, after)
  // How far its peers are decides about the node's own links.
  if (changes === undefined || isMoving(before) || isMoving(after)) return undefined
  const most = 8 + after.nodes.size * PEERS_SHARE_MAX
  const change = { before: new Map<string, KernelObject>(), after: new Map<string, KernelObject>() }
  for (const [index, owners] of changes.owners.entries()) {
    const names = new Set([...changes.nodes, ...owners])
    if (names.size > most) return undefined
    if (names.size === 0) continue
    const [was, is] = [before.networks[index], after.networks[index]]
    if (!(yield* addPeers(change.before, names, was, before, slice))) return undefined
    if (!(yield* addPeers(change.after, names, is, after, slice))) return undefined
  }
  let seen = 0
  for (const name of changes.nodes) {
    if (++seen % slice === 0) yield
    for (const object of nodeGuards(before, name)) change.before.set(identity(object), object)
    for (const object of nodeGuards(after, name)) change.after.set(identity(object), object)
  }
  keepShared(change, after)
  return change
}

/** What lets a node in stays while another one has the same address, as when addresses are moved. */
function keepShared(
  change: { before: KernelState; after: Map<string, KernelObject> },
  view: ClusterView,
): void {
  const gone = new Set<string>()
  for (const [key, { kind }] of change.before) {
    if (kind === 'nft-element' && !change.after.has(key)) gone.add(key)
  }
  if (gone.size === 0) return
  for (const name of view.nodes.keys()) {
    for (const object of nodeGuards(view, name)) {
      const key = identity(object)
      if (gone.has(key)) change.after.set(key, object)
    }
  }
}

/** False when a peer has a problem. */
function* addPeers(
  objects: Map<string, KernelObject>,
  names: ReadonlySet<string>,
  network: NetworkView | undefined,
  view: ClusterView,
  slice: number,
): Steps<boolean> {
  if (network === undefined) return false
  const { peer } = backends[network.network.mode]
  const owners = ownersOf(network.claims)
  const changed = [...names].flatMap((name) => owners.get(name) ?? [])
  let seen = 0
  for (const { claims } of changed.sort((left, right) => left.at - right.at)) {
    if (++seen % slice === 0) yield
    const node = view.nodes.get(claims[0]?.node ?? '')
    if (node === undefined || node.name === view.self.name) continue
    const plan = peer({ node, claims }, network, view)
    if (plan.problems.length > 0) return false
    for (const object of plan.objects) objects.set(identity(object), object)
  }
  return true
}
