/**
 * The allocator: gives an attachment one address of each family of its network, and takes them back.
 *
 * It writes one attachment record and one address record per address, in one
 * transaction. Every refusal leaves the store as it was. Freed addresses are
 * not handed out at once: each block is walked round and round from its cursor.
 *
 * Cost of an allocation: the node's block records (a handful), then one read
 * per address in use after the cursor, at most the block's size; plus the
 * search for a free block (see blocks.ts) when the node's own are full.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'
import {
  containsIp,
  type Ip,
  type IpFamily,
  ipFamily,
  ipFromInteger,
  ipToInteger,
  type Mac,
  networkAddress,
  offsetIn,
  prefixFamily,
} from '../src/net/mod.ts'
import { closedBecause, type PoolWish, poolGroups, poolMisfit } from './admission.ts'
import {
  blockOf,
  blockSize,
  blocksIn,
  claimable,
  homeWords,
  isOpen,
  isSpare,
  newClaim,
  ownBlocks,
  placeOf,
  putClaim,
  reservedOffsets,
  sparePools,
  unused,
  usableAddresses,
} from './blocks.ts'
import { coolingIn, longestCooling, offsetsOf, restWords, warmed } from './cooling.ts'
import { endpointClaims, heldElsewhere, holderOf, MOVES_HINT, stickyMac } from './floating.ts'
import { keys } from './keys.ts'
import {
  type AddressRecord,
  type AttachmentKey,
  type AttachmentRecord,
  type BlockClaim,
  type BlockUse,
  type NetworkRecord,
  networkFamilies,
  type Pool,
  type Reservation,
} from './records.ts'
import { closed, exhausted, needsBlock, type Refusal, refuse } from './refusals.ts'
import { release } from './release.ts'
import {
  exclusionOf,
  hasReservations,
  isPod,
  keptOffsets,
  podText,
  reservationOf,
  reservedFor,
} from './reservations.ts'
import type { Key, Reader, Tx } from './store.ts'

export { claimBlock, ensureBlocks } from './blocks.ts'
export type { Refusal, RefusalReason } from './refusals.ts'
export { type ReleasedNode, release, releaseNode } from './release.ts'

/** What an attachment asks for. */
export interface AllocateRequest extends PoolWish {
  readonly key: AttachmentKey
  readonly node: string
  /** Path of the container's network namespace. */
  readonly netns: string
  readonly hostLink?: string
  /** The pod's link will be a macvlan, in place of a pair with a host's end. */
  readonly macvlan?: true
  /** MAC that the pod's end shall have. */
  readonly mac?: Mac
  /** Addresses it wants, at most one a family; the other families are chosen. */
  readonly requested?: readonly Ip[]
  /** Whether a block may be claimed here; false where claims need the cluster's consent. */
  readonly mayClaim: boolean
  readonly nowMs: number
  readonly bootId: string
}

export type AllocateAnswer =
  | { readonly kind: 'allocated'; readonly attachment: AttachmentRecord }
  | Refusal

/**
 * Gives one address of each family of the network, or refuses and writes nothing.
 * An attachment of an earlier boot is dead, whatever the runtime missed to say
 * of it: it is released, and its key is free again.
 */
export function allocate(tx: Tx, request: AllocateRequest): AllocateAnswer {
  const { key, node, bootId } = request
  const attachmentKey = keys.attachment(node, key)
  let present = tx.get(attachmentKey)
  if (present !== undefined && present.bootId !== bootId) {
    // Its connections died with the node: nothing has to rest.
    release(tx, node, key, request.nowMs, false)
    present = undefined
  }
  const found = grantsFor(tx, request, present)
  if (found.kind === 'refused') return found
  return { kind: 'allocated', attachment: record(tx, request, found.grants, attachmentKey) }
}

/** Why `allocate` would refuse the request now; undefined when it would not. Writes nothing. */
export function refusalNow(reader: Reader, request: AllocateRequest): Refusal | undefined {
  const present = reader.get(keys.attachment(request.node, request.key))
  const found = grantsFor(reader, request, present)
  return found.kind === 'refused' ? found : undefined
}

/** @param present What the attachment has already. */
function grantsFor(
  reader: Reader,
  request: AllocateRequest,
  present: AttachmentRecord | undefined,
): Refusal | { readonly kind: 'grants'; readonly grants: readonly Grant[] } {
  const { key, requested = [] } = request
  const network = reader.get(keys.network(key.network))
  if (network === undefined) {
    return refuse('unknown-network', `Cannot allocate in network ${key.network}: there is none`)
  }
  if (present !== undefined) {
    const who = `${key.ifname} of container ${key.containerId}`
    const found = `it has ${present.ips.join(' and ')} in network ${key.network}`
    return refuse('duplicate', `Cannot add ${who}: ${found}, wanted a new one or DEL first`)
  }
  const families = networkFamilies(network)
  const misfit = misfitOf(request, network, families)
  if (misfit !== undefined) return misfit

  const grants: Grant[] = []
  for (const family of families) {
    const asked = requested.find((ip) => ipFamily(ip) === family)
    const wanted = asked ?? ownReservation(reader, network, family, request)
    const grant =
      wanted === undefined
        ? grantAny(reader, network, family, request)
        : grantRequested(reader, network, wanted, request)
    if (grant.kind === 'refused') return grant
    grants.push(grant)
  }
  return { kind: 'grants', grants }
}

/** What is kept for the pod; undefined, too, where another interface of its container has it. */
function ownReservation(
  reader: Reader,
  network: NetworkRecord,
  family: IpFamily,
  { key, pod }: AllocateRequest,
): Ip | undefined {
  const ip = reservedFor(reader, network, family, pod)?.ip
  const holder = ip && reader.get(keys.address(network.name, ip))
  return holder?.containerId === key.containerId ? undefined : ip
}

/** An address, and what to write to take it. */
interface Grant {
  readonly kind: 'grant'
  readonly ip: Ip
  readonly key: Key<AddressRecord>
  /** The block after the address was taken. */
  readonly use: BlockUse
  /** Blocks to claim first. */
  readonly claims: readonly BlockClaim[]
}

/** Requested addresses and pools that no block can satisfy. */
function misfitOf(
  request: AllocateRequest,
  network: NetworkRecord,
  families: readonly IpFamily[],
): Refusal | undefined {
  const { requested = [] } = request
  const misfit = poolMisfit(network, request)
  if (misfit !== undefined) {
    return refuse('not-available', `Cannot allocate in pool ${misfit.cidr}: ${misfit.why}`)
  }
  for (const [index, ip] of requested.entries()) {
    const family = ipFamily(ip)
    const others = requested.slice(0, index).filter((other) => ipFamily(other) === family)
    const why = !families.includes(family)
      ? `network ${network.name} has no IPv${family} pool`
      : others.length > 0
        ? `${others[0]} was requested too, wanted at most one IPv${family} address`
        : undefined
    if (why !== undefined) return refuse('not-available', `Cannot allocate ${ip}: ${why}`)
  }
  return undefined
}

function grantAny(
  reader: Reader,
  network: NetworkRecord,
  family: IpFamily,
  request: AllocateRequest,
): Grant | Refusal {
  const groups = poolGroups(network, family, request)
  if (groups.length === 0) return closed(network, family, request)
  const { node } = request
  const all = ownBlocks(reader, network, node, family)
  for (const pools of groups) {
    const own = blocksIn(all, pools)
    const grant =
      pools[0]?.floating === true
        ? grantFloating(reader, network, pools, request, own)
        : grantIn(reader, network, pools, request, own)
    if (grant !== undefined) return grant
  }
  return exhausted(reader, network, family, request, blocksIn(all, groups.flat()))
}

/** From the node's own blocks of the pools, or a new one; undefined when there is no more. */
function grantIn(
  reader: Reader,
  network: NetworkRecord,
  pools: readonly Pool[],
  { node, mayClaim, nowMs }: AllocateRequest,
  own: readonly BlockUse[],
): Grant | Refusal | undefined {
  const ahead = blockAhead(network, pools, own, nowMs)
  for (const use of own) {
    const grant = use === ahead ? undefined : grantFrom(reader, network, use, [], nowMs)
    if (grant !== undefined) return grant
  }
  if (network.options.cooldownStrict !== true) {
    const others = ahead === undefined ? own : own.filter((use) => use !== ahead)
    const grant = grantCooling(reader, network, others, nowMs)
    if (grant !== undefined) return grant
  }
  if (ahead !== undefined) {
    const isStrict = network.options.cooldownStrict === true
    const grant =
      grantFrom(reader, network, ahead, [], nowMs) ??
      (isStrict ? undefined : grantCooling(reader, network, [ahead], nowMs))
    if (grant !== undefined) return grant
  }
  const claims: BlockClaim[] = []
  for (const claim of claimable(reader, network, pools, node, nowMs)) {
    if (!mayClaim) return needsBlock(network, prefixFamily(claim.cidr), pools, node, own)
    claims.push(claim)
    // A block of one or two addresses may have none for pods; then the next one is needed too.
    const grant = grantFrom(reader, network, unused(claim), claims, nowMs)
    if (grant !== undefined) return grant
  }
  return undefined
}

/** Of floating pools: an address that the node has already, or one more claim, and rather that than one that cools. */
function grantFloating(
  reader: Reader,
  network: NetworkRecord,
  pools: readonly Pool[],
  request: AllocateRequest,
  own: readonly BlockUse[],
): Grant | Refusal | undefined {
  const { node, mayClaim, nowMs } = request
  const [family] = pools.map(({ cidr }) => prefixFamily(cidr))
  if (family === undefined) return undefined
  for (const use of own) {
    const grant = grantFrom(reader, network, use, [], nowMs)
    if (grant !== undefined) return grant
  }
  const before = endpointClaims(reader, network, family, request)
  if ('kind' in before) return before
  for (const claim of claimable(reader, network, pools, node, nowMs)) {
    if (!mayClaim) return needsBlock(network, family, pools, node, own)
    const grant = grantFrom(reader, network, unused(claim), [...before, claim], nowMs)
    if (grant !== undefined) return grant
  }
  if (network.options.cooldownStrict === true) return undefined
  return grantCooling(reader, network, own, nowMs)
}

/**
 * The unused block that is kept ahead; of several one that least cools in. It is
 * taken last, after what cools elsewhere, because the next one is claimed then.
 */
function blockAhead(
  network: NetworkRecord,
  pools: readonly Pool[],
  own: readonly BlockUse[],
  nowMs: number,
): BlockUse | undefined {
  const [pool] = pools
  if (pool === undefined) return undefined
  if (!sparePools(network, prefixFamily(pool.cidr)).includes(pool)) return undefined
  let found: BlockUse | undefined
  let least = Number.POSITIVE_INFINITY
  for (const use of own) {
    if (use.used > 0 || !isSpare(network, use, nowMs)) continue
    const cooling = coolingIn(network, use, nowMs).length
    if (cooling > least) continue
    found = use
    least = cooling
  }
  return found
}

/** Takes the address that cools longest: rather that than one more block. */
function grantCooling(
  reader: Reader,
  network: NetworkRecord,
  own: readonly BlockUse[],
  nowMs: number,
): Grant | undefined {
  const found = longestCooling(network, own, nowMs, (use, offset) => {
    if (reservedOffsets(network, use).has(offset)) return true
    for (const kept of keptOffsets(reader, network, use)) if (kept === offset) return true
    return false
  })
  if (found === undefined) return undefined
  const { use, offset } = found
  const integer = ipToInteger(networkAddress(use.cidr)) + BigInt(offset)
  const key = keys.addressAt(network.name, prefixFamily(use.cidr), integer)
  invariant(reader.get(key) === undefined, `nobody has the address of ${key}, which cools`)
  const after = { ...warmed(network, use, offset, nowMs), used: use.used + 1 }
  return {
    kind: 'grant',
    ip: ipFromInteger(prefixFamily(use.cidr), integer),
    key,
    use: after,
    claims: [],
  }
}

/** Takes the next address after the block's cursor that is free and does not cool. */
function grantFrom(
  reader: Reader,
  network: NetworkRecord,
  use: BlockUse,
  claims: readonly BlockClaim[],
  nowMs: number,
): Grant | undefined {
  if (use.used >= usableAddresses(network, use)) return undefined
  const size = blockSize(use)
  const reserved = reservedOffsets(network, use)
  const resting = restingOffsets(reader, network, use, nowMs)
  if (resting.size > 0) {
    const closed = [...reserved.keys()].filter((offset) => !resting.has(offset)).length
    if (use.used >= size - closed - resting.size) return undefined
  }
  const family = prefixFamily(use.cidr)
  const start = ipToInteger(networkAddress(use.cidr))
  for (let step = 0; step < size; step++) {
    const offset = (use.cursor + step) % size
    if (reserved.has(offset) || resting.has(offset)) continue
    const integer = start + BigInt(offset)
    const key = keys.addressAt(network.name, family, integer)
    if (reader.get(key) !== undefined) continue
    const taken = warmed(network, use, offset, nowMs)
    const after = { ...taken, cursor: (offset + 1) % size, used: use.used + 1 }
    return { kind: 'grant', ip: ipFromInteger(family, integer), key, use: after, claims }
  }
  return undefined
}

/** Places in the block that cool, or are kept for somebody: nobody holds them. */
function restingOffsets(
  reader: Reader,
  network: NetworkRecord,
  use: BlockUse,
  nowMs: number,
): ReadonlySet<number> {
  const cooling = offsetsOf(coolingIn(network, use, nowMs))
  if (network.exclusions === undefined && !hasReservations(reader, network)) return cooling
  const kept = [...keptOffsets(reader, network, use)]
  return kept.length === 0 ? cooling : new Set([...cooling, ...kept])
}

function grantRequested(
  reader: Reader,
  network: NetworkRecord,
  ip: Ip,
  request: AllocateRequest,
): Grant | Refusal {
  const { node, mayClaim, nowMs } = request
  const unavailable = (why: string): Refusal =>
    refuse('not-available', `Cannot allocate ${ip} in network ${network.name}: ${why}`)

  const pool = network.pools.find(({ cidr }) => containsIp(cidr, ip))
  if (pool === undefined) return unavailable('no pool of the network contains it')
  const why = closedBecause(pool, request)
  if (why !== undefined) return unavailable(why)
  const reservation = reservationOf(reader, network, ip)
  const isOwn = reservation !== undefined && isPod(reservation.pod, request.pod)
  const kept = isOwn ? undefined : keptWords(network, ip, reservation)
  if (kept !== undefined) return unavailable(kept)
  const block = blockOf(pool, ip)
  const claim = reader.get(keys.claim(network.name, block))
  if (claim !== undefined && claim.node !== node) {
    if (pool.floating === true) return heldElsewhere(reader, network, pool, ip, claim, request)
    const holder = holderOf(reader, network.name, ip, claim.node)
    const whose = `${holder}block ${block} belongs to node ${claim.node}, wanted ${node}`
    if (!isOwn) return unavailable(whose)
    return { ...unavailable(`it is reserved for this pod, but ${whose}`), hint: MOVES_HINT }
  }
  const before =
    pool.floating === true ? endpointClaims(reader, network, ipFamily(ip), request) : []
  if ('kind' in before) return before
  if (claim === undefined && !mayClaim) {
    const found = `node ${node} does not have block ${block} and may not claim it now`
    const wanted = { network: network.name, family: ipFamily(ip), pools: [pool.cidr], ip }
    const why = unavailable(found)
    // It may be had later: once there is an agent, or etcd, that says so.
    return { ...why, ...(pool.floating === true ? { reason: 'needs-block' } : {}), wanted }
  }
  if (claim === undefined && !isOpen(pool, placeOf(reader, node))) {
    return unavailable(`pool ${pool.cidr} is for ${homeWords(pool)}`)
  }
  const fresh = claim ?? newClaim(reader, network, pool, block, node, nowMs)
  const use = reader.get(keys.use(node, network.name, block)) ?? unused(fresh)
  if (use.frozen === true) {
    const why = unavailable(`block ${block} may be another node's, wanted etcd's word on it`)
    return { ...why, reason: 'held-elsewhere' }
  }
  const offset = Number(offsetIn(block, ip))
  const reserved = reservedOffsets(network, use).get(offset)
  if (reserved !== undefined) return unavailable(`it is ${reserved}`)
  const holder = holderOf(reader, network.name, ip, node)
  if (holder !== '') return unavailable(`${holder}wanted a free one`)
  const cooling = coolingIn(network, use, nowMs).find((each) => each.offset === offset)
  if (cooling !== undefined && !isOwn && network.options.cooldownStrict === true) {
    return unavailable(`it cools down, ${restWords(network, cooling, nowMs)}`)
  }
  const after = { ...warmed(network, use, offset, nowMs), used: use.used + 1 }
  return {
    kind: 'grant',
    ip,
    key: keys.address(network.name, ip),
    use: after,
    claims: claim === undefined ? [...before, fresh] : before,
  }
}

/** Why just any pod does not get `ip`; undefined when it may. */
function keptWords(
  network: NetworkRecord,
  ip: Ip,
  reservation: Reservation | undefined,
): string | undefined {
  if (reservation !== undefined) return `it is reserved for ${podText(reservation.pod)}`
  const range = exclusionOf(network, ip)
  return range === undefined ? undefined : `it is in ${range}, which is excluded`
}

/** Writes what was granted. */
function record(
  tx: Tx,
  request: AllocateRequest,
  grants: readonly Grant[],
  attachmentKey: Key<AttachmentRecord>,
): AttachmentRecord {
  const { key, node, netns, hostLink, macvlan, pod, bootId, nowMs } = request
  const mac = request.mac ?? stickyMac(tx, request, grants)
  const { network, containerId, ifname } = key
  const sequenceKey = keys.sequence(node)
  const sequence = (tx.get(sequenceKey) ?? 0) + 1
  tx.put(sequenceKey, sequence)
  for (const { ip, key: addressKey, use, claims } of grants) {
    for (const claim of claims) putClaim(tx, claim)
    tx.put(keys.use(node, network, use.cidr), use)
    const address = { ip, block: use.cidr, network, containerId, ifname, sequence }
    tx.put(addressKey, address)
  }
  const attachment: AttachmentRecord = {
    network,
    containerId,
    ifname,
    node,
    ips: grants.map(({ ip }) => ip),
    ...(hostLink === undefined ? {} : { hostLink }),
    ...(macvlan === undefined ? {} : { macvlan }),
    netns,
    ...(pod === undefined ? {} : { pod }),
    ...(mac === undefined ? {} : { mac }),
    sequence,
    bootId,
    addedMs: nowMs,
  }
  tx.put(attachmentKey, attachment)
  return attachment
}
