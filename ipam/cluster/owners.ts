/**
 * Who may carry a repair out, in a cluster.
 *
 * @module
 */
import { containsIp, type Ip, ipFamily } from '../../src/net/mod.ts'
import type { Repair } from '../check/finding.ts'
import { keys } from '../keys.ts'
import type { Reader } from '../store.ts'

/** A node, or everybody: what all nodes share is in etcd itself. */
export type Owner =
  | { readonly kind: 'node'; readonly node: string }
  | { readonly kind: 'all' }
  | { readonly kind: 'nobody'; readonly why: string }

/** @param looked The node that found it. */
export function ownerOf(reader: Reader, repair: Repair, looked?: string): Owner {
  switch (repair.kind) {
    case 'place-reservation':
    case 'index-reservations':
      return { kind: 'all' }
    case 'remove-address': {
      const node = holderOf(reader, repair.network, repair.ip) ?? looked
      if (node !== undefined) return { kind: 'node', node }
      return { kind: 'nobody', why: 'no node has a block with it' }
    }
    case 'trim-history':
    case 'remove-link':
      if (looked !== undefined) return { kind: 'node', node: looked }
      return { kind: 'nobody', why: 'ask its node: trivium ipam repair --at NODE' }
    default:
      return { kind: 'node', node: repair.node }
  }
}

/** Whose block the address is of. */
export function holderOf(reader: Reader, network: string, ip: Ip): string | undefined {
  const claims = reader.range(keys.familyClaims(network, ipFamily(ip)))
  return claims.find(([, { cidr }]) => containsIp(cidr, ip))?.[1].node
}
