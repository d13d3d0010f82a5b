/**
 * The tunnel in the route: a VXLAN-GPE link in external mode, and one route a
 * peer's block that says where the tunnel ends. No neighbours, no forwarding
 * entries: a third of the kernel objects.
 *
 * GPE carries bare IP packets. A plain VXLAN link in external mode would not
 * do: the kernel drops frames whose source MAC equals the link's own. The VNI
 * filter matters: without it such a link takes every VNI that reaches its port.
 *
 * @module
 */
import type { BlockClaim, NetworkView } from '../../cluster/view.ts'
import {
  DEFAULT_METRIC,
  deviceAlias,
  ROUTE_PROTOCOL,
  type Route,
  shared,
} from '../../kernel/mod.ts'
import { type Ip, prefixFamily } from '../../net/mod.ts'
import { checksumGuard } from './classic.ts'
import { tunnelName } from './endpoints.ts'
import type { Layout } from './layout.ts'

export const lightweight: Layout = {
  device: (network, self, _local, mtuBytes) => {
    const { name, options } = network.network
    const link = tunnelName(network)
    return [
      {
        kind: 'link',
        name: link,
        link: { type: 'vxlan-gpe', port: options.vxlanPort },
        up: true,
        mtuBytes,
        alias: deviceAlias(name),
      },
      { kind: 'vni', link, vni: options.vni },
      ...checksumGuard(network, self),
    ]
  },
  peer: (network, _node, _claims, tunnelled, outer) =>
    tunnelled.map((claim) => blockRoute(network, claim, outer)),
}

/** By record, because records outlive plans, and all nodes have the same route to a block. */
const routeOf = new WeakMap<BlockClaim, Route>()

function blockRoute(network: NetworkView, claim: BlockClaim, encapDst: Ip): Route {
  const encapVni = network.network.options.vni
  const known = routeOf.get(claim)
  if (known?.encapVni === encapVni && known.encapDst === encapDst) return known
  const made = shared<Route>({
    kind: 'route',
    dst: claim.cidr,
    type: 'unicast',
    link: tunnelName(network),
    metric: DEFAULT_METRIC[prefixFamily(claim.cidr)],
    protocol: ROUTE_PROTOCOL,
    encapVni,
    encapDst,
  })
  routeOf.set(claim, made)
  return made
}
