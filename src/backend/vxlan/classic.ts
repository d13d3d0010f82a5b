/**
 * The tunnel as Flannel lays it out, so that its nodes and hardware tunnel
 * endpoints understand ours.
 *
 * Cost per node: one link; per peer one forwarding entry and, a family, one
 * permanent neighbour; one route a peer's block. All static: no learning, no
 * flooding, no up-calls from the kernel. The link takes frames of its own VNI
 * only, so it needs no filter.
 *
 * @module
 */
import type { BlockClaim, NetworkView, NodeRecord } from '../../cluster/view.ts'
import {
  DEFAULT_METRIC,
  deviceAlias,
  type KernelObject,
  type Link,
  ROUTE_PROTOCOL,
} from '../../kernel/mod.ts'
import { offloadsTunnelChecksum } from '../../kernel-release.ts'
import { type Ip, prefixFamily } from '../../net/mod.ts'
import { endpoints, tunnelName } from './endpoints.ts'
import type { Layout } from './layout.ts'

export const classic: Layout = {
  device: (network, self, local, mtuBytes) => [
    link(network, self, local, mtuBytes),
    ...checksumGuard(network, self),
  ],
  peer: (network, node, claims, tunnelled, outer) => {
    const via = endpoints(claims)
    const name = tunnelName(network)
    const neighbours: readonly KernelObject[] = [...via.values()].map((ip) => ({
      kind: 'neigh',
      link: name,
      ip,
      mac: node.vtepMac,
    }))
    // Neighbour and forwarding entry before the route: a gateway without them would be resolved.
    return [
      ...neighbours,
      { kind: 'fdb', link: name, mac: node.vtepMac, dst: outer },
      ...tunnelled.flatMap((claim) => blockRoute(name, claim, via.get(prefixFamily(claim.cidr)))),
    ]
  },
}

function link(network: NetworkView, self: NodeRecord, local: Ip, mtuBytes: number): Link {
  const { name, options } = network.network
  const { vni, vxlanPort: port } = options
  return {
    kind: 'link',
    name: tunnelName(network),
    link: { type: 'vxlan', vni, port, underlay: self.underlayLink, local },
    up: true,
    mac: self.vtepMac,
    mtuBytes,
    alias: deviceAlias(name),
  }
}

/** Slower, but right where the kernel's offload is not. */
export function checksumGuard(network: NetworkView, self: NodeRecord): readonly KernelObject[] {
  const { checksumOffload } = network.network.options
  if (checksumOffload ?? offloadsTunnelChecksum(self.kernelRelease)) return []
  return [{ kind: 'offload-off', link: tunnelName(network), feature: 'tx-checksum-ip-generic' }]
}

function blockRoute(
  link: string,
  { cidr }: BlockClaim,
  via: Ip | undefined,
): readonly KernelObject[] {
  if (via === undefined) return []
  const metric = DEFAULT_METRIC[prefixFamily(cidr)]
  return [
    {
      kind: 'route',
      dst: cidr,
      type: 'unicast',
      link,
      via,
      onlink: true,
      metric,
      protocol: ROUTE_PROTOCOL,
    },
  ]
}
