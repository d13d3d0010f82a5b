/**
 * The tunnel: VXLAN in one of two flavours. Peers on the same underlay network
 * may be reached directly (`crossSubnet`).
 *
 * @module
 */
import type { BlockClaim, ClusterView, NetworkView, NodeRecord } from '../../cluster/view.ts'
import type { KernelObject } from '../../kernel/mod.ts'
import { GPE_KERNEL, offloadsGpe } from '../../kernel-release.ts'
import { type Ip, ipFamily, prefixFamily } from '../../net/mod.ts'
import type { Backend, Desired } from '../backend.ts'
import { mtuOf } from '../network-mtu.ts'
import {
  blackholes,
  directRoute,
  familiesOf,
  forwarding,
  isOnLink,
  outerIp,
  ownClaims,
  type Peer,
  underlayIp,
} from '../peers.ts'
import { hostEnds, routedPod } from '../routed-pod.ts'
import { classic } from './classic.ts'
import { endpointAddresses } from './endpoints.ts'
import { lightweight } from './lightweight.ts'

export const vxlan: Backend = {
  own(network, view) {
    const { self } = view
    const local = outerIp(self)
    if (local === undefined) return { objects: [], problems: [noUnderlay(self)] }
    const refusal = oldKernel(network, self)
    if (refusal !== undefined) return { objects: [], problems: [refusal] }
    const mtuBytes = mtuOf(network, view.self)
    return {
      objects: [
        ...forwarding(familiesOf(network)),
        ...layoutOf(network).device(network, self, local, mtuBytes),
        ...endpointAddresses(network, ownClaims(network, view)),
        ...blackholes(network, view),
        ...hostEnds(network, mtuBytes),
      ],
      problems: [],
    }
  },
  hasPeers: true,
  pods: (network, view) => hostEnds(network, mtuOf(network, view.self)),
  peer(peer, network, view) {
    const local = outerIp(view.self)
    if (local === undefined) return { objects: [], problems: [noUnderlay(view.self)] }
    return peerObjects(peer, network, view, local)
  },
  pod: (attachment, network, view) => routedPod(attachment, mtuOf(network, view.self)),
}

const layoutOf = ({ network }: NetworkView) =>
  network.options.flavour === 'lightweight' ? lightweight : classic

function peerObjects(
  { node, claims }: Peer,
  network: NetworkView,
  { self }: ClusterView,
  local: Ip,
): Desired {
  const { crossSubnet } = network.network.options
  const near = crossSubnet === true ? nearBlocks(node, claims, self) : NONE_NEAR
  const tunnelled = near.size === 0 ? claims : claims.filter((claim) => !near.has(claim))
  if (tunnelled.length === 0) return { objects: [...near.values()], problems: [] }
  const outer = underlayIp(node, ipFamily(local))
  if (outer === undefined)
    return { objects: [...near.values()], problems: [noUnderlay(node, local)] }
  const far = layoutOf(network).peer(network, node, claims, tunnelled, outer)
  return { objects: near.size === 0 ? far : [...near.values(), ...far], problems: [] }
}

type NearBlocks = ReadonlyMap<BlockClaim, KernelObject>

const NONE_NEAR: NearBlocks = new Map()

/** Routes to a peer's blocks that need no tunnel. */
function nearBlocks(node: NodeRecord, claims: readonly BlockClaim[], self: NodeRecord): NearBlocks {
  const near = new Map<BlockClaim, KernelObject>()
  for (const claim of claims) {
    const via = underlayIp(node, prefixFamily(claim.cidr))
    if (via !== undefined && isOnLink(self, via) === true)
      near.set(claim, directRoute(self.underlayLink, claim, via))
  }
  return near
}

function oldKernel({ network }: NetworkView, self: NodeRecord): string | undefined {
  const { flavour, anyKernel } = network.options
  if (flavour !== 'lightweight' || anyKernel === true || offloadsGpe(self.kernelRelease))
    return undefined
  return `Cannot make lightweight tunnels on Linux ${self.kernelRelease}: its offloads damage packets, wanted ${GPE_KERNEL} or newer; use trivium network set ${network.name} --flavour classic, or --force`
}

function noUnderlay(node: NodeRecord, local?: Ip): string {
  const wanted = local === undefined ? 'an address' : `an IPv${ipFamily(local)} address`
  return `Cannot reach node ${node.name} by VXLAN: its underlay ${node.underlayLink} has [${node.underlayIps.join(', ')}], wanted ${wanted}`
}
