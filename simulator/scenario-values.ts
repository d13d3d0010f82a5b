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

/** A number of a range with at most so many decimal places, so that it is a whole one of a smaller unit. */
export function decimal(low: number, high: number, places: 3 | 4) {
  const scale = places === 3 ? 1000 : 10_000
  const outside = {
    error: ({ input }: { readonly input?: unknown }) =>
      `found ${show(input)}, wanted a number from ${low} to ${high} with at most ${places} decimals`,
  }
  return z
    .number({ error: ({ input }) => `found ${show(input)}, wanted a number` })
    .min(low, outside)
    .max(high, outside)
    .refine((value) => Math.round(value * scale) / scale === value, outside)
}

/** To one packet of a million. A link that loses everything is one that is down. */
export const lossPercent = decimal(0, 99.9999, 4)

/** One of some words. */
export const oneOf = <const T extends readonly [string, ...string[]]>(words: T) =>
  z.enum(words, { error: ({ input }) => `found ${show(input)}, wanted ${words.join(', ')}` })

/** A value as errors show it. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'number') return String(value)
  return (JSON.stringify(value) ?? String(value)).slice(0, 60)
}
