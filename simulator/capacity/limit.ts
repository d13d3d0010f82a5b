/**
 * Up to where a mode holds, and what breaks first: the largest number of nodes
 * for which nothing that has an end is over it.
 *
 * What has an end: switch tables whose size somebody published, the neighbours a
 * kernel learns, addresses, VLAN ids. A table of unknown size has none here, and is
 * said to be unknown.
 *
 * @module
 */
import type { Role } from '../measure.ts'
import { labelOf } from '../network.ts'
import type { ScenarioMode } from '../scenario.ts'
import { type Demand, type Demander, demander } from './demand.ts'
import { type Growth, leastRacks, NODES_LIMIT, type Shape, shapeAt } from './shape.ts'
import type { TableDemand } from './table.ts'

/** Something that has an end, and how much of it is used. */
export interface Bound {
  readonly role: Role | 'pool' | 'network'
  readonly table: TableDemand['table'] | 'blocks' | 'vlan-ids'
  /** Of a pool, e.g. `/26 of 10.42.0.0/16`. */
  readonly of?: string
  readonly entries: number
  readonly capacity: number
  /** Above 1 it is over its end; of tables that share memory together. */
  readonly pressure: number
}

/** A size of the cluster. */
export interface Size {
  readonly nodes: number
  readonly racks: number
  readonly pods: number
}

/** Where a mode ends. */
export interface Limit {
  /** The largest size that holds; zero nodes when not even the least does. */
  readonly upTo: Size
  /** What is over its end with one node more; undefined: nothing, up to a million nodes. */
  readonly breaks: Bound | undefined
}

/** The answer for one mode. */
export interface ModeCapacity extends Limit {
  readonly label: string
  readonly mode: ScenarioMode
  readonly asked: Size
  /** At the asked size. */
  readonly holds: boolean
  /** At the asked size: what is fullest. */
  readonly worst: Bound | undefined
  /** Where it ends when the first limit is out of the way. */
  readonly next: Limit | undefined
  /** Tables that are used and whose size nobody published. */
  readonly unknown: readonly Pick<TableDemand, 'role' | 'table' | 'entries'>[]
  /** At the asked size. */
  readonly demand: Demand
  /** Why the mode is no choice at all. */
  readonly refusal: string | undefined
}

/** IEEE 802.1Q: 0 and 4095 are reserved. */
const VLAN_IDS = 4094

export function capacityOf(shape: Shape, growth: Growth, mode: ScenarioMode): ModeCapacity {
  const ask = demander(shape, mode)
  const demand = ask(shape)
  const bounds = boundsOf(demand, mode)
  const refusal = refusalOf(shape, mode)
  const limit = refusal === undefined ? limitOf(shape, growth, mode, ask) : NOWHERE
  const { breaks } = limit
  const isOther = (bound: Bound): boolean => bound.table !== breaks?.table
  return {
    ...limit,
    label: labelOf(mode),
    mode,
    asked: sizeOf(shape),
    holds: refusal === undefined && bounds.every(isHeld),
    worst: fullestOf(bounds),
    next: breaks === undefined ? undefined : limitOf(shape, growth, mode, ask, isOther),
    unknown: demand.tables.filter(
      ({ role, capacity }) => role !== 'node' && capacity === undefined,
    ),
    demand,
    refusal,
  }
}

const NOWHERE: Limit = { upTo: { nodes: 0, racks: 0, pods: 0 }, breaks: undefined }

const sizeOf = ({ nodes, racks, podsPerNode }: Shape): Size => ({
  nodes,
  racks,
  pods: nodes * podsPerNode,
})

const isHeld = ({ pressure }: Bound): boolean => pressure <= 1

/** @param counts Which bounds count. */
function limitOf(
  shape: Shape,
  growth: Growth,
  mode: ScenarioMode,
  ask: Demander,
  counts: (bound: Bound) => boolean = () => true,
): Limit {
  const at = (nodes: number): readonly Bound[] =>
    boundsOf(ask(shapeAt(shape, growth, nodes)), mode).filter(counts)
  const holds = (nodes: number): boolean => at(nodes).every(isHeld)
  const least = Math.max(1, leastRacks(shape))
  if (!holds(least)) return { ...NOWHERE, breaks: fullestOf(at(least)) }
  // A switch that has no room for a full rack ends within the first: later racks may be emptier.
  const fullRack = growth.kind === 'racks grow' ? Math.max(least, growth.nodesPerRack) : least
  let [good, bad] = holds(fullRack) ? [fullRack, NODES_LIMIT + 1] : [least, fullRack]
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (holds(middle)) good = middle
    else bad = middle
  }
  const upTo = sizeOf(shapeAt(shape, growth, good))
  return { upTo, breaks: bad > NODES_LIMIT ? undefined : fullestOf(at(bad)) }
}

/** What is fullest; the first of several. */
export function fullestOf(bounds: readonly Bound[]): Bound | undefined {
  let fullest: Bound | undefined
  for (const bound of bounds) if (bound.pressure > (fullest?.pressure ?? -1)) fullest = bound
  return fullest
}

/** Everything that has an end. */
export function boundsOf({ tables, blocks }: Demand, { mode }: ScenarioMode): readonly Bound[] {
  const networks = new Set(blocks.map(({ network }) => network))
  const ofTables = tables.flatMap(({ role, table, entries, capacity, pressure }): Bound[] =>
    capacity === undefined || pressure === undefined
      ? []
      : [{ role, table, entries, capacity, pressure }],
  )
  const ofPools = blocks.map(({ network, wanted, available, pools: [pool], kind }): Bound => {
    const place = kind === 'static' ? `a rack's part of ${pool?.cidr}` : pool?.cidr
    const of = pool === undefined ? network : `/${pool.blockLength} of ${place}`
    const pressure = wanted / available
    return { role: 'pool', table: 'blocks', of, entries: wanted, capacity: available, pressure }
  })
  const ids = networks.size
  const ofVlans: Bound[] =
    mode === 'vlan'
      ? [
          {
            role: 'network',
            table: 'vlan-ids',
            entries: ids,
            capacity: VLAN_IDS,
            pressure: ids / VLAN_IDS,
          },
        ]
      : []
  return [...ofTables, ...ofPools, ...ofVlans]
}

/** What no table size can mend. */
function refusalOf({ fabric }: Shape, { mode }: ScenarioMode): string | undefined {
  const { kind, dataCenters, stretchVlan } = fabric
  if (mode !== 'vlan' || kind === 'listed' || dataCenters === 1 || stretchVlan) return undefined
  return `pods of ${dataCenters} data centres do not meet: a VLAN ends at its own`
}
