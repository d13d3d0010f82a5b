/**
 * Tunnel endpoints (VTEPs): each node's address inside a network's tunnel.
 *
 * @module
 */
import type { BlockClaim, NetworkView, NodeRecord } from '../../cluster/view.ts'
import { type Addr, type Neigh, shared, vxlanLinkName } from '../../kernel/mod.ts'
import { hostPrefix, networkAddress, prefixLength } from '../../net/mod.ts'
import { firstAddresses } from '../peers.ts'

export const tunnelName = ({ network }: NetworkView): string =>
  vxlanLinkName(network.options.vni, network.alternate)

/** By a peer's first block: many nodes, and many plans of one node, have the same entry. */
const neighbors = new WeakMap<BlockClaim, Neigh>()

/** What stands for the peer's endpoint in the tunnel, by its first block of a family. */
export function endpointNeighbor(link: string, claim: BlockClaim, { vtepMac }: NodeRecord): Neigh {
  const known = neighbors.get(claim)
  if (known?.link === link && known.mac === vtepMac) return known
  const ip = networkAddress(claim.cidr)
  const made = shared<Neigh>({ kind: 'neigh', link, ip, mac: vtepMac })
  neighbors.set(claim, made)
  return made
}

/** On the node's own tunnel; full length, so that no connected route appears. */
export function endpointAddresses(
  network: NetworkView,
  claims: readonly BlockClaim[],
): readonly Addr[] {
  return [...firstAddresses(claims).values()].map((ip) => ({
    kind: 'addr',
    link: tunnelName(network),
    ip,
    prefixLength: prefixLength(hostPrefix(ip)),
  }))
}
