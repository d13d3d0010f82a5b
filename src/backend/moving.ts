/**
 * A network that changes its road, as one node plans it meanwhile: which roads it
 * keeps open, by which it sends to whom, and an MTU that fits all of them.
 *
 * It opens the wanted road first, sends by it to those who have it open, and closes
 * the other when nobody sends by it: `ipam/moves.ts`.
 *
 * @module
 */
import {
  hasMoved,
  type RoadName,
  type Standing,
  standingOf,
  takesRoad,
  wantedRoad,
} from '../cluster/moves.ts'
import type { ClusterView, NetworkView, NodeRecord } from '../cluster/view.ts'
import { mtuOf } from './network-mtu.ts'
import { backends } from './registry.ts'

export interface Moving {
  /** The network by each road that the node keeps open, the wanted one first; one at least. */
  readonly kept: readonly NetworkView[]
  /** The network by the road to a peer. */
  way(peer: NodeRecord): NetworkView
  /** What the node may say once its kernel follows the plan. */
  readonly standing: Standing
}

const ROADS: readonly RoadName[] = ['old', 'new']

/** undefined: every node has the one road that the network names. */
export function movingOf(network: NetworkView, view: ClusterView): Moving | undefined {
  const { network: record } = network
  const wanted = wantedRoad(record)
  if (wanted === undefined || record.move === undefined) return undefined
  const nodes = [...view.nodes.values()]
  if (nodes.every((node) => hasMoved(node, record, wanted))) return undefined
  const roads = new Map<RoadName, NetworkView>(
    ROADS.flatMap((name) => {
      const road = byRoad(network, name)
      return isOpen(road, view) ? [[name, road] as const] : []
    }),
  )
  const other: RoadName = wanted === 'new' ? 'old' : 'new'
  const wayTo = (peer: NodeRecord): RoadName => {
    if (!roads.has(wanted)) return other
    return takesRoad(peer, record, wanted) || !roads.has(other) ? wanted : other
  }
  const peers = nodes.filter(({ name }) => name !== view.self.name)
  const uses = new Set(peers.map(wayTo))
  if (peers.length === 0 && roads.has(wanted)) uses.add(wanted)
  const taken = new Set([
    wanted,
    ...uses,
    ...peers.flatMap((peer) => standingOf(peer, record).uses),
  ])
  const names = [wanted, other].filter((name) => roads.has(name) && taken.has(name))
  if (names.length === 0) return undefined
  const mtuBytes = Math.min(...names.map((name) => mtuOf(roads.get(name) ?? network, view.self)))
  const fitting = new Map(
    names.map((name) => [name, withMtu(roads.get(name) ?? network, mtuBytes)]),
  )
  return {
    kept: [...fitting.values()],
    way: (peer) => fitting.get(wayTo(peer)) ?? network,
    standing: {
      serial: record.move.serial,
      takes: names,
      uses: ROADS.filter((name) => uses.has(name) && roads.has(name)),
    },
  }
}

/** By each road that the node keeps open; mostly there is one. */
export const roadsOf = (network: NetworkView, view: ClusterView): readonly NetworkView[] =>
  movingOf(network, view)?.kept ?? [network]

/** Whether any network is on its way, as far as the view knows. */
export const isMoving = (view: ClusterView): boolean =>
  view.networks.some((network) => movingOf(network, view) !== undefined)

/**
 * How far the node is in all moves, once its kernel follows the plan of `view`;
 * empty: in none.
 */
export function standings(view: ClusterView): Readonly<Record<string, Standing>> {
  const all: Record<string, Standing> = {}
  for (const network of view.networks) {
    const { network: record } = network
    const wanted = wantedRoad(record)
    if (wanted === undefined || record.move === undefined) continue
    const { serial } = record.move
    all[record.name] = movingOf(network, view)?.standing ?? {
      serial,
      takes: [wanted],
      uses: [wanted],
    }
  }
  return all
}

function byRoad(network: NetworkView, name: RoadName): NetworkView {
  const { move, alternate: _wanted, ...record } = network.network
  const road = move?.[name]
  if (road === undefined) return network
  const { mode, vni, vxlanPort, flavour, crossSubnet, alternate } = road
  const { flavour: _flavour, crossSubnet: _cross, ...options } = record.options
  return {
    ...network,
    network: {
      ...record,
      mode,
      options: {
        ...options,
        vni,
        vxlanPort,
        ...(flavour && { flavour }),
        ...(crossSubnet && { crossSubnet }),
      },
      ...(alternate && { alternate }),
    },
  }
}

function withMtu(network: NetworkView, mtuBytes: number): NetworkView {
  const { network: record } = network
  return { ...network, network: { ...record, options: { ...record.options, mtuBytes } } }
}

/** Whether this node can have the road at all. */
function isOpen(network: NetworkView, view: ClusterView): boolean {
  try {
    return backends[network.network.mode].own(network, view).objects.length > 0
  } catch {
    return false // said by the plan, of the road that is wanted
  }
}
