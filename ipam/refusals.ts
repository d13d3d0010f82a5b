/**
 * Why an attachment gets nothing: as a reason for programs and a sentence for people.
 *
 * @module
 */
import type { IpFamily } from '../src/net/mod.ts'
import { counted } from '../src/words.ts'
import { closedBecause, type PoolWish, poolGroups } from './admission.ts'
import { familyPools, homeWords, isOpen, placeOf, poolBlocks, usableAddresses } from './blocks.ts'
import type { Demand } from './cluster/records.ts'
import { restingWords } from './cooling.ts'
import type { BlockUse, NetworkRecord, Pool } from './records.ts'
import type { Reader } from './store.ts'

/** Why an attachment got nothing. */
export type RefusalReason =
  | 'exhausted' // every block is claimed and the node's own are full
  | 'needs-block' // the node's blocks are full and the request may not claim another
  | 'duplicate' // the attachment exists
  | 'held-elsewhere' // an address that moves with its pod is still another node's
  | 'not-available' // a requested address is somebody else's, reserved, or out of reach
  | 'unknown-network'

/** A refusal; nothing was written. `message` is for a person. */
export interface Refusal {
  readonly kind: 'refused'
  readonly reason: RefusalReason
  readonly message: string
  /** What to do. */
  readonly hint?: string
  /** The block that would help, where it may not be claimed here. */
  readonly wanted?: Demand
}

export const refuse = (reason: RefusalReason, message: string): Refusal => ({
  kind: 'refused',
  reason,
  message,
})

/** The node may not claim here. */
export function needsBlock(
  network: NetworkRecord,
  family: IpFamily,
  pools: readonly Pool[],
  node: string,
  own: readonly BlockUse[],
): Refusal {
  const found = `${fullness(network, node, own)}, wanted one more block for the node`
  const wanted = { network: network.name, family, pools: pools.map(({ cidr }) => cidr) }
  return { ...refuse('needs-block', `${cannot(network, family)}: ${found}`), wanted }
}

/** No pool is for this pod. */
export function closed(network: NetworkRecord, family: IpFamily, request: PoolWish): Refusal {
  const why = familyPools(network, family).flatMap((pool) => closedBecause(pool, request) ?? [])
  const wanted = 'wanted a pool for any namespace, or for this one'
  return refuse('not-available', `${cannot(network, family)}: ${why.join('; ')}, ${wanted}`)
}

/** Nothing is left that the node could claim. */
export function exhausted(
  reader: Reader,
  network: NetworkRecord,
  family: IpFamily,
  request: PoolWish & { readonly node: string; readonly nowMs: number },
  own: readonly BlockUse[],
): Refusal {
  const { node } = request
  const place = placeOf(reader, node)
  const admitted = poolGroups(network, family, request).flat()
  const open = admitted.filter((pool) => isOpen(pool, place))
  if (open.length === 0) {
    const homes = admitted.map((pool) => `${pool.cidr} is for ${homeWords(pool)}`)
    const found = `${homes.join('; ')}; node ${node} is of ${place.rack === undefined ? 'no rack' : `rack ${place.rack}`}`
    const wanted = 'wanted a pool for any node, or for this one'
    return refuse('exhausted', `${cannot(network, family)}: ${found}, ${wanted}`)
  }
  const pools = open.map(
    (pool) => `${pool.cidr} (${counted(poolBlocks(pool), 'block')} of /${pool.blockLength})`,
  )
  const resting = restingWords(network, own, request.nowMs)
  const found = `every block of ${pools.join(' and ')} is claimed, ${fullness(network, node, own)}${resting}`
  const wanted = 'wanted another pool, or fewer pods or nodes'
  return refuse('exhausted', `${cannot(network, family)}: ${found}, ${wanted}`)
}

const cannot = (network: NetworkRecord, family: IpFamily): string =>
  `Cannot allocate an IPv${family} address in network ${network.name}`

function fullness(network: NetworkRecord, node: string, own: readonly BlockUse[]): string {
  if (own.length === 0) return `node ${node} has no block`
  const used = own.reduce((sum, use) => sum + use.used, 0)
  const usable = own.reduce((sum, use) => sum + usableAddresses(network, use), 0)
  const blocks = own.length === 1 ? 'block' : `${own.length} blocks`
  return `node ${node} uses ${used} of ${counted(usable, 'address')} of its ${blocks}`
}
