/**
 * Blocks that a node has no use for, and gives back to the cluster.
 *
 * A block that was claimed a short while ago stays, so that a node at the edge of
 * a block does not claim and give back with every pod. Out of a pool that drains
 * everything goes at once, the tunnel endpoint too.
 *
 * @module
 */
import { type IpFamily, networkAddress } from '../src/net/mod.ts'
import {
  blocksIn,
  claimable,
  ensureBlocks,
  isSpare,
  ownBlocks,
  placeOf,
  putClaim,
  sparePools,
} from './blocks.ts'
import { coolingIn } from './cooling.ts'
import { keys } from './keys.ts'
import { isMisplaced } from './locality.ts'
import { type BlockUse, isFloating, type NetworkRecord, networkFamilies } from './records.ts'
import { reservationOf } from './reservations.ts'
import type { Reader, Tx } from './store.ts'

/** Unless the network says otherwise. */
export const IDLE_SECONDS = 600

/**
 * Blocks without a holder and without an address that rests; but for the first
 * of a family, which has the tunnel endpoint, and one spare, the lowest that
 * `ensureBlocks` would count: so what is given back is not claimed again at once.
 * But a spare that would lie better beside its rack's blocks goes, for one there.
 */
export function idleBlocks(
  reader: Reader,
  network: NetworkRecord,
  node: string,
  nowMs: number,
): readonly BlockUse[] {
  return networkFamilies(network).flatMap((family) => {
    const own = ownBlocks(reader, network, node, family)
    const spare = blocksIn(own, sparePools(network, family)).find((use) =>
      isSpare(network, use, nowMs),
    )
    return own.filter(
      (use) =>
        !use.first &&
        isEmpty(network, use, nowMs) &&
        (drains(network, use) || isOld(reader, network, use, nowMs)) &&
        (use.cidr !== spare?.cidr ||
          (isLookDue(reader, network, use, nowMs) && isAstray(reader, network, node, use))),
    )
  })
}

/** Gives the idle blocks back. Their history stays. */
export function giveBackIdle(
  tx: Tx,
  network: NetworkRecord,
  node: string,
  nowMs: number,
): readonly BlockUse[] {
  const idle = idleBlocks(tx, network, node, nowMs)
  for (const { cidr } of idle) {
    tx.remove(keys.claim(network.name, cidr))
    tx.remove(keys.use(node, network.name, cidr))
  }
  return idle
}

/**
 * A node's blocks as they should be: one ready ahead, none that it has no use for.
 * Doing it again at once changes nothing.
 */
export function keepBlocks(tx: Tx, network: NetworkRecord, node: string, nowMs: number): void {
  for (const family of networkFamilies(network)) moveEndpoint(tx, network, node, family, nowMs)
  ensureBlocks(tx, network, node, nowMs)
  if (giveBackIdle(tx, network, node, nowMs).length > 0) ensureBlocks(tx, network, node, nowMs)
}

/** Of those, the ones of pools that drain: they need not be old. */
export const drainedBlocks = (
  reader: Reader,
  network: NetworkRecord,
  node: string,
  nowMs: number,
): readonly BlockUse[] =>
  network.pools.some(({ draining }) => draining === true)
    ? idleBlocks(reader, network, node, nowMs).filter((use) => drains(network, use))
    : []

/** Whether the tunnel endpoint is to leave the block, which is a first one. */
export const isLeft = (network: NetworkRecord, use: BlockUse, nowMs: number): boolean =>
  drains(network, use) && isEmpty(network, use, nowMs)

const isEmpty = (network: NetworkRecord, use: BlockUse, nowMs: number): boolean =>
  use.used === 0 && coolingIn(network, use, nowMs).length === 0

const drains = ({ pools }: NetworkRecord, { pool }: BlockUse): boolean =>
  pools.find(({ cidr }) => cidr === pool)?.draining === true

/** Long enough for the ADD that a floating address was claimed for. */
const CLAIMED_FOR_MS = 30_000

/**
 * A look reads every claim of the network: 25 ms for 20 000 of them. So a spare has
 * one each time that idle blocks are kept, in the rounds that begin within:
 */
const LOOK_MS = 20_000

function isLookDue(reader: Reader, network: NetworkRecord, use: BlockUse, nowMs: number): boolean {
  const keptMs = keptMsOf(network)
  const ageMs = Math.abs(nowMs - claimedMsOf(reader, network, use))
  return keptMs === 0 || ageMs % keptMs < LOOK_MS
}

function isAstray(reader: Reader, network: NetworkRecord, node: string, use: BlockUse): boolean {
  const { rack } = placeOf(reader, node)
  const pool = network.pools.find(({ cidr }) => cidr === use.pool)
  if (rack === undefined || pool === undefined) return false
  return isMisplaced(reader, network, pool, rack, use.cidr)
}

/** A clock that was put back keeps a block at most twice its time. */
function isOld(reader: Reader, network: NetworkRecord, use: BlockUse, nowMs: number): boolean {
  const claimedMs = claimedMsOf(reader, network, use)
  const ageMs = Math.abs(nowMs - claimedMs)
  // A floating address goes as soon as its pod has gone; also one that was given up and came back
  // because etcd did not hear of it.
  if (isFloating(network, use)) {
    const past = reader.range(keys.blockHistory(network.name, use.cidr))
    const isDone = [...past].some(([, { toMs }]) => toMs >= claimedMs)
    return use.released !== undefined || isDone || ageMs >= CLAIMED_FOR_MS
  }
  return ageMs >= keptMsOf(network)
}

const claimedMsOf = (reader: Reader, { name }: NetworkRecord, { cidr }: BlockUse): number =>
  reader.get(keys.claim(name, cidr))?.claimedMs ?? 0

const keptMsOf = ({ options }: NetworkRecord): number =>
  (options.idleSeconds ?? IDLE_SECONDS) * 1000

/** Floating addresses that a pod had: others wait for them. */
export const idleFloating = (
  reader: Reader,
  network: NetworkRecord,
  node: string,
  nowMs: number,
): readonly BlockUse[] =>
  network.pools.some(({ floating }) => floating === true)
    ? idleBlocks(reader, network, node, nowMs).filter((use) => isFloating(network, use))
    : []

/**
 * A first block of a pool that drains hands the tunnel endpoint to another, once
 * nobody has an address of it: one of the node's own, or a new one. Peers follow
 * as they follow every block.
 */
function moveEndpoint(
  tx: Tx,
  network: NetworkRecord,
  node: string,
  family: IpFamily,
  nowMs: number,
): void {
  const own = ownBlocks(tx, network, node, family)
  const old = own.find((use) => use.first)
  if (old === undefined || !isLeft(network, old, nowMs)) return
  const next = nextEndpoint(tx, network, own, family)
  if (next !== undefined) setFirst(tx, network, node, next, true)
  else {
    const pools = sparePools(network, family)
    const [claim] = claimable(tx, network, pools, node, nowMs)
    if (claim === undefined) return
    putClaim(tx, { ...claim, first: true })
  }
  setFirst(tx, network, node, old, false)
}

/** The block of `own` whose network address may become the node's tunnel endpoint. */
export function nextEndpoint(
  reader: Reader,
  network: NetworkRecord,
  own: readonly BlockUse[],
  family: IpFamily,
): BlockUse | undefined {
  const pools = sparePools(network, family)
  return blocksIn(own, pools).find(({ cidr }) => {
    const ip = networkAddress(cidr)
    const isGateway = pools.some(({ gateway }) => gateway === ip)
    const isHeld = reader.get(keys.address(network.name, ip)) !== undefined
    return !isGateway && !isHeld && reservationOf(reader, network, ip) === undefined
  })
}

function setFirst(
  tx: Tx,
  { name }: NetworkRecord,
  node: string,
  use: BlockUse,
  first: boolean,
): void {
  const claim = tx.get(keys.claim(name, use.cidr))
  if (claim !== undefined) tx.put(keys.claim(name, use.cidr), { ...claim, first })
  tx.put(keys.use(node, name, use.cidr), { ...use, first })
}
