/**
 * What a link is beside its latency: how much it loses and how much it carries,
 * and what several in a row are. Integers, so that every machine gets the same.
 *
 * @module
 */

/** Loss of what loses everything, in parts per million. */
export const LOSES_ALL_PPM = 1_000_000

/** Of a link, or of a whole way. */
export interface LinkQuality {
  /** Packets lost of a million. */
  readonly lossPpm: number
  /** Megabits a second; undefined: not said, so nothing waits for it. */
  readonly mbps: number | undefined
}

/** Percent to parts per million. */
export const ppmOf = (percent: number): number => Math.round(percent * 10_000)

/** Gigabits to megabits a second. */
export const mbpsOf = (gbps: number | undefined): number | undefined =>
  gbps === undefined ? undefined : Math.round(gbps * 1000)

/** Loss of two links in a row, each on its own. */
export const lossTogether = (one: number, two: number): number =>
  one + two - Math.round((one * two) / LOSES_ALL_PPM)

/** Bandwidth of two links in a row. */
export function narrower(one: number | undefined, two: number | undefined): number | undefined {
  if (one === undefined || two === undefined) return one ?? two
  return Math.min(one, two)
}
