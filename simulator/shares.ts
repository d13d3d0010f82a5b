/**
 * Static summaries: a part of each pool for each rack, which the rack's switch
 * announces whatever blocks there are.
 *
 * A pool is cut into equal parts, the next power of two of the racks; rack i has
 * the i-th. Parts that are over belong to no rack: any node may claim blocks there,
 * and the fabric hears of each.
 *
 * @module
 */
import type { PoolSpec } from '../ipam/networks.ts'
import { type Prefix, prefixLength, subPrefixAt } from '../src/net/mod.ts'
import { summarised } from './announcer.ts'
import { bitsFor } from './math.ts'
import { rackLabel } from './underlay.ts'

/** What a rack's switch announces of a pool. */
export interface Share {
  readonly rack: number
  readonly prefix: Prefix
}

/** Prefix length of the parts of a pool. */
export const shareLength = (pool: Prefix, racks: number): number =>
  prefixLength(pool) + bitsFor(racks)

export function sharesOf(pools: readonly Prefix[], racks: number): readonly Share[] {
  return pools.flatMap((pool) =>
    Array.from({ length: racks }, (_, rack) => ({ rack, prefix: partOf(pool, racks, rack) })),
  )
}

const partOf = (pool: Prefix, racks: number, part: number): Prefix =>
  subPrefixAt(pool, shareLength(pool, racks), BigInt(part))

/** The pool as an administrator would give it to the allocator: a pool a rack, then what is over. */
export function carved({ cidr, ...rest }: PoolSpec & { cidr: Prefix }, racks: number): PoolSpec[] {
  const over = Array.from({ length: 2 ** bitsFor(racks) - racks }, (_, index) =>
    partOf(cidr, racks, racks + index),
  )
  return [
    ...sharesOf([cidr], racks).map(({ rack, prefix }) => {
      return { ...rest, cidr: prefix, rack: rackLabel(rack) }
    }),
    ...summarised(over).map((prefix) => ({ ...rest, cidr: prefix })),
  ]
}
