/**
 * How many prefixes say the same as a rack's blocks.
 *
 * Nodes claim the lowest free block, in an order that chance decides. So the
 * blocks of a rack lie scattered among all that are claimed, and two halves of a
 * prefix are joined only where the rack happens to own both.
 *
 * @module
 */

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
