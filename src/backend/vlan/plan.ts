/**
 * The VLAN: pods sit beside physical machines. A bridge a VLAN id joins the
 * pods' links and the underlay's 802.1Q interface; switches learn the rest.
 *
 * Cost per node: two links a network and one a pod, no routes. The cost is
 * elsewhere: each pod's MAC in every switch, and ARP by broadcast.
 *
 * @module
 */
import type { AttachmentRecord, ClusterView, NetworkView, Pool } from '../../cluster/view.ts'
import { TriviumError } from '../../errors.ts'
import {
  bridgeLinkName,
  DEFAULT_METRIC,
  deviceAlias,
  type KernelObject,
  type Link,
  ROUTE_PROTOCOL,
  shared,
  vlanLinkName,
} from '../../kernel/mod.ts'
import { containsIp, type Ip, ipFamily, macFromName, prefixLength } from '../../net/mod.ts'
import type { Backend, PodIp } from '../backend.ts'
import { carriageOf, networkMtu } from '../mtu.ts'
import { widestFamily } from '../peers.ts'
import { DEFAULT_ROUTE, podLink } from '../routed-pod.ts'

export const vlan: Backend = {
  own(network, view) {
    const mtuBytes = mtuOf(network, view)
    const objects = [...devices(network, view, mtuBytes), ...hostEnds(network, mtuBytes)]
    return { objects, problems: [] }
  },
  pods: (network, view) => hostEnds(network, mtuOf(network, view)),
  // Switches find peers by themselves.
  hasPeers: false,
  peer: () => ({ objects: [], problems: [] }),
  pod(attachment, network, view) {
    const mtuBytes = mtuOf(network, view)
    const ips = attachment.ips.map((ip) => podIp(ip, network.network.pools))
    const gateways = ips.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway]))
    return {
      node: hostEnd(attachment, network, mtuBytes),
      pod: podObjects(attachment.ifname, ips),
      mtuBytes,
      ips,
      routes: gateways.map((via) => ({ dst: DEFAULT_ROUTE[ipFamily(via)], via })),
    }
  },
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

function devices(network: NetworkView, view: ClusterView, mtuBytes: number): readonly Link[] {
  const { name, options } = network.network
  const alias = deviceAlias(name)
  const bridge = bridgeLinkName(options.vlanId)
  return [
    { kind: 'link', name: bridge, link: { type: 'bridge' }, up: true, mtuBytes, alias },
    {
      kind: 'link',
      name: vlanLinkName(options.vlanId),
      link: { type: 'vlan', parent: view.self.underlayLink, id: options.vlanId },
      up: true,
      mtuBytes,
      master: bridge,
      alias,
    },
  ]
}

const hostEnds = (network: NetworkView, mtuBytes: number): readonly KernelObject[] =>
  network.attachments.flatMap((attachment) => hostEnd(attachment, network, mtuBytes))

/** By record, because records outlive plans. */
const hostEndOf = new WeakMap<AttachmentRecord, Link>()

function hostEnd(
  attachment: AttachmentRecord,
  { network }: NetworkView,
  mtuBytes: number,
): readonly Link[] {
  const master = bridgeLinkName(network.options.vlanId)
  const known = hostEndOf.get(attachment)
  if (known?.mtuBytes === mtuBytes && known.master === master) return [known]
  if (attachment.hostLink === undefined) return []
  const link = podLink(attachment, attachment.hostLink, mtuBytes)
  // A bridge takes the lowest MAC of its ports, and a pod's is stable: so is this one.
  const made = shared<Link>({ ...link, mac: macFromName(link.name), master })
  hostEndOf.set(attachment, made)
  return [made]
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
