/**
 * What one node, one pod, one block and one peer cost, asked of the product's
 * own planners on a simulated kernel: a cluster of five nodes in two racks.
 *
 * Everything else is arithmetic over these costs, so a planner that makes an
 * object more changes every answer.
 *
 * @module
 */
import { type NetworkDraft, parseNetworkSpec } from '../../ipam/networks.ts'
import type { AttachmentRecord, BlockClaim, NetworkRecord } from '../../ipam/records.ts'
import { planNode } from '../../src/backend/plan.ts'
import { backends } from '../../src/backend/registry.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import { invariant } from '../../src/errors.ts'
import {
  diff,
  type KernelObject,
  type KernelOp,
  type Link,
  podLinkName,
} from '../../src/kernel/mod.ts'
import {
  addressAt,
  type IpFamily,
  ipFamily,
  networkAddress,
  offsetIn,
  parsePrefix,
  prefixFamily,
  subPrefixAt,
} from '../../src/net/mod.ts'
import { podEntry } from '../carriage.ts'
import type { Announcement } from '../fabric-device.ts'
import { SimKernel } from '../kernel.ts'
import { KERNEL_KIND, NODE_TABLES, type NodeTable, ROUTE_BYTES } from '../measure.ts'
import { neighborFor } from '../neighbors.ts'
import { networkSpecs } from '../network.ts'
import type { Scenario, ScenarioMode } from '../scenario.ts'
import { initialObjects, type NodePlace, nodeRecord, planRacks } from '../underlay.ts'
import { fabricMode, reachOf } from '../world.ts'

/** What something adds to a node's kernel, and to the switches by way of it. */
export interface Cost {
  readonly tables: Readonly<Record<NodeTable, number>>
  readonly fibBytes: number
  readonly announced: readonly Announcement[]
}

/** Neighbours that a kernel asks for, a family: `each` a peer, and `once` for all of them. */
export type Asked = Readonly<Record<IpFamily, { readonly each: number; readonly once: number }>>

/** Costs of one network. A peer comes with its first block of each family. */
export interface NetworkCosts {
  readonly network: NetworkRecord
  readonly families: readonly IpFamily[]
  /** The network itself and the node's first blocks. */
  readonly self: Cost
  readonly pod: Cost
  /** One more block of the node. */
  readonly block: Readonly<Record<IpFamily, Cost>>
  /** A peer in the same rack, and in another one. */
  readonly near: Cost
  readonly far: Cost
  /** One more block of a peer. */
  readonly peerBlock: Readonly<Record<IpFamily, Cost>>
  readonly asked: { readonly near: Asked; readonly far: Asked }
}

const SELF = 2
const NEAR = [3, 4] as const
const FAR = [0, 1] as const
/** Pools to try with: costs do not depend on where a pool is. */
const POOLS = { 4: parsePrefix('10.0.0.0/8'), 6: parsePrefix('fd42::/96') } as const

/** What a node's kernel holds without any network. */
export function bareNode(mode: ScenarioMode, families: readonly IpFamily[]): Cost {
  return costOf(trialNode(mode, places(families)), mode)
}

/** Costs of every network of a shape, in the order of `networksOf`. */
export function probe(
  shape: Pick<Scenario, 'pools'>,
  mode: ScenarioMode,
  underlay: readonly IpFamily[],
): readonly NetworkCosts[] {
  // Without racks: parts of pools do not change what anything costs.
  return networkSpecs({ pools: shape.pools }, mode).map((spec, index) =>
    probeNetwork(recordOf(parseNetworkSpec(spec, 0), index), mode, underlay),
  )
}

function recordOf(draft: NetworkDraft, index: number): NetworkRecord {
  return { ...draft, options: { ...draft.options, vni: draft.options.vni ?? index + 1 } }
}

function probeNetwork(
  network: NetworkRecord,
  mode: ScenarioMode,
  underlay: readonly IpFamily[],
): NetworkCosts {
  const families = [...new Set(network.pools.map(({ cidr }) => prefixFamily(cidr)))]
  const trial = trialOf(network, families)
  const nodes = places(underlay)
  const bare = costOf(trialNode(mode, nodes), mode)
  const first = (owners: readonly number[]): readonly BlockClaim[] =>
    owners.flatMap((node) => families.map((family) => claimOf(trial, nodes, node, family, 0)))
  const more = (node: number, family: IpFamily) => claimOf(trial, nodes, node, family, 1)
  const costs = (claims: readonly BlockClaim[], hasPod = false): Cost =>
    costOf(trialNode(mode, nodes, trial, claims, hasPod), mode)
  const own = costs(first([SELF]))
  const [near, far] = [costs(first([SELF, NEAR[0]])), costs(first([SELF, FAR[0]]))]
  const each = (make: (family: IpFamily) => Cost) => ({ 4: make(4), 6: make(6) })
  const none = minus(own, own)
  return {
    network,
    families,
    self: minus(own, bare),
    pod: minus(costs(first([SELF]), true), own),
    block: each((family) =>
      families.includes(family) ? minus(costs([...first([SELF]), more(SELF, family)]), own) : none,
    ),
    near: minus(near, own),
    far: minus(far, own),
    peerBlock: each((family) =>
      families.includes(family)
        ? minus(costs([...first([SELF, FAR[0]]), more(FAR[0], family)]), far)
        : none,
    ),
    asked: {
      near: asked(mode, nodes, first([SELF, ...NEAR]), trial, NEAR),
      far: asked(mode, nodes, first([SELF, ...FAR]), trial, FAR),
    },
  }
}

const places = (families: readonly IpFamily[]): readonly NodePlace[] =>
  planRacks(5, 2, families).flatMap(({ nodes }) => nodes)

/** The network with pools that have room for the trial. */
function trialOf(network: NetworkRecord, families: readonly IpFamily[]): NetworkRecord {
  const pools = families.map((family) => {
    const own = network.pools.find(({ cidr }) => prefixFamily(cidr) === family)
    invariant(own !== undefined, `network ${network.name} has a pool of IPv${family}`)
    return { cidr: POOLS[family], blockLength: own.blockLength }
  })
  return { ...network, pools }
}

/** Every node has its own stretch of the pool. */
function claimOf(
  { name, pools }: NetworkRecord,
  nodes: readonly NodePlace[],
  owner: number,
  family: IpFamily,
  index: number,
): BlockClaim {
  const pool = pools.find(({ cidr }) => prefixFamily(cidr) === family)
  const node = nodes[owner]?.name
  invariant(pool !== undefined && node !== undefined, 'the trial has such a node and pool')
  // Apart from each other and from the pool's ends.
  const cidr = subPrefixAt(pool.cidr, pool.blockLength, BigInt(2 + 4 * owner + index))
  return { network: name, cidr, pool: pool.cidr, node, first: index === 0, claimedMs: 0 }
}

/** A node, and what is on it without being in its kernel: a pod's macvlan. */
interface TrialNode {
  readonly kernel: SimKernel
  readonly link?: Link | undefined
}

/** The node that looks, after its agent's round and the ADD of a pod. */
function trialNode(
  mode: ScenarioMode,
  nodes: readonly NodePlace[],
  network?: NetworkRecord,
  claims: readonly BlockClaim[] = [],
  hasPod = false,
): TrialNode {
  const reach = reachOf(mode)
  const own = nodes[SELF]
  invariant(own !== undefined, 'the trial has five nodes')
  const kernel = new SimKernel(own.name)
  carryOut(kernel, initialObjects(own, reach).map(adding))
  if (network === undefined) return { kernel }
  const networkView = { network, claims, attachments: [] }
  const view: ClusterView = {
    self: nodeRecord(own, reach),
    nodes: new Map(nodes.map((place) => [place.name, nodeRecord(place, reach)])),
    networks: [networkView],
    allows: [],
  }
  const { desired, problems } = planNode(view)
  invariant(problems.length === 0, problems.join('; '))
  carryOut(kernel, diff(desired, kernel.snapshot()).ops)
  if (!hasPod) return { kernel }
  const attachment = attachmentOf(own, claims, mode.attachment === 'macvlan')
  const { node, link } = backends[mode.mode].pod(attachment, networkView, view)
  carryOut(kernel, node.map(adding))
  return { kernel, link }
}

const adding = (object: KernelObject): KernelOp => ({ kind: 'add', object })

function carryOut(kernel: SimKernel, ops: readonly KernelOp[]): void {
  for (const op of ops) {
    const failure = kernel.apply(op)
    invariant(failure === undefined, failure?.message ?? '')
  }
}

function attachmentOf(
  { name }: NodePlace,
  claims: readonly BlockClaim[],
  isMacvlan: boolean,
): AttachmentRecord {
  const own = claims.filter(({ node, first }) => node === name && first)
  const network = own[0]?.network ?? ''
  const containerId = 'pod-0'
  return {
    network,
    containerId,
    ifname: 'eth0',
    node: name,
    // Beside the endpoint's address; in the next block where a block is that small.
    ips: own.map(({ cidr, pool }) => addressAt(pool, offsetIn(pool, networkAddress(cidr)) + 1n)),
    ...(isMacvlan ? { macvlan: true } : { hostLink: podLinkName(network, containerId, 'eth0') }),
    netns: `/run/netns/${containerId}`,
    sequence: 1,
    bootId: 'boot',
    addedMs: 0,
  }
}

/** Whom the node asks for when it sends to one of the peers, and to both. */
function asked(
  mode: ScenarioMode,
  nodes: readonly NodePlace[],
  claims: readonly BlockClaim[],
  network: NetworkRecord,
  peers: readonly number[],
): Asked {
  const { kernel } = trialNode(mode, nodes, network, claims)
  const neighbors = (some: readonly number[], family: IpFamily): number => {
    const names = some.map((peer) => nodes[peer]?.name)
    const found = claims
      .filter(({ node }) => names.includes(node))
      .flatMap(({ cidr }) => neighborFor({ kernel }, networkAddress(cidr)) ?? [])
    return new Set(found.filter((ip) => ipFamily(ip) === family)).size
  }
  const ask = (family: IpFamily) => {
    const [one, two] = [neighbors(peers.slice(0, 1), family), neighbors(peers, family)]
    return { each: two - one, once: 2 * one - two }
  }
  return { 4: ask(4), 6: ask(6) }
}

function costOf({ kernel, link }: TrialNode, mode: ScenarioMode): Cost {
  const tables = Object.fromEntries(
    NODE_TABLES.map((table) => [table, kernel.counts[KERNEL_KIND[table]]]),
  ) as Record<NodeTable, number>
  const announced: Announcement[] = []
  let fibBytes = 0
  for (const object of [...kernel.objects(), ...(link === undefined ? [] : [link])]) {
    if (object.kind === 'route') fibBytes += ROUTE_BYTES[prefixFamily(object.dst)]
    const entry = podEntry(fabricMode(mode), object)
    if (entry !== undefined) announced.push(entry)
  }
  return { tables, fibBytes, announced }
}

/** What the first has and the second has not. */
function minus(left: Cost, right: Cost): Cost {
  const before = new Set(right.announced.map(({ entry }) => entry))
  const tables = Object.fromEntries(
    NODE_TABLES.map((table) => [table, left.tables[table] - right.tables[table]]),
  ) as Record<NodeTable, number>
  return {
    tables,
    fibBytes: left.fibBytes - right.fibBytes,
    announced: left.announced.filter(({ entry }) => !before.has(entry)),
  }
}
