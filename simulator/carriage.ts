/**
 * What the fabric carries of each network: which objects of a node's kernel switches
 * hear of, and what nodes themselves put into them.
 *
 * @module
 */
import {
  isPodLinkName,
  type KernelObject,
  type Link,
  podAliasOwner,
  ROUTE_PROTOCOL,
} from '../src/kernel/mod.ts'
import { containsPrefix, hostPrefix, type Mac, type Prefix } from '../src/net/mod.ts'
import {
  type Announced,
  type Announcer,
  plainAnnouncer,
  staticAnnouncer,
  summaryAnnouncer,
} from './announcer.ts'
import { type Announcement, prefixEntry, type SwitchDevice } from './fabric-device.ts'
import { type Share, sharesOf } from './shares.ts'
import type { RackPlan } from './underlay.ts'

/** What the fabric carries of a network. */
export type FabricMode =
  | 'vxlan'
  | 'route-blocks'
  | 'route-hosts'
  | 'route-racks'
  | 'route-static'
  | 'vlan'

/** A network as the fabric sees it. */
export interface FabricRoad {
  readonly mode: FabricMode
  readonly pools: readonly Prefix[]
}

/** Each mode once. */
export const modesOf = (roads: readonly FabricRoad[]): readonly FabricMode[] => [
  ...new Set(roads.map(({ mode }) => mode)),
]

/** Whether switches route at all. */
export const isRouted = (roads: readonly FabricRoad[]): boolean =>
  roads.some(({ mode }) => mode !== 'vlan')

/** Whether nodes announce anything. */
export const isAnnounced = (roads: readonly FabricRoad[]): boolean =>
  roads.some(({ mode }) => mode !== 'vlan' && mode !== 'vxlan')

/** Static summaries of a network. */
export const sharesOn = ({ mode, pools }: FabricRoad, racks: number): readonly Share[] =>
  mode === 'route-static' ? sharesOf(pools, racks) : []

/** As `podEntry`, by the mode of the network that the object is of. */
export function entryOn(
  roads: readonly FabricRoad[],
  object: KernelObject,
): Announcement | undefined {
  const [only, ...others] = modesOf(roads)
  if (only !== undefined && others.length === 0) return podEntry(only, object)
  const mode = modeOf(roads, object)
  return mode && podEntry(mode, object)
}

function modeOf(roads: readonly FabricRoad[], object: KernelObject): FabricMode | undefined {
  if (object.kind === 'route') return roadAround(roads, object.dst)?.mode
  // Only VLANs have pods at bridges, and macvlans.
  if (object.kind !== 'link') return undefined
  return object.master !== undefined || object.link.type === 'macvlan' ? 'vlan' : undefined
}

const roadAround = (roads: readonly FabricRoad[], prefix: Prefix): FabricRoad | undefined =>
  roads.find(({ pools }) => pools.some((pool) => containsPrefix(pool, prefix)))

/** One for all networks of one mode, else each network's own. */
export function announcerOf(roads: readonly FabricRoad[], racks: number): Announcer {
  const [only = 'vlan', ...others] = modesOf(roads)
  if (others.length === 0) {
    return announcerFor(
      only,
      roads.flatMap((road) => sharesOn(road, racks)),
    )
  }
  const own = new Map(roads.map((road) => [road, announcerFor(road.mode, sharesOn(road, racks))]))
  const ownOf = ({ entry }: Announced): Announcer => {
    const road = entry.table === 'mac' ? undefined : roadAround(roads, entry.entry as Prefix)
    return (road && own.get(road)) ?? plainAnnouncer
  }
  return {
    configured: [...own.values()].flatMap(({ configured = [] }) => configured),
    tell: (announced, add) => ownOf(announced).tell(announced, add),
    held: (device, all) =>
      [...new Set([...own.values(), plainAnnouncer])].flatMap((announcer) =>
        announcer.held(
          device,
          all.filter((announced) => ownOf(announced) === announcer),
        ),
      ),
  }
}

function announcerFor(mode: FabricMode, shares: readonly Share[]): Announcer {
  if (mode === 'route-static') return staticAnnouncer(shares)
  return mode === 'route-racks' ? summaryAnnouncer() : plainAnnouncer
}

/** Whether a link is a pod's: the host's end of its pair, or its macvlan, which is in the pod's namespace. */
export const isPodLink = ({ name, link, alias }: Link): boolean =>
  isPodLinkName(name) || (link.type === 'macvlan' && podAliasOwner(alias) !== undefined)

/** What sends frames under a MAC of its own: a pod, or a node's own macvlan beside its pods'. */
function stationOf(link: Link): string | undefined {
  if (link.link.type === 'macvlan') return `${isPodLink(link) ? 'pod' : 'own'} ${link.mac}`
  return link.master !== undefined && isPodLinkName(link.name) ? `pod ${link.name}` : undefined
}

/** What an object in a node's kernel puts into every switch; undefined: nothing. */
export function podEntry(mode: FabricMode, object: KernelObject): Announcement | undefined {
  switch (mode) {
    case 'vxlan':
      return undefined
    case 'vlan': {
      const entry = object.kind === 'link' ? stationOf(object) : undefined
      return entry === undefined ? undefined : { table: 'mac', entry, cost: 1 }
    }
    case 'route-blocks':
    case 'route-racks':
    case 'route-static':
      // A node's own blocks are the blackholes in its kernel.
      return object.kind === 'route' && object.type === 'blackhole' && isOurs(object.protocol)
        ? prefixEntry(object.dst)
        : undefined
    case 'route-hosts':
      return object.kind === 'route' && isPodLinkName(object.link ?? '') && isOurs(object.protocol)
        ? prefixEntry(object.dst)
        : undefined
  }
}

/** What a rack's nodes put into a switch before there is any pod. */
export function underlayEntries(
  mode: FabricMode,
  device: Pick<SwitchDevice, 'role' | 'rack'>,
  rack: RackPlan,
): readonly Announcement[] {
  const macs = rack.nodes.map(({ mac }) => macEntry(mac))
  if (mode === 'vlan') return macs
  if (device.rack !== rack.index) return rack.prefixes.map(prefixEntry)
  const hosts = rack.nodes.flatMap(({ ips }) => ips.map((ip) => prefixEntry(hostPrefix(ip))))
  const arp = rack.nodes.flatMap(({ ips }) =>
    ips.map((ip): Announcement => ({ table: 'arp', entry: `node ${ip}`, cost: 1 })),
  )
  return [...macs, ...hosts, ...arp]
}

const isOurs = (protocol: number): boolean => protocol === ROUTE_PROTOCOL

const macEntry = (mac: Mac): Announcement => ({ table: 'mac', entry: `node ${mac}`, cost: 1 })
