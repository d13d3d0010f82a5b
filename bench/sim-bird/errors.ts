/**
 * How far simulated times are from measured ones.
 */

import type { Measured } from './measure.ts'

/** Of medians of one event each. */
export interface Errors {
  readonly count: number
  readonly oursMs: number
  readonly theirsMs: number
  /** |ours - theirs| / theirs. */
  readonly median: number
  readonly p90: number
  readonly p99: number
  /** Events within 20 %, as a share. */
  readonly within: number
  /** Median of (ours - theirs) / theirs: which way it is wrong. */
  readonly bias: number
  /** Median of (most - least) / median of an event's repeats with BIRD. */
  readonly spread: number
}

export const LIMIT = 0.2

export const medianOf = (values: readonly number[]): number => quantile(values, 0.5)

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right)
  const at = share * (sorted.length - 1)
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return low + (high - low) * (at - Math.floor(at))
}

export const signedError = ({ oursMs, theirsMs }: Measured): number =>
  medianOf(oursMs) / medianOf(theirsMs) - 1

export function errorsOf(all: readonly Measured[]): Errors {
  const signed = all.map(signedError)
  const sizes = signed.map(Math.abs)
  return {
    count: all.length,
    oursMs: medianOf(all.map(({ oursMs }) => medianOf(oursMs))),
    theirsMs: medianOf(all.map(({ theirsMs }) => medianOf(theirsMs))),
    median: medianOf(sizes),
    p90: quantile(sizes, 0.9),
    p99: quantile(sizes, 0.99),
    within: sizes.filter((size) => size <= LIMIT).length / sizes.length,
    bias: medianOf(signed),
    spread: medianOf(
      all.map(
        ({ theirsMs }) => (Math.max(...theirsMs) - Math.min(...theirsMs)) / medianOf(theirsMs),
      ),
    ),
  }
}
