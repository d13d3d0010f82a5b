/**
 * Tables of the fullest node's kernel: its own, and what it learns by asking.
 *
 * @module
 */

import type { IpFamily } from '../../src/net/mod.ts'
import { NODE_TABLES, type NodeTable } from '../measure.ts'
import type { Asked, Cost, NetworkCosts } from './probe.ts'
import { rackSizes, type Shape } from './shape.ts'
import type { Counts } from './switch-tables.ts'
import { exactly, larger, plus, type Range, type TableDemand, times } from './table.ts'

export interface NodeDemand {
  readonly tables: readonly TableDemand[]
  readonly fibBytes: number
}

/** @param bare What the kernel holds without any network. */
export function nodeTables(shape: Shape, bare: Cost, counts: Counts): NodeDemand {
  const tables = NODE_TABLES.map((table): TableDemand => {
    const range = fullestNode(shape, bare, counts, ({ tables }) => tables[table])
    return kernelTable(table, shape.nodes, range)
  })
  const { entries: fibBytes } = fullestNode(shape, bare, counts, (cost) => cost.fibBytes)
  return { tables: [...tables, ...learned(shape, counts)], fibBytes }
}

const kernelTable = (table: NodeTable, devices: number, range: Range): TableDemand => ({
  role: 'node',
  table,
  devices,
  ...range,
  capacity: undefined,
  pressure: undefined,
})

/** What the fullest node has of something that each cost has a number of. */
function fullestNode(
  shape: Shape,
  bare: Cost,
  { costs, blocks, phases }: Counts,
  numberOf: (cost: Cost) => number,
): Range {
  let range = exactly(numberOf(bare))
  for (const [index, cost] of costs.entries()) {
    range = plus(range, exactly(numberOf(cost.self) + peers(shape, cost, numberOf)))
    for (const { family, claimed } of blocks[index] ?? []) {
      const extra = {
        entries: Math.max(0, claimed.entries - shape.nodes),
        least: Math.max(0, claimed.least - shape.nodes),
        most: Math.max(0, claimed.most - shape.nodes),
      }
      range = plus(range, times(extra, numberOf(cost.block[family])))
    }
  }
  const pods = phases.map((phase) =>
    costs.reduce((sum, cost, index) => sum + numberOf(cost.pod) * (phase.pods[index] ?? 0), 0),
  )
  return plus(range, exactly(Math.max(...pods)))
}

/** Peers of the rack may cost less than others, so the node with the fewest of them has most. */
function peers(shape: Shape, { near, far }: NetworkCosts, numberOf: (cost: Cost) => number) {
  const { most, least } = rackSizes(shape)
  const ofRack = (size: number): number =>
    (size - 1) * numberOf(near) + (shape.nodes - size) * numberOf(far)
  return Math.max(ofRack(most), ofRack(least))
}

/** Neighbours that the node learns; nothing when nobody talks. */
function learned(shape: Shape, { costs }: Counts): readonly TableDemand[] {
  const { talk, nodes, kernel } = shape
  if (talk === 'none') return []
  const capacity = kernel.gcThresh3
  const peers = talk === 'all' ? nodes - 1 : Math.min(talk, nodes - 1)
  const { most, least } = rackSizes(shape)
  // Whom a node sends to is the first pod of another: of any network, so of any network's families.
  const ofFamily = ([4, 6] as const).map((family) => {
    const ofNetwork = costs.map(({ asked }) =>
      [most, least].map((size) => ofSplits(asked, family, peers, size, nodes)).reduce(larger),
    )
    return {
      least: Math.min(...ofNetwork.map((each) => each.least)),
      most: Math.max(...ofNetwork.map((each) => each.most)),
    }
  })
  const range = {
    least: Math.max(...ofFamily.map((each) => each.least)),
    most: Math.max(...ofFamily.map((each) => each.most)),
  }
  const entries = range.most
  return [
    {
      role: 'node',
      table: 'learned',
      devices: nodes,
      entries,
      ...range,
      capacity,
      pressure: entries / capacity,
    },
  ]
}

/** What a node in a rack of `size` asks for, however its `peers` lie in the rack and outside. */
function ofSplits(
  { near, far }: NetworkCosts['asked'],
  family: IpFamily,
  peers: number,
  size: number,
  nodes: number,
): Range {
  const [fewest, mostNear] = [Math.max(0, peers - (nodes - size)), Math.min(peers, size - 1)]
  // In between it grows or falls evenly; only a first and a last peer may count for more.
  const splits = [fewest, fewest + 1, mostNear - 1, mostNear].filter(
    (inside) => inside >= fewest && inside <= mostNear,
  )
  const asked = splits.map(
    (inside) => some(near[family], inside) + some(far[family], peers - inside),
  )
  return { entries: Math.max(...asked), least: Math.min(...asked), most: Math.max(...asked) }
}

const some = ({ each, once }: Asked[IpFamily], peers: number): number =>
  peers === 0 ? 0 : each * peers + once
