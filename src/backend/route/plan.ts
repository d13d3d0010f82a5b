/**
 * The route: no encapsulation; each peer's block goes to the peer itself.
 *
 * With `--peer-routes bgp` the node's speaker brings them, and a peer may be anywhere.
 *
 * Cost per node: one route a peer's block. The kernel resolves one dynamic
 * neighbour entry for every peer it talks to (gc_thresh3 counts them).
 *
 * @module
 */
import type { ClusterView, NetworkView } from '../../cluster/view.ts'
import type { KernelObject } from '../../kernel/mod.ts'
import { containsPrefix, prefixFamily } from '../../net/mod.ts'
import type { Backend, Desired } from '../backend.ts'
import { mtuOf } from '../network-mtu.ts'
import {
  blackhole,
  blackholes,
  directRoute,
  familiesOf,
  forwarding,
  isOnLink,
  type Peer,
  underlayIp,
} from '../peers.ts'
import { hostEnds, routedPod } from '../routed-pod.ts'

export const route: Backend = {
  own(network, view) {
    const mtuBytes = mtuOf(network, view.self)
    return {
      objects: [
        ...forwarding(familiesOf(network)),
        ...blackholes(network, view),
        ...summaryBlackholes(network, view),
        ...hostEnds(network, mtuBytes),
      ],
      problems: [],
    }
  },
  hasPeers: true,
  pods: (network, view) => hostEnds(network, mtuOf(network, view.self)),
  peer: (peer, network, view) => (isByBgp(network) ? NOTHING : peerRoutes(peer, view)),
  pod: (attachment, network, view) => routedPod(attachment, mtuOf(network, view.self)),
}

/** Whether the ways to peers are the speaker's business. */
const isByBgp = ({ network }: NetworkView): boolean => network.options.peerRoutes === 'bgp'

const NOTHING: Desired = { objects: [], problems: [] }

/** What the fabric is told in one piece comes here whole: what no node of the rack has must die. */
function summaryBlackholes({ network }: NetworkView, view: ClusterView): readonly KernelObject[] {
  const { rack = '' } = view.self
  const summaries = view.bgp?.racks.get(rack)?.summaries ?? []
  return summaries
    .filter((cidr) => network.pools.some((pool) => containsPrefix(pool.cidr, cidr)))
    .map(blackhole)
}

/** A block follows its own family's underlay address. */
function peerRoutes({ node, claims }: Peer, { self }: ClusterView): Desired {
  const objects: KernelObject[] = []
  const problems: string[] = []
  for (const claim of claims) {
    const { cidr } = claim
    const family = prefixFamily(cidr)
    const via = underlayIp(node, family)
    if (via === undefined) {
      problems.push(
        `Cannot route ${cidr} to node ${node.name}: its underlay has [${node.underlayIps.join(', ')}], wanted an IPv${family} address`,
      )
      continue
    }
    if (isOnLink(self, via) === false) {
      problems.push(
        `Cannot route ${cidr} to node ${node.name}: ${via} is not on ${self.underlayLink} (${self.underlayPrefixes?.join(', ')}), wanted a peer on the same network`,
      )
      continue
    }
    objects.push(directRoute(self.underlayLink, claim, via))
  }
  return { objects, problems }
}
