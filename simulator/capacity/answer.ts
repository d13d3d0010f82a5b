/**
 * The whole answer to one question.
 *
 * @module
 */
import { type Advice, adviceFor } from './advice.ts'
import { capacityOf, type ModeCapacity } from './limit.ts'
import type { Question } from './question.ts'
import { type Remark, remarksOf } from './remarks.ts'
import type { ModeRun } from './run.ts'

export interface CapacityAnswer {
  readonly question: Question
  readonly modes: readonly ModeCapacity[]
  /** The mode that the advice is for; undefined: none needs any. */
  readonly advised: ModeCapacity | undefined
  readonly advice: readonly Advice[]
  readonly remarks: readonly Remark[]
  /** By the modes' places; undefined: nothing was run. */
  readonly runs?: readonly ModeRun[]
}

export function answer(question: Question): CapacityAnswer {
  const { shape, growth } = question
  const modes = question.modes.map((mode) => capacityOf(shape, growth, mode))
  const advised = advisedOf(modes)
  return {
    question,
    modes,
    advised,
    advice: advised === undefined ? [] : adviceFor(shape, growth, advised),
    remarks: remarksOf(shape, modes),
  }
}

/** The first mode that does not hold; when all do, the one that ends first. */
function advisedOf(modes: readonly ModeCapacity[]): ModeCapacity | undefined {
  const ending = modes.filter(({ breaks }) => breaks !== undefined)
  const failing = ending.find(({ holds }) => !holds)
  if (failing !== undefined) return failing
  return ending.reduce<ModeCapacity | undefined>(
    (found, mode) => (found !== undefined && found.upTo.nodes <= mode.upTo.nodes ? found : mode),
    undefined,
  )
}
