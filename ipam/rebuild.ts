/**
 * Records that were lost, read back from what a node's kernel still does.
 *
 * Each link of ours to a pod says whose it is and by which sequence number
 * (`podAlias`), and routes say its addresses. A node's sequence numbers only grow
 * and outlive everything else in the store; so a number in the kernel that the
 * store has not come to means that this store did not give it: it was lost and
 * made anew, or is an older copy. Then running pods get their records back before
 * anybody is given an address.
 *
 * What the kernel does not know (namespace path, pod name unless its address is
 * reserved, times) stays unknown: DEL and GC work without it.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import {
  containsIp,
  containsPrefix,
  type Ip,
  type IpFamily,
  ipFamily,
  type Mac,
  macFromName,
  networkAddress,
  offsetIn,
  type Prefix,
  prefixLength,
  prefixSize,
} from '../src/net/mod.ts'
import { counted } from '../src/words.ts'
import { blockOf, claimable, familyPools, ownBlocks, putClaim } from './blocks.ts'
import { warmed } from './cooling.ts'
import type { StoreCopy } from './copy.ts'
import { keys } from './keys.ts'
import {
  type AttachmentKey,
  type AttachmentRecord,
  type BlockClaim,
  isLinkOurs,
  type NetworkRecord,
  networkFamilies,
  type Pool,
} from './records.ts'
import { release } from './release.ts'
import { reservationOf } from './reservations.ts'
import type { Reader, Tx } from './store.ts'

/** A pod that the node's kernel leads to. */
export interface LivingPod extends AttachmentKey {
  readonly sequence: number
  /** Absent: the pod's link is a macvlan. */
  readonly hostLink?: string
  readonly macvlan?: true
  readonly ips: readonly Ip[]
  /** MAC of the pod's end. undefined: not known. */
  readonly mac?: Mac
}

/** What a node's kernel tells of its records. */
export interface LivingNode {
  readonly node: string
  readonly bootId: string
  readonly nowMs: number
  readonly pods: readonly LivingPod[]
  /** Blocks that the node answers for: those with a blackhole route. */
  readonly blocks: readonly Prefix[]
  /** Addresses of its tunnels and own macvlans: the first address of its first block. */
  readonly endpoints: readonly Ip[]
}

export interface Rebuilt {
  readonly pods: number
  /** Networks that came from the copy. */
  readonly networks: readonly string[]
  /** What could not be brought back, in words. */
  readonly refused: readonly string[]
}

/**
 * Whether the store has lost records of this node.
 *
 * @param copy Absent where there is none, or it is of another store.
 */
export function hasLost(reader: Reader, living: LivingNode, copy?: StoreCopy): boolean {
  const known = reader.get(keys.sequence(living.node)) ?? 0
  if (living.pods.some(({ sequence }) => sequence > known)) return true
  // Pods of other plugins leave no trace in the kernel: a node that had blocks of
  // theirs and is unknown now is as good as one.
  return known === 0 && unseenClaims(living.node, copy).length > 0
}

/**
 * Brings the records back; undefined when nothing was lost.
 *
 * @throws {TriviumError} STORE when nobody knows the networks of the pods: nothing is written then.
 */
export function rebuild(tx: Tx, living: LivingNode, copy?: StoreCopy): Rebuilt | undefined {
  if (!hasLost(tx, living, copy)) return undefined
  const networks = putCopy(tx, copy)
  checkNetworks(tx, living)
  const refused: string[] = []
  for (const network of networksOf(tx)) claimBlocks(tx, network, living)
  closeUnseen(tx, living, copy)
  const pods = [...living.pods].sort((left, right) => left.sequence - right.sequence)
  // What an older copy says of a pod that has come anew since is in nobody's way.
  for (const pod of pods) {
    const known = tx.get(keys.attachment(living.node, pod))
    if (known !== undefined && known.sequence !== pod.sequence) release(tx, living.node, pod)
  }
  let count = 0
  for (const pod of pods) {
    const why = adopt(tx, living, pod)
    if (why === undefined) count++
    else refused.push(`${pod.ifname} of container ${pod.containerId}: ${why}`)
  }
  const highest = Math.max(
    tx.get(keys.sequence(living.node)) ?? 0,
    0,
    ...pods.map((p) => p.sequence),
  )
  tx.put(keys.sequence(living.node), highest)
  return { pods: count, networks, refused }
}

const networksOf = (reader: Reader): readonly NetworkRecord[] =>
  [...reader.range(keys.networks)].map(([, network]) => network)

/**
 * What the copy has and the store has not. The store's own word is never changed,
 * and what does not go with it is left out.
 *
 * @returns the networks that came from the copy.
 */
function putCopy(tx: Tx, copy: StoreCopy | undefined): readonly string[] {
  const pairs = copy?.pairs ?? []
  const names: string[] = []
  for (const network of copyNetworks(copy)) {
    const mayCome = networksOf(tx).every(({ name, pools }) => {
      return name !== network.name && !pools.some((pool) => network.pools.some(overlaps(pool)))
    })
    if (!mayCome) continue
    tx.put(keys.network(network.name), network)
    names.push(network.name)
  }
  for (const claim of copyClaims(copy)) {
    if (tx.get(keys.claim(claim.network, claim.cidr)) !== undefined || !fits(tx, claim)) continue
    putClaim(tx, claim)
  }
  for (const [key, value] of pairs) {
    const [sort = '', ...rest] = key.split('/')
    const isRule = sort.startsWith('reserv') && names.includes(rest[0] ?? '')
    const isOpening = sort === 'allow' && rest.every((name) => tx.get(keys.network(name)))
    if ((isRule || isOpening || sort === 'node') && tx.get(key) === undefined) tx.put(key, value)
  }
  return names
}

const overlaps =
  ({ cidr: left }: Pool) =>
  ({ cidr: right }: Pool): boolean =>
    containsPrefix(left, right) || containsPrefix(right, left)

/** Whether the claim is one of a pool that its network still has. */
function fits(reader: Reader, { network, pool, cidr }: BlockClaim): boolean {
  const found = reader.get(keys.network(network))?.pools.find((each) => each.cidr === pool)
  return found !== undefined && found.blockLength === prefixLength(cidr)
}

function copyNetworks(copy: StoreCopy | undefined): readonly NetworkRecord[] {
  const pairs = (copy?.pairs ?? []).filter(([key]) => key.startsWith(keys.networks))
  return pairs.map(([, value]) => value as NetworkRecord)
}

function copyClaims(copy: StoreCopy | undefined): readonly BlockClaim[] {
  const pairs = (copy?.pairs ?? []).filter(([key]) => key.startsWith(keys.allClaims))
  return pairs.map(([, value]) => value as BlockClaim)
}

function checkNetworks(tx: Tx, { pods }: LivingNode): void {
  const known = new Set(networksOf(tx).map(({ name }) => name))
  const orphans = pods.filter(({ network }) => !known.has(network))
  if (orphans.length === 0) return
  const names = [...new Set(orphans.map(({ network }) => network))].sort().join(', ')
  throw new TriviumError(
    'STORE',
    `Cannot serve from this store: ${counted(orphans.length, 'pod')} of network ${names} ${orphans.length === 1 ? 'runs' : 'run'} here, and it knows no such network, wanted the store that gave their addresses, or their networks`,
    'It was lost or is another one. Put a copy of it back, or make the networks again with the same pools (trivium network create), then start the agent: it reads the addresses of running pods back from the kernel',
  )
}

/** The blocks that the node was seen to use, in one network. */
function claimBlocks(tx: Tx, network: NetworkRecord, living: LivingNode): void {
  const { node, nowMs } = living
  for (const family of networkFamilies(network)) {
    const seen = [...blocksSeen(network, family, living)]
    const free = seen.filter(([cidr]) => tx.get(keys.claim(network.name, cidr)) === undefined)
    const first = firstBlock(tx, network, family, living, new Map(free))
    for (const [cidr, pool] of first === undefined ? free : [...free, first]) {
      if (tx.get(keys.claim(network.name, cidr)) !== undefined) continue
      const claim = { network: network.name, cidr, pool: pool.cidr, node, claimedMs: nowMs }
      putClaim(tx, { ...claim, first: cidr === first?.[0] })
    }
  }
}

function blocksSeen(
  network: NetworkRecord,
  family: IpFamily,
  { pods, blocks }: LivingNode,
): ReadonlyMap<Prefix, Pool> {
  const seen = new Map<Prefix, Pool>()
  const pools = familyPools(network, family)
  for (const cidr of blocks) {
    const pool = pools.find((each) => containsPrefix(each.cidr, cidr))
    if (pool !== undefined && prefixLength(cidr) === pool.blockLength) seen.set(cidr, pool)
  }
  for (const ip of pods.flatMap((pod) => (pod.network === network.name ? pod.ips : []))) {
    const pool = pools.find(({ cidr }) => containsIp(cidr, ip))
    if (pool !== undefined) seen.set(blockOf(pool, ip), pool)
  }
  return seen
}

/**
 * Which block becomes the node's first; undefined when it has one. By its tunnel's
 * address, or one whose network address no pod has, as that of a first block never is.
 */
function firstBlock(
  reader: Reader,
  network: NetworkRecord,
  family: IpFamily,
  { node, endpoints, pods, nowMs }: LivingNode,
  blocks: ReadonlyMap<Prefix, Pool>,
): readonly [Prefix, Pool] | undefined {
  if (blocks.size === 0) return undefined
  if (ownBlocks(reader, network, node, family).some(({ first }) => first)) return undefined
  const staying = [...blocks].filter(([, pool]) => pool.floating !== true)
  const sorted = staying.sort(([left], [right]) => compareBlocks(left, right))
  const named = sorted.find(([cidr]) => endpoints.includes(networkAddress(cidr)))
  if (named !== undefined) return named
  const held = new Set(pods.flatMap(({ ips }) => ips))
  const isPossible = (cidr: Prefix): boolean => !held.has(networkAddress(cidr))
  const possible = sorted.find(([cidr]) => isPossible(cidr))
  if (possible !== undefined) return possible
  const fixed = familyPools(network, family).filter(({ floating }) => floating !== true)
  for (const { cidr, pool } of claimable(reader, network, fixed, node, nowMs)) {
    const whole = fixed.find((each) => each.cidr === pool)
    if (whole !== undefined && isPossible(cidr)) return [cidr, whole]
  }
  return undefined
}

const compareBlocks = (left: Prefix, right: Prefix): number =>
  keys.claim('', left) < keys.claim('', right) ? -1 : 1

/** Blocks of the node in networks whose pods other plugins link. */
function unseenClaims(node: string, copy: StoreCopy | undefined): readonly BlockClaim[] {
  const networks = copyNetworks(copy).filter(({ mode }) => mode === 'ipam')
  const unseen = new Set(networks.map(({ name }) => name))
  return copyClaims(copy).filter((claim) => claim.node === node && unseen.has(claim.network))
}

/**
 * Nobody can tell which of their addresses pods have: such a block counts as full,
 * until `ipam repair` is asked to count again.
 */
function closeUnseen(tx: Tx, { node }: LivingNode, copy: StoreCopy | undefined): void {
  for (const claim of unseenClaims(node, copy)) {
    const use = tx.get(keys.use(node, claim.network, claim.cidr))
    if (use === undefined) continue
    const used = Number(prefixSize(claim.cidr))
    tx.put(keys.use(node, claim.network, claim.cidr), { ...use, used })
  }
}

/** Writes the records of one pod, or says why not. */
function adopt(tx: Tx, living: LivingNode, pod: LivingPod): string | undefined {
  const { node, bootId, nowMs } = living
  const { network: name, containerId, ifname, sequence, hostLink, macvlan } = pod
  const network = tx.get(keys.network(name))
  const key = { network: name, containerId, ifname }
  if (tx.get(keys.attachment(node, key)) !== undefined) return undefined
  if (network === undefined || pod.ips.length === 0) return 'its addresses cannot be told'
  for (const ip of pod.ips) {
    const why = makeFree(tx, living, network, ip)
    if (why !== undefined) return why
  }
  const families = networkFamilies(network)
  const ips = [...pod.ips].sort(
    (left, right) => families.indexOf(ipFamily(left)) - families.indexOf(ipFamily(right)),
  )
  for (const ip of ips) putAddress(tx, living, network, key, ip, sequence)
  const named = ips.flatMap((ip) => reservationOf(tx, network, ip) ?? [])[0]?.pod
  const isChosen = pod.mac !== undefined && pod.mac !== macOf(key)
  const record: AttachmentRecord = {
    ...key,
    node,
    ips,
    ...(hostLink === undefined ? {} : { hostLink }),
    ...(macvlan === undefined ? {} : { macvlan }),
    netns: '',
    ...(named === undefined ? {} : { pod: { ...named, uid: '' } }),
    ...(isChosen ? { mac: pod.mac } : {}),
    sequence,
    bootId,
    addedMs: nowMs,
  }
  tx.put(keys.attachment(node, key), record)
  return undefined
}

/** The MAC of a pod's end where nobody chose one, as `podMac` of the pods' planner. */
const macOf = ({ network, containerId, ifname }: AttachmentKey): Mac =>
  macFromName(`${network}/${containerId}/${ifname}`)

/** Takes the address from a holder that is gone; or says why it cannot be the pod's. */
function makeFree(
  tx: Tx,
  { node, pods }: LivingNode,
  network: NetworkRecord,
  ip: Ip,
): string | undefined {
  const pool = network.pools.find(({ cidr }) => containsIp(cidr, ip))
  if (pool === undefined) return `no pool of network ${network.name} contains ${ip}`
  const block = blockOf(pool, ip)
  const claim = tx.get(keys.claim(network.name, block))
  if (claim?.node !== node) return `block ${block} of ${ip} belongs to node ${claim?.node}`
  const address = tx.get(keys.address(network.name, ip))
  if (address === undefined) return undefined
  const holder = tx.get(keys.attachment(node, address))
  const isAlive = pods.some((pod) => holder !== undefined && isSame(pod, holder))
  if (holder === undefined || !isLinkOurs(holder) || isAlive) {
    return `container ${address.containerId} has ${ip}`
  }
  release(tx, node, address)
  return undefined
}

const isSame = (left: AttachmentKey, right: AttachmentKey): boolean =>
  left.network === right.network &&
  left.containerId === right.containerId &&
  left.ifname === right.ifname

function putAddress(
  tx: Tx,
  { node, nowMs }: LivingNode,
  network: NetworkRecord,
  key: AttachmentKey,
  ip: Ip,
  sequence: number,
): void {
  const pool = network.pools.find(({ cidr }) => containsIp(cidr, ip))
  const block = pool === undefined ? undefined : blockOf(pool, ip)
  const use = block === undefined ? undefined : tx.get(keys.use(node, network.name, block))
  if (block === undefined || use === undefined) return
  tx.put(keys.address(network.name, ip), { ...key, ip, block, sequence })
  // What was given last is given again last.
  const offset = Number(offsetIn(block, ip))
  const cursor = (offset + 1) % Number(prefixSize(block))
  const after = warmed(network, use, offset, nowMs)
  tx.put(keys.use(node, network.name, block), { ...after, cursor, used: after.used + 1 })
}
