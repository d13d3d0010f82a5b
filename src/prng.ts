/**
 * Seeded random numbers; the only source of chance in pure code.
 *
 * sfc32 (Chris Doty-Humphrey, PractRand): 32-bit integer arithmetic only, so a
 * seed gives the same numbers on every machine and Node version.
 *
 * @module
 */
import { invariant } from './errors.ts'
import { hash64 } from './hash.ts'

/** A stream of random numbers. */
export interface Prng {
  /** A 32-bit unsigned integer. */
  uint32(): number
  /** A number in [0, 1) with 32 random bits. */
  unit(): number
  /** An integer in [0, bound), without modulo bias. */
  below(bound: number): number
  /** An independent stream, named so that adding one does not shift the others. */
  fork(name: string): Prng
}

/** Makes a stream from a seed. Two seeds that differ anywhere give unrelated streams. */
export function prng(seed: number | string): Prng {
  const text = String(seed)
  let [a, b] = hash64(text)
  let [c] = hash64(text, 1)
  let counter = 1

  function uint32(): number {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + sum) | 0
    return sum >>> 0
  }

  function below(bound: number): number {
    invariant(Number.isInteger(bound) && bound > 0 && bound <= 2 ** 32, 'bound in 1..2^32')
    const limit = 2 ** 32 - (2 ** 32 % bound)
    let value = uint32()
    while (value >= limit) value = uint32()
    return value % bound
  }

  // The first outputs still show the seed's structure.
  for (let round = 0; round < 12; round++) uint32()

  return {
    uint32,
    unit: () => uint32() / 2 ** 32,
    below,
    fork: (name) => prng(`${text}/${name}`),
  }
}
