/**
 * Values of scenario files, with errors that say what was found.
 *
 * @module
 */
import { z } from 'zod'

export const HOUR_MS = 3_600_000

/** A whole number of a range. @param why Said after the range. */
export function whole(low: number, high: number, why = '') {
  const outside = {
    error: ({ input }: { readonly input?: unknown }) =>
      `found ${show(input)}, wanted a whole number from ${low} to ${high}${why}`,
  }
  return z
    .number({ error: ({ input }) => `found ${show(input)}, wanted a whole number` })
    .int(outside)
    .min(low, outside)
    .max(high, outside)
}

/** One of some words. */
export const oneOf = <const T extends readonly [string, ...string[]]>(words: T) =>
  z.enum(words, { error: ({ input }) => `found ${show(input)}, wanted ${words.join(', ')}` })

/** A value as errors show it. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'number') return String(value)
  return (JSON.stringify(value) ?? String(value)).slice(0, 60)
}
