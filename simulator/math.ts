/**
 * Arithmetic that comes out the same everywhere.
 *
 * ECMAScript leaves logarithms, powers and the like to the engine (section
 * "Function Properties of the Math Object": "implementation-approximated"), so a
 * simulation that used them could differ between two versions of Node.
 *
 * @module
 */

/** How many bits tell `count` things apart: the smallest whole n with 2^n >= `count`. */
export function bitsFor(count: number): number {
  let bits = 0
  // Doubling is exact; a count that is no number ends at once.
  for (let held = 1; held < count && held < Number.MAX_VALUE; held *= 2) bits++
  return bits
}
