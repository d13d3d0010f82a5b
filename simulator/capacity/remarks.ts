/**
 * Advice that others published and limits that no table shows: said, not counted.
 *
 * @module
 */
import { profileNamed } from '../profiles.ts'
import type { ModeCapacity } from './limit.ts'
import type { Shape } from './shape.ts'

export interface Remark {
  readonly text: string
  readonly source: string
}

/** Source: Calico, "Configure BGP peering": full mesh for "100 nodes or less". */
const MESH_NODES = 100
/** Source: Kubernetes, "Considerations for large clusters". */
const KUBERNETES = { nodes: 5000, podsPerNode: 110, pods: 150_000 } as const

const CALICO_DOCS = 'https://docs.tigera.io/calico/latest/networking/configuring/bgp'
const KUBERNETES_DOCS = 'https://kubernetes.io/docs/setup/best-practices/cluster-large/'
const RFC_6820 = 'https://www.rfc-editor.org/rfc/rfc6820'
const LINUX_NEIGHBOUR = 'Linux net/core/neighbour.c, neigh_alloc'

/** @param modes Of the same shape. */
export function remarksOf(shape: Shape, modes: readonly ModeCapacity[]): readonly Remark[] {
  const { nodes, podsPerNode, racks } = shape
  const has = (mode: string): boolean => modes.some((each) => each.mode.mode === mode)
  const pods = nodes * podsPerNode
  const remarks: Remark[] = []
  if (has('route') && nodes > MESH_NODES) {
    const sessions = (nodes * (nodes - 1)) / 2
    remarks.push({
      text:
        `route: every node is taken to have its ToR switch as only peer, ${Math.ceil(nodes / racks)} sessions a switch. ` +
        `A full mesh between nodes would be ${sessions} sessions; the advice is ${MESH_NODES} nodes or less`,
      source: CALICO_DOCS,
    })
  }
  if (has('vlan')) {
    remarks.push({
      text: `vlan: one layer 2 domain of ${pods + nodes} stations asks by broadcast, and every pod learns those it talks to; a node's gc_thresh3 counts all of its pods' neighbours, which is not counted here`,
      source: `${RFC_6820}; ${LINUX_NEIGHBOUR}`,
    })
  }
  const { vtep } =
    ('profile' in shape.switch ? profileNamed(shape.switch.profile)?.capacities : undefined) ?? {}
  if (has('vxlan') && vtep !== undefined) {
    remarks.push({
      text: `vxlan: tunnels end on nodes. A switch of this profile may be one end of ${vtep} tunnels, so it could not end those of more racks than that`,
      source: profileSource(shape),
    })
  }
  const { nodes: usualNodes, pods: usualPods, podsPerNode: usualPodsPerNode } = KUBERNETES
  if (nodes > usualNodes || pods > usualPods || podsPerNode > usualPodsPerNode) {
    remarks.push({
      text: `Kubernetes itself is made for ${usualNodes} nodes, ${usualPods} pods and ${usualPodsPerNode} pods a node`,
      source: KUBERNETES_DOCS,
    })
  }
  return remarks
}

const profileSource = ({ switch: model }: Shape): string =>
  ('profile' in model ? profileNamed(model.profile)?.source : undefined) ?? ''
