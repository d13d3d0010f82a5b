/**
 * How full the tables are: of the fullest device of each role, because that is
 * the one that fails first.
 *
 * @module
 */
import { prefixFamily } from '../src/net/mod.ts'
import { SWITCH_ROLES, type SwitchDevice, type SwitchRole } from './fabric-device.ts'
import { SWITCH_TABLES, type SwitchTable } from './profiles.ts'
import type { Cluster } from './world.ts'

export type Role = 'node' | SwitchRole

/** Tables of a node's kernel. They have no fixed size. */
export const NODE_TABLES = ['links', 'routes', 'neighbors', 'fdb'] as const
export type NodeTable = (typeof NODE_TABLES)[number]

/**
 * Bytes of memory a route takes. IPv4: 64 MiB for half a million routes, and
 * 128 to 130 measured on Linux 6.18; IPv6: 20 MiB for 40 000 routes.
 * Source: vincent.bernat.ch, IPv4 and IPv6 route lookup on Linux, 2017.
 */
export const ROUTE_BYTES = { 4: 130, 6: 524 } as const

/** A kernel's objects, by table. */
export const KERNEL_KIND = {
  links: 'link',
  routes: 'route',
  neighbors: 'neigh',
  fdb: 'fdb',
} as const

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
  readonly table: SwitchTable | NodeTable | 'learned'
  /** The device that needed most. */
  readonly device: string
  /** Devices of the role. */
  readonly devices: number
  /** Largest number of entries asked for at once. */
  readonly demandPeak: number
  /** Largest number of entries held at once; less than the demand after an overflow. */
  readonly entriesPeak: number
  /** Undefined: a kernel's has no fixed size, a switch's is unknown. */
  readonly capacity: number | undefined
  /** Demand over capacity, tables that share its memory included. */
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
  const switches = SWITCH_ROLES.flatMap((role) => {
    const devices = cluster.fabric.devices.filter((device) => device.role === role)
    return SWITCH_TABLES.map((table) => switchFigure(role, table, devices))
  })
  return [
    ...switches.filter(({ demandPeak }) => demandPeak > 0),
    ...nodeFigures(cluster),
    ...learnedFigures(cluster),
  ]
}

/** Of two looks at the same tables the higher figures. Later ones know tables that were empty before. */
export function highest(
  before: readonly TableFigure[],
  after: readonly TableFigure[],
): readonly TableFigure[] {
  return after.map((figure) => {
    const { role, table, demandPeak } = figure
    const earlier = before.find((each) => each.role === role && each.table === table)
    return earlier !== undefined && earlier.demandPeak > demandPeak ? earlier : figure
  })
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
    pressure: device?.tables[table].pressure,
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

/** Neighbours that nodes learned; nothing when nobody talks. */
function learnedFigures({ nodes, neighbors, podsAdded, engine }: Cluster): readonly TableFigure[] {
  if (neighbors === undefined) return []
  let fullest = 0
  for (const [index, { counts }] of neighbors.entries()) {
    if (counts.asked > (neighbors[fullest]?.counts.asked ?? 0)) fullest = index
  }
  const table = neighbors[fullest]
  const { held = 0, asked = 0 } = table?.counts ?? {}
  const device = nodes[fullest]?.record.name ?? ''
  const capacity = table?.limit ?? 1
  const [refused] = [...(table?.refused[4] ?? []), ...(table?.refused[6] ?? [])]
  const atMs = engine.tick / 1000
  const overflow = refused && { device, pods: podsAdded, atMs, entry: refused }
  return [
    {
      role: 'node',
      table: 'learned',
      device,
      devices: nodes.length,
      demandPeak: asked,
      entriesPeak: held,
      capacity,
      pressure: asked / capacity,
      firstOverflow: overflow,
    },
  ]
}

/** Bytes of the largest node's forwarding table. */
export function fibBytesMax({ nodes }: Cluster): number {
  const sizes = nodes.map(({ kernel }) => {
    let bytes = 0
    for (const object of kernel.objects()) {
      if (object.kind === 'route') bytes += ROUTE_BYTES[prefixFamily(object.dst)]
    }
    return bytes
  })
  return sizes.reduce((most, size) => Math.max(most, size), 0)
}

/** What lies between hearing of an entry and forwarding by it. */
export interface ProgrammingFigure {
  /** The longest time from a change in a kernel to a switch's hardware: packets are lost for so long. */
  readonly lagMaxMs: number
  /** The device with that. */
  readonly device: string
  /** Most writes that waited in one device. */
  readonly queuePeak: number
}

export function programmingFigure({ fabric }: Cluster): ProgrammingFigure {
  let [slowest] = fabric.devices
  let queuePeak = 0
  for (const device of fabric.devices) {
    if (device.lagMaxTicks > (slowest?.lagMaxTicks ?? 0)) slowest = device
    queuePeak = Math.max(queuePeak, device.queuePeak)
  }
  return { lagMaxMs: (slowest?.lagMaxTicks ?? 0) / 1000, device: slowest?.name ?? '', queuePeak }
}

/** Demand of every table now. */
export function sample(cluster: Cluster): Sample {
  const entries: Record<string, number> = {}
  for (const { role, tables } of cluster.fabric.devices) {
    for (const table of SWITCH_TABLES) {
      if (tables[table].demandPeak === 0) continue
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
