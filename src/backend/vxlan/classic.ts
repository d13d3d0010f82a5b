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
import type { NetworkView, NodeRecord } from '../../cluster/view.ts'
import { deviceAlias, type Fdb, type KernelObject, type Link, shared } from '../../kernel/mod.ts'
import { offloadsTunnelChecksum } from '../../kernel-release.ts'
import { type Ip, ipFamily, prefixFamily } from '../../net/mod.ts'
import { blockRoutes } from '../peers.ts'
import { endpointNeighbor, tunnelName } from './endpoints.ts'
import type { Layout } from './layout.ts'

export const classic: Layout = {
  device: (network, self, local, mtuBytes) => [
    link(network, self, local, mtuBytes),
    ...checksumGuard(network, self),
  ],
  peer: (network, node, claims, tunnelled, outer) => {
    const name = tunnelName(network)
    const neighbors = claims
      .filter(({ first }) => first)
      .map((claim) => endpointNeighbor(name, claim, node))
    // Neighbour and forwarding entry before the route: a gateway without them would be resolved.
    const objects: KernelObject[] = [...neighbors, forwarding(name, node, outer)]
    for (const claim of tunnelled) {
      const family = prefixFamily(claim.cidr)
      const gateway = neighbors.find(({ ip }) => ipFamily(ip) === family)
      if (gateway !== undefined) objects.push(tunnelRoute(name, claim, gateway.ip))
    }
    return objects
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

/** By record, because records outlive plans, and all nodes have the same entry for a peer. */
const forwardingOf = new WeakMap<NodeRecord, Fdb>()

function forwarding(link: string, node: NodeRecord, dst: Ip): Fdb {
  const known = forwardingOf.get(node)
  if (known?.link === link && known.dst === dst) return known
  const made = shared<Fdb>({ kind: 'fdb', link, mac: node.vtepMac, dst })
  forwardingOf.set(node, made)
  return made
}

/** The gateway is behind the tunnel, in no network of the link's own. */
const tunnelRoute = blockRoutes({ onlink: true })
