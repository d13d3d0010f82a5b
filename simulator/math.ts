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

/** Terms of the series below: the first left out is less than 2^-60 of the sum. */
const LOG_TERMS = 12
const { LN2, SQRT1_2: ROOT_HALF } = Math
/** A constant is the same number everywhere; functions may not be. */
export const { PI } = Math

/**
 * The natural logarithm of a positive finite number, to a few units in the last
 * place, and to the same bit everywhere: only sums, products and quotients, which
 * IEEE 754 rounds exactly.
 *
 * x = m 2^k with m in [1/√2, √2), and ln m = 2 artanh((m - 1) / (m + 1)).
 */
export function naturalLog(x: number): number {
  if (!(x > 0) || x > Number.MAX_VALUE) return Number.NaN
  let mantissa = x
  let exponent = 0
  while (mantissa < ROOT_HALF) {
    mantissa *= 2
    exponent--
  }
  while (mantissa >= 2 * ROOT_HALF) {
    mantissa /= 2
    exponent++
  }
  const ratio = (mantissa - 1) / (mantissa + 1)
  const square = ratio * ratio
  let sum = 0
  for (let term = LOG_TERMS; term > 0; term--) sum = (sum + 1 / (2 * term + 1)) * square
  return exponent * LN2 + 2 * (ratio + ratio * sum)
}

/**
 * A time with an exponential distribution: how long it is until something happens
 * that happens at random.
 *
 * @param unit From (0, 1].
 * @returns a whole number, at most 23 times `mean` where `unit` has 32 bits.
 */
export function exponential(mean: number, unit: number): number {
  return Math.round(-mean * naturalLog(unit))
}
