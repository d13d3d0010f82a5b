/**
 * The order of keys: that of their UTF-8 bytes.
 *
 * @module
 */

export type Compare = (left: string, right: string) => number

/** Code units from which on their order is not that of UTF-8 bytes. */
export const ABOVE_SURROGATES = /[\ud800-\uffff]/

/** Order of UTF-16 units, which is that of UTF-8 bytes unless both hold units above. */
export function compareUnits(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/**
 * Order of the UTF-8 bytes. JavaScript compares UTF-16 units, which puts
 * surrogates (0xd800 and up) before the last part of the basic plane.
 */
export function compareKeys(left: string, right: string): number {
  if (left === right) return 0
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const [a, b] = [left.charCodeAt(index), right.charCodeAt(index)]
    if (a === b) continue
    if (a < 0xd800 || b < 0xd800) return a - b
    return rank(a) - rank(b)
  }
  return left.length - right.length
}

/** Surrogates after everything else. */
const rank = (unit: number): number => (unit <= 0xdfff ? unit + 0x10000 : unit)
