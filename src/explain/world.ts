/**
 * What a walk walks over: both nodes as they are and as they should be.
 *
 * A node that was not seen is taken to hold what it was asked to hold, and its
 * steps say so.
 *
 * @module
 */
import type { PodPlan } from '../backend/backend.ts'
import { planNode } from '../backend/plan.ts'
import { backends } from '../backend/registry.ts'
import type {
  AttachmentRecord,
  ClusterView,
  NetworkRecord,
  NetworkView,
  NodeRecord,
} from '../cluster/view.ts'
import { asTriviumError } from '../errors.ts'
import { BGP_ROUTE_PROTOCOL, DEFAULT_METRIC, type KernelObject, type Link } from '../kernel/mod.ts'
import {
  ADDRESS_BITS,
  containsIp,
  hostPrefix,
  type Ip,
  ipFamily,
  prefixFamily,
} from '../net/mod.ts'
import type { Place } from './hop.ts'
import type { NodeSnapshot } from './snapshot.ts'
import { tablesOf } from './tables.ts'

/** A node: what the store says of it, and its kernel. */
export interface Side extends Place {
  readonly record: NodeRecord
  readonly view: ClusterView
  readonly snapshot: NodeSnapshot | undefined
}

/** A pod's namespace. `tables` are those of the namespace. */
export interface PodPlace extends Place {
  readonly attachment: AttachmentRecord
  readonly network: NetworkRecord
  /** What ADD made; undefined when the network cannot be planned any more. */
  readonly plan: PodPlan | undefined
  /** Why the namespace could not be read. */
  readonly problem: string | undefined
}

/** rtm_protocol of assumed routes. Source: rtnetlink.h, RTPROT_KERNEL. */
const PROTOCOL_KERNEL = 2

export function sideOf(view: ClusterView, snapshot: NodeSnapshot | undefined): Side {
  const { self } = view
  const { desired } = planNode(view)
  const objects = snapshot?.objects ?? [
    ...desired.values(),
    ...assumedUnderlay(view),
    ...assumedBgp(view),
  ]
  return {
    words: `node ${self.name}`,
    node: self.name,
    seen: snapshot !== undefined,
    tables: tablesOf(objects),
    planned: tablesOf(desired.values()),
    agentRepairs: true,
    asks: (dst) => (isByBgp(view, dst) ? `trivium bgp show ${hostPrefix(dst)}` : undefined),
    // The store is the same everywhere, what a speaker heard is not.
    at: (command) =>
      /^trivium (?!bgp show )/.test(command) ? command : `on ${self.name}: ${command}`,
    record: self,
    view,
    snapshot,
  }
}

const ofBgp = ({ network }: NetworkView): boolean =>
  network.mode === 'route' && network.options.peerRoutes === 'bgp'

const isByBgp = ({ networks }: ClusterView, dst: Ip): boolean =>
  networks.some(
    (each) => ofBgp(each) && each.network.pools.some(({ cidr }) => containsIp(cidr, dst)),
  )

/** What a speaker that was not asked is taken to have heard: every block, straight to its node. */
function assumedBgp({ self, nodes, networks }: ClusterView): readonly KernelObject[] {
  const claims = networks.filter(ofBgp).flatMap((network) => network.claims)
  return claims.flatMap(({ cidr: dst, node }): readonly KernelObject[] => {
    const family = prefixFamily(dst)
    const via = nodes.get(node)?.underlayIps.find((ip) => ipFamily(ip) === family)
    if (node === self.name || via === undefined) return []
    const way = { link: self.underlayLink, via, metric: DEFAULT_METRIC[family] }
    return [{ kind: 'route', dst, type: 'unicast', ...way, protocol: BGP_ROUTE_PROTOCOL }]
  })
}

/** The underlay as the node registered it, with a way to every other node. */
function assumedUnderlay({ self, nodes }: ClusterView): readonly KernelObject[] {
  const { underlayLink: link, underlayIps, underlayMtuBytes: mtuBytes } = self
  const device: Link = {
    kind: 'link',
    name: link,
    link: { type: 'other', name: 'device' },
    up: true,
    mtuBytes,
  }
  const peers = [...nodes.values()].flatMap(({ name, underlayIps: ips }) =>
    name === self.name ? [] : ips,
  )
  return [
    device,
    ...underlayIps.map(
      (ip): KernelObject => ({ kind: 'addr', link, ip, prefixLength: ADDRESS_BITS[ipFamily(ip)] }),
    ),
    ...peers.map(
      (ip): KernelObject => ({
        kind: 'route',
        dst: hostPrefix(ip),
        type: 'unicast',
        link,
        metric: DEFAULT_METRIC[ipFamily(ip)],
        protocol: PROTOCOL_KERNEL,
      }),
    ),
  ]
}

/** What a person calls the attachment. */
export const podWords = ({ pod, containerId, ifname }: AttachmentRecord): string =>
  pod === undefined
    ? `pod ${containerId.slice(0, 20)} ${ifname}`
    : `pod ${pod.namespace}/${pod.name}`

export function podPlaceOf(attachment: AttachmentRecord, side: Side): PodPlace {
  const { network: name, containerId, ifname, netns } = attachment
  const found = side.view.networks.find(({ network }) => network.name === name)
  const plan = found === undefined ? undefined : planOf(attachment, found, side.view)
  const objects = plannedObjects(attachment, plan)
  const snapshot = side.snapshot?.pods.find(
    (pod) => pod.network === name && pod.containerId === containerId && pod.ifname === ifname,
  )
  // Another plugin made the link: its namespace is not ours to judge.
  const seen = snapshot !== undefined
  return {
    words: podWords(attachment),
    node: side.node,
    seen,
    tables: tablesOf(snapshot?.objects ?? objects),
    planned: tablesOf(objects),
    agentRepairs: false,
    at: (command) => side.at(`nsenter --net=${netns} ${command}`),
    attachment,
    network: found?.network ?? { ...NO_NETWORK, name },
    plan,
    problem: snapshot?.problem,
  }
}

/** Stands in for a network that was deleted under its pods. */
const NO_NETWORK: NetworkRecord = {
  name: '',
  mode: 'route',
  pools: [],
  options: { vni: 0, vxlanPort: 0, vlanId: 0 },
  createdMs: 0,
}

function planOf(
  attachment: AttachmentRecord,
  network: NetworkView,
  view: ClusterView,
): PodPlan | undefined {
  try {
    return backends[network.network.mode].pod(attachment, network, view)
  } catch (thrown) {
    asTriviumError(thrown) // said by doctor as a problem of the network
    return undefined
  }
}

/** The pod's end of the pair, and what ADD puts on it. */
function plannedObjects(
  { ifname }: AttachmentRecord,
  plan: PodPlan | undefined,
): readonly KernelObject[] {
  if (plan === undefined) return []
  if (plan.link !== undefined) return [plan.link, ...plan.pod]
  const [pair] = plan.node
  const peer = pair?.kind === 'link' && pair.link.type === 'veth' ? pair.link.peer : undefined
  const link: Link = {
    kind: 'link',
    name: ifname,
    link: { type: 'veth' },
    up: true,
    mtuBytes: plan.mtuBytes,
    ...(peer?.mac === undefined ? {} : { mac: peer.mac }),
  }
  return [link, ...plan.pod]
}

/** Whether the node has the address; one that was not seen has what it registered. */
export const hasIp = ({ seen, tables, record }: Side, ip: Ip): boolean =>
  seen ? tables.locals.has(ip) : record.underlayIps.includes(ip)
