/**
 * The addresses of one node's blocks by state.
 *
 * Cost: a record a network and a block of the node, whatever the cluster's size.
 *
 * @module
 */
import { reservedOffsets } from '../../ipam/blocks.ts'
import { keys } from '../../ipam/keys.ts'
import { networkFamilies } from '../../ipam/mod.ts'
import type { NetworkRecord } from '../../ipam/records.ts'
import type { Reader } from '../../ipam/store.ts'
import { type IpFamily, prefixSize } from '../net/mod.ts'

export interface AddressStates {
  readonly network: string
  readonly family: IpFamily
  readonly blocks: number
  /** Held by attachments. */
  readonly used: number
  /** Never a pod's: tunnel endpoints, gateways, network and broadcast addresses. */
  readonly reserved: number
  readonly free: number
}

/** A row a network and family, also where the node has no block yet. */
export function addressStates(reader: Reader, node: string): readonly AddressStates[] {
  return [...reader.range(keys.networks)].flatMap(([, network]) =>
    networkFamilies(network).map((family) => statesOf(reader, node, network, family)),
  )
}

function statesOf(
  reader: Reader,
  node: string,
  network: NetworkRecord,
  family: IpFamily,
): AddressStates {
  let [blocks, used, reserved, free] = [0, 0, 0, 0]
  for (const [, use] of reader.range(keys.familyUses(node, network.name, family))) {
    const kept = reservedOffsets(network, use).size
    blocks += 1
    used += use.used
    reserved += kept
    free += Number(prefixSize(use.cidr)) - kept - use.used
  }
  return { network: network.name, family, blocks, used, reserved, free }
}
