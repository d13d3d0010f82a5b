/**
 * Blocks of a rack beside each other, so that its switch announces few prefixes.
 *
 * Where a block goes is decided once, and then other blocks come and go. What a
 * node keeps ahead has no pods, so it can move: a block that would save the rack
 * a prefix elsewhere is given back, and the one claimed in its place goes there.
 *
 * @module
 */
import {
  ADDRESS_BITS,
  ipFromInteger,
  ipToInteger,
  networkAddress,
  type Prefix,
  prefixFamily,
  prefixOf,
  prefixSize,
} from '../src/net/mod.ts'
import { blockStart, keys } from './keys.ts'
import { nextPlace, prefixCount, type Taken } from './placement.ts'
import type { NetworkRecord, Pool } from './records.ts'
import type { KeyRange, Pairs, Reader } from './store.ts'

/** A pool as its rack sees it: blocks counted from the start. */
interface RackPool {
  readonly taken: Taken[]
  readonly blocks: bigint
  readonly cidrAt: (place: bigint) => Prefix
  readonly positionOf: (cidr: Prefix) => bigint
}

function rackPool(reader: Reader, network: NetworkRecord, pool: Pool, rack: string): RackPool {
  const members = new Set<string>()
  for (const [, node] of glance(reader, keys.nodes)) if (node.rack === rack) members.add(node.name)
  const family = prefixFamily(pool.cidr)
  const hostBits = BigInt(ADDRESS_BITS[family] - pool.blockLength)
  const start = ipToInteger(networkAddress(pool.cidr))
  const taken: Taken[] = []
  for (const [key, claim] of glance(reader, keys.familyClaims(network.name, family))) {
    if (claim.pool !== pool.cidr) continue
    taken.push({ place: (blockStart(key) - start) >> hostBits, own: members.has(claim.node) })
  }
  return {
    taken,
    blocks: prefixSize(pool.cidr) >> hostBits,
    cidrAt: (place) =>
      prefixOf(ipFromInteger(family, start + (place << hostBits)), pool.blockLength),
    positionOf: (cidr) => (ipToInteger(networkAddress(cidr)) - start) >> hostBits,
  }
}

/** Free blocks of the pool, the rack's next one first; each as if it had the ones before. */
export function* besideRack(
  reader: Reader,
  network: NetworkRecord,
  pool: Pool,
  rack: string,
): Generator<Prefix> {
  const { taken, blocks, cidrAt } = rackPool(reader, network, pool, rack)
  for (;;) {
    const place = nextPlace(taken, blocks)
    if (place === undefined) return
    yield cidrAt(place)
    const after = taken.findIndex((other) => other.place > place)
    taken.splice(after === -1 ? taken.length : after, 0, { place, own: true })
  }
}

/**
 * Whether a rack would be fewer prefixes if its block `cidr` were claimed now. Each
 * that moves makes them fewer, so blocks do not move to and fro.
 */
export function isMisplaced(
  reader: Reader,
  network: NetworkRecord,
  pool: Pool,
  rack: string,
  cidr: Prefix,
): boolean {
  const { taken, blocks, positionOf } = rackPool(reader, network, pool, rack)
  const present = positionOf(cidr)
  const others = taken.filter(({ place }) => place !== present)
  const place = nextPlace(others, blocks)
  if (place === undefined || place === present) return false
  const own = others.flatMap((each) => (each.own ? [each.place] : []))
  return prefixCount([...own, place]) < prefixCount([...own, present])
}

/** To choose by, not to decide by. */
export const glance = <T>(reader: Reader, range: KeyRange<T>): Pairs<T> =>
  reader.glance?.(range) ?? reader.range(range)
