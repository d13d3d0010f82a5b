/**
 * What `trivium ipam show --by` shows: who uses the addresses, node by node or
 * namespace by namespace.
 *
 * Cost: by node one record a block; by namespace the text of every attachment.
 *
 * @module
 */
import { prefixSize } from '../src/net/mod.ts'
import { attachmentWords } from './attachment-words.ts'
import { coolingIn } from './cooling.ts'
import { keys } from './keys.ts'
import { type Reader, texts } from './store.ts'

/** A node's blocks in one network. */
export interface NodeUsageRow {
  readonly node: string
  readonly network: string
  /** As its agent said; undefined: it said none, or is not there. */
  readonly rack?: string
  /** Whether the node is there. */
  readonly known: boolean
  readonly blocks: number
  readonly ipsTotal: number
  readonly ipsInUse: number
  readonly ipsFree: number
  readonly ipsCooling: number
}

export interface ShowByOptions {
  readonly network?: string
  readonly nowMs: number
}

/** By name and network. */
export function usageByNode(
  reader: Reader,
  { network: only, nowMs }: ShowByOptions,
): readonly NodeUsageRow[] {
  const rows = new Map<string, NodeUsageRow>()
  for (const [, network] of reader.range(keys.networks)) {
    if (only !== undefined && network.name !== only) continue
    for (const [, { node, cidr }] of reader.range(keys.claims(network.name))) {
      const use = reader.get(keys.use(node, network.name, cidr))
      const used = use?.used ?? 0
      const size = Number(prefixSize(cidr))
      const name = `${node}/${network.name}`
      const before = rows.get(name) ?? emptyRow(reader, node, network.name)
      rows.set(name, {
        ...before,
        blocks: before.blocks + 1,
        ipsTotal: before.ipsTotal + size,
        ipsInUse: before.ipsInUse + used,
        ipsFree: before.ipsFree + size - used,
        ipsCooling: before.ipsCooling + (use ? coolingIn(network, use, nowMs).length : 0),
      })
    }
  }
  return [...rows.values()].sort((a, b) => order(a.node, b.node) || order(a.network, b.network))
}

function emptyRow(reader: Reader, node: string, network: string): NodeUsageRow {
  const record = reader.get(keys.node(node))
  const rack = record?.rack === undefined ? {} : { rack: record.rack }
  const counts = { blocks: 0, ipsTotal: 0, ipsInUse: 0, ipsFree: 0, ipsCooling: 0 }
  return { node, network, ...rack, known: record !== undefined, ...counts }
}

/** A Kubernetes namespace in one network. */
export interface NamespaceUsageRow {
  /** Empty: of containers whose runtime names no pod. */
  readonly namespace: string
  readonly network: string
  readonly pods: number
  readonly nodes: number
  readonly ipsInUse: number
  /** Of nobody now, and kept for a pod of it. */
  readonly ipsReserved: number
}

/** By name and network. */
export function usageByNamespace(
  reader: Reader,
  { network: only }: ShowByOptions,
): readonly NamespaceUsageRow[] {
  interface Sum {
    pods: number
    nodes: number
    used: number
    reserved: number
  }
  const sums = new Map<string, Sum>()
  const sumOf = (network: string, namespace: string): Sum => {
    const name = `${namespace}/${network}`
    const known = sums.get(name) ?? { pods: 0, nodes: 0, used: 0, reserved: 0 }
    sums.set(name, known)
    return known
  }
  for (const [, { name: network }] of reader.range(keys.networks)) {
    if (only !== undefined && network !== only) continue
    const claims = [...reader.range(keys.claims(network))]
    for (const node of new Set(claims.map(([, claim]) => claim.node))) {
      // A pod is on one node, so no list of all is needed.
      const here = new Map<string, { readonly pods: Set<string>; used: number }>()
      texts(reader, keys.networkAttachments(node, network), (text) => {
        const { namespace, holder, ips } = attachmentWords(text)
        const known = here.get(namespace) ?? { pods: new Set(), used: 0 }
        known.pods.add(holder)
        known.used += ips
        here.set(namespace, known)
      })
      for (const [namespace, { pods, used }] of here) {
        const sum = sumOf(network, namespace)
        sum.pods += pods.size
        sum.nodes++
        sum.used += used
      }
    }
    for (const [, { ip, pod }] of reader.range(keys.reservations(network))) {
      if (reader.get(keys.address(network, ip)) === undefined)
        sumOf(network, pod.namespace).reserved++
    }
  }
  return [...sums]
    .map(([name, { pods, nodes, used, reserved }]) => {
      const [namespace = '', network = ''] = name.split('/')
      const counts = { pods, nodes, ipsInUse: used, ipsReserved: reserved }
      return { namespace, network, ...counts }
    })
    .sort((a, b) => order(a.namespace, b.namespace) || order(a.network, b.network))
}

const order = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)
