/**
 * How many entries a node's tables have, by how many claims and pods its kernel shows.
 *
 * @module
 */
import type { Plan } from './accept.ts'

export const NODE_TABLES = ['links', 'routes', 'neighbors', 'fdb'] as const
export type NodeTable = (typeof NODE_TABLES)[number]

const LINKS = { route: 0, vxlan: 1, vlan: 2 } as const

/** @param shown Claims; -1: none, not even the node's own. */
export function countOf(
  { mode, scenario }: Plan,
  table: NodeTable,
  shown: number,
  pods: number,
): number {
  const isOn = shown >= 0
  // Every node's first claim comes before any node's second one.
  const peers = Math.max(0, Math.min(shown, scenario.nodes) - 1)
  switch (table) {
    case 'links':
      return 1 + (isOn ? LINKS[mode] : 0) + pods
    case 'routes':
      return (mode === 'vxlan' ? 2 : 1) + (mode === 'vlan' ? 0 : Math.max(0, shown) + pods)
    case 'neighbors':
    case 'fdb':
      return mode === 'vxlan' ? peers : 0
  }
}
