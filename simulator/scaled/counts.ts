/**
 * How many entries a node's tables have, by how many claims and pods its kernel shows.
 *
 * @module
 */
import type { Plan } from './accept.ts'

export const NODE_TABLES = ['links', 'routes', 'neighbors', 'fdb'] as const
export type NodeTable = (typeof NODE_TABLES)[number]

const LINKS = { route: 0, vxlan: 1, vlan: 2 } as const

export interface Shown {
  /** -1: none, not even the node's own. */
  readonly claims: number
  readonly pods: number
  /** Peers that are reached without the tunnel. */
  readonly near: number
}

export function countOf(
  { mode, scenario, isLightweight }: Plan,
  table: NodeTable,
  { claims, pods, near }: Shown,
): number {
  const isOn = claims >= 0
  switch (table) {
    case 'links':
      return 1 + (isOn ? LINKS[mode] : 0) + pods
    case 'routes':
      return (mode === 'vxlan' ? 2 : 1) + (mode === 'vlan' ? 0 : Math.max(0, claims) + pods)
    case 'neighbors':
    case 'fdb': {
      // Every node's first claim comes before any node's second one.
      const peers = Math.max(0, Math.min(claims, scenario.nodes) - 1)
      return mode === 'vxlan' && !isLightweight ? peers - near : 0
    }
  }
}
