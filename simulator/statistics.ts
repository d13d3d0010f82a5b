/**
 * Mean and 95 % interval of what seeds gave: Student's t, because seeds are few.
 *
 * Only sums, products, quotients and square roots, which IEEE 754 rounds exactly: the
 * same figures come out on every machine, bit by bit.
 *
 * @module
 */
import { PI } from './math.ts'

/** What some seeds gave for one figure. */
export interface Estimate {
  /** Values there were: a seed without overflow has no pod of the first overflow. */
  readonly count: number
  readonly mean: number
  /** Standard deviation of the sample; undefined: one value has none. */
  readonly deviation: number | undefined
  /** Half of the interval that holds the true mean with 95 %; undefined: one value says nothing of it. */
  readonly half: number | undefined
}

/** @param values In the order of seeds: sums depend on it. @returns undefined for none. */
export function estimate(values: readonly number[]): Estimate | undefined {
  const count = values.length
  if (count === 0) return undefined
  const [first = 0] = values
  // Of equal values the mean is that value, which a sum would miss by a bit.
  if (values.every((value) => value === first)) {
    const spread = count === 1 ? undefined : 0
    return { count, mean: first, deviation: spread, half: spread }
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  const squares = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0)
  const deviation = Math.sqrt(squares / (count - 1))
  return { count, mean, deviation, half: (studentT(count - 1) * deviation) / Math.sqrt(count) }
}

/** Of a tail that is left out on either side. */
const ONE_SIDE = 0.475
/** Panels of Simpson's rule. With the heaviest tail, one degree of freedom, the error is below 1e-9. */
const PANELS = 4000
const NEWTON_STEPS = 60
const NEAR_ENOUGH = 1e-12

const known = new Map<number, number>()

/**
 * The two-sided 95 % quantile of Student's t distribution.
 *
 * @param freedom Degrees of freedom, from 1 on.
 */
export function studentT(freedom: number): number {
  const found = known.get(freedom) ?? quantile(freedom)
  known.set(freedom, found)
  return found
}

/** Newton's method from below: the distribution is concave there, so steps never go too far. */
function quantile(freedom: number): number {
  const top = densityAtZero(freedom)
  let t = 1.9
  for (let step = 0; step < NEWTON_STEPS; step++) {
    const by = (ONE_SIDE - halfBelow(t, freedom, top)) / density(t, freedom, top)
    t += by
    if (Math.abs(by) < NEAR_ENOUGH * t) break
  }
  return t
}

/** Γ((ν+1)/2) / (√(νπ) Γ(ν/2)), by the recurrence of Γ from ν = 1 or 2. */
function densityAtZero(freedom: number): number {
  const isOdd = freedom % 2 === 1
  let ratio = isOdd ? 1 / Math.sqrt(PI) : Math.sqrt(PI) / 2
  for (let n = isOdd ? 1 : 2; n < freedom; n += 2) ratio *= (n + 1) / n
  return ratio / Math.sqrt(freedom * PI)
}

/** (1 + t²/ν)^(-(ν+1)/2) times what it is at zero. */
function density(t: number, freedom: number, top: number): number {
  const base = 1 / (1 + (t * t) / freedom)
  const power = freedom + 1
  const whole = toThe(base, Math.floor(power / 2))
  return top * whole * (power % 2 === 1 ? Math.sqrt(base) : 1)
}

function toThe(base: number, exponent: number): number {
  let [result, square] = [1, base]
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result *= square
    square *= square
  }
  return result
}

/** The share between zero and `t`. */
function halfBelow(t: number, freedom: number, top: number): number {
  const step = t / PANELS
  let sum = density(0, freedom, top) + density(t, freedom, top)
  for (let panel = 1; panel < PANELS; panel++) {
    sum += (panel % 2 === 1 ? 4 : 2) * density(panel * step, freedom, top)
  }
  return (sum * step) / 3
}
