/**
 * How many blocks the allocator claims: for each node so many as its pods fill,
 * and a spare one, by the allocator's own rule of which addresses are usable.
 *
 * Exact while the network's first pool of the family has a block left when
 * everybody has what he wants. Beyond that it matters who comes first, and the
 * answer is bounds.
 *
 * @module
 */
import { familyPools, poolBlocks, usableAddresses } from '../../ipam/blocks.ts'
import type { NetworkRecord, Pool } from '../../ipam/records.ts'
import { ADDRESS_BITS, type IpFamily, type Prefix, subPrefixAt } from '../../src/net/mod.ts'
import type { PodPhase } from './shape.ts'
import { partOf } from './summaries.ts'
import type { Range } from './table.ts'

/** Blocks of one family of one network. */
export interface BlockDemand {
  readonly network: string
  readonly family: IpFamily
  /** Claimed in the whole cluster. */
  readonly claimed: Range
  /** Of one node; `entries` is the mean. */
  readonly perNode: Range
  /**
   * What nodes would claim if pools had no end: filled ones, and a spare a node. Where
   * racks have parts of their own: of the fullest rack.
   */
  readonly wanted: number
  /** Without which pods get no address. */
  readonly needed: number
  /** Blocks of all pools of the family, or of one rack's part. */
  readonly available: number
  readonly pools: readonly Pool[]
  /** Blocks of a rack's part of the first pool; undefined: blocks are not placed by rack. */
  readonly part: number | undefined
  readonly kind: Placement['kind']
}

/** Blocks that one node claims for so many pods, from pools of one block length. */
export interface NodeBlocks {
  readonly filled: number
  /** The spare included. */
  readonly claimed: number
}

/** Where blocks go: the lowest, beside their rack's, or in the part that is their rack's alone. */
export interface Placement {
  readonly kind: 'lowest' | 'rack' | 'static'
  readonly racks: number
  /** Nodes of the fullest rack. */
  readonly rackNodes: number
}

/** @param index Of the network in `PodPhase.pods`. */
export function blockDemand(
  network: NetworkRecord,
  family: IpFamily,
  phases: readonly PodPhase[],
  index: number,
  { kind, racks, rackNodes }: Placement,
): BlockDemand {
  const pools = familyPools(network, family)
  const available = pools.reduce((sum, pool) => sum + poolBlocks(pool), 0)
  const sum = (pool: Pool | undefined, kind: keyof NodeBlocks): number =>
    pool === undefined
      ? 0
      : phases.reduce(
          (all, { nodes, pods }) => all + nodes * nodeBlocks(network, pool, pods[index] ?? 0)[kind],
          0,
        )
  const [first] = pools
  const wanted = sum(first, 'claimed')
  const nodes = phases.reduce((all, phase) => all + phase.nodes, 0)
  // The smallest blocks of all pools, and an address lost at each pool's edge.
  const smallest = Math.max(...pools.map(({ blockLength }) => blockLength))
  const small = pools.find(({ blockLength }) => blockLength === smallest)
  const most = Math.min(available, sum(small, 'claimed') + 2 * pools.length)
  const part =
    kind !== 'lowest' && first !== undefined ? partOf(poolBlocks(first), racks) : undefined
  const each = phases.map(({ pods }) =>
    small === undefined ? 0 : nodeBlocks(network, small, pods[index] ?? 0).claimed,
  )
  const ofRack = rackNodes * Math.max(...each)
  const isInPart = kind !== 'static' || part === undefined || ofRack < part
  const hasRoom = first !== undefined && wanted < poolBlocks(first) && isInPart
  // Whoever has the pool's last block has an address less.
  const edge = family === 4 && part !== undefined && ofRack >= part ? 1 : 0
  const claimed = hasRoom
    ? { entries: wanted, least: wanted, most: Math.min(available, wanted + edge) }
    : { entries: Math.min(most, Math.max(wanted, nodes)), least: Math.min(nodes, available), most }
  const perNode = {
    entries: claimed.entries / nodes,
    least: hasRoom ? Math.min(...each) : 0,
    most: Math.max(...each) + (hasRoom ? edge : 2 * pools.length),
  }
  return {
    network: network.name,
    family,
    claimed,
    perNode,
    // A part is its rack's alone: the fullest rack ends first.
    ...(kind === 'static' && part !== undefined
      ? { wanted: ofRack, available: part }
      : { wanted, available }),
    needed: sum(first, 'filled'),
    pools,
    part,
    kind,
  }
}

/** What one node claims for its pods. */
export function nodeBlocks(network: NetworkRecord, pool: Pool, pods: number): NodeBlocks {
  const [first, later] = usable(network, pool)
  // The agent claims a block before there is any pod: it is the spare then.
  const withFirst = pods <= first ? 1 : 1 + Math.ceil((pods - first) / Math.max(1, later))
  if (pods > 0) return { filled: withFirst, claimed: withFirst + 1 }
  return { filled: 1, claimed: first > 0 ? 1 : 2 }
}

/** Addresses for pods in a node's first block and in any other, away from the pool's ends. */
function usable(network: NetworkRecord, pool: Pool): readonly [first: number, later: number] {
  const blocks = poolBlocks(pool)
  if (blocks < 3) {
    const size = 2 ** (ADDRESS_BITS[family(pool)] - pool.blockLength)
    return [size - 1, size]
  }
  const cidr: Prefix = subPrefixAt(pool.cidr, pool.blockLength, 1n)
  const use = { cidr, pool: pool.cidr, cursor: 0, used: 0 }
  return [
    usableAddresses(network, { ...use, first: true }),
    usableAddresses(network, { ...use, first: false }),
  ]
}

const family = ({ cidr }: Pool): IpFamily => (cidr.includes(':') ? 6 : 4)
