/**
 * How full every table gets, by arithmetic instead of a run: costs of one node,
 * pod, block and peer (probe.ts), times how many there are.
 *
 * Holds the exact engine's `figures` to the entry (a property test does); where
 * the order of claims decides, between `least` and `most`. Cost of one answer:
 * constant, of a listed fabric linear in its devices.
 *
 * @module
 */

import type { ScenarioMode } from '../scenario.ts'
import { fabricMode, familiesOf } from '../world.ts'
import { type BlockDemand, blockDemand, type Placement } from './blocks.ts'
import { devicesOf } from './devices.ts'
import { nodeTables } from './node-tables.ts'
import { bareNode, probe } from './probe.ts'
import { podPhases, rackSizes, type Shape } from './shape.ts'
import { rackCostsOf, switchTables } from './switch-tables.ts'
import type { TableDemand } from './table.ts'

export interface Demand {
  readonly tables: readonly TableDemand[]
  readonly blocks: readonly BlockDemand[]
  /** Memory of the largest node's forwarding table. */
  readonly fibBytes: number
}

/** Answers for any size of one shape; only its nodes and racks are looked at again. */
export type Demander = (sized: Pick<Shape, 'nodes' | 'racks'>) => Demand

/** Asks the planners once, for many sizes. */
export function demander(shape: Shape, mode: ScenarioMode): Demander {
  const underlay = familiesOf(shape)
  const costs = probe(shape, mode, underlay)
  const bare = bareNode(mode, underlay)
  const rackCosts = rackCostsOf(mode, underlay)
  const devices = devicesOf(shape)
  return ({ nodes, racks }) => {
    const sized = { ...shape, nodes, racks }
    const phases = podPhases(sized)
    const placement = { kind: placementOf(mode), racks, rackNodes: rackSizes(sized).most }
    const blocks = costs.map(({ network, families }, index) =>
      families.map((family) => blockDemand(network, family, phases, index, placement)),
    )
    const fabric = switchTables(sized, devices(sized), fabricMode(mode), rackCosts, {
      costs,
      blocks,
      phases,
    })
    const node = nodeTables(sized, bare, { costs, blocks, phases })
    return { tables: [...fabric, ...node.tables], blocks: blocks.flat(), fibBytes: node.fibBytes }
  }
}

/** How full every table of a shape gets in a mode. */
export const demandOf = (shape: Shape, mode: ScenarioMode): Demand => demander(shape, mode)(shape)

const placementOf = ({ announce, placement = 'lowest' }: ScenarioMode): Placement['kind'] =>
  announce === 'static' ? 'static' : placement
