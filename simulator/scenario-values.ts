/**
 * Values of scenario files, with errors that say what was found.
 *
 * @module
 */
import { z } from 'zod'

export const HOUR_MS = 3_600_000

/** A whole number of a range. @param why Said after the range. */
export const whole = (low: number, high: number, why = '') =>
  z
    .number({ error: ({ input }) => `found ${show(input)}, wanted a whole number` })
    .refine((value) => Number.isInteger(value) && value >= low && value <= high, {
      error: ({ input }) =>
        `found ${show(input)}, wanted a whole number from ${low} to ${high}${why}`,
    })

/** One of some words. */
export const oneOf = <const T extends readonly [string, ...string[]]>(words: T) =>
  z.enum(words, { error: ({ input }) => `found ${show(input)}, wanted ${words.join(', ')}` })

/** A value as errors show it. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'number') return String(value)
  return (JSON.stringify(value) ?? String(value)).slice(0, 60)
}
