/**
 * Pressure over nodes, a line a mode: what a plot with the capacity line shows.
 *
 * @module
 */
import { labelOf } from '../network.ts'
import type { ScenarioMode } from '../scenario.ts'
import { demander } from './demand.ts'
import { type Growth, type Shape, shapeAt } from './shape.ts'
import type { TableDemand } from './table.ts'

/** The table that is pressed most. */
export type WorstTable = Pick<TableDemand, 'role' | 'table' | 'entries'> & {
  readonly capacity: number
  /** Entries over capacity; above 1 it overflows. */
  readonly pressure: number
}

/** One size of the cluster. */
export interface PressurePoint {
  readonly nodes: number
  readonly racks: number
  readonly pods: number
  /** Undefined: no capacity of any table that is used is known. */
  readonly worst: WorstTable | undefined
}

export interface PressureCurve {
  /** As reports call the mode, e.g. `route /32`. */
  readonly label: string
  readonly mode: ScenarioMode
  readonly points: readonly PressurePoint[]
}

/**
 * How pressed the worst table is at each size, of switches and of node kernels.
 *
 * @param nodesList Sizes, each at least 1; points come back in this order.
 */
export function pressureCurve(
  shape: Shape,
  growth: Growth,
  modes: readonly ScenarioMode[],
  nodesList: readonly number[],
): readonly PressureCurve[] {
  return modes.map((mode) => {
    const ask = demander(shape, mode)
    const points = nodesList.map((nodes): PressurePoint => {
      const sized = shapeAt(shape, growth, nodes)
      const worst = worstOf(ask(sized).tables)
      return { nodes, racks: sized.racks, pods: nodes * shape.podsPerNode, worst }
    })
    return { label: labelOf(mode), mode, points }
  })
}

/** The table with the highest pressure, of those whose capacity is known. */
export function worstOf(tables: readonly TableDemand[]): WorstTable | undefined {
  let worst: WorstTable | undefined
  for (const { role, table, entries, capacity, pressure } of tables) {
    if (capacity === undefined || pressure === undefined) continue
    if (worst !== undefined && pressure <= worst.pressure) continue
    worst = { role, table, entries, capacity, pressure }
  }
  return worst
}
