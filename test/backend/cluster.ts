/** A small cluster to which things happen, and what node n0 sees of it. */
import fc from 'fast-check'
import type { ClusterView, Mode, NodeRecord } from '../../src/cluster/view.ts'
import { macFromName, parseIp, parsePrefix } from '../../src/net/mod.ts'
import { claims, network, networkView, node, POOL_4, POOL_6, viewOf } from './views.ts'

export const NODES = 12

/** What may happen to one peer between two views. */
export type Event =
  | { readonly kind: 'join' | 'leave' | 'block' | 'unblock'; readonly node: number }
  | { readonly kind: 'renumber' | 'mac'; readonly node: number; readonly to: number }

export const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('join', 'leave', 'block', 'unblock'),
    node: fc.integer({ min: 1, max: NODES - 1 }),
  }),
  fc.record({
    kind: fc.constantFrom('renumber', 'mac'),
    node: fc.integer({ min: 1, max: NODES - 1 }),
    to: fc.integer({ min: 1, max: 200 }),
  }),
)

export interface Shape {
  readonly mode: Mode
  readonly dual: boolean
  readonly lightweight: boolean
  readonly crossSubnet: boolean
  readonly macvlan?: boolean
  /** A block is one address. */
  readonly tiny?: boolean
}

export const shape: fc.Arbitrary<Shape> = fc.record({
  mode: fc.constantFrom('vxlan', 'route', 'vlan', 'ipam'),
  dual: fc.boolean(),
  lightweight: fc.boolean(),
  crossSubnet: fc.boolean(),
  macvlan: fc.boolean(),
})

/** A cluster as lists, which events change. */
export interface Cluster {
  readonly records: Map<number, NodeRecord>
  /** Blocks by node. */
  readonly blocks: Map<number, Set<number>>
}

export function happen({ records, blocks }: Cluster, event: Event): void {
  const own = blocks.get(event.node) ?? new Set()
  blocks.set(event.node, own)
  const record = records.get(event.node)
  switch (event.kind) {
    case 'join':
      records.set(event.node, record ?? node(event.node))
      own.add(event.node)
      return
    case 'leave':
      records.delete(event.node)
      own.clear()
      return
    case 'block':
      own.add(event.node + NODES)
      return
    case 'unblock':
      own.delete(event.node + NODES)
      return
    case 'renumber':
      if (record === undefined) return
      records.set(event.node, {
        ...record,
        underlayIps: [parseIp(`192.0.2.${event.to}`), parseIp(`2001:db8::${event.to}`)],
      })
      return
    case 'mac':
      if (record === undefined) return
      records.set(event.node, { ...record, vtepMac: macFromName(`other${event.to}`) })
  }
}

export function viewFrom(
  cluster: Cluster,
  { mode, dual, lightweight, crossSubnet, macvlan = false, tiny = false }: Shape,
): ClusterView {
  const pool4 = tiny ? { ...POOL_4, blockLength: 32 } : POOL_4
  const pools = dual ? [pool4, POOL_6] : [pool4]
  const base = network(mode, { pools })
  const options = {
    ...base.options,
    crossSubnet,
    ...(lightweight ? { flavour: 'lightweight' as const } : {}),
    ...(macvlan ? { attachment: 'macvlan' as const } : {}),
  }
  const record = { ...base, options }
  const own = [...cluster.blocks].flatMap(([index, blocks]) =>
    claims(
      record,
      `n${index}`,
      [...blocks].sort((a, b) => a - b),
    ),
  )
  const sorted = own.sort((a, b) => (sortKey(a.cidr) < sortKey(b.cidr) ? -1 : 1))
  const empty = viewOf([{ ...networkView(record, 0), claims: sorted }], 0)
  const self = {
    ...(cluster.records.get(0) ?? node(0)),
    underlayPrefixes: [parsePrefix('192.0.2.0/25')],
  }
  const nodes = new Map([...cluster.records.values()].map((each) => [each.name, each]))
  return { ...empty, self, nodes: new Map(nodes).set(self.name, self) }
}

const sortKey = (cidr: string): string =>
  cidr.includes(':')
    ? `6${cidr.padStart(40)}`
    : cidr
        .split(/[./]/)
        .map((part) => part.padStart(3))
        .join('')
