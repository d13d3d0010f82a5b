/**
 * The switches of a fabric, as few as have to be looked at: of a generated one
 * the fullest of each role, of a listed one every device.
 *
 * Links and groups of equal paths of generated fabrics are counted, not
 * generated, because a fabric of 25 000 racks takes gigabytes; a property test
 * holds the counts to the generator and to the shortest paths.
 *
 * @module
 */

import type { SwitchRole } from '../fabric-device.ts'
import { topologyOf } from '../fabric-plan.ts'
import { Routing } from '../fabric-routing.ts'
import type { Capacities } from '../profiles.ts'
import { modelOf } from '../world.ts'
import { rackSizes, type Shape } from './shape.ts'

/** One switch, or the fullest of some that are alike. */
export interface DeviceShape {
  readonly role: SwitchRole
  /** How many it stands for. */
  readonly devices: number
  /** Nodes of its rack; 0 where it is no top-of-rack switch. */
  readonly rackNodes: number
  readonly links: number
  /** Next hops of all its groups of equal paths. */
  readonly ecmp: number
  readonly capacities: Capacities
}

/** Devices of any size of a shape. */
export type Devices = (sized: Pick<Shape, 'nodes' | 'racks'>) => readonly DeviceShape[]

export function devicesOf(shape: Shape): Devices {
  if (shape.fabric.kind === 'listed') return listed(shape)
  const { capacities } = modelOf(shape)
  return ({ nodes, racks }) => generated({ ...shape, nodes, racks }, capacities)
}

/** Counts each device of a topology, once: its racks are its own. Cost: devices times racks. */
function listed(shape: Shape): Devices {
  const topology = topologyOf(shape)
  const { devices, links } = topology
  const state = { links: links.map(() => true), devices: devices.map(() => true) }
  const routing = new Routing(topology, state)
  const degrees = new Int32Array(devices.length)
  for (const { ends } of links) for (const end of ends) degrees[end] = (degrees[end] ?? 0) + 1
  const { capacities } = modelOf(shape)
  const counted = devices.map(({ role, profile }, index) => ({
    role,
    devices: 1,
    links: degrees[index] ?? 0,
    ecmp: [...routing.groups(index).values()].reduce((sum, hops) => sum + hops, 0),
    capacities: profile === undefined ? capacities : modelOf({ switch: { profile } }).capacities,
  }))
  return ({ nodes }) =>
    counted.map((device, index) => {
      const { rack } = devices[index] ?? { rack: -1 }
      return { ...device, rackNodes: rack === -1 ? 0 : nodesOf(nodes, shape.racks, rack) }
    })
}

/** Of one rack; see `planRacks`. */
const nodesOf = (nodes: number, racks: number, rack: number): number =>
  Math.floor(((rack + 1) * nodes) / racks) - Math.floor((rack * nodes) / racks)

/** A set of equal paths is a group when it has two or more. */
const group = (hops: number, isUsed: boolean): number => (isUsed && hops > 1 ? hops : 0)

function generated(shape: Shape, capacities: Capacities): readonly DeviceShape[] {
  const { racks, spines, fabric } = shape
  const { dataCenters, groups, aggregations, cores, wanRouters } = fabric
  const isThreeTier = fabric.kind === 'three-tier'
  const isWide = dataCenters > 1
  const [above, top] = isThreeTier ? [aggregations, cores] : [spines, spines]
  const racksOfCenter = Math.ceil(racks / dataCenters)
  const wanLinks = isWide ? wanRouters : 0
  const make = (
    role: SwitchRole,
    devices: number,
    links: number,
    ecmp: number,
    rackNodes = 0,
  ): DeviceShape => ({ role, devices, rackNodes, links, ecmp, capacities })

  const tor = make('tor', racks, above, group(above, racks > 1), rackSizes(shape).most)
  const far = group(wanRouters, isWide)
  const wan = isWide
    ? [make('wan', dataCenters * wanRouters, top + dataCenters - 1, group(top, true))]
    : []
  if (!isThreeTier) {
    return [tor, make('spine', dataCenters * spines, racksOfCenter + wanLinks, far), ...wan]
  }
  const toOthers = group(cores, dataCenters * groups > 1)
  const middle = dataCenters * groups * aggregations
  return [
    tor,
    make('aggregation', middle, Math.ceil(racksOfCenter / groups) + cores, toOthers),
    make(
      'core',
      dataCenters * cores,
      groups * aggregations + wanLinks,
      groups * group(aggregations, true) + far,
    ),
    ...wan,
  ]
}
