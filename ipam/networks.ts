/**
 * Networks and nodes: made, changed and removed in a transaction.
 *
 * What the rules of one network cannot see is checked here: pools that overlap
 * another network's, VNIs and underlay addresses used twice. Cost: one read of
 * all networks (or all nodes) for each call; these are rare and few.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { GPE_KERNEL, offloadsGpe } from '../src/kernel-release.ts'
import { prefixesOverlap } from '../src/net/mod.ts'
import { keys } from './keys.ts'
import { movedNetwork, movesOfNew, vnisInUse } from './moves.ts'
import {
  defaultPort,
  type NetworkDraft,
  type NetworkSpec,
  type OptionChanges,
  parseNetworkSpec,
} from './network-spec.ts'
import type {
  AllowedPort,
  Attachment,
  AttachmentRecord,
  NetworkOptions,
  NetworkRecord,
  NodeRecord,
  Pool,
} from './records.ts'
import type { Reader, Tx } from './store.ts'

export {
  MODES,
  type NetworkDraft,
  type NetworkSpec,
  type OptionChanges,
  type PoolSpec,
  parseNetworkSpec,
} from './network-spec.ts'

import { counted } from '../src/words.ts'

/** What a change did. */
export interface NetworkChange<Kind extends string> {
  readonly kind: Kind | 'unchanged'
  readonly network: NetworkRecord
}

/**
 * Creates a network. Creating the same one again changes nothing.
 *
 * @throws {TriviumError} CONFLICT when it exists with another meaning, or a
 * pool or VNI is another network's.
 */
export function createNetwork(tx: Tx, draft: NetworkDraft): NetworkChange<'created'> {
  const present = tx.get(keys.network(draft.name))
  if (present !== undefined) {
    const difference = differenceOf(present, draft)
    if (difference === undefined) return { kind: 'unchanged', network: present }
    throw new TriviumError(
      'CONFLICT',
      `Cannot create network ${draft.name}: it exists with ${difference}`,
      `To change it use: trivium network set ${draft.name}`,
    )
  }
  const network = settled(tx, draft)
  tx.put(keys.network(network.name), network)
  return { kind: 'created', network }
}

/** What may change in a living network; its pools have verbs of their own (pools.ts). */
export interface NetworkSettings {
  readonly mode?: string
  readonly options?: OptionChanges
}

/**
 * Changes a network.
 *
 * @throws {TriviumError} NOT_FOUND; BAD_CONFIG when the result breaks a rule;
 * CONFLICT with other networks, or when vlan or ipam mode begins or ends while pods are attached.
 */
export function setNetwork(
  tx: Tx,
  name: string,
  { mode, options = {} }: NetworkSettings,
): NetworkChange<'changed'> {
  const present = mustFind(tx, name)
  const network = networkWith(tx, present, { mode: mode ?? present.mode, options })
  if (JSON.stringify(network) === JSON.stringify(present)) return { kind: 'unchanged', network }
  if (network.mode !== present.mode && !(isRouted(network.mode) && isRouted(present.mode))) {
    // A pod's link is a routed pair, a bridge port in vlan mode, and none of ours in ipam mode.
    const change = `change network ${name} from ${present.mode} to ${network.mode}`
    refuseWhileAttached(tx, name, change)
  } else if (network.mode === 'vlan') refuseMovedPods(tx, present, network)
  const nodes = [...tx.range(keys.nodes)].map(([, node]) => node)
  const moved = movedNetwork(present, network, nodes)
  tx.put(keys.network(name), moved)
  return { kind: 'changed', network: moved }
}

/** A macvlan dies with its parent, and cannot become a bridge's port or come from one. */
function refuseMovedPods(reader: Reader, present: NetworkRecord, network: NetworkRecord): void {
  const [was, is] = [attachmentOf(present), attachmentOf(network)]
  const [from, to] = [present.options.vlanId, network.options.vlanId]
  const { name } = network
  if (was !== is) {
    refuseWhileAttached(reader, name, `change network ${name} from attachment ${was} to ${is}`)
  } else if (is === 'macvlan' && from !== to) {
    refuseWhileAttached(reader, name, `change network ${name} from VLAN ${from} to ${to}`)
  }
}

/** The network with other pools, mode or options, checked as a new one is. Writes nothing. */
export function networkWith(
  reader: Reader,
  present: NetworkRecord,
  { mode = present.mode, pools = present.pools, options = {} }: Partial<NetworkSpec>,
): NetworkRecord {
  const before: Partial<NetworkOptions> = { ...present.options }
  // Outside vlan mode the id is a stand-in that must not become a choice nobody made.
  const { vlanId: _standIn, ...rest } = before
  // A port nobody chose follows the flavour: the two cannot share one.
  const port = before.vxlanPort === defaultPort(before.flavour) ? { vxlanPort: undefined } : {}
  const spec: NetworkSpec = {
    name: present.name,
    mode,
    pools,
    options: { ...(present.mode === 'vlan' ? before : rest), ...port, ...options },
  }
  const { exclusions, alternate, move } = present
  return {
    ...settled(reader, parseNetworkSpec(spec, present.createdMs)),
    ...(exclusions === undefined ? {} : { exclusions }),
    ...(alternate === undefined ? {} : { alternate }),
    ...(move === undefined ? {} : { move }),
  }
}

const isRouted = (mode: NetworkRecord['mode']): boolean => mode === 'vxlan' || mode === 'route'

/**
 * Removes a network and every claim on its blocks.
 *
 * @param inCluster What nodes keep themselves follows, and is not here to be removed.
 * @returns how many blocks were given back.
 * @throws {TriviumError} NOT_FOUND; CONFLICT while pods are attached.
 */
export function deleteNetwork(
  tx: Tx,
  name: string,
  inCluster = false,
): { readonly blocks: number } {
  mustFind(tx, name)
  refuseWhileAttached(tx, name, `delete network ${name}`)
  let blocks = 0
  for (const [key, claim] of tx.range(keys.claims(name))) {
    if (!inCluster) tx.remove(keys.use(claim.node, name, claim.cidr))
    tx.remove(key)
    blocks++
  }
  for (const [key, { from, to }] of tx.range(keys.allows)) {
    if (from === name || to === name) tx.remove(key)
  }
  if (!inCluster) for (const [key] of tx.range(keys.networkHistory(name))) tx.remove(key)
  for (const [key] of tx.range(keys.reservations(name))) tx.remove(key)
  for (const [key] of tx.range(keys.networkReserved(name))) tx.remove(key)
  tx.remove(keys.network(name))
  return { blocks }
}

/**
 * Says that a node exists and how to reach it. Saying it again changes nothing.
 *
 * @throws {TriviumError} CONFLICT when another node has one of its underlay
 * addresses or its tunnel MAC: peers could not tell the two apart.
 */
export function registerNode(
  tx: Tx,
  node: NodeRecord,
): { readonly kind: 'registered' | 'updated' | 'unchanged' } {
  const present = tx.get(keys.node(node.name))
  const record = asRegistered(tx, node, present)
  // At every round of every agent: nobody else could register what this one has.
  if (present !== undefined && sameNode(present, record)) return { kind: 'unchanged' }
  for (const [, other] of tx.range(keys.nodes)) {
    if (other.name === node.name) continue
    const ip = node.underlayIps.find((each) => other.underlayIps.includes(each))
    const shared = ip ?? (other.vtepMac === node.vtepMac ? node.vtepMac : undefined)
    if (shared === undefined) continue
    throw new TriviumError(
      'CONFLICT',
      `Cannot register node ${node.name}: node ${other.name} has ${shared}, wanted one of its own`,
      `If ${other.name} is gone, use: trivium node delete ${other.name} --force`,
    )
  }
  tx.put(keys.node(node.name), record)
  return { kind: present === undefined ? 'registered' : 'updated' }
}

/** What the node does not say again stays; where it is new, it is where its networks are. */
function asRegistered(tx: Tx, node: NodeRecord, present: NodeRecord | undefined): NodeRecord {
  const { moves: told, ...rest } = node
  const networks = () => [...tx.range(keys.networks)].map(([, network]) => network)
  const moves = told ?? (present === undefined ? movesOfNew(networks()) : present.moves)
  const isSome = moves !== undefined && Object.keys(moves).length > 0
  const registeredMs = present?.registeredMs ?? node.registeredMs
  return { ...rest, ...(isSome && { moves }), registeredMs }
}

/**
 * Lets pods of one network open connections to another's. A second call for the
 * same pair replaces the first.
 *
 * @throws {TriviumError} NOT_FOUND; BAD_CONFIG for a network and itself.
 */
export function allowNetwork(
  tx: Tx,
  from: string,
  to: string,
  ports: readonly AllowedPort[],
  nowMs: number,
): void {
  mustFind(tx, from)
  mustFind(tx, to)
  if (from === to) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot allow network ${from} to reach itself: its pods do already, wanted two networks`,
    )
  }
  tx.put(keys.allow(from, to), { from, to, ports, createdMs: nowMs })
}

/** @throws {TriviumError} NOT_FOUND when there is no such opening. */
export function denyNetwork(tx: Tx, from: string, to: string): void {
  if (tx.get(keys.allow(from, to)) === undefined) {
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot close network ${to} to ${from}: no opening between them`,
      'Show openings: trivium network allowed',
    )
  }
  tx.remove(keys.allow(from, to))
}

/** @throws {TriviumError} NOT_FOUND */
export function mustFind(reader: Reader, name: string): NetworkRecord {
  const network = reader.get(keys.network(name))
  if (network !== undefined) return network
  const names = [...reader.range(keys.networks)].map(([, { name }]) => name)
  const known = names.length === 0 ? 'there are none' : `there is ${names.join(', ')}`
  throw new TriviumError('NOT_FOUND', `Cannot find network ${name}: ${known}`)
}

/**
 * A record that was made elsewhere, if it fits beside the networks here.
 *
 * @throws {TriviumError} CONFLICT
 */
export const fittingNetwork = (reader: Reader, network: NetworkRecord): NetworkRecord => ({
  ...network,
  ...settled(reader, network),
})

/** The record of a draft, checked against all other networks. */
function settled(reader: Reader, draft: NetworkDraft): NetworkRecord {
  const others = [...reader.range(keys.networks)]
    .map(([, network]) => network)
    .filter(({ name }) => name !== draft.name)
  const nodes = [...reader.range(keys.nodes)].map(([, node]) => node)
  const used = new Set<number>()
  for (const other of others) {
    refuseSharedPort(draft, other)
    refuseSharedVlan(draft, other)
    const theirs = vnisInUse(other, nodes)
    for (const vni of theirs) used.add(vni)
    if (draft.options.vni !== undefined && theirs.has(draft.options.vni)) {
      const found = `VNI ${draft.options.vni} belongs to network ${other.name}`
      throw new TriviumError(
        'CONFLICT',
        `Cannot use network ${draft.name}: ${found}, wanted another`,
      )
    }
    for (const theirs of other.pools) {
      const ours = draft.pools.find(({ cidr }) => prefixesOverlap(cidr, theirs.cidr))
      if (ours === undefined) continue
      const found = `its pool ${ours.cidr} overlaps pool ${theirs.cidr} of network ${other.name}`
      throw new TriviumError(
        'CONFLICT',
        `Cannot use network ${draft.name}: ${found}, wanted separate ones`,
      )
    }
  }
  refuseOldKernels(reader, draft)
  refuseSilence(reader, draft)
  const { vni = lowestUnused(used), ...rest } = draft.options
  return { ...draft, options: { vni, ...rest } }
}

/** The kernel gives a UDP port to one kind of VXLAN link. */
function refuseSharedPort(draft: NetworkDraft, other: NetworkRecord): void {
  if (draft.mode !== 'vxlan' || other.mode !== 'vxlan') return
  const [ours, theirs] = [draft.options.flavour ?? 'classic', other.options.flavour ?? 'classic']
  const { vxlanPort } = draft.options
  if (ours === theirs || vxlanPort !== other.options.vxlanPort) return
  throw new TriviumError(
    'CONFLICT',
    `Cannot use network ${draft.name}: UDP port ${vxlanPort} carries the ${theirs} tunnels of network ${other.name}, wanted another port for ${ours} ones`,
    `Use --vxlan-port, for example ${defaultPort(draft.options.flavour)}`,
  )
}

const attachmentOf = ({ options }: Pick<NetworkDraft, 'options'>): Attachment =>
  options.attachment ?? 'bridge'

/** The kernel lets a link be a bridge's port or carry macvlans, not both. */
function refuseSharedVlan(draft: NetworkDraft, other: NetworkRecord): void {
  if (draft.mode !== 'vlan' || other.mode !== 'vlan') return
  const { vlanId } = draft.options
  const [ours, theirs] = [attachmentOf(draft), attachmentOf(other)]
  if (vlanId !== other.options.vlanId || ours === theirs) return
  throw new TriviumError(
    'CONFLICT',
    `Cannot use network ${draft.name}: VLAN ${vlanId} has attachment ${theirs} in network ${other.name}, wanted the same, found ${ours}`,
    `Use --attachment ${theirs}, or another --vlan`,
  )
}

/** Lightweight tunnels need offloads that older kernels get wrong. */
function refuseOldKernels(reader: Reader, { name, mode, options }: NetworkDraft): void {
  if (mode !== 'vxlan' || options.flavour !== 'lightweight' || options.anyKernel === true) return
  const old = [...reader.range(keys.nodes)].find(([, node]) => !offloadsGpe(node.kernelRelease))
  if (old === undefined) return
  const [, node] = old
  throw new TriviumError(
    'CONFLICT',
    `Cannot use network ${name}: node ${node.name} runs Linux ${node.kernelRelease}, lightweight tunnels want ${GPE_KERNEL} or newer`,
    'Use --flavour classic, or --force to accept broken offloads (slow, damaged packets)',
  )
}

/** Without settings nobody speaks, and no route would come. */
function refuseSilence(reader: Reader, { name, options }: NetworkDraft): void {
  if (options.peerRoutes !== 'bgp' || reader.get(keys.bgpSettings) !== undefined) return
  throw new TriviumError(
    'CONFLICT',
    `Cannot use network ${name}: its routes come from BGP, and no node speaks it, wanted BGP settings`,
    'First: trivium bgp set --asn NUMBER; or --peer-routes direct',
  )
}

function lowestUnused(used: ReadonlySet<number>): number {
  let vni = 1
  while (used.has(vni)) vni++
  return vni
}

/** The first field in which a network is not what the draft says, in words. */
function differenceOf(present: NetworkRecord, draft: NetworkDraft): string | undefined {
  const { vni = present.options.vni } = draft.options
  const fields: readonly (readonly [name: string, found: unknown, wanted: unknown])[] = [
    ['mode', present.mode, draft.mode],
    ['pools', present.pools.map(poolText).join(' '), draft.pools.map(poolText).join(' ')],
    ['vni', present.options.vni, vni],
    ['vxlanPort', present.options.vxlanPort, draft.options.vxlanPort],
    ['vlanId', present.options.vlanId, draft.options.vlanId],
    ['flavour', present.options.flavour ?? 'classic', draft.options.flavour ?? 'classic'],
    ['attachment', attachmentOf(present), attachmentOf(draft)],
    ['peerRoutes', present.options.peerRoutes ?? 'direct', draft.options.peerRoutes ?? 'direct'],
    ['conflictProbe', present.options.conflictProbe === true, draft.options.conflictProbe === true],
    ['crossSubnet', present.options.crossSubnet === true, draft.options.crossSubnet === true],
    ['masquerade', present.options.masquerade ?? true, draft.options.masquerade ?? true],
    [
      'checksumOffload',
      present.options.checksumOffload ?? 'auto',
      draft.options.checksumOffload ?? 'auto',
    ],
    ['mtuBytes', present.options.mtuBytes ?? 'auto', draft.options.mtuBytes ?? 'auto'],
    // `trivium ipam configure` says these, creating a network does not.
    ...(['cooldownSeconds', 'cooldownStrict', 'idleSeconds'] as const)
      .filter((key) => draft.options[key] !== undefined)
      .map((key) => [key, present.options[key], draft.options[key]] as const),
  ]
  const different = fields.find(([, found, wanted]) => found !== wanted)
  if (different === undefined) return undefined
  const [name, found, wanted] = different
  return `${name} ${found}, wanted ${wanted}`
}

function poolText(pool: Pool): string {
  const { cidr, blockLength, gateway, rack, nodes, namespaces, floating } = pool
  const settings = [
    ...(floating === true ? [',floating'] : []),
    ...(gateway === undefined ? [] : [`,gateway=${gateway}`]),
    ...(rack === undefined ? [] : [`,rack=${rack}`]),
    ...(nodes === undefined ? [] : [`,nodes=${nodes.join('+')}`]),
    ...(namespaces === undefined ? [] : [`,namespaces=${namespaces.join('+')}`]),
  ]
  return `${cidr}:${blockLength}${settings.join('')}`
}

function refuseWhileAttached(reader: Reader, name: string, what: string): void {
  const nodes = new Set([...reader.range(keys.claims(name))].map(([, { node }]) => node))
  const pods = [...nodes].map(
    (node) =>
      [
        node,
        [...reader.range(keys.networkAttachments(node, name))].map(([, pod]) => podWords(pod)),
      ] as const,
  )
  const total = pods.reduce((sum, [, names]) => sum + names.length, 0)
  if (total === 0) return
  const busy = pods.filter(([, names]) => names.length > 0)
  const words = busy.slice(0, 3).map(([node, names]) => {
    const more = names.length > PODS_NAMED ? ` and ${names.length - PODS_NAMED} more` : ''
    return `${names.length} on node ${node}: ${names.slice(0, PODS_NAMED).join(', ')}${more}`
  })
  const more =
    busy.length > words.length ? `; and ${counted(busy.length - words.length, 'more node')}` : ''
  const found = `${counted(total, 'pod')} attached (${words.join('; ')}${more})`
  throw new TriviumError(
    'CONFLICT',
    `Cannot ${what}: ${found}, wanted none`,
    'Delete these pods first, or make another network beside this one: trivium network create',
  )
}

/** Of each node, in a refusal. */
const PODS_NAMED = 5

const podWords = ({ pod, containerId }: AttachmentRecord): string =>
  pod === undefined ? containerId.slice(0, 12) : `${pod.namespace}/${pod.name}`

function sameNode(left: NodeRecord, right: NodeRecord): boolean {
  return (
    left.underlayLink === right.underlayLink &&
    left.uplinkPort === right.uplinkPort &&
    left.underlayMtuBytes === right.underlayMtuBytes &&
    left.vtepMac === right.vtepMac &&
    left.kernelRelease === right.kernelRelease &&
    left.rack === right.rack &&
    left.strictFilter === right.strictFilter &&
    JSON.stringify(left.moves) === JSON.stringify(right.moves) &&
    left.underlayPrefixes?.join() === right.underlayPrefixes?.join() &&
    left.underlayIps.join() === right.underlayIps.join()
  )
}
