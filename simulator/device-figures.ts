/**
 * How full each switch is, and what of the fabric is down: for a picture of it.
 *
 * @module
 */
import type { SwitchDevice, SwitchRole } from './fabric-device.ts'
import { SWITCH_TABLES, type SwitchTable } from './profiles.ts'
import type { Cluster } from './world.ts'

/** One switch at its peak. */
export interface DeviceFigure {
  readonly name: string
  readonly role: SwitchRole
  /** Rack of a top-of-rack switch; -1 for others. */
  readonly rack: number
  /** Nodes of that rack. */
  readonly nodes: number
  /** The table that was fullest; undefined: nothing is known of any that it uses. */
  readonly table: SwitchTable | undefined
  /** Largest number of entries asked for at once, of that table. */
  readonly demandPeak: number
  readonly capacity: number | undefined
  /** Demand over capacity, tables that share its memory included. */
  readonly pressure: number | undefined
  /** Whether it was down at the end. */
  readonly isDown: boolean
}

/** What the fabric looked like before the pods left. */
export interface FabricFigure {
  /** In the order of the topology. */
  readonly devices: readonly DeviceFigure[]
  /** Places in the topology of links that were down at the end. */
  readonly downLinks: readonly number[]
}

export function fabricFigure({ fabric, nodes }: Cluster): FabricFigure {
  const nodesOf = new Map<number, number>()
  for (const { rack } of nodes) nodesOf.set(rack, (nodesOf.get(rack) ?? 0) + 1)
  const { paths, devices } = fabric
  return {
    devices: devices.map((device) => {
      const table = fullestTable(device)
      const figure = table === undefined ? undefined : device.tables[table]
      return {
        name: device.name,
        role: device.role,
        rack: device.rack,
        nodes: nodesOf.get(device.rack) ?? 0,
        table,
        demandPeak: figure?.demandPeak ?? 0,
        capacity: figure?.capacity,
        pressure: figure?.pressure,
        isDown: !paths.isUp(device.index),
      }
    }),
    downLinks: paths.state.links.flatMap((isUp, link) => (isUp ? [] : [link])),
  }
}

function fullestTable({ tables }: SwitchDevice): SwitchTable | undefined {
  let fullest: SwitchTable | undefined
  let most = -1
  for (const table of SWITCH_TABLES) {
    const { demandPeak, pressure } = tables[table]
    if (demandPeak === 0 || pressure === undefined || pressure <= most) continue
    fullest = table
    most = pressure
  }
  return fullest
}
