/**
 * The question: so many nodes and pods, in such racks, on such switches.
 *
 * A shape is what a scenario says, without its times and its chance, so a
 * scenario is one. How racks come with nodes is said beside it.
 *
 * @module
 */
import { networksOf } from '../network.ts'
import type { Scenario } from '../scenario.ts'

/** Sizes, pools and switches. `nodes` may be far more than the exact engine holds. */
export type Shape = Pick<
  Scenario,
  'nodes' | 'podsPerNode' | 'racks' | 'spines' | 'pools' | 'switch' | 'fabric' | 'talk' | 'kernel'
>

/** What happens to racks when there are more nodes: more racks, or fuller ones. */
export type Growth =
  | { readonly kind: 'racks grow'; readonly nodesPerRack: number }
  | { readonly kind: 'racks fixed' }

/** No answer looks further. */
export const NODES_LIMIT = 1_000_000

/** Groups of racks that the fabric has at least one rack for each of. */
export function leastRacks({ fabric, racks }: Pick<Shape, 'fabric' | 'racks'>): number {
  const { kind, dataCenters, groups } = fabric
  if (kind === 'listed') return racks
  return dataCenters * (kind === 'three-tier' ? groups : 1)
}

/** The same with another number of nodes. */
export function shapeAt(shape: Shape, growth: Growth, nodes: number): Shape {
  const racks =
    growth.kind === 'racks fixed'
      ? Math.min(shape.racks, Math.max(nodes, leastRacks(shape)))
      : Math.max(leastRacks(shape), Math.ceil(nodes / growth.nodesPerRack))
  return { ...shape, nodes, racks }
}

/** Nodes of the fullest and of the emptiest rack; see `planRacks`. */
export function rackSizes({ nodes, racks }: Pick<Shape, 'nodes' | 'racks'>): {
  readonly most: number
  readonly least: number
} {
  return { most: Math.ceil(nodes / racks), least: Math.floor(nodes / racks) }
}

/** Nodes that one VLAN joins: all, or those of the largest data centre where it ends there. */
export function vlanNodes({ nodes, racks, fabric }: Shape): number {
  const { kind, dataCenters, stretchVlan } = fabric
  if (kind === 'listed' || dataCenters === 1 || stretchVlan) return nodes
  // Racks are spread over data centres as nodes are over racks.
  const before = (center: number): number =>
    Math.floor((Math.floor((center * racks) / dataCenters) * nodes) / racks)
  const sizes = Array.from({ length: dataCenters }, (_, dc) => before(dc + 1) - before(dc))
  return Math.max(...sizes)
}

/** Nodes that hold the same number of pods of each network. */
export interface PodPhase {
  readonly nodes: number
  /** By network. */
  readonly pods: readonly number[]
}

/** Pods go round the networks by their number, so nodes differ by where a round stands. */
export function podPhases({
  nodes,
  podsPerNode,
  pools,
}: Pick<Shape, 'nodes' | 'podsPerNode' | 'pools'>): readonly PodPhase[] {
  const networks = networksOf({ pools }).length
  const phases: PodPhase[] = []
  const period = periodOf(podsPerNode, networks)
  for (let phase = 0; phase < Math.min(period, nodes); phase++) {
    const first = (phase * podsPerNode) % networks
    const pods = Array.from({ length: networks }, (_, network) => {
      const before = (network - first + networks) % networks
      return Math.floor((podsPerNode - before + networks - 1) / networks)
    })
    phases.push({ nodes: Math.floor((nodes - phase + period - 1) / period), pods })
  }
  return phases
}

/** After so many nodes a round of the networks stands where it stood. */
function periodOf(podsPerNode: number, networks: number): number {
  let [a, b] = [networks, podsPerNode % networks]
  while (b > 0) [a, b] = [b, a % b]
  return networks / a
}
