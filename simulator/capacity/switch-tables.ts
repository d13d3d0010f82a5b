/**
 * Tables of switches: what racks, nodes, blocks and pods put into the fullest
 * device of each role.
 *
 * @module
 */
import type { IpFamily } from '../../src/net/mod.ts'
import { type FabricMode, underlayEntries } from '../carriage.ts'
import { type Announcement, placedOn, SWITCH_ROLES } from '../fabric-device.ts'
import { type Capacities, SWITCH_TABLES, type SwitchTable } from '../profiles.ts'
import type { ScenarioMode } from '../scenario.ts'
import { planRacks } from '../underlay.ts'
import { fabricMode } from '../world.ts'
import type { BlockDemand } from './blocks.ts'
import type { DeviceShape } from './devices.ts'
import type { NetworkCosts } from './probe.ts'
import { type PodPhase, type Shape, vlanNodes } from './shape.ts'
import { expectedSummaries, placedSummaries } from './summaries.ts'
import { exactly, larger, plus, type Range, type TableDemand, times } from './table.ts'

/** What there is of each network: blocks by network and family, pods by phase. */
export interface Counts {
  readonly costs: readonly NetworkCosts[]
  readonly blocks: readonly (readonly BlockDemand[])[]
  readonly phases: readonly PodPhase[]
}

/** What a rack without pods costs its own switch and any other: the rack, and each node of it. */
export interface RackCosts {
  readonly own: { readonly rack: readonly Announcement[]; readonly node: readonly Announcement[] }
  readonly other: RackCosts['own']
}

/** A rack that no device here is the switch of. */
const ELSEWHERE = -1

export function rackCostsOf(mode: ScenarioMode, families: readonly IpFamily[]): RackCosts {
  const entries = (nodes: number, rack: number): readonly Announcement[] =>
    planRacks(nodes, 1, families).flatMap((plan) =>
      underlayEntries(fabricMode(mode), { role: 'tor', rack }, plan),
    )
  const costs = (rack: number): RackCosts['own'] => {
    const empty = entries(0, rack)
    const names = new Set(empty.map(({ entry }) => entry))
    return { rack: empty, node: entries(1, rack).filter(({ entry }) => !names.has(entry)) }
  }
  return { own: costs(0), other: costs(ELSEWHERE) }
}

/** Every table of every role that anything is in. */
export function switchTables(
  shape: Shape,
  devices: readonly DeviceShape[],
  mode: FabricMode,
  rackCosts: RackCosts,
  counts: Counts,
): readonly TableDemand[] {
  const tallies = devices.map((device) => tallyOf(device, shape, mode, rackCosts, counts))
  return SWITCH_ROLES.flatMap((role) => {
    const ofRole = devices.flatMap((device, index) => {
      const tally = tallies[index]
      return device.role === role && tally !== undefined ? [{ device, tally }] : []
    })
    return SWITCH_TABLES.flatMap((table) => fullest(role, table, ofRole))
  })
}

interface Candidate {
  readonly device: DeviceShape
  readonly tally: Tally
}

/** Entries are those of the fullest device, pressure and capacity of the one that is pressed most. */
function fullest(
  role: TableDemand['role'],
  table: SwitchTable,
  candidates: readonly Candidate[],
): readonly TableDemand[] {
  let range = exactly(0)
  let worst: { readonly capacity: number | undefined; readonly pressure: number | undefined } = {
    capacity: undefined,
    pressure: undefined,
  }
  let devices = 0
  for (const [index, { device, tally }] of candidates.entries()) {
    range = larger(range, tally.of(table))
    devices += device.devices
    const pressure = tally.pressure(table)
    if (index > 0 && (pressure ?? -1) <= (worst.pressure ?? -1)) continue
    worst = { capacity: device.capacities[table], pressure }
  }
  if (range.most === 0) return []
  return [{ role, table, devices, ...range, ...worst }]
}

/** Entries by table, each where it goes on one device. */
class Tally {
  readonly #capacities: Capacities
  readonly #tables = new Map<SwitchTable, Range>()

  constructor(capacities: Capacities) {
    this.#capacities = capacities
  }

  of(table: SwitchTable): Range {
    return this.#tables.get(table) ?? exactly(0)
  }

  add(entries: readonly Announcement[], count: Range): void {
    for (const entry of entries) {
      const placed = placedOn(this.#capacities, entry)
      if (placed === undefined) continue
      this.#tables.set(placed.table, plus(this.of(placed.table), times(count, placed.cost)))
    }
  }

  /** Demand over capacity, with that of the table that shares the memory; see `tablesOf` of a device. */
  pressure(table: SwitchTable): number | undefined {
    const { lpm, lpm6, sharedLpm } = this.#capacities
    const isShared = sharedLpm === true && lpm !== undefined && lpm6 !== undefined
    if (isShared && (table === 'lpm' || table === 'lpm6')) {
      return this.of('lpm').entries / lpm + this.of('lpm6').entries / lpm6
    }
    const capacity = this.#capacities[table]
    return capacity === undefined ? undefined : this.of(table).entries / capacity
  }
}

function tallyOf(
  device: DeviceShape,
  shape: Shape,
  mode: FabricMode,
  { own, other }: RackCosts,
  counts: Counts,
): Tally {
  const tally = new Tally(device.capacities)
  const isTor = device.role === 'tor'
  const heard = mode === 'vlan' ? vlanNodes(shape) : shape.nodes
  if (isTor) {
    tally.add(own.rack, exactly(1))
    tally.add(own.node, exactly(device.rackNodes))
  }
  tally.add(other.rack, exactly(shape.racks - (isTor ? 1 : 0)))
  tally.add(other.node, exactly(heard - device.rackNodes))
  if (mode !== 'vlan') {
    tally.add([{ table: 'arp', entry: 'link', cost: 1 }], exactly(device.links))
    tally.add([{ table: 'ecmp', entry: 'group', cost: 1 }], exactly(device.ecmp))
  }
  if (mode === 'vlan' && heard < shape.nodes) {
    // Whatever its network, a pod is a station.
    tally.add(counts.costs[0]?.pod.announced ?? [], exactly(heard * shape.podsPerNode))
    for (const { self } of counts.costs) tally.add(self.announced, exactly(heard))
    return tally
  }
  for (const [index, costs] of counts.costs.entries()) {
    addNetwork(tally, device, shape, mode, costs, counts, index)
  }
  return tally
}

/** What the nodes' kernels announce of one network. */
function addNetwork(
  tally: Tally,
  device: DeviceShape,
  shape: Shape,
  mode: FabricMode,
  costs: NetworkCosts,
  { blocks, phases }: Counts,
  index: number,
): void {
  const pods = phases.reduce((sum, phase) => sum + phase.nodes * (phase.pods[index] ?? 0), 0)
  const isSummed = ({ table }: Announcement): boolean =>
    (mode === 'route-racks' || mode === 'route-static') && (table === 'lpm' || table === 'lpm6')
  tally.add(costs.pod.announced, exactly(pods))
  tally.add(
    costs.self.announced.filter((entry) => !isSummed(entry)),
    exactly(shape.nodes),
  )
  for (const demand of blocks[index] ?? []) {
    const entries = costs.block[demand.family].announced
    const summed = entries.filter(isSummed)
    tally.add(
      entries.filter((entry) => !isSummed(entry)),
      beyondFirst(demand.claimed, shape.nodes),
    )
    if (summed.length > 0) tally.add(summed, summaries(device, shape, demand))
  }
}

/** A node's first blocks are counted with the node. */
const beyondFirst = ({ entries, least, most }: Range, nodes: number): Range => ({
  entries: Math.max(0, entries - nodes),
  least: Math.max(0, least - nodes),
  most: Math.max(0, most - nodes),
})

/** Prefixes of one network and family: own rack's blocks as they are, every other rack's summed up. */
function summaries(device: DeviceShape, { nodes, racks }: Shape, demand: BlockDemand): Range {
  const { claimed, perNode, part, kind } = demand
  const all = times(perNode, device.rackNodes)
  const own = { ...all, entries: Math.ceil(all.entries) }
  const others = racks - (device.role === 'tor' ? 1 : 0)
  const most = Math.max(0, claimed.most - own.least)
  const least = Math.min(others, most)
  if (kind === 'static') {
    // Every switch is told of every part; of blocks outside of them it hears one by one.
    const outside = claimed.least === claimed.most ? 0 : most
    return plus(own, { entries: racks, least: racks, most: racks + outside })
  }
  if (part !== undefined) {
    const { entries } = placedSummaries(Math.ceil(nodes / racks) * perNode.most, part)
    return plus(own, { entries: Math.min(most, others * entries), least, most })
  }
  const each = ((nodes - device.rackNodes) * perNode.entries) / Math.max(1, others)
  const expected = Math.ceil(others * expectedSummaries(each, claimed.entries))
  return plus(own, { entries: Math.min(most, Math.max(least, expected)), least, most })
}
