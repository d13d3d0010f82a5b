/**
 * The whole answer to one question.
 *
 * @module
 */
import { type Advice, adviceFor } from './advice.ts'
import { capacityOf, type ModeCapacity } from './limit.ts'
import type { Question } from './question.ts'
import { type Remark, remarksOf } from './remarks.ts'

export interface CapacityAnswer {
  readonly question: Question
  readonly modes: readonly ModeCapacity[]
  /** The mode that the advice is for; undefined: none needs any. */
  readonly advised: ModeCapacity | undefined
  readonly advice: readonly Advice[]
  readonly remarks: readonly Remark[]
}

export function answer(question: Question): CapacityAnswer {
  const { shape, growth } = question
  const modes = question.modes.map((mode) => capacityOf(shape, growth, mode))
  const advised = shortest(modes)
  return {
    question,
    modes,
    advised,
    advice: advised === undefined ? [] : adviceFor(shape, growth, advised),
    remarks: remarksOf(shape, modes),
  }
}

/** The mode that ends first: of those that do not hold, or else of all that end. */
function shortest(modes: readonly ModeCapacity[]): ModeCapacity | undefined {
  let found: ModeCapacity | undefined
  for (const mode of modes) {
    if (mode.breaks === undefined || (found !== undefined && !found.holds && mode.holds)) continue
    const isWorse = found === undefined || (found.holds && !mode.holds)
    if (isWorse || mode.upTo.nodes < (found?.upTo.nodes ?? 0)) found = mode
  }
  return found
}
