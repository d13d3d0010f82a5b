/**
 * The VLAN: pods sit beside physical machines, and switches learn the rest. How a
 * pod hangs on the uplink is the network's `attachment`: see bridge.ts and macvlan.ts.
 *
 * The cost is elsewhere: each pod's MAC in every switch, and ARP by broadcast.
 *
 * @module
 */
import type { ClusterView, NetworkView, Pool } from '../../cluster/view.ts'
import { TriviumError } from '../../errors.ts'
import { DEFAULT_METRIC, type KernelObject, ROUTE_PROTOCOL } from '../../kernel/mod.ts'
import { containsIp, type Ip, ipFamily, prefixLength } from '../../net/mod.ts'
import type { Backend, PodIp } from '../backend.ts'
import { carriageOf, networkMtu } from '../mtu.ts'
import { widestFamily } from '../peers.ts'
import { DEFAULT_ROUTE, podMac } from '../routed-pod.ts'
import { bridgeDevices, bridgeEnd, bridgeEnds } from './bridge.ts'
import { macvlanDevices, macvlanLink, macvlanWays } from './macvlan.ts'

export const vlan: Backend = {
  own(network, view) {
    const mtuBytes = mtuOf(network, view)
    const devices = isMacvlan(network) ? macvlanDevices : bridgeDevices
    const objects = [...devices(network, view, mtuBytes), ...podsOf(network, view, mtuBytes)]
    return { objects, problems: [] }
  },
  pods: (network, view) => podsOf(network, view, mtuOf(network, view)),
  // Switches find peers by themselves.
  hasPeers: false,
  peer: () => ({ objects: [], problems: [] }),
  pod(attachment, network, view) {
    const mtuBytes = mtuOf(network, view)
    const ips = attachment.ips.map((ip) => podIp(ip, network.network.pools))
    const gateways = ips.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway]))
    const hung = isMacvlan(network)
      ? {
          link: macvlanLink(attachment, network, view, mtuBytes),
          guard: {
            link: attachment.ifname,
            mac: podMac(attachment),
            ips: attachment.ips,
          },
          node: macvlanWays(attachment, network.network.options.vlanId),
        }
      : { node: bridgeEnd(attachment, network, view, mtuBytes) }
    return {
      ...hung,
      pod: podObjects(attachment.ifname, ips),
      mtuBytes,
      ips,
      routes: gateways.map((via) => ({ dst: DEFAULT_ROUTE[ipFamily(via)], via })),
    }
  },
}

const isMacvlan = ({ network }: NetworkView): boolean => network.options.attachment === 'macvlan'

function podsOf(
  network: NetworkView,
  view: ClusterView,
  mtuBytes: number,
): readonly KernelObject[] {
  if (!isMacvlan(network)) return bridgeEnds(network, view, mtuBytes)
  const { vlanId } = network.network.options
  return network.attachments.flatMap((attachment) => macvlanWays(attachment, vlanId))
}

function mtuOf(network: NetworkView, { self }: ClusterView): number {
  const { options } = network.network
  return networkMtu(
    carriageOf(network.network),
    self.underlayMtuBytes,
    4,
    widestFamily(network),
    options.mtuBytes,
  )
}

function podIp(ip: Ip, pools: readonly Pool[]): PodIp {
  const pool = pools.find(({ cidr }) => containsIp(cidr, ip))
  if (pool === undefined) {
    throw new TriviumError(
      'CONFLICT',
      `Cannot place ${ip}: no pool of the network holds it any more, wanted one`,
      'Give the network its pool back (trivium network set NAME --pool CIDR), or delete the pod',
    )
  }
  const place = { ip, prefixLength: prefixLength(pool.cidr) }
  return pool.gateway === undefined ? place : { ...place, gateway: pool.gateway }
}

function podObjects(link: string, ips: readonly PodIp[]): readonly KernelObject[] {
  return ips.flatMap(({ ip, prefixLength, gateway }): readonly KernelObject[] => {
    const addr: KernelObject = { kind: 'addr', link, ip, prefixLength }
    if (gateway === undefined) return [addr]
    const family = ipFamily(gateway)
    const metric = DEFAULT_METRIC[family]
    const dst = DEFAULT_ROUTE[family]
    return [
      addr,
      { kind: 'route', dst, type: 'unicast', link, via: gateway, metric, protocol: ROUTE_PROTOCOL },
    ]
  })
}
