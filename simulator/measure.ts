/**
 * How full the tables are: of the fullest device of each role, because that is
 * the one that fails first.
 *
 * @module
 */
import type { SwitchTable } from './profiles.ts'
import { SWITCH_TABLES } from './profiles.ts'
import type { SwitchDevice } from './tables.ts'
import type { Cluster } from './world.ts'

export type Role = 'node' | 'tor' | 'spine'

/** Tables of a node's kernel. They have no fixed size. */
export const NODE_TABLES = ['links', 'routes', 'neighbors', 'fdb'] as const
export type NodeTable = (typeof NODE_TABLES)[number]

const KERNEL_KIND = { links: 'link', routes: 'route', neighbors: 'neigh', fdb: 'fdb' } as const

/** The moment in which a table was full. */
export interface OverflowFigure {
  readonly device: string
  readonly pods: number
  readonly atMs: number
  readonly entry: string
}

/** One table of one role. */
export interface TableFigure {
  readonly role: Role
  readonly table: SwitchTable | NodeTable
  /** The device that needed most. */
  readonly device: string
  /** Devices of the role. */
  readonly devices: number
  /** Largest number of entries asked for at once. */
  readonly demandPeak: number
  /** Largest number of entries held at once; less than the demand after an overflow. */
  readonly entriesPeak: number
  readonly capacity: number | undefined
  /** Demand over capacity. */
  readonly pressure: number | undefined
  readonly firstOverflow: OverflowFigure | undefined
}

/** Demand now, over pods added. */
export interface Sample {
  readonly pods: number
  readonly atMs: number
  /** By `role table`, e.g. `tor host`. */
  readonly entries: Readonly<Record<string, number>>
}

/** Every table's peak so far. */
export function figures(cluster: Cluster): readonly TableFigure[] {
  const switches = (['tor', 'spine'] as const).flatMap((role) => {
    const devices = cluster.fabric.devices.filter((device) => device.role === role)
    return SWITCH_TABLES.map((table) => switchFigure(role, table, devices))
  })
  return [...switches.filter(({ demandPeak }) => demandPeak > 0), ...nodeFigures(cluster)]
}

function switchFigure(
  role: Role,
  table: SwitchTable,
  devices: readonly SwitchDevice[],
): TableFigure {
  let [device] = devices
  let overflow: OverflowFigure | undefined
  for (const candidate of devices) {
    const tables = candidate.tables[table]
    if (tables.demandPeak > (device?.tables[table].demandPeak ?? 0)) device = candidate
    const first = tables.firstOverflow
    if (first === undefined || (overflow !== undefined && overflow.pods <= first.pods)) continue
    overflow = {
      device: candidate.name,
      pods: first.pods,
      atMs: first.atTick / 1000,
      entry: first.entry,
    }
  }
  const demandPeak = device?.tables[table].demandPeak ?? 0
  const capacity = device?.tables[table].capacity
  return {
    role,
    table,
    device: device?.name ?? '',
    devices: devices.length,
    demandPeak,
    entriesPeak: device?.tables[table].usedPeak ?? 0,
    capacity,
    pressure: capacity === undefined ? undefined : demandPeak / capacity,
    firstOverflow: overflow,
  }
}

function nodeFigures({ nodes }: Cluster): readonly TableFigure[] {
  return NODE_TABLES.map((table) => {
    let [fullest] = nodes
    const entries = (node: typeof fullest): number => node?.kernel.counts[KERNEL_KIND[table]] ?? 0
    for (const node of nodes) if (entries(node) > entries(fullest)) fullest = node
    return {
      role: 'node',
      table,
      device: fullest?.record.name ?? '',
      devices: nodes.length,
      demandPeak: entries(fullest),
      entriesPeak: entries(fullest),
      capacity: undefined,
      pressure: undefined,
      firstOverflow: undefined,
    }
  })
}

/** Demand of every table now. */
export function sample(cluster: Cluster): Sample {
  const entries: Record<string, number> = {}
  for (const { role, tables } of cluster.fabric.devices) {
    for (const table of SWITCH_TABLES) {
      const name = `${role} ${table}`
      entries[name] = Math.max(entries[name] ?? 0, tables[table].demand)
    }
  }
  for (const table of NODE_TABLES) {
    entries[`node ${table}`] = Math.max(
      ...cluster.nodes.map(({ kernel }) => kernel.counts[KERNEL_KIND[table]]),
    )
  }
  return { pods: cluster.podsAdded, atMs: cluster.engine.tick / 1000, entries }
}
