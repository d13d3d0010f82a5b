/**
 * Numbers as the report of the roads writes them.
 */
import { count, percent } from '../../simulator/report/words.ts'
import type { Figure, Measure, Spread } from './figures.ts'

/** Digits that a figure of this size is worth: `12 345`, `123`, `12.3`, `1.23`. */
export function digits(value: number): string {
  if (value >= 10_000) return count(Number(value.toPrecision(3)))
  if (value >= 100) return count(Math.round(value))
  return value.toFixed(value >= 10 ? 1 : 2)
}

/** `8.44 Gbit/s`, `215 000 /s`. */
export const valueWords = (value: number, { unit }: Measure): string => `${digits(value)} ${unit}`

/** `0.83 x`. */
export const timesWords = (ratio: number): string => `${ratio.toFixed(2)} x`

/** `0.80 to 0.86`. */
export const rangeWords = ({ min, max }: Spread): string => `${min.toFixed(2)} to ${max.toFixed(2)}`

/** The ratio to bare veth; a dash for bare veth itself. */
export const ratioWords = ({ ratio }: Figure): string =>
  ratio === undefined ? '1' : timesWords(ratio.median)

export { count, percent }
