/**
 * Where the next block of a rack goes, so that its blocks stay together and the
 * fabric can announce few prefixes.
 *
 * Blocks are counted from the start of their pool. In order of preference:
 *
 * 1. the free half beside a half that is all the rack's own, the smallest such:
 *    filling it makes one prefix of two. Its first block.
 * 2. the largest free aligned region, the lowest of several: its first block. A
 *    rack that has none yet, or no room beside its own, has most room there.
 *
 * An empty pool is so bisected: racks begin at 0, 1/2, 1/4, 3/4, 1/8 … of it, and
 * each fills its part from the start. The last free block is found like the first.
 *
 * Cost: one pass over the blocks that are claimed, whatever the pool's size.
 *
 * @module
 */

/** A claimed block, by its place in the pool. */
export interface Taken {
  readonly place: bigint
  /** Whether a node of the rack in question has it. */
  readonly own: boolean
}

/** Free blocks in a row, and how many of the rack's own lie at either end without a gap. */
interface Gap {
  readonly start: bigint
  /** The place after the last. */
  readonly end: bigint
  readonly before: bigint
  after: bigint
}

/** As many places as a power of two, from a multiple of it. */
interface Region {
  readonly place: bigint
  readonly size: bigint
}

/**
 * The place of the rack's next block; undefined when none is free.
 *
 * @param taken In order of place.
 * @param blocks How many the pool has: a power of two.
 */
export function nextPlace(taken: readonly Taken[], blocks: bigint): bigint | undefined {
  let beside: Region | undefined
  let widest: Region | undefined
  for (const gap of gapsOf(taken, blocks)) {
    for (const half of freeHalves(gap)) {
      if (beside === undefined || half.size < beside.size) beside = half
    }
    const region = largestIn(gap)
    if (widest === undefined || region.size > widest.size) widest = region
  }
  return (beside ?? widest)?.place
}

function gapsOf(taken: readonly Taken[], blocks: bigint): readonly Gap[] {
  const gaps: Gap[] = []
  let last: Gap | undefined
  let next = 0n
  let before = 0n
  const free = (end: bigint): void => {
    if (end <= next) return
    last = { start: next, end, before, after: 0n }
    gaps.push(last)
    before = 0n
  }
  for (const { place, own } of taken) {
    free(place)
    before = own ? before + 1n : 0n
    if (own && last !== undefined && last.end + last.after === place) last.after++
    next = place + 1n
  }
  free(blocks)
  return gaps
}

/** Free halves at either end of a gap whose other half is the rack's own. */
function freeHalves({ start, end, before, after }: Gap): readonly Region[] {
  const room = end - start
  const halves: Region[] = []
  // Two halves meet where the larger power of two begins: their size is the lowest bit there.
  const first = lowestBit(start)
  if (first > 0n && before >= first && room >= first) halves.push({ place: start, size: first })
  const last = lowestBit(end)
  if (after >= last && room >= last) halves.push({ place: end - last, size: last })
  return halves
}

function largestIn({ start, end }: Gap): Region {
  let size = highestBit(end - start)
  for (;;) {
    const place = ((start + size - 1n) / size) * size
    if (place + size <= end) return { place, size }
    size >>= 1n
  }
}

const lowestBit = (value: bigint): bigint => value & -value

const highestBit = (value: bigint): bigint => 1n << BigInt(value.toString(2).length - 1)

/** How many aligned regions cover just these places: prefixes that a switch announces for them. */
export function prefixCount(places: readonly bigint[]): number {
  const regions: Region[] = []
  for (const place of places.toSorted((a, b) => (a < b ? -1 : 1))) {
    regions.push({ place, size: 1n })
    for (let [left, right] = regions.slice(-2); right !== undefined; ) {
      if (left === undefined || !areHalves(left, right)) break
      regions.splice(-2, 2, { place: left.place, size: 2n * left.size })
      ;[left, right] = regions.slice(-2)
    }
  }
  return regions.length
}

const areHalves = (left: Region, right: Region): boolean =>
  left.size === right.size && (left.place ^ right.place) === left.size
