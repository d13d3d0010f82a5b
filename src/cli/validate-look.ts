/**
 * One look at both sides of a validation.
 *
 * @module
 */
import { compareRows, type ValidateRow } from '../../simulator/validate-rows.ts'
import type { Place } from '../../simulator/validate-side.ts'

/** A row that one side has and the other has not, or what a side could not do. */
export interface Difference {
  readonly batch: string
  /** `n2`, `pod-3`; empty for a whole side. */
  readonly place: string
  readonly table: string
  /** Who has it. */
  readonly side: 'real' | 'simulated'
  readonly row: string
}

export interface Look {
  readonly rows: ReadonlyMap<string, number>
  readonly differences: readonly Difference[]
}

/** Every table of every place that either side has. */
export function compareSides(
  tables: readonly string[],
  batch: string,
  real: readonly Place[],
  simulated: readonly Place[],
): Look {
  const rows = new Map<string, number>()
  const differences: Difference[] = []
  for (const place of new Set([...real, ...simulated].map((each) => each.place))) {
    for (const table of tables) {
      const at = (side: readonly Place[]): readonly ValidateRow[] =>
        side.find((each) => each.place === place)?.rows.filter((row) => row.table === table) ?? []
      const compared = compareRows(at(real), at(simulated))
      rows.set(table, (rows.get(table) ?? 0) + compared.rows)
      const say = (side: Difference['side'], { text }: ValidateRow): Difference => {
        return { batch, place, table, side, row: text }
      }
      differences.push(
        ...compared.surplus.map((row) => say('real', row)),
        ...compared.missing.map((row) => say('simulated', row)),
      )
    }
  }
  return { rows, differences }
}
