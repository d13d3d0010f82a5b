/** Choices from a stream of random numbers. */
import type { Prng } from '../../../src/prng.ts'

export interface Dice {
  below(bound: number): number
  /** Both included. */
  between(least: number, most: number): number
  oneIn(count: number): boolean
  one<T>(of: readonly T[]): T
  shuffled<T>(all: readonly T[]): T[]
  /** So many different ones, or all. */
  some<T>(of: readonly T[], least: number, most: number): T[]
}

export function dice(chance: Prng): Dice {
  const { below } = chance
  const between = (least: number, most: number): number => least + below(most - least + 1)
  const shuffled = <T>(all: readonly T[]): T[] => {
    const left = [...all]
    return all.map(() => left.splice(below(left.length), 1)[0]!)
  }
  return {
    below,
    between,
    oneIn: (count) => below(count) === 0,
    one: (of) => of[below(of.length)]!,
    shuffled,
    some: (of, least, most) => shuffled(of).slice(0, between(least, most)),
  }
}
