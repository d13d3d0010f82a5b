/**
 * What to change: every single change is tried, and what it gives is counted.
 *
 * @module
 */
import type { ScenarioMode } from '../scenario.ts'
import { CHANGE_KINDS, type Change, type ChangeKind, changesOf } from './changes.ts'
import { demandOf } from './demand.ts'
import { type Bound, boundsOf, capacityOf, type ModeCapacity } from './limit.ts'
import { type Growth, type Shape, shapeAt } from './shape.ts'

export const ADVICE_MAX = 5

/** One change and what it gives. */
export interface Advice {
  /** What is changed, e.g. `announce`. */
  readonly kind: ChangeKind
  /** From what and to what, in words of the option or key. */
  readonly from: string
  readonly to: string
  /** Whether the asked size holds then. */
  readonly holds: boolean
  /** What broke first, at the size where it did, before and after. */
  readonly before: Bound
  readonly after: Pick<Bound, 'entries' | 'capacity'> | undefined
  readonly capacity: Omit<ModeCapacity, 'demand'>
}

/**
 * Changes that let a mode go further, best first: those with which the asked size
 * holds, then those with the most pods. Of each kind only the best value is told.
 */
export function adviceFor(shape: Shape, growth: Growth, base: ModeCapacity): readonly Advice[] {
  const { breaks } = base
  if (breaks === undefined) return []
  const judged = changesOf(shape, base, breaks).flatMap((change): readonly Advice[] => {
    const { demand: _demand, ...capacity } = capacityOf(change.shape, growth, change.mode)
    if (capacity.refusal !== undefined || !isBetter(capacity, base)) return []
    const { kind, from, to } = change
    const effect = effectOf(shape, growth, base, change, breaks)
    if (effect === undefined) return []
    return [{ kind, from, to, holds: capacity.holds, ...effect, capacity }]
  })
  const best = new Map<string, Advice>()
  for (const advice of judged) {
    const key = `${advice.kind} ${advice.kind === 'mode' ? advice.capacity.mode.mode : ''}`
    const other = best.get(key)
    if (other === undefined || compare(advice, other) < 0) best.set(key, advice)
  }
  return [...best.values()].sort(compare).slice(0, ADVICE_MAX)
}

const isBetter = (
  { holds, upTo }: Pick<ModeCapacity, 'holds' | 'upTo'>,
  base: ModeCapacity,
): boolean => (holds && !base.holds) || upTo.pods > base.upTo.pods

function compare(left: Advice, right: Advice): number {
  if (left.holds !== right.holds) return left.holds ? -1 : 1
  const pods = right.capacity.upTo.pods - left.capacity.upTo.pods
  if (pods !== 0) return pods
  return CHANGE_KINDS.indexOf(left.kind) - CHANGE_KINDS.indexOf(right.kind)
}

/** The same table of the same device, at the size where it mattered. */
function effectOf(
  shape: Shape,
  growth: Growth,
  base: ModeCapacity,
  change: Change,
  { role, table }: Bound,
): Pick<Advice, 'before' | 'after'> | undefined {
  const find = (of: Shape, mode: ScenarioMode): Bound | undefined => {
    const sized = base.holds ? shapeAt(of, growth, base.upTo.nodes + 1) : of
    return boundsOf(demandOf(sized, mode), mode).find(
      (bound) => bound.role === role && bound.table === table,
    )
  }
  const before = find(shape, base.mode)
  return before && { before, after: find(change.shape, change.mode) }
}
