/**
 * Reads a view from the store, in one snapshot.
 *
 * Cost: every claim of every network and this node's attachments.
 *
 * @module
 */
import { keys } from '../../ipam/keys.ts'
import type { NodeRecord } from '../../ipam/records.ts'
import type { Reader } from '../../ipam/store.ts'
import type { ClusterView, NetworkView } from './view.ts'

/** The view of node `name`, or undefined while the node is not registered. */
export function readView(reader: Reader, name: string): ClusterView | undefined {
  const self = reader.get(keys.node(name))
  if (self === undefined) return undefined
  const nodes = new Map<string, NodeRecord>()
  for (const [, node] of reader.range(keys.nodes)) nodes.set(node.name, node)
  const networks: NetworkView[] = []
  for (const [, network] of reader.range(keys.networks)) {
    networks.push({
      network,
      claims: values(reader.range(keys.claims(network.name))),
      attachments: values(reader.range(keys.networkAttachments(name, network.name))),
    })
  }
  return { self, nodes, networks, allows: values(reader.range(keys.allows)) }
}

function values<T>(pairs: Iterable<readonly [string, T]>): readonly T[] {
  const found: T[] = []
  for (const [, value] of pairs) found.push(value)
  return found
}
