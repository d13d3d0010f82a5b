/**
 * What each switch holds before any node has announced anything: nodes and racks,
 * then links and groups of equal paths, in stretches of one table.
 *
 * @module
 */
import { hostPrefix } from '../../src/net/mod.ts'
import type { Plan } from './accept.ts'
import { shareOf } from './contents.ts'
import type { Places } from './places.ts'
import type { SwitchModel } from './switch-model.ts'

export const OWN_TABLES = ['mac', 'host', 'arp', 'lpm', 'ecmp'] as const
export type OwnTable = (typeof OWN_TABLES)[number]

/** So many entries of one table in a row, each of the same cost. */
export interface Stretch {
  readonly table: OwnTable
  readonly count: number
  readonly cost: number
  /** Their names, in order. */
  readonly names: () => readonly string[]
}

export interface InitialEntry {
  readonly table: OwnTable
  readonly entry: string
  readonly cost: number
}

/** All entries of a table; of one table all cost the same. */
export function totalOf(
  stretches: readonly Stretch[],
  table: OwnTable,
): { readonly count: number; readonly cost: number } {
  let [count, cost] = [0, 1]
  for (const each of stretches) {
    if (each.table !== table) continue
    count += each.count
    cost = each.cost
  }
  return { count, cost }
}

export class InitialTables {
  private readonly plan: Plan
  private readonly places: Places
  private readonly hasArp: boolean

  constructor(plan: Plan, places: Places, { capacities }: SwitchModel) {
    this.plan = plan
    this.places = places
    // Next hops without a table of their own are in that of hosts.
    this.hasArp = capacities.arp !== undefined
  }

  entries(device: number): readonly InitialEntry[] {
    return this.stretches(device).flatMap(({ table, cost, names }) =>
      names().map((entry) => ({ table, entry, cost })),
    )
  }

  stretches(device: number): readonly Stretch[] {
    const all = this.plan.mode === 'vlan' ? this.everyNode() : this.routed(device)
    return all.filter(({ table, count }) => count > 0 && (table !== 'arp' || this.hasArp))
  }

  /** A VLAN is everywhere: what one switch learns, all do. */
  private everyNode(): readonly Stretch[] {
    const { nodes } = this.plan.scenario
    return [this.macs(Array.from({ length: nodes }, (_, node) => node))]
  }

  private macs(nodes: readonly number[]): Stretch {
    const { places } = this
    return one('mac', nodes.length, () => nodes.map((node) => `node ${places.mac(node)}`))
  }

  private routed(device: number): readonly Stretch[] {
    const { places } = this
    const { racks, spines } = this.plan.scenario
    const isTor = device < racks
    const near = isTor ? places.nodesOf(device) : []
    const ips = near.map((node) => places.ip(node))
    const links = this.linksOf(device)
    const isGrouped = isTor && racks > 1 && spines > 1
    return [
      this.prefixes(0, isTor ? device : racks),
      this.macs(near),
      one('host', ips.length, () => ips.map(hostPrefix)),
      one('arp', ips.length, () => ips.map((ip) => `node ${ip}`)),
      this.prefixes(isTor ? device + 1 : racks, racks),
      this.shares(),
      one('arp', links.length, () => links.map((link) => `link ${link}`)),
      {
        table: 'ecmp',
        count: isGrouped ? 1 : 0,
        cost: spines,
        names: () => [`group ${links.join(' ')}`],
      },
    ]
  }

  /** Parts of the pool, which every switch is configured with. */
  private shares(): Stretch {
    const { share, scenario } = this.plan
    const count = share === undefined ? 0 : scenario.racks
    return one('lpm', count, () =>
      Array.from({ length: count }, (_, rack) => shareOf(this.plan, rack)),
    )
  }

  private prefixes(from: number, to: number): Stretch {
    const { places } = this
    return one('lpm', to - from, () =>
      Array.from({ length: to - from }, (_, at) => places.rackPrefix(from + at)),
    )
  }

  private linksOf(device: number): readonly number[] {
    const { racks, spines } = this.plan.scenario
    const isTor = device < racks
    return Array.from({ length: isTor ? spines : racks }, (_, other) =>
      isTor ? device * spines + other : other * spines + (device - racks),
    )
  }
}

const one = (table: OwnTable, count: number, names: () => readonly string[]): Stretch => ({
  table,
  count,
  cost: 1,
  names,
})
