/**
 * How many prefixes say the same as a rack's blocks.
 *
 * Where nodes claim the lowest free block, in an order that chance decides, the
 * blocks of a rack lie scattered among all that are claimed, and two halves of a
 * prefix are joined only where the rack happens to own both. Where they say which
 * rack they are in, its blocks lie in a row from the start of its part of the pool.
 *
 * @module
 */
import { bitsFor } from '../math.ts'
import { exactly, type Range } from './table.ts'

/**
 * The number to expect when `own` of `all` blocks, which fill their pool from the
 * start, belong to a rack by chance.
 *
 * A run of 2^l aligned blocks is the rack's with probability
 * own/all * (own-1)/(all-1) * ...; each such run, at every length, saves one prefix.
 */
export function expectedSummaries(own: number, all: number): number {
  let saved = 0
  let probability = all === 0 ? 0 : own / all
  for (let run = 2; run <= own && probability > 0; run *= 2) {
    for (let taken = run / 2; taken < run && probability > ALMOST_NONE; taken++) {
      probability *= Math.max(0, own - taken) / (all - taken)
    }
    if (probability <= ALMOST_NONE) break
    saved += Math.floor(all / run) * probability
  }
  return Math.max(Math.min(own, 1), own - saved)
}

/** From here on even a million blocks save less than a prefix. */
const ALMOST_NONE = 1e-9

/** Blocks that each of so many racks may claim before it leaves its part of the pool; see ipam's placement. */
export const partOf = (poolBlocks: number, racks: number): number =>
  Math.floor(poolBlocks / 2 ** bitsFor(racks))

/**
 * Of one rack whose blocks lie in a row: a prefix for each bit of their number, at
 * most. While announcements overtake each other there are holes in the row, so a
 * peak may be anything up to a prefix a block.
 *
 * @param part Blocks of its part of the pool. With more it takes what is left elsewhere.
 */
export function placedSummaries(own: number, part: number): Range {
  if (own <= 1) return exactly(own)
  // Seven in a row are 4 + 2 + 1: no number up to them has more ones.
  const row = bitsFor(own + 2) - 1
  return { entries: own <= part ? row : Math.min(own, 2 * row), least: 1, most: own }
}
