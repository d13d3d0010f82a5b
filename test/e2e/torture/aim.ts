/**
 * Which step to aim at next, how finely to go there, and what has been hit so far.
 *
 * @module
 */
import type { Prng } from '../../../src/prng.ts'

export interface Aim {
  /** A step for the next kill; rare ones more often. */
  target<S extends string>(what: string, steps: readonly S[], chance: Prng): S
  hit(what: string, step: string): void
  /** Where a kill came that was aimed at `target`. */
  came(what: string, target: string, where: Where): void
  /** From the sign of `target` to the kill: longer where kills came too early; `guess` before any. */
  delayMs(what: string, target: string, guess: number): number
  /** Acts after which a kill may be there: of those that were, or any up to `most`. */
  acts(what: string, target: string, most: number, chance: Prng): number
  /** A kill before that act was there. */
  counted(what: string, step: string, acts: number): void
  /** How long `what` took from its start to its end, or to the step after which it is aimed. */
  took(what: string, ms: number): void
  /** Median of the last ones; `guess` before any. */
  usualMs(what: string, guess: number): number
  hits(what: string, step: string): number
  /** Hits of the step of `what` that was hit least. */
  fewest(what: string, steps: readonly string[]): number
  /** One line a step. */
  table(rows: readonly (readonly [what: string, steps: readonly string[]])[]): readonly string[]
}

/** There, too early or too late. */
export type Where = 'there' | 'before' | 'beyond'

const MEMORY = 15
/** Of kills by count, those that go where others were. */
const KNOWN_WAY = 0.7
const CORRECTION: Readonly<Record<Where, number>> = { before: 1.4, there: 1, beyond: 0.75 }
const CORRECTION_MIN = 0.01
const CORRECTION_MAX = 100

export function aim(): Aim {
  const counts = new Map<string, Map<string, number>>()
  const times = new Map<string, number[]>()
  const corrections = new Map<string, number>()
  const counted = new Map<string, number[]>()
  const hits = (what: string, step: string): number => counts.get(what)?.get(step) ?? 0
  const correction = (what: string, target: string): number =>
    corrections.get(`${what} ${target}`) ?? 1
  return {
    hits,
    delayMs: (what, target, guess) => guess * correction(what, target),
    target(what, steps, chance) {
      const weights = steps.map((step) => 1 / (1 + hits(what, step)) ** 2)
      let left = chance.unit() * weights.reduce((sum, weight) => sum + weight, 0)
      const at = weights.findIndex((weight) => {
        left -= weight
        return left < 0
      })
      return steps[at < 0 ? 0 : at] as (typeof steps)[number]
    },
    hit(what, step) {
      const row = counts.get(what) ?? new Map<string, number>()
      counts.set(what, row.set(step, hits(what, step) + 1))
    },
    came(what, target, where) {
      const next = correction(what, target) * CORRECTION[where]
      const bounded = Math.min(CORRECTION_MAX, Math.max(CORRECTION_MIN, next))
      corrections.set(`${what} ${target}`, bounded)
    },
    acts(what, target, most, chance) {
      const known = counted.get(`${what} ${target}`) ?? []
      const isKnown = known.length > 0 && chance.unit() < KNOWN_WAY
      return isKnown ? (known[chance.below(known.length)] as number) : 1 + chance.below(most)
    },
    counted(what, step, acts) {
      const known = counted.get(`${what} ${step}`) ?? []
      counted.set(`${what} ${step}`, [...known, acts].slice(-MEMORY))
    },
    took(what, ms) {
      const known = times.get(what) ?? []
      times.set(what, [...known, ms].slice(-MEMORY))
    },
    usualMs(what, guess) {
      const known = [...(times.get(what) ?? [])].sort((left, right) => left - right)
      return known[known.length >> 1] ?? guess
    },
    fewest: (what, steps) => Math.min(...steps.map((step) => hits(what, step))),
    table(rows) {
      return rows.flatMap(([what, steps]) => {
        const seen = [...(counts.get(what)?.keys() ?? [])]
        const all = [...steps, ...seen.filter((step) => !steps.includes(step))]
        return all.map(
          (step) => `${what.padEnd(22)} ${step.padEnd(12)} ${String(hits(what, step)).padStart(5)}`,
        )
      })
    },
  }
}
