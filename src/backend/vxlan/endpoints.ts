/**
 * Tunnel endpoints (VTEPs): each node's address inside a network's tunnel.
 *
 * @module
 */
import type { BlockClaim, NetworkView } from '../../cluster/view.ts'
import { type Addr, vxlanLinkName } from '../../kernel/mod.ts'
import {
  hostPrefix,
  type Ip,
  type IpFamily,
  networkAddress,
  prefixFamily,
  prefixLength,
} from '../../net/mod.ts'

export const tunnelName = ({ network }: NetworkView): string => vxlanLinkName(network.options.vni)

/**
 * A node's endpoint addresses: the network address of its first block, a
 * family. The allocator never gives it to a pod.
 */
export function endpoints(claims: readonly BlockClaim[]): ReadonlyMap<IpFamily, Ip> {
  return new Map(
    claims
      .filter(({ first }) => first)
      .map(({ cidr }) => [prefixFamily(cidr), networkAddress(cidr)] as const),
  )
}

/** On the node's own tunnel; full length, so that no connected route appears. */
export function endpointAddresses(
  network: NetworkView,
  claims: readonly BlockClaim[],
): readonly Addr[] {
  return [...endpoints(claims).values()].map((ip) => ({
    kind: 'addr',
    link: tunnelName(network),
    ip,
    prefixLength: prefixLength(hostPrefix(ip)),
  }))
}
