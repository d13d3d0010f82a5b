/**
 * Reads a view from the store, in one snapshot.
 *
 * Cost: every claim of every network and this node's attachments; next to
 * nothing where the store hands out a range that it handed out before.
 *
 * @module
 */
import { type BgpRecord, type BgpView, bgpViewOf } from '../../ipam/bgp-records.ts'
import { keys } from '../../ipam/keys.ts'
import type { NodeRecord } from '../../ipam/records.ts'
import type { Reader } from '../../ipam/store.ts'
import type { ClusterView, NetworkView } from './view.ts'

/** The view of node `name`, or undefined while the node is not registered. */
export function readView(reader: Reader, name: string): ClusterView | undefined {
  const self = reader.get(keys.node(name))
  if (self === undefined) return undefined
  const networks: NetworkView[] = []
  for (const [, network] of reader.range(keys.networks)) {
    networks.push({
      network,
      claims: values(reader.range(keys.claims(network.name))),
      attachments: values(reader.range(keys.networkAttachments(name, network.name))),
    })
  }
  const nodes = nodesByName(reader.range(keys.nodes))
  const allows = values(reader.range(keys.allows))
  const bgp = bgpIn(reader.range(keys.bgp))
  return { self, nodes, networks, allows, ...(bgp && { bgp }) }
}

type Pairs<T> = Iterable<readonly [string, T]>

/** By the very range: what was made of it, for all who are handed the same one. */
const valuesOf = new WeakMap<Pairs<unknown>, readonly unknown[]>()
const nodesOf = new WeakMap<Pairs<NodeRecord>, ReadonlyMap<string, NodeRecord>>()

const bgpOf = new WeakMap<Pairs<BgpRecord>, { readonly view: BgpView | undefined }>()

function bgpIn(pairs: Pairs<BgpRecord>): BgpView | undefined {
  const known = bgpOf.get(pairs)
  if (known !== undefined) return known.view
  const view = bgpViewOf(values(pairs))
  bgpOf.set(pairs, { view })
  return view
}

function values<T>(pairs: Pairs<T>): readonly T[] {
  const known = valuesOf.get(pairs)
  if (known !== undefined) return known as readonly T[]
  const found: T[] = []
  for (const [, value] of pairs) found.push(value)
  valuesOf.set(pairs, found)
  return found
}

function nodesByName(pairs: Pairs<NodeRecord>): ReadonlyMap<string, NodeRecord> {
  const known = nodesOf.get(pairs)
  if (known !== undefined) return known
  const nodes = new Map<string, NodeRecord>()
  for (const [, node] of pairs) nodes.set(node.name, node)
  nodesOf.set(pairs, nodes)
  return nodes
}
