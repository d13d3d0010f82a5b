/**
 * What stands with its block moves with it: addresses, reservations, history.
 *
 * @module
 */
import {
  containsIp,
  type Ip,
  networkAddress,
  offsetIn,
  type Prefix,
  prefixOf,
} from '../../src/net/mod.ts'
import { reservedOffsets } from '../blocks.ts'
import { HISTORY_MAX } from '../history.ts'
import { keys } from '../keys.ts'
import type { HistoryRecord, NetworkRecord, Pool } from '../records.ts'
import { podText } from '../reservations.ts'
import type { Key, Reader } from '../store.ts'
import type { Obstacle } from './plan.ts'

export interface Moved {
  readonly reader: Reader
  /** As it will be. */
  readonly network: NetworkRecord
  readonly before: readonly Prefix[]
  readonly after: readonly Pool[]
  /** Whether blocks get another length. */
  readonly isCut: boolean
}

type Writes = Map<Key<unknown>, unknown>

const isOf = (pools: readonly Prefix[], ip: Ip): boolean =>
  pools.some((cidr) => containsIp(cidr, ip))

/** The pool and block of an address then. */
function placeOf({ after }: Moved, ip: Ip): { pool: Pool; block: Prefix } | undefined {
  const pool = after.find(({ cidr }) => containsIp(cidr, ip))
  return pool && { pool, block: prefixOf(ip, pool.blockLength) }
}

/** @returns how many addresses each block then has. */
export function moveAddresses(move: Moved, writes: Writes): ReadonlyMap<Prefix, number> {
  const { reader, network, before } = move
  const counts = new Map<Prefix, number>()
  for (const [key, address] of reader.range(keys.addresses(network.name))) {
    const place = isOf(before, address.ip) ? placeOf(move, address.ip) : undefined
    if (place === undefined) continue
    const { block } = place
    counts.set(block, (counts.get(block) ?? 0) + 1)
    if (block !== address.block) writes.set(key, { ...address, block })
  }
  return counts
}

/** @returns reservations of addresses that no pod could have then. */
export function moveReservations(move: Moved, writes: Writes): readonly Obstacle[] {
  const { reader, network, before, isCut } = move
  const obstacles: Obstacle[] = []
  const puts: (readonly [Key<unknown>, unknown])[] = []
  for (const [key, reservation] of reader.range(keys.reservations(network.name))) {
    const { ip, pod } = reservation
    if (!isOf(before, ip)) continue
    const place = placeOf(move, ip)
    const why = place === undefined ? 'in no pool' : unusable(network, place, ip)
    if (why !== undefined) {
      const found = `reserved for ${podText(pod)}, it would be ${why}`
      const wanted = `trivium ipam unreserve ${ip} --network ${network.name}`
      obstacles.push({ subject: ip, found, wanted })
    }
    if (place === undefined || !isCut) continue
    writes.set(key, undefined)
    puts.push([keys.reservation(network.name, place.block, ip), reservation])
  }
  for (const [key, value] of puts) writes.set(key, value)
  return obstacles
}

/** As for a new reservation: a block's first address may become a tunnel endpoint. */
function unusable(
  network: NetworkRecord,
  { pool, block }: { pool: Pool; block: Prefix },
  ip: Ip,
): string | undefined {
  const use = { cidr: block, pool: pool.cidr, first: true }
  const why = reservedOffsets(network, use).get(Number(offsetIn(block, ip)))
  if (why === undefined) return undefined
  return ip === networkAddress(block) ? `the first of block ${block}` : why
}

/**
 * History beyond the new pools is forgotten, the rest goes into the rings of its
 * blocks in order of time.
 *
 * @returns how many records each ring has that was made anew.
 */
export function moveHistory(move: Moved, writes: Writes): ReadonlyMap<Prefix, number> {
  const { reader, network, before, isCut } = move
  const rings = new Map<Prefix, HistoryRecord[]>()
  for (const [key, record] of reader.range(keys.networkHistory(network.name))) {
    if (!isOf(before, record.ip)) continue
    const place = placeOf(move, record.ip)
    if (place !== undefined && !isCut) continue
    writes.set(key, undefined)
    if (place === undefined) continue
    const ring = rings.get(place.block)
    if (ring === undefined) rings.set(place.block, [record])
    else ring.push(record)
  }
  const counts = new Map<Prefix, number>()
  for (const [block, records] of rings) {
    records.sort((a, b) => a.toMs - b.toMs)
    const newest = records.slice(-HISTORY_MAX)
    for (const [index, record] of newest.entries()) {
      writes.set(keys.historySlot(network.name, block, index), record)
    }
    counts.set(block, newest.length)
  }
  return counts
}
