/**
 * The tunnel: VXLAN as Flannel lays it out, so that its nodes and hardware
 * tunnel endpoints understand ours.
 *
 * Cost per node: one link; per peer one forwarding entry and, a family, one
 * permanent neighbour; one route a peer's block. All static: no learning, no
 * flooding, no up-calls from the kernel.
 *
 * @module
 */
import type { BlockClaim, ClusterView, NetworkView, NodeRecord } from '../../cluster/view.ts'
import {
  DEFAULT_METRIC,
  deviceAlias,
  type KernelObject,
  type Link,
  ROUTE_PROTOCOL,
  vxlanLinkName,
} from '../../kernel/mod.ts'
import {
  hostPrefix,
  type Ip,
  ipFamily,
  networkAddress,
  prefixFamily,
  prefixLength,
} from '../../net/mod.ts'
import type { Backend, Desired } from '../backend.ts'
import { networkMtu } from '../mtu.ts'
import {
  blackholes,
  familiesOf,
  forwarding,
  ownClaims,
  type Peer,
  peersOf,
  underlayIp,
  widestFamily,
} from '../peers.ts'
import { routedPod, routedPodHostEnd } from '../routed-pod.ts'

export const vxlan: Backend = {
  desired(network, view) {
    const local = outerIp(view.self)
    if (local === undefined) return { objects: [], problems: [noUnderlay(view.self)] }
    const mtuBytes = mtuOf(network, view)
    const peers = peersOf(network, view).map((peer) => peerObjects(peer, network, local))
    return {
      objects: [
        ...forwarding(familiesOf(network)),
        device(network, view, local, mtuBytes),
        ...endpoints(ownClaims(network, view)).map(({ ip }) => endpointAddress(network, ip)),
        ...blackholes(network, view),
        ...network.attachments.flatMap((attachment) => routedPodHostEnd(attachment, mtuBytes)),
        ...peers.flatMap(({ objects }) => objects),
      ],
      problems: peers.flatMap(({ problems }) => problems),
    }
  },
  pod: (attachment, network, view) => routedPod(attachment, mtuOf(network, view)),
}

const linkName = ({ network }: NetworkView): string => vxlanLinkName(network.options.vni)

function mtuOf(network: NetworkView, { self }: ClusterView): number {
  const outer = ipFamily(outerIp(self) ?? ANY_IPV4)
  const { options } = network.network
  return networkMtu('vxlan', self.underlayMtuBytes, outer, widestFamily(network), options.mtuBytes)
}

/** Stands in until the node has an underlay address; the plan is empty then. */
const ANY_IPV4 = '0.0.0.0' as Ip

/** Outer address of a node: IPv4 where it has one, for its smaller header. */
const outerIp = (node: NodeRecord): Ip | undefined => underlayIp(node, 4) ?? underlayIp(node, 6)

function device(network: NetworkView, view: ClusterView, local: Ip, mtuBytes: number): Link {
  const { name, options } = network.network
  const underlay = view.self.underlayLink
  return {
    kind: 'link',
    name: linkName(network),
    link: { type: 'vxlan', vni: options.vni, port: options.vxlanPort, underlay, local },
    up: true,
    mac: view.self.vtepMac,
    mtuBytes,
    alias: deviceAlias(name),
  }
}

/** A node's tunnel endpoint addresses: the network address of its first block, a family. */
function endpoints(
  claims: readonly BlockClaim[],
): readonly { readonly ip: Ip; readonly family: 4 | 6 }[] {
  return claims
    .filter(({ first }) => first)
    .map(({ cidr }) => ({ ip: networkAddress(cidr), family: prefixFamily(cidr) }))
}

/** Full length, so that no connected route appears. */
function endpointAddress(network: NetworkView, ip: Ip): KernelObject {
  return { kind: 'addr', link: linkName(network), ip, prefixLength: prefixLength(hostPrefix(ip)) }
}

/** Neighbour and forwarding entry before the route: a gateway without them would be resolved. */
function peerObjects({ node, claims }: Peer, network: NetworkView, local: Ip): Desired {
  const link = linkName(network)
  const dst = underlayIp(node, ipFamily(local))
  if (dst === undefined) return { objects: [], problems: [noUnderlay(node, local)] }
  const via = new Map(endpoints(claims).map(({ ip, family }) => [family, ip]))
  const objects: KernelObject[] = [...via.values()].map((ip) => ({
    kind: 'neigh',
    link,
    ip,
    mac: node.vtepMac,
  }))
  objects.push({ kind: 'fdb', link, mac: node.vtepMac, dst })
  for (const { cidr } of claims) {
    const gateway = via.get(prefixFamily(cidr))
    if (gateway === undefined) continue
    objects.push({
      kind: 'route',
      dst: cidr,
      type: 'unicast',
      link,
      via: gateway,
      onlink: true,
      metric: DEFAULT_METRIC[prefixFamily(cidr)],
      protocol: ROUTE_PROTOCOL,
    })
  }
  return { objects, problems: [] }
}

function noUnderlay(node: NodeRecord, local?: Ip): string {
  const wanted = local === undefined ? 'an address' : `an IPv${ipFamily(local)} address`
  return `Cannot reach node ${node.name} by VXLAN: its underlay ${node.underlayLink} has [${node.underlayIps.join(', ')}], wanted ${wanted}`
}
