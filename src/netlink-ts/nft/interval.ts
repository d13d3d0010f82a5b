/**
 * Intervals of one field, as the kernel stores them: an element where each
 * begins, and one with NFT_SET_ELEM_INTERVAL_END at the first key after it. An
 * interval up to the last key there is has no end.
 *
 * @module
 */
import { compareBytes } from './field.ts'

const INTERVAL_END = 1 // NFT_SET_ELEM_INTERVAL_END

/** What pairing needs of an element. */
export interface IntervalElement {
  readonly key?: Uint8Array | undefined
  readonly keyEnd?: Uint8Array | undefined
  readonly flags?: number | undefined
}

/** The first key after an inclusive end; undefined when the end is the last key. */
export const intervalEnd = (to: Uint8Array): Uint8Array | undefined => step(to, 1)

/** Joins starts and ends, whatever their order; the result is sorted by start. */
export function joinIntervals<E extends IntervalElement>(elements: readonly E[]): readonly E[] {
  const keyed = elements.filter(({ key }) => key !== undefined)
  const others = elements.filter(({ key }) => key === undefined)
  keyed.sort((a, b) => compareBytes(a.key!, b.key!) || Number(isEnd(b)) - Number(isEnd(a)))
  const joined: E[] = []
  for (const [i, start] of keyed.entries()) {
    if (isEnd(start)) continue // also the end at the start of everything, which nft adds
    const next = keyed[i + 1]?.key
    const keyEnd = (next && step(next, -1)) ?? new Uint8Array(start.key!.length).fill(0xff)
    joined.push({ ...start, keyEnd })
  }
  return [...joined, ...others]
}

const isEnd = ({ flags = 0 }: IntervalElement): boolean => (flags & INTERVAL_END) !== 0

/** The next or previous number in network order; undefined past either end. */
function step(bytes: Uint8Array, by: 1 | -1): Uint8Array | undefined {
  const result = bytes.slice()
  for (let i = result.length - 1; i >= 0; i--) {
    const sum = result[i]! + by
    result[i] = sum
    if (sum >= 0 && sum <= 0xff) return result
  }
  return undefined
}
