/**
 * Takes a snapshot of the node whose namespace this process is in.
 *
 * Not for the agent: it dumps every table and every pod's namespace on the
 * calling thread, which takes tens of milliseconds on a full node.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import * as nl from 'netlink-ts'
import { NetlinkSocket, NftSocket } from 'netlink-ts/live'
import { type AttachmentRecord, isLinkOurs } from '../../ipam/records.ts'
import { asTriviumError } from '../errors.ts'
import {
  type ForeignChain,
  type NodeSnapshot,
  type PodSnapshot,
  SNAPSHOT_VERSION,
} from '../explain/mod.ts'
import { BGP_ROUTE_PROTOCOL, isOurTable, type KernelObject, linkSysctl } from '../kernel/mod.ts'
import { anyRouteObject } from '../kernel/netlink-read.ts'
import { openKernel } from './kernel.ts'
import { openPodNetns } from './netns.ts'

/** @param attachments Whose namespaces are read too. */
export function takeSnapshot(
  node: string,
  attachments: readonly AttachmentRecord[],
  takenMs: number,
): NodeSnapshot {
  const unread: string[] = []
  const objects = readObjects()
  const links = objects.flatMap((object) => (object.kind === 'link' ? [object.name] : []))
  const conntrack = readConntrack()
  const legacy = legacyTables()
  if (legacy.length > 0) unread.push(`rules of iptables-legacy: tables ${legacy.join(', ')}`)
  return {
    version: SNAPSHOT_VERSION,
    node,
    takenMs,
    kernelRelease: release(),
    objects: [...objects, ...bgpRoutes(unread), ...sysctlsOf(links)],
    pods: attachments.filter(isLinkOurs).map(podOf),
    chains: readChains(unread),
    ...readCounts(),
    unread,
    ...(conntrack === undefined ? {} : { conntrack }),
  }
}

function readObjects(): readonly KernelObject[] {
  const kernel = openKernel()
  try {
    return [...kernel.state().values()]
  } finally {
    kernel.close()
  }
}

/** More of them are not for a packet's way to be looked up in. */
const BGP_ROUTES_MAX = 50_000

/** What the node's speaker learned; the agent's own look leaves it out. */
function bgpRoutes(unread: string[]): readonly KernelObject[] {
  const socket = NetlinkSocket.open()
  try {
    const names = new Map(socket.dump(nl.link.list()).map(({ index, name }) => [index, name]))
    const nameOf = (index: number): string => names.get(index) ?? `#${index}`
    const routes = ([4, 6] as const).flatMap((family) =>
      socket.dump(nl.route.list({ family, table: MAIN_TABLE, protocol: BGP_ROUTE_PROTOCOL })),
    )
    if (routes.length > BGP_ROUTES_MAX) unread.push(`routes of BGP beyond ${BGP_ROUTES_MAX}`)
    return routes.slice(0, BGP_ROUTES_MAX).flatMap((route) => anyRouteObject(route, nameOf) ?? [])
  } finally {
    socket.close()
  }
}

const MAIN_TABLE = 254 // RT_TABLE_MAIN

function podOf({ network, containerId, ifname, netns }: AttachmentRecord): PodSnapshot {
  const key = { network, containerId, ifname, netns }
  try {
    const pod = openPodNetns({ path: netns, allowOwn: true })
    try {
      return { ...key, objects: [...pod.kernel.state().values()] }
    } finally {
      pod.close()
    }
  } catch (thrown) {
    return { ...key, objects: [], problem: asTriviumError(thrown).message }
  }
}

const NODE_SYSCTLS = [
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.neigh.default.gc_thresh3',
  'net.ipv6.neigh.default.gc_thresh3',
] as const
const LINK_SYSCTLS = ['forwarding', 'rp_filter', 'arp_filter'] as const

function sysctlsOf(links: readonly string[]): readonly KernelObject[] {
  const names = [
    ...NODE_SYSCTLS,
    ...links.flatMap((link) => LINK_SYSCTLS.map((key) => linkSysctl(4, link, key))),
  ]
  return names.flatMap((name): readonly KernelObject[] => {
    const value = readText(sysctlPath(name))?.trim()
    return value === undefined ? [] : [{ kind: 'sysctl', name, value }]
  })
}

/** A slash in a name stands for a dot in a link's name. */
const sysctlPath = (name: string): string =>
  `/proc/sys/${name
    .split('.')
    .map((part) => part.replaceAll('/', '.'))
    .join('/')}`

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function readConntrack(): NodeSnapshot['conntrack'] {
  const [count, max] = ['count', 'max'].map((what) =>
    readText(`/proc/sys/net/netfilter/nf_conntrack_${what}`),
  )
  return count === undefined || max === undefined
    ? undefined
    : { count: Number(count), max: Number(max) }
}

/** Tables of the older iptables, which nftables does not show. */
function legacyTables(): readonly string[] {
  const files = ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names']
  const names = files.flatMap((file) => (readText(file) ?? '').split('\n'))
  return [...new Set(names)].filter((name) => name !== '')
}

/** What kernel objects do not tell: resolved neighbours, and other people's tunnels. */
function readCounts(): Pick<NodeSnapshot, 'dynamicNeighbours' | 'tunnelPorts'> {
  const socket = NetlinkSocket.open()
  try {
    const dynamicNeighbours = { 4: 0, 6: 0 }
    for (const { family, state } of socket.dump(nl.neigh.list())) {
      if (state !== 'permanent' && state !== 'noarp') dynamicNeighbours[family] += 1
    }
    const tunnelPorts = socket
      .dump(nl.link.list())
      .flatMap(({ name, data }) =>
        data?.type === 'vxlan' ? [{ link: name, port: data.port ?? 0 }] : [],
      )
    return { dynamicNeighbours, tunnelPorts }
  } finally {
    socket.close()
  }
}

/** Families whose chains a pod's packets meet. */
const FAMILIES = ['inet', 'ip', 'ip6'] as const

function readChains(unread: string[]): readonly ForeignChain[] {
  let socket: NftSocket
  try {
    socket = NftSocket.open()
  } catch (thrown) {
    unread.push(`nftables: ${asTriviumError(thrown).message}`)
    return []
  }
  try {
    return FAMILIES.flatMap((family) => chainsOf(socket, family))
  } catch (thrown) {
    unread.push(`nftables: ${asTriviumError(thrown).message}`)
    return []
  } finally {
    socket.close()
  }
}

function chainsOf(socket: NftSocket, family: (typeof FAMILIES)[number]): readonly ForeignChain[] {
  return socket.dump(nl.nft.chain.list({ family })).flatMap((chain): readonly ForeignChain[] => {
    const { table, name, hook, priority = 0 } = chain
    const ours = isOurTable(family, table)
    if (hook === undefined || ours) return []
    const policy = chain.policy === 'drop' ? 'drop' : 'accept'
    // Only where it matters: others may have tens of thousands of rules.
    const rules =
      policy === 'drop' ? socket.dump(nl.nft.rule.list({ family, table, chain: name })).length : 0
    return [{ family, table, chain: name, hook: String(hook), priority, policy, rules }]
  })
}
